//! Between `object_store`'s words and a file system's.

use std::io;
use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};

use chrono::{DateTime, Utc};
use object_store::path::Path;
use object_store::{Error, GetRange, ObjectMeta};

use super::STORE;
use crate::storage::disk::Stat;

pub(super) fn fs_path(path: &Path) -> PathBuf {
    PathBuf::from(format!("/{path}"))
}

pub(super) fn store_error(path: &FsPath, source: io::Error) -> Error {
    let text = path.display().to_string();
    let boxed = |e: io::Error| Box::new(e) as Box<dyn std::error::Error + Send + Sync>;
    match source.kind() {
        io::ErrorKind::NotFound => Error::NotFound { path: text, source: boxed(source) },
        io::ErrorKind::AlreadyExists => Error::AlreadyExists { path: text, source: boxed(source) },
        io::ErrorKind::PermissionDenied => {
            Error::PermissionDenied { path: text, source: boxed(source) }
        }
        kind => {
            let advice = match kind {
                io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::FileTooLarge => "; free some space there, or raise the limit",
                _ => "",
            };
            let source = io::Error::new(kind, format!("{text}: {source}{advice}"));
            Error::Generic { store: STORE, source: boxed(source) }
        }
    }
}

pub(super) fn unsupported(what: &str) -> Error {
    Error::NotSupported { source: format!("{what} is not supported by {STORE}").into() }
}

pub(super) fn object_meta(location: Path, stat: Stat) -> ObjectMeta {
    let last_modified: DateTime<Utc> =
        DateTime::from_timestamp_millis(stat.modified_ms).unwrap_or_default();
    ObjectMeta { location, last_modified, size: stat.size, e_tag: None, version: None }
}

pub(super) fn wanted(range: Option<&GetRange>, size: u64) -> io::Result<Range<u64>> {
    let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidInput, text);
    match range {
        None => Ok(0..size),
        Some(GetRange::Bounded(r)) if r.start >= r.end => {
            Err(invalid(format!("range {}..{} is empty", r.start, r.end)))
        }
        Some(GetRange::Bounded(r)) if r.start >= size => {
            Err(invalid(format!("range begins at {}, the file has {size} bytes", r.start)))
        }
        Some(GetRange::Bounded(r)) => Ok(r.start..r.end.min(size)),
        Some(GetRange::Offset(start)) if *start >= size => {
            Err(invalid(format!("range begins at {start}, the file has {size} bytes")))
        }
        Some(GetRange::Offset(start)) => Ok(*start..size),
        Some(GetRange::Suffix(length)) => Ok(size.saturating_sub(*length)..size),
    }
}
