//! The lake: Iceberg tables on one storage and one catalog. The only crate that names `iceberg`.
//!
//! - [`env`]: clock and ids, injected everywhere.
//! - [`aws`]: who we are in AWS, and signed requests.
//! - [`storage`]: files, synced or in S3.
//! - [`backend`]: the catalog's pointer and its compare-and-swap.
//! - [`table`]: [`Lake`] and [`Base`], one version of a table as it was read.
//! - [`schema`]: raw tables from contracts.
//! - [`encode`], [`files`]: rows into data files, with what their manifests say of them.
//! - [`seed`]: loads of reference tables.
//! - [`commit`]: the one way by which a table moves; [`merge`] and [`expire`] are its plans.
//! - [`scan`], [`session`]: snapshots as tables of DataFusion, and SQL over the lake.
//! - [`sought`]: which files may hold given offsets, by what manifests say.
//! - [`look`]: what there is and how it came to be, without reading rows.
//! - [`locate`]: where a record is, and what is in a file or snapshot.
//! - [`verify`]: whether every record is there exactly once.

pub mod aws;
pub mod backend;
pub mod commit;
mod create;
pub mod encode;
pub mod env;
pub mod error;
pub mod expire;
pub mod files;
pub mod locate;
pub mod look;
mod manifests;
pub mod merge;
pub mod scan;
pub mod schema;
pub mod seed;
pub mod session;
pub mod sought;
pub mod storage;
pub mod table;
pub mod verify;

#[cfg(test)]
mod foreign;
#[cfg(test)]
mod testing;

pub use error::{CatalogError, Result};
pub use table::{Base, CatalogAt, Lake, LakeOptions};
