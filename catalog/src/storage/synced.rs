//! `ObjectStore` over a [`Disk`], with the syncs that `object_store`'s own local store leaves out.
//!
//! A put writes `<name>.<n>.tmp` in the same folder, syncs the file, renames it and syncs the
//! folder. A crash leaves whole files and `.tmp` leftovers, nothing else.

mod convert;

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::path::{Path as FsPath, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    Attributes, CopyMode, CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};

use convert::{fs_path, object_meta, store_error, unsupported, wanted};

use super::disk::Disk;

const STORE: &str = "SyncedStore";
/// Folders remembered as durable; beyond that they are looked up again.
const FOLDERS_MAX: usize = 10_000;

/// Local files as objects; a path `a/b` is the file `/a/b`. Every put that returned is durable.
/// Calls block the calling thread for as long as the disk takes.
#[derive(Debug, Clone)]
pub struct SyncedStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    temporary: AtomicU64,
    /// Folders below the root whose own names are known to be durable.
    folders: Mutex<HashSet<PathBuf>>,
}

impl SyncedStore {
    /// A store over `disk`. Folders below `root`, an absolute path, are made durable
    /// before the first file is put into them, whoever created them: a process that died after
    /// creating one may not have come to syncing its name.
    pub fn new(disk: Arc<dyn Disk>, root: impl Into<PathBuf>) -> SyncedStore {
        SyncedStore {
            inner: Arc::new(Inner {
                disk,
                root: root.into(),
                temporary: AtomicU64::new(0),
                folders: Mutex::default(),
            }),
        }
    }
}

impl Inner {
    fn put(&self, path: &FsPath, bytes: &[u8], create: bool) -> io::Result<()> {
        let folder = path.parent().unwrap_or(FsPath::new("/"));
        self.ensure_folder(folder)?;
        match self.put_in(folder, path, bytes, create) {
            // Another engine removes folders that it found empty: make it again, once.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.folders().clear();
                self.ensure_folder(folder)?;
                self.put_in(folder, path, bytes, create)
            }
            done => done,
        }
    }

    fn put_in(&self, folder: &FsPath, path: &FsPath, bytes: &[u8], create: bool) -> io::Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let number = self.temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = folder.join(format!("{name}.{number}.tmp"));
        let moved =
            self.disk.write(&temporary, bytes).and_then(|()| self.disk.fsync(&temporary)).and_then(
                |()| match create {
                    true => self.disk.rename_new(&temporary, path),
                    false => self.disk.rename(&temporary, path),
                },
            );
        if let Err(e) = moved {
            // Best effort: the leftover harms nobody.
            let _ = self.disk.delete(&temporary);
            return Err(e);
        }
        self.disk.fsync_dir(folder)
    }

    /// Creates `folder` and what is missing above it, and makes the names durable.
    fn ensure_folder(&self, folder: &FsPath) -> io::Result<()> {
        if self.folders().contains(folder) {
            return Ok(());
        }
        let Some(parent) = folder.parent() else { return Ok(()) };
        if folder.starts_with(&self.root) && folder != self.root {
            self.ensure_folder(parent)?;
        } else {
            // Not below our root: what exists was made durable by whoever owns it.
            match self.disk.stat(folder) {
                Ok(_) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::NotFound => self.ensure_folder(parent)?,
                Err(e) => return Err(e),
            }
        }
        match self.disk.create_dir(folder) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => self.disk.fsync_dir(parent)?,
        }
        let mut folders = self.folders();
        if folders.len() >= FOLDERS_MAX {
            folders.clear();
        }
        folders.insert(folder.to_path_buf());
        Ok(())
    }

    fn folders(&self) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
        self.folders.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn get(&self, location: &Path, options: &GetOptions) -> Result<GetResult> {
        let path = fs_path(location);
        let stat = self.disk.stat(&path).map_err(|e| store_error(&path, e))?;
        if stat.is_dir {
            return Err(store_error(&path, io::ErrorKind::NotFound.into()));
        }
        let meta = object_meta(location.clone(), stat);
        options.check_preconditions(&meta)?;
        let range = wanted(options.range.as_ref(), stat.size).map_err(|e| store_error(&path, e))?;
        let payload: BoxStream<'static, Result<Bytes>> = if options.head || range.is_empty() {
            stream::empty().boxed()
        } else {
            let bytes = if range == (0..stat.size) {
                self.disk.read(&path)
            } else {
                self.disk.read_range(&path, range.clone())
            };
            let bytes = bytes.map_err(|e| store_error(&path, e))?;
            stream::once(async move { Ok(Bytes::from(bytes)) }).boxed()
        };
        Ok(GetResult {
            payload: GetResultPayload::Stream(payload),
            meta,
            range,
            attributes: Attributes::default(),
        })
    }

    fn delete(&self, location: &Path) -> Result<()> {
        let path = fs_path(location);
        self.disk.delete(&path).map_err(|e| store_error(&path, e))
    }

    /// Files below a folder, in order of their paths; a missing folder is empty.
    fn walk(&self, folder: &Path, deep: bool, found: &mut ListResult) -> Result<()> {
        let path = fs_path(folder);
        let mut entries = match self.disk.list(&path) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => return Ok(()),
            Err(e) => return Err(store_error(&path, e)),
        };
        entries.sort();
        for entry in entries {
            let location = folder.clone().join(entry.name.as_str());
            if entry.is_dir && deep {
                self.walk(&location, deep, found)?;
            } else if entry.is_dir {
                found.common_prefixes.push(location);
            } else {
                let path = fs_path(&location);
                match self.disk.stat(&path) {
                    Ok(stat) => found.objects.push(object_meta(location, stat)),
                    // Removed or renamed between the two calls.
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(e) => return Err(store_error(&path, e)),
                }
            }
        }
        Ok(())
    }
}

#[async_trait]
impl ObjectStore for SyncedStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let create = match options.mode {
            PutMode::Overwrite => false,
            PutMode::Create => true,
            PutMode::Update(_) => return Err(unsupported("a conditional update")),
        };
        let path = fs_path(location);
        let put = match payload.as_ref() {
            [one] => self.inner.put(&path, one, create),
            many => self.inner.put(&path, &many.concat(), create),
        };
        put.map_err(|e| store_error(&path, e))?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(
        &self,
        _location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(unsupported("an upload in parts"))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get(location, &options)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let inner = self.inner.clone();
        locations
            .map(move |location| {
                let location = location?;
                inner.delete(&location)?;
                Ok(location)
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let mut found = ListResult { common_prefixes: vec![], objects: vec![] };
        match self.inner.walk(&prefix.cloned().unwrap_or_default(), true, &mut found) {
            Ok(()) => stream::iter(found.objects.into_iter().map(Ok)).boxed(),
            Err(e) => stream::once(async move { Err(e) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut found = ListResult { common_prefixes: vec![], objects: vec![] };
        self.inner.walk(&prefix.cloned().unwrap_or_default(), false, &mut found)?;
        Ok(found)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let source = fs_path(from);
        let bytes = self.inner.disk.read(&source).map_err(|e| store_error(&source, e))?;
        let target = fs_path(to);
        let create = options.mode == CopyMode::Create;
        self.inner.put(&target, &bytes, create).map_err(|e| store_error(&target, e))
    }
}

impl fmt::Display for SyncedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{STORE}({})", self.inner.root.display())
    }
}

#[cfg(test)]
mod tests;
