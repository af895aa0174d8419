//! Files of the lake: one stack, `object_store`, below everything.
//!
//! - [`Disk`] / [`LocalDisk`]: the few calls that a file system must offer, synchronous.
//! - [`SyncedStore`]: `ObjectStore` over a [`Disk`]; a `put` that returned survives a power cut.
//! - [`IcebergStorage`]: the same store under the Iceberg library's `FileIO`.

mod adapter;
mod disk;
mod synced;

use object_store::path::Path;

pub use adapter::{IcebergStorage, file_io};
pub use disk::{Disk, Entry, LocalDisk, Stat};
pub use synced::SyncedStore;

use crate::error::{CatalogError, Result};

/// How a location begins in what we write: PyIceberg, DuckDB, Spark and Trino all read it.
pub const FILE_SCHEME: &str = "file://";

/// The store's path of a location in metadata: `file:///a/b`, `file:/a/b` or `/a/b`.
///
/// Errors: bad data if the location is of another scheme or not absolute.
pub fn object_path(location: &str) -> Result<Path> {
    let plain = location
        .strip_prefix(FILE_SCHEME)
        .or_else(|| location.strip_prefix("file:"))
        .unwrap_or(location);
    if !plain.starts_with('/') {
        return Err(CatalogError::bad_data(format!(
            "location {location:?} is not file:///<absolute path>; weir reads local lakes only"
        )));
    }
    Path::parse(plain).map_err(|e| {
        CatalogError::bad_data(format!("location {location:?} is not a valid path: {e}"))
    })
}

/// The location, as written to metadata, of an absolute path.
pub fn location_of(path: &str) -> String {
    format!("{FILE_SCHEME}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_of_all_spellings_are_one_path() {
        for spelling in ["file:///a/b=c/d.parquet", "file:/a/b=c/d.parquet", "/a/b=c/d.parquet"] {
            assert_eq!(object_path(spelling).unwrap().as_ref(), "a/b=c/d.parquet");
        }
        assert_eq!(location_of("/a/b"), "file:///a/b");
        for wrong in ["s3://bucket/a", "a/b", "file://host/a", "/a/../b", ""] {
            assert!(object_path(wrong).is_err(), "{wrong}");
        }
    }
}
