//! A backend that keeps only a pointer; the metadata files go through the lake's storage.

use async_trait::async_trait;
use iceberg::TableUpdate;
use iceberg::io::FileIO;
use iceberg::spec::TableMetadata;
use weir_contract::names::TableName;

use super::metadata_file::{self, version_of};
use super::{Backend, Loaded, Outcome};
use crate::env::Env;
use crate::error::{CatalogError, Result};

/// What came of moving a pointer.
#[derive(Debug)]
pub enum Swap {
    /// It moved.
    Done,
    /// It did not move: it was not where it should be. The text says what was seen.
    Conflict(String),
    /// It may have moved or not.
    Unknown(String),
    /// It is known not to have moved.
    Failed(CatalogError),
}

/// One pointer per table: the location of its current metadata file.
#[async_trait]
pub trait Pointer: Send + Sync + std::fmt::Debug {
    /// All tables.
    async fn list(&self) -> Result<Vec<TableName>>;
    /// Where the table's metadata stands; `None` if there is no such table.
    async fn get(&self, name: &TableName) -> Result<Option<String>>;
    /// Adds a table, and its namespace where that is missing. Conflict: it exists.
    async fn insert(&self, name: &TableName, new: &Loaded) -> Swap;
    /// Moves the pointer from the metadata file `old` to `new`. Conflict: it is not at `old`.
    async fn swap(&self, name: &TableName, old: &str, new: &Loaded) -> Swap;
}

/// A [`Backend`] over a [`Pointer`].
#[derive(Debug)]
pub struct PointerBackend<P> {
    pointer: P,
    io: FileIO,
    env: Env,
}

impl<P: Pointer> PointerBackend<P> {
    /// Metadata files go through `io`; their names come from `env`.
    pub fn new(pointer: P, io: FileIO, env: Env) -> PointerBackend<P> {
        PointerBackend { pointer, io, env }
    }

    /// The pointer below.
    pub fn pointer(&self) -> &P {
        &self.pointer
    }

    async fn write(&self, metadata: TableMetadata, version: u64) -> Result<Loaded> {
        metadata_file::write(&self.io, metadata, version, self.env.ids.uuid()).await
    }
}

#[async_trait]
impl<P: Pointer> Backend for PointerBackend<P> {
    async fn list(&self) -> Result<Vec<TableName>> {
        let mut names = self.pointer.list().await?;
        names.sort();
        Ok(names)
    }

    async fn load(&self, name: &TableName) -> Result<Option<Loaded>> {
        let Some(mut location) = self.pointer.get(name).await? else { return Ok(None) };
        // A writer whose commit landed after we read the pointer may already have deleted this
        // file (it fell off the metadata log): then the pointer has moved, and is read again.
        loop {
            let error = match metadata_file::read(&self.io, &location).await {
                Ok(loaded) => return Ok(Some(loaded)),
                Err(e) => e,
            };
            match self.pointer.get(name).await? {
                None => return Ok(None),
                Some(now) if now != location => location = now,
                Some(_) => return Err(error),
            }
        }
    }

    async fn create(&self, name: &TableName, metadata: TableMetadata) -> Outcome {
        let next = match self.write(metadata, 0).await {
            Ok(next) => next,
            Err(e) => return Outcome::Failed(e),
        };
        outcome(self.pointer.insert(name, &next).await, next)
    }

    async fn read(&self, location: &str) -> Result<Loaded> {
        metadata_file::read(&self.io, location).await
    }

    async fn location(&self, name: &TableName) -> Result<Option<String>> {
        self.pointer.get(name).await
    }

    async fn register(&self, name: &TableName, location: &str, old: Option<&str>) -> Outcome {
        let next = match self.read(location).await {
            Ok(next) => next,
            Err(e) => return Outcome::Failed(e),
        };
        let swap = match old {
            Some(old) => self.pointer.swap(name, old, &next).await,
            None => self.pointer.insert(name, &next).await,
        };
        outcome(swap, next)
    }

    async fn commit(&self, name: &TableName, base: &Loaded, updates: Vec<TableUpdate>) -> Outcome {
        let metadata = match apply(name, base, updates) {
            Ok(metadata) => metadata,
            Err(e) => return Outcome::Failed(e),
        };
        let next = match self.write(metadata, version_of(&base.location) + 1).await {
            Ok(next) => next,
            Err(e) => return Outcome::Failed(e),
        };
        outcome(self.pointer.swap(name, &base.location, &next).await, next)
    }
}

fn outcome(swap: Swap, next: Loaded) -> Outcome {
    match swap {
        Swap::Done => Outcome::Committed(next),
        Swap::Conflict(seen) => Outcome::Conflict(seen),
        Swap::Unknown(why) => Outcome::Unknown(why),
        Swap::Failed(e) => Outcome::Failed(e),
    }
}

fn apply(name: &TableName, base: &Loaded, updates: Vec<TableUpdate>) -> Result<TableMetadata> {
    let build = || {
        let metadata = TableMetadata::clone(&base.metadata);
        let mut builder = metadata.into_builder(Some(base.location.clone()));
        for update in updates {
            builder = update.apply(builder)?;
        }
        builder.build()
    };
    let built = build()
        .map_err(|e| CatalogError::iceberg(format!("building the next metadata of {name}"), e))?;
    Ok(built.metadata)
}
