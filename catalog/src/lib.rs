//! The lake: Iceberg tables on one storage and one catalog. The only crate that names `iceberg`.
//!
//! - [`env`]: clock and ids, injected everywhere.
//! - [`storage`]: files, synced.
//! - [`backend`]: the catalog's pointer and its compare-and-swap.
//! - [`table`]: [`Lake`] and [`Base`], one version of a table as it was read.
//! - [`schema`]: raw tables from contracts.
//! - [`encode`], [`files`]: rows into data files, with what their manifests say of them.
//! - [`commit`]: the one way by which a table moves; [`merge`] and [`expire`] are its plans.

pub mod backend;
pub mod commit;
mod create;
pub mod encode;
pub mod env;
pub mod error;
pub mod expire;
pub mod files;
mod manifests;
pub mod merge;
pub mod schema;
pub mod storage;
pub mod table;

#[cfg(test)]
mod testing;

pub use error::{CatalogError, Result};
pub use table::{Base, Lake, LakeOptions};
