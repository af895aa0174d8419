//! Commands on SQL models.

pub mod build;
pub mod lineage;
pub mod ls;
pub mod show;
pub mod test;
