//! Where a lake's files stand, and how their locations are written in metadata.

use std::fmt;

use object_store::path::Path;

use crate::error::{CatalogError, Result};

/// How a local location begins in what we write: PyIceberg, DuckDB, Spark and Trino all read it.
const FILE_SCHEME: &str = "file://";
/// How a location in S3 begins in what we write.
pub const S3_SCHEME: &str = "s3://";
/// How others begin it.
const S3_SCHEMES: [&str; 3] = [S3_SCHEME, "s3a://", "s3n://"];

/// The root of a lake: `<namespace>/<table>` stand below it. A lake of one kind has no files of
/// another kind, nor of another bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warehouse {
    /// A folder of this machine, as an absolute path.
    Local(String),
    /// A prefix of a bucket; the prefix may be empty.
    S3 {
        /// The bucket.
        bucket: String,
        /// The prefix, without slashes at its ends.
        prefix: String,
    },
}

impl Warehouse {
    /// Reads `s3://<bucket>/<prefix>`; the error is for the end of a sentence.
    pub fn parse_s3(text: &str) -> Result<Warehouse, String> {
        let expected = || format!("expected \"s3://<bucket>/<prefix>\", found {text:?}");
        let rest = text.strip_prefix(S3_SCHEME).ok_or_else(expected)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_end_matches('/');
        let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
        if bucket.len() < 3 || !bucket.bytes().all(letter) || prefix.starts_with('/') {
            return Err(expected());
        }
        if let Some(c) = odd_character(prefix) {
            return Err(format!(
                "holds the character {c:?}, which readers of Iceberg take differently; choose \
                 another prefix"
            ));
        }
        Path::parse(prefix).map_err(|_| expected())?;
        Ok(Warehouse::S3 { bucket: bucket.into(), prefix: prefix.into() })
    }

    /// The location of the root, as written to metadata.
    pub fn location(&self) -> String {
        match self {
            Warehouse::Local(folder) => format!("{FILE_SCHEME}{folder}"),
            Warehouse::S3 { bucket, prefix } if prefix.is_empty() => format!("{S3_SCHEME}{bucket}"),
            Warehouse::S3 { bucket, prefix } => format!("{S3_SCHEME}{bucket}/{prefix}"),
        }
    }

    /// The store's path of the root.
    ///
    /// Errors: bad data if it is no path.
    pub fn root(&self) -> Result<Path> {
        let (Warehouse::Local(root) | Warehouse::S3 { prefix: root, .. }) = self;
        Path::parse(root)
            .map_err(|e| CatalogError::bad_data(format!("warehouse {root:?} is no path: {e}")))
    }

    /// The store's path of a location in metadata: `file:///a/b`, `file:/a/b` or `/a/b` in a local
    /// lake, `s3://<bucket>/a/b` (also `s3a`, `s3n`) in one of that bucket.
    ///
    /// Errors: bad data if the location is of another kind or bucket, or not absolute.
    pub fn object_path(&self, location: &str) -> Result<Path> {
        let key = match self {
            Warehouse::Local(_) => local_path(location),
            Warehouse::S3 { bucket, .. } => S3_SCHEMES
                .iter()
                .find_map(|scheme| location.strip_prefix(*scheme)?.strip_prefix(&**bucket))
                .and_then(|rest| rest.strip_prefix('/'))
                .filter(|key| !key.is_empty()),
        };
        let key = key.ok_or_else(|| {
            CatalogError::bad_data(format!(
                "location {location:?} is not in the warehouse's storage, {}: a lake has files of \
                 one kind and one bucket only",
                self.storage()
            ))
        })?;
        Path::parse(key).map_err(|e| {
            CatalogError::bad_data(format!("location {location:?} is not a valid path: {e}"))
        })
    }

    /// The location, as written to metadata, of a path of the store.
    pub fn location_of(&self, path: &Path) -> String {
        match self {
            Warehouse::Local(_) => format!("{FILE_SCHEME}/{path}"),
            Warehouse::S3 { bucket, .. } => format!("{S3_SCHEME}{bucket}/{path}"),
        }
    }

