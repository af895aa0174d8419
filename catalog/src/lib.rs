//! The lake: Iceberg tables on one storage and one catalog. The only crate that names `iceberg`.
//!
//! - [`env`]: clock and ids, injected everywhere.
//! - [`aws`]: who we are in AWS, and signed requests.
//! - [`storage`]: files, synced or in S3.
//! - [`backend`]: the catalog's pointer and its compare-and-swap.
//! - [`table`]: [`Lake`] and [`Base`], one version of a table as it was read.
//! - [`schema`]: raw tables from contracts.
//! - [`evolve`]: tables that follow their contracts.
//! - [`encode`], [`files`]: rows into data files, with what their manifests say of them.
//! - [`seed`]: loads of reference tables.
//! - [`derived`]: tables that models make.
//! - [`commit`]: the one way by which a table moves; [`merge`], [`expire`] and [`ladder`] are its plans.
//! - `cover`: what a stream knows of its topic while nothing comes.
//! - [`tag`], [`rollback`], [`register`]: tags that people set, the way back to a state, and the way
//!   back of a lost catalog.
//! - [`scan`], [`session`]: snapshots as tables of DataFusion, and SQL over the lake.
//! - [`sought`]: which files may hold given offsets, by what manifests say.
//! - [`look`]: what there is and how it came to be, without reading rows.
//! - [`locate`]: where a record is, and what is in a file or snapshot.
//! - [`maintain`], [`retain`]: few large sorted files instead of many small ones, nobody's files swept away,
//!   and rows past their retention.
//! - [`verify`]: whether every record is there exactly once.

pub mod aws;
pub mod backend;
pub mod commit;
mod cover;
mod create;
pub mod derived;
pub mod encode;
pub mod env;
pub mod error;
pub mod evolve;
pub mod expire;
pub mod files;
mod http;
pub mod ladder;
pub mod locate;
pub mod look;
pub mod maintain;
mod manifests;
pub mod merge;
pub mod register;
pub mod retain;
pub mod rollback;
pub mod scan;
pub mod schema;
pub mod seed;
pub mod session;
pub mod sought;
pub mod storage;
pub mod table;
pub mod tag;
pub mod verify;

#[cfg(test)]
mod foreign;
#[cfg(test)]
mod testing;

pub use error::{CatalogError, Result};
pub use table::{Base, CatalogAt, Lake, LakeOptions};
