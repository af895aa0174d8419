//! The order of syncs, and what a crash leaves.

use std::io;
use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};
use std::sync::atomic::AtomicBool;

use futures::TryStreamExt;
use object_store::{Error, GetRange, ObjectStoreExt};
use tempfile::TempDir;

use super::*;
use crate::storage::{Entry, LocalDisk, Stat};

/// The machine's disk, writing down every call that changes it; `full` fails every write.
#[derive(Debug, Default)]
struct Recorder {
    calls: Mutex<Vec<String>>,
    full: AtomicBool,
}

impl Recorder {
    fn note(&self, call: &str, path: &FsPath) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.calls.lock().unwrap().push(format!("{call} {name}"));
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

impl Disk for Recorder {
    fn write(&self, path: &FsPath, bytes: &[u8]) -> io::Result<()> {
        self.note("write", path);
        if self.full.load(Ordering::SeqCst) {
            LocalDisk.write(path, &bytes[..bytes.len() / 2])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        LocalDisk.write(path, bytes)
    }
    fn fsync(&self, path: &FsPath) -> io::Result<()> {
        self.note("fsync", path);
        LocalDisk.fsync(path)
    }
    fn rename(&self, from: &FsPath, to: &FsPath) -> io::Result<()> {
        self.note("rename", to);
        LocalDisk.rename(from, to)
    }
    fn rename_new(&self, from: &FsPath, to: &FsPath) -> io::Result<()> {
        self.note("rename_new", to);
        LocalDisk.rename_new(from, to)
    }
    fn fsync_dir(&self, path: &FsPath) -> io::Result<()> {
        self.note("fsync_dir", path);
        LocalDisk.fsync_dir(path)
    }
    fn create_dir(&self, path: &FsPath) -> io::Result<()> {
        self.note("create_dir", path);
        LocalDisk.create_dir(path)
    }
    fn read(&self, path: &FsPath) -> io::Result<Vec<u8>> {
        LocalDisk.read(path)
    }
    fn read_range(&self, path: &FsPath, range: Range<u64>) -> io::Result<Vec<u8>> {
        LocalDisk.read_range(path, range)
    }
    fn stat(&self, path: &FsPath) -> io::Result<Stat> {
        LocalDisk.stat(path)
    }
    fn delete(&self, path: &FsPath) -> io::Result<()> {
        self.note("delete", path);
        LocalDisk.delete(path)
    }
    fn list(&self, path: &FsPath) -> io::Result<Vec<Entry>> {
        LocalDisk.list(path)
    }
}

fn store(folder: &TempDir) -> (SyncedStore, Arc<Recorder>, Path) {
    let root = folder.path().canonicalize().unwrap().join("lake");
    std::fs::create_dir(&root).unwrap();
    let disk = Arc::new(Recorder::default());
    let prefix = Path::from_absolute_path(&root).unwrap();
    (SyncedStore::new(disk.clone(), root), disk, prefix)
}

fn at(prefix: &Path, rest: &str) -> Path {
    Path::parse(format!("{prefix}/{rest}")).unwrap()
}

fn names(folder: &FsPath) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn a_put_syncs_the_file_before_its_name_and_the_folders_before_both() {
    let folder = TempDir::new().unwrap();
    let (store, disk, prefix) = store(&folder);
    store.put(&at(&prefix, "raw/t/a"), "1".into()).await.unwrap();
    let expected = [
        "create_dir raw",
        "fsync_dir lake",
        "create_dir t",
        "fsync_dir raw",
        "write a.0.tmp",
        "fsync a.0.tmp",
        "rename a",
        "fsync_dir t",
    ];
    assert_eq!(disk.take(), expected);
    // Folders that are known to be durable cost nothing more.
    store.put(&at(&prefix, "raw/t/b"), "2".into()).await.unwrap();
    assert_eq!(disk.take(), ["write b.1.tmp", "fsync b.1.tmp", "rename b", "fsync_dir t"]);
}

#[tokio::test]
async fn a_folder_that_a_dead_process_made_is_synced_by_the_next() {
    let folder = TempDir::new().unwrap();
    let (store, disk, prefix) = store(&folder);
    std::fs::create_dir(folder.path().join("lake/raw")).unwrap();
    store.put(&at(&prefix, "raw/a"), "1".into()).await.unwrap();
    assert_eq!(disk.take()[..2], ["create_dir raw", "fsync_dir lake"]);
}

#[tokio::test]
async fn create_does_not_overwrite_and_leaves_nothing_behind() {
    let folder = TempDir::new().unwrap();
    let (store, disk, prefix) = store(&folder);
    let path = at(&prefix, "a");
    store.put_opts(&path, "1".into(), PutMode::Create.into()).await.unwrap();
    let calls = disk.take();
    assert_eq!(calls, ["write a.0.tmp", "fsync a.0.tmp", "rename_new a", "fsync_dir lake"]);
    let again = store.put_opts(&path, "2".into(), PutMode::Create.into()).await;
    assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
    assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "1");
    store.put(&path, "3".into()).await.unwrap();
    assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), "3");
    assert_eq!(names(&folder.path().join("lake")), ["a"]);
}