    /// Whether a location is the root or stands below it.
    pub fn holds(&self, location: &str) -> bool {
        match (self.root(), self.object_path(location)) {
            (Ok(root), Ok(path)) => path.prefix_matches(&root),
            _ => false,
        }
    }

    fn storage(&self) -> String {
        match self {
            Warehouse::Local(_) => format!("{FILE_SCHEME}/"),
            Warehouse::S3 { bucket, .. } => format!("{S3_SCHEME}{bucket}/"),
        }
    }
}

impl fmt::Display for Warehouse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warehouse::Local(folder) => f.write_str(folder),
            Warehouse::S3 { .. } => f.write_str(&self.location()),
        }
    }
}

fn local_path(location: &str) -> Option<&str> {
    let plain = location
        .strip_prefix(FILE_SCHEME)
        .or_else(|| location.strip_prefix("file:"))
        .unwrap_or(location);
    plain.starts_with('/').then_some(plain)
}

/// Locations in metadata are URIs, and readers differ in what they unescape.
pub(crate) fn odd_character(path: &str) -> Option<char> {
    path.chars().find(|c| "#?%*\\\"<>|[]{}^`~".contains(*c) || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(text: &str) -> Warehouse {
        Warehouse::parse_s3(text).expect("a warehouse")
    }

    #[test]
    fn local_locations_of_all_spellings_are_one_path() {
        let local = Warehouse::Local("/a".into());
        for spelling in ["file:///a/b=c/d.parquet", "file:/a/b=c/d.parquet", "/a/b=c/d.parquet"] {
            let path = local.object_path(spelling).unwrap();
            assert_eq!(path.as_ref(), "a/b=c/d.parquet");
            assert_eq!(local.location_of(&path), "file:///a/b=c/d.parquet");
        }
        assert_eq!(local.location(), "file:///a");
        for wrong in ["s3://bucket/a", "a/b", "file://host/a", "/a/../b", ""] {
            assert!(local.object_path(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn locations_of_a_bucket_are_its_keys() {
        let lake = s3("s3://lake-1/weir/prod/");
        assert_eq!(lake.location(), "s3://lake-1/weir/prod");
        for spelling in ["s3://lake-1/a/b=c/d", "s3a://lake-1/a/b=c/d", "s3n://lake-1/a/b=c/d"] {
            let path = lake.object_path(spelling).unwrap();
            assert_eq!(
                (path.as_ref(), &*lake.location_of(&path)),
                ("a/b=c/d", "s3://lake-1/a/b=c/d")
            );
        }
        for wrong in ["s3://lake-10/a", "s3://lake-1", "s3://lake-1/", "file:///a", "/a", "a"] {
            let error = lake.object_path(wrong).unwrap_err().to_string();
            assert!(error.contains("s3://lake-1/"), "{wrong}: {error}");
        }
    }

    #[test]
    fn what_stands_below_the_root_is_known() {
        let lake = s3("s3://lake/weir");
        assert!(lake.holds("s3://lake/weir/raw/t") && lake.holds("s3a://lake/weir/raw/t"));
        for other in ["s3://lake/weir2/raw/t", "s3://lake/raw/t", "s3://other/weir/raw/t", "/a"] {
            assert!(!lake.holds(other), "{other}");
        }
        assert!(s3("s3://lake").holds("s3://lake/raw/t"));
        let local = Warehouse::Local("/srv/lake".into());
        assert!(local.holds("file:///srv/lake/raw/t") && !local.holds("/srv/lake2/raw/t"));
    }

    #[test]
    fn a_warehouse_in_s3_has_a_bucket_and_a_plain_prefix() {
        assert_eq!(s3("s3://lake").location(), "s3://lake");
        for wrong in ["s3://", "s3:///a", "s3://UPPER/a", "s3://ab/c", "s3://lake//a", "lake", ""] {
            assert!(Warehouse::parse_s3(wrong).is_err(), "{wrong}");
        }
        assert!(Warehouse::parse_s3("s3://lake/a%20b").unwrap_err().contains("'%'"));
    }
}
