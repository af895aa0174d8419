//! The lake: Iceberg tables on one storage and one catalog. The only crate that names `iceberg`.
//!
//! - [`env`]: clock and ids, injected everywhere.
//! - [`storage`]: files, synced.
//! - [`backend`]: the catalog's pointer and its compare-and-swap.
//! - [`table`]: [`Lake`] and [`Base`], one version of a table as it was read.

pub mod backend;
pub mod env;
pub mod error;
pub mod storage;
pub mod table;

pub use error::{CatalogError, Result};
pub use table::{Base, Lake, LakeOptions};
