//! A disk that forgets what was not synced: after a power cut a file has its contents only if the file
//! was synced, and its name only if its folder was.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weir_catalog::storage::{Disk, Entry, Stat};

use super::rng::Rng;

#[derive(Debug, Clone, Default)]
struct File {
    now: Vec<u8>,
    synced: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Default)]
struct Names {
    files: BTreeMap<PathBuf, u64>,
    folders: BTreeSet<PathBuf>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<u64, File>,
    now: Names,
    synced: Names,
    next: u64,
}

/// The disk; cheap to clone, one state.
#[derive(Debug, Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    file_sync: bool,
    folder_sync: bool,
}

impl SimDisk {
    /// An empty disk; `false` makes the sync of files or of folders do nothing.
    pub fn new(file_sync: bool, folder_sync: bool) -> SimDisk {
        let mut state = State::default();
        for names in [&mut state.now, &mut state.synced] {
            names.folders.extend(["/", super::store::WAREHOUSE].map(PathBuf::from));
        }
        SimDisk { state: Arc::new(Mutex::new(state)), file_sync, folder_sync }
    }

    /// Power cut: unsynced names survive or not, as the seed says; unsynced contents are cut short.
    pub fn crash(&self, rng: &Rng) {
        let mut state = self.lock();
        let mut kept = state.synced.clone();
        for folder in state.now.folders.clone() {
            if rng.one_in(2) && folder.parent().is_none_or(|parent| kept.folders.contains(parent)) {
                kept.folders.insert(folder);
            }
        }
        for (path, id) in state.now.files.clone() {
            if rng.one_in(2) {
                kept.files.insert(path, id);
            }
        }
        // A file whose folder is gone is gone.
        let folders = kept.folders.clone();
        kept.files.retain(|path, _| path.parent().is_some_and(|p| reachable(p, &folders)));
        for file in state.files.values_mut() {
            file.now = match file.synced.clone() {
                Some(synced) => synced,
                None => file.now[..rng.below(file.now.len() as u64 + 1) as usize].to_vec(),
            };
            file.synced = Some(file.now.clone());
        }
        (state.now, state.synced) = (kept.clone(), kept);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn reachable(folder: &Path, folders: &BTreeSet<PathBuf>) -> bool {
    folder.ancestors().all(|f| folders.contains(f))
}

fn gone(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("no {}", path.display()))
}

impl State {
    fn file(&self, path: &Path) -> io::Result<&File> {
        let id = self.now.files.get(path).ok_or_else(|| gone(path))?;
        self.files.get(id).ok_or_else(|| gone(path))
    }
}

impl Disk for SimDisk {
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        if !path.parent().is_some_and(|parent| state.now.folders.contains(parent)) {
            return Err(gone(path));
        }
        let id = state.next;
        state.next += 1;
        state.files.insert(id, File { now: bytes.to_vec(), synced: None });
        state.now.files.insert(path.to_path_buf(), id);
        Ok(())
    }

    fn fsync(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let id = *state.now.files.get(path).ok_or_else(|| gone(path))?;
        if self.file_sync
            && let Some(file) = state.files.get_mut(&id)
        {
            file.synced = Some(file.now.clone());
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let id = state.now.files.remove(from).ok_or_else(|| gone(from))?;
        state.now.files.insert(to.to_path_buf(), id);
        Ok(())
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        if self.lock().now.files.contains_key(to) {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        self.rename(from, to)
    }

    fn fsync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        let state = &mut *state;
        if !self.folder_sync {
            return Ok(());
        }
        let inside = |p: &PathBuf| p.parent() == Some(path);
        state.synced.files.retain(|p, _| !inside(p));
        state.synced.folders.retain(|p| !inside(p) || state.now.folders.contains(p));
        for (file, id) in state.now.files.iter().filter(|(p, _)| inside(p)) {
            state.synced.files.insert(file.clone(), *id);
        }
        for folder in state.now.folders.iter().filter(|p| inside(p)) {
            state.synced.folders.insert(folder.clone());
        }
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        if !path.parent().is_some_and(|parent| state.now.folders.contains(parent)) {
            return Err(gone(path));
        }
        if !state.now.folders.insert(path.to_path_buf()) {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        Ok(())
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        Ok(self.lock().file(path)?.now.clone())
    }

    fn read_range(&self, path: &Path, range: Range<u64>) -> io::Result<Vec<u8>> {
        let state = self.lock();
        let bytes = &state.file(path)?.now;
        let part = bytes.get(range.start as usize..range.end as usize);
        part.map(<[u8]>::to_vec).ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let state = self.lock();
        if state.now.folders.contains(path) {
            return Ok(Stat { size: 0, modified_ms: 0, is_dir: true });
        }
        let size = state.file(path)?.now.len() as u64;
        Ok(Stat { size, modified_ms: 0, is_dir: false })
    }

    fn delete(&self, path: &Path) -> io::Result<()> {
        self.lock().now.files.remove(path).map(|_| ()).ok_or_else(|| gone(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let state = self.lock();
        let entry = |p: &PathBuf, is_dir| {
            let inside = p.parent() == Some(path);
            inside
                .then(|| p.file_name().map(|n| n.to_string_lossy().into_owned()))
                .flatten()
                .map(|name| Entry { name, is_dir })
        };
        let files = state.now.files.keys().filter_map(|p| entry(p, false));
        Ok(files.chain(state.now.folders.iter().filter_map(|p| entry(p, true))).collect())
    }
}
