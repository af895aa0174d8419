//! Metadata backends: who holds the pointer to a table's current metadata, and swaps it.
//!
//! The heart is [`Backend::commit`]: one compare-and-swap on exactly the base that was read, with
//! three outcomes. Whoever adds a backend must keep them apart: *conflict* only for a refusal that
//! is known to be the first and only attempt, *unknown* for everything that may have landed.

mod glue;
mod metadata_file;
mod pointer;
mod refusal;
mod rest;
mod sqlite;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use iceberg::TableUpdate;
use iceberg::io::FileIO;
use iceberg::spec::{SnapshotReference, TableMetadata, TableMetadataRef};
use weir_contract::names::TableName;

pub use glue::{GlueOptions, GluePointer};
pub(crate) use metadata_file::version_of;
pub use pointer::{Pointer, PointerBackend, Swap};
pub use rest::{RestAuth, RestBackend, RestOptions, Secret, pinned};
pub use sqlite::SqlitePointer;

use crate::error::{CatalogError, Result};

/// Reads a metadata file, current or not.
pub(crate) async fn read_metadata(io: &FileIO, location: &str) -> Result<Loaded> {
    metadata_file::read(io, location).await
}

/// A table's metadata and where it was read: exactly one version.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The metadata file.
    pub location: String,
    /// What it says.
    pub metadata: TableMetadataRef,
    /// Its branches and tags, which the library keeps to itself.
    pub refs: BTreeMap<String, SnapshotReference>,
}

/// What came of a create or a commit.
#[derive(Debug)]
pub enum Outcome {
    /// It landed; the new version.
    Committed(Loaded),
    /// It did not land: the pointer is no longer where the base was read. The text says what was
    /// seen.
    Conflict(String),
    /// It may have landed or not, and may still land. The text says what went wrong.
    Unknown(String),
    /// It is known not to have landed.
    Failed(CatalogError),
}

/// The catalog of a lake.
#[async_trait]
pub trait Backend: Send + Sync + Debug {
    /// All tables, sorted.
    async fn list(&self) -> Result<Vec<TableName>>;

    /// The current version of a table; `None` if there is no such table.
    async fn load(&self, name: &TableName) -> Result<Option<Loaded>>;

    /// Creates a table, and its namespace where that is missing. Conflict: it exists.
    async fn create(&self, name: &TableName, metadata: TableMetadata) -> Outcome;

    /// Reads a metadata file, whoever it belongs to.
    async fn read(&self, location: &str) -> Result<Loaded>;

    /// The metadata file of a table as the catalog names it, which may be gone; `None` if there is no
    /// such table.
    async fn location(&self, name: &TableName) -> Result<Option<String>>;

    /// Makes a metadata file that stands the table's current one: of a new table, or of one that has
    /// exactly the file `old`.
    async fn register(&self, name: &TableName, location: &str, old: Option<&str>) -> Outcome;

    /// Applies `updates` to exactly `base`, and makes the result current if `base` still is.
    async fn commit(&self, name: &TableName, base: &Loaded, updates: Vec<TableUpdate>) -> Outcome;

    /// Whether the catalog itself writes metadata files, and deletes those that fall off the log.
    fn keeps_metadata(&self) -> bool {
        false
    }
}

/// A shared backend is a backend.
#[async_trait]
impl<B: Backend + ?Sized> Backend for Arc<B> {
    async fn list(&self) -> Result<Vec<TableName>> {
        (**self).list().await
    }

    async fn load(&self, name: &TableName) -> Result<Option<Loaded>> {
        (**self).load(name).await
    }

    async fn create(&self, name: &TableName, metadata: TableMetadata) -> Outcome {
        (**self).create(name, metadata).await
    }

    async fn read(&self, location: &str) -> Result<Loaded> {
        (**self).read(location).await
    }

    async fn location(&self, name: &TableName) -> Result<Option<String>> {
        (**self).location(name).await
    }

    async fn register(&self, name: &TableName, location: &str, old: Option<&str>) -> Outcome {
        (**self).register(name, location, old).await
    }

    async fn commit(&self, name: &TableName, base: &Loaded, updates: Vec<TableUpdate>) -> Outcome {
        (**self).commit(name, base, updates).await
    }

    fn keeps_metadata(&self) -> bool {
        (**self).keeps_metadata()
    }
}
