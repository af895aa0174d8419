//! What a file system must offer, and the machine's own.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Size and time of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Bytes.
    pub size: u64,
    /// Last modification, milliseconds since 1970-01-01T00:00:00Z.
    pub modified_ms: i64,
    /// A folder, not a file.
    pub is_dir: bool,
}

/// A member of a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// File name, without the folder.
    pub name: String,
    /// A folder, not a file.
    pub is_dir: bool,
}

/// The calls of a file system that the lake needs, each synchronous. What was written is durable
/// only after `fsync` of the file, and its name only after `fsync_dir` of its folder.
///
/// Errors carry the kinds that the operating system gives: `NotFound`, `AlreadyExists`, ...
pub trait Disk: Send + Sync + Debug + 'static {
    /// Makes `path` a file that holds `bytes`; an older one is cut. Not durable.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Makes the file's contents durable.
    fn fsync(&self, path: &Path) -> io::Result<()>;
    /// Moves a file, replacing the target. Durable after `fsync_dir`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Moves a file; `AlreadyExists` if the target is there, and nothing is changed then.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn fsync_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes one folder; its parent exists. `AlreadyExists` if it is there.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// The whole file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Bytes `range` of the file; `UnexpectedEof` if it is shorter.
    fn read_range(&self, path: &Path, range: Range<u64>) -> io::Result<Vec<u8>>;
    /// Size and time.
    fn stat(&self, path: &Path) -> io::Result<Stat>;
    /// Removes a file.
    fn delete(&self, path: &Path) -> io::Result<()>;
    /// The members of a folder, in any order.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;
}

/// The machine's file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalDisk;

impl Disk for LocalDisk {
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
        file.write_all(bytes)
    }

    fn fsync(&self, path: &Path) -> io::Result<()> {
        // Syncing through a second handle writes out the file's pages whoever dirtied them.
        OpenOptions::new().write(true).open(path)?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)?;
        fs::remove_file(from)
    }

    fn fsync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn read_range(&self, path: &Path, range: Range<u64>) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(range.end - range.start).map_err(too_long)?];
        File::open(path)?.read_exact_at(&mut bytes, range.start)?;
        Ok(bytes)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let metadata = fs::metadata(path)?;
        let modified = metadata.modified()?.duration_since(std::time::UNIX_EPOCH);
        let modified_ms = modified.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
        Ok(Stat { size: metadata.len(), modified_ms, is_dir: metadata.is_dir() })
    }

    fn delete(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let is_dir = entry.file_type()?.is_dir();
            // A name that is not UTF-8 is nobody's that we know: it cannot stand in metadata.
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(Entry { name, is_dir });
            }
        }
        Ok(entries)
    }
}

fn too_long(_: std::num::TryFromIntError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "range exceeds the address space")
}