#[tokio::test]
async fn a_failed_put_leaves_no_half_file() {
    let folder = TempDir::new().unwrap();
    let (store, disk, prefix) = store(&folder);
    disk.full.store(true, Ordering::SeqCst);
    let put = store.put(&at(&prefix, "a"), "12345678".into()).await;
    assert!(matches!(put, Err(Error::Generic { .. })), "{put:?}");
    assert!(names(&folder.path().join("lake")).is_empty());
}

#[tokio::test]
async fn leftovers_of_a_crash_are_neither_read_nor_in_the_way() {
    let folder = TempDir::new().unwrap();
    let (store, _, prefix) = store(&folder);
    std::fs::write(folder.path().join("lake/a.0.tmp"), "half").unwrap();
    let missing = store.get(&at(&prefix, "a")).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
    store.put(&at(&prefix, "a"), "whole".into()).await.unwrap();
    assert_eq!(store.get(&at(&prefix, "a")).await.unwrap().bytes().await.unwrap(), "whole");
}

#[tokio::test]
async fn a_folder_removed_by_another_engine_is_made_again() {
    let folder = TempDir::new().unwrap();
    let (store, _, prefix) = store(&folder);
    store.put(&at(&prefix, "d/a"), "1".into()).await.unwrap();
    std::fs::remove_dir_all(folder.path().join("lake/d")).unwrap();
    store.put(&at(&prefix, "d/b"), "2".into()).await.unwrap();
    assert_eq!(store.get(&at(&prefix, "d/b")).await.unwrap().bytes().await.unwrap(), "2");
}

#[tokio::test]
async fn reads_take_ranges_and_lists_go_deep() {
    let folder = TempDir::new().unwrap();
    let (store, _, prefix) = store(&folder);
    for name in ["d/b", "d/a", "c"] {
        store.put(&at(&prefix, name), "0123456789".into()).await.unwrap();
    }
    let path = at(&prefix, "c");
    assert_eq!(store.get_range(&path, 2..5).await.unwrap(), "234");
    assert_eq!(store.get_range(&path, 8..50).await.unwrap(), "89");
    assert_eq!(store.get_ranges(&path, &[0..1, 9..10]).await.unwrap(), ["0", "9"]);
    let suffix = GetOptions { range: Some(GetRange::Suffix(3)), ..GetOptions::default() };
    assert_eq!(store.get_opts(&path, suffix).await.unwrap().bytes().await.unwrap(), "789");
    assert!(store.get_range(&path, 10..12).await.is_err());
    assert_eq!(store.head(&path).await.unwrap().size, 10);
    assert!(matches!(store.head(&at(&prefix, "d")).await, Err(Error::NotFound { .. })));

    let all: Vec<ObjectMeta> = store.list(Some(&prefix)).try_collect().await.unwrap();
    let found: Vec<_> = all.iter().map(|m| m.location.clone()).collect();
    assert_eq!(found, [at(&prefix, "c"), at(&prefix, "d/a"), at(&prefix, "d/b")]);
    let flat = store.list_with_delimiter(Some(&prefix)).await.unwrap();
    assert_eq!(flat.common_prefixes, [at(&prefix, "d")]);
    assert_eq!(flat.objects.len(), 1);
    let none: Vec<_> = store.list(Some(&at(&prefix, "x"))).try_collect().await.unwrap();
    assert!(none.is_empty());

    store.delete(&path).await.unwrap();
    assert!(matches!(store.delete(&path).await, Err(Error::NotFound { .. })));
    assert!(store.put_multipart(&path).await.is_err());
}

#[test]
fn paths_are_absolute() {
    assert_eq!(fs_path(&Path::parse("a/b").unwrap()), PathBuf::from("/a/b"));
}

#[tokio::test]
async fn a_root_that_is_not_there_yet_is_made() {
    let folder = TempDir::new().unwrap();
    let root = folder.path().canonicalize().unwrap().join("a/lake");
    let disk = Arc::new(Recorder::default());
    let prefix = Path::from_absolute_path(&root).unwrap();
    let store = SyncedStore::new(disk.clone(), root);
    store.put(&at(&prefix, "x"), "1".into()).await.unwrap();
    let calls = disk.take();
    assert_eq!(calls[0], "create_dir a");
    assert_eq!(calls[2..4], ["create_dir lake", "fsync_dir a"]);
}
