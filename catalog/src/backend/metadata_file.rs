//! Metadata files: their names, and how they are written and read.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use iceberg::compression::CompressionCodec;
use iceberg::io::FileIO;
use iceberg::spec::{SnapshotReference, TableMetadata};
use serde::Deserialize;
use uuid::Uuid;

use super::Loaded;
use crate::error::{CatalogError, Result};

/// Writes `metadata` as a new file of the table's metadata folder.
pub(super) async fn write(
    io: &FileIO,
    metadata: TableMetadata,
    version: u64,
    uuid: Uuid,
) -> Result<Loaded> {
    let gzip = is_gzip(&metadata)?;
    let location = file_location(metadata.location(), version, uuid, gzip);
    let what = || format!("writing metadata {location}");
    let (bytes, refs) =
        encode(&metadata, gzip).map_err(|e| CatalogError::bug(what()).with_source(e))?;
    let output = io.new_output(&location).map_err(|e| CatalogError::iceberg(what(), e))?;
    output.write(bytes.into()).await.map_err(|e| CatalogError::iceberg(what(), e))?;
    Ok(Loaded { location, metadata: Arc::new(metadata), refs })
}

/// Reads a metadata file, packed or not.
pub(super) async fn read(io: &FileIO, location: &str) -> Result<Loaded> {
    let what = || format!("reading metadata {location}");
    let input = io.new_input(location).map_err(|e| CatalogError::iceberg(what(), e))?;
    let bytes = input.read().await.map_err(|e| CatalogError::iceberg(what(), e))?;
    let damaged = |e: std::io::Error| {
        CatalogError::bad_data(format!("metadata {location} is damaged: {e}")).with_source(e)
    };
    let json = unpack(bytes).map_err(damaged)?;
    parse(location.to_string(), &json).map_err(|e| damaged(e.into()))
}

/// The metadata that stand at `location`, by their text.
pub(super) fn parse(location: String, json: &[u8]) -> serde_json::Result<Loaded> {
    let metadata: TableMetadata = serde_json::from_slice(json)?;
    let Refs { refs } = serde_json::from_slice(json)?;
    Ok(Loaded { location, metadata: Arc::new(metadata), refs: refs.unwrap_or_default() })
}

#[derive(Deserialize)]
struct Refs {
    refs: Option<BTreeMap<String, SnapshotReference>>,
}

fn unpack(bytes: Bytes) -> std::io::Result<Bytes> {
    if !bytes.starts_with(&[0x1F, 0x8B]) {
        return Ok(bytes);
    }
    let mut json = Vec::with_capacity(bytes.len() * 8);
    GzDecoder::new(&bytes[..]).read_to_end(&mut json)?;
    Ok(json.into())
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
pub(crate) fn version_of(location: &str) -> u64 {
    let name = location.rsplit('/').next().unwrap_or(location);
    let digits: String =
        name.trim_start_matches('v').chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

type Refd = (Vec<u8>, BTreeMap<String, SnapshotReference>);

fn encode(metadata: &TableMetadata, gzip: bool) -> std::io::Result<Refd> {
    // Through a value: its maps are sorted, so that equal metadata are equal bytes.
    let mut value = serde_json::to_value(metadata)?;
    if let Some(snapshots) = value.get_mut("snapshots").and_then(|s| s.as_array_mut()) {
        snapshots.sort_by_key(|s| s.get("sequence-number").and_then(|n| n.as_i64()));
    }
    let refs = value.get("refs").cloned().map(serde_json::from_value).transpose()?;
    let refs = refs.unwrap_or_default();
    let json = serde_json::to_vec(&value)?;
    if !gzip {
        return Ok((json, refs));
    }
    // In one piece: the encoder is slow with the many small writes of a serializer.
    let mut encoder = GzEncoder::new(Vec::with_capacity(json.len() / 4), Compression::fast());
    encoder.write_all(&json)?;
    Ok((encoder.finish()?, refs))
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
