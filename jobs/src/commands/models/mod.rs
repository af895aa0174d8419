//! Commands on SQL models.

pub mod build;
pub mod freshness;
pub mod lineage;
pub mod ls;
pub mod show;
pub mod test;
pub mod wait;
