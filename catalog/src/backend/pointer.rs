//! A backend that keeps only a pointer; the metadata files go through the lake's storage.

use std::io::Write;
use std::sync::Arc;

use async_trait::async_trait;
use flate2::Compression;
use flate2::write::GzEncoder;
use iceberg::TableUpdate;
use iceberg::compression::CompressionCodec;
use iceberg::io::FileIO;
use iceberg::spec::TableMetadata;
use uuid::Uuid;
use weir_contract::names::TableName;

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
    async fn insert(&self, name: &TableName, location: &str) -> Swap;
    /// Moves the pointer from `old` to `new`. Conflict: it is not at `old`.
    async fn swap(&self, name: &TableName, old: &str, new: &str) -> Swap;
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

    async fn write(&self, metadata: &TableMetadata, version: u64) -> Result<String> {
        let gzip = is_gzip(metadata)?;
        let location = file_location(metadata.location(), version, self.env.ids.uuid(), gzip);
        let what = || format!("writing metadata {location}");
        let bytes = encode(metadata, gzip).map_err(|e| CatalogError::bug(what()).with_source(e))?;
        let output = self.io.new_output(&location).map_err(|e| CatalogError::iceberg(what(), e))?;
        output.write(bytes.into()).await.map_err(|e| CatalogError::iceberg(what(), e))?;
        Ok(location)
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
            let error = match TableMetadata::read_from(&self.io, &location).await {
                Ok(metadata) => {
                    return Ok(Some(Loaded { location, metadata: Arc::new(metadata) }));
                }
                Err(e) => e,
            };
            match self.pointer.get(name).await? {
                None => return Ok(None),
                Some(now) if now != location => location = now,
                Some(_) => {
                    let what = format!("reading the metadata of {name} at {location}");
                    return Err(CatalogError::iceberg(what, error));
                }
            }
        }
    }

    async fn create(&self, name: &TableName, metadata: TableMetadata) -> Outcome {
        let location = match self.write(&metadata, 0).await {
            Ok(location) => location,
            Err(e) => return Outcome::Failed(e),
        };
        let swap = self.pointer.insert(name, &location).await;
        outcome(swap, location, metadata)
    }

    async fn commit(&self, name: &TableName, base: &Loaded, updates: Vec<TableUpdate>) -> Outcome {
        let metadata = match apply(name, base, updates) {
            Ok(metadata) => metadata,
            Err(e) => return Outcome::Failed(e),
        };
        let location = match self.write(&metadata, version_of(&base.location) + 1).await {
            Ok(location) => location,
            Err(e) => return Outcome::Failed(e),
        };
        let swap = self.pointer.swap(name, &base.location, &location).await;
        outcome(swap, location, metadata)
    }
}

fn outcome(swap: Swap, location: String, metadata: TableMetadata) -> Outcome {
    match swap {
        Swap::Done => Outcome::Committed(Loaded { location, metadata: Arc::new(metadata) }),
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

fn is_gzip(metadata: &TableMetadata) -> Result<bool> {
    match metadata.metadata_compression_codec() {
        Ok(CompressionCodec::None) => Ok(false),
        Ok(CompressionCodec::Gzip(_)) => Ok(true),
        Ok(_) | Err(_) => Err(CatalogError::bad_config(format!(
            "the table at {} asks for metadata compression that is neither gzip nor none; \
             correct its property write.metadata.compression-codec",
            metadata.location()
        ))),
    }
}

/// `<table>/metadata/<version>-<uuid>[.gz].metadata.json`.
fn file_location(table: &str, version: u64, uuid: Uuid, gzip: bool) -> String {
    let suffix = if gzip { ".gz" } else { "" };
    format!("{table}/metadata/{version:0>5}-{uuid}{suffix}.metadata.json")
}

/// The number before the first `-` of a metadata file's name, `v3.metadata.json` included; 0 for
/// names that no convention of Iceberg makes.
fn version_of(location: &str) -> u64 {
    let name = location.rsplit('/').next().unwrap_or(location);
    let digits: String =
        name.trim_start_matches('v').chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

fn encode(metadata: &TableMetadata, gzip: bool) -> std::io::Result<Vec<u8>> {
    // Through a value: its maps are sorted, so that equal metadata are equal bytes.
    let value = serde_json::to_value(metadata)?;
    if !gzip {
        return Ok(serde_json::to_vec(&value)?);
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    serde_json::to_writer(&mut encoder, &value)?;
    encoder.flush()?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_every_convention() {
        let uuid = Uuid::nil();
        assert_eq!(version_of(&file_location("file:///a", 41, uuid, true)), 41);
        assert_eq!(version_of("file:///a/metadata/00007-ab.metadata.json"), 7);
        assert_eq!(version_of("/a/metadata/v12.metadata.json"), 12);
        assert_eq!(version_of("/a/metadata/latest.json"), 0);
    }

    #[test]
    fn names_are_those_of_the_java_writer() {
        assert_eq!(
            file_location("file:///w/raw/t", 3, Uuid::nil(), true),
            "file:///w/raw/t/metadata/00003-00000000-0000-0000-0000-000000000000.gz.metadata.json"
        );
    }
}
