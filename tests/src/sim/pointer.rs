//! A catalog whose pointer is durable and whose answers get lost: a swap may land without our being
//! told, may be refused without our being told, or may land later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::Value;
use weir_catalog::backend::{Loaded, Pointer, Swap};
use weir_catalog::error::{CatalogError, Result};
use weir_contract::coverage::Coverage;
use weir_contract::names::{TableName, key};

use super::faults::Faults;
use super::turn;

/// What a swap is made on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// The pointer itself, as in an SQLite file.
    Location,
    /// The version of the table's entry, as in Glue: it is read with the pointer first, grows with
    /// whatever anybody changes in the entry, and a request that comes late finds another one.
    Version,
}

/// A pointer's move, as it is asked for.
#[derive(Debug, Clone)]
struct Move {
    name: TableName,
    old: String,
    version: u64,
    new: Loaded,
}

#[derive(Debug)]
struct Entry {
    location: String,
    version: u64,
}

#[derive(Debug, Default)]
struct State {
    tables: BTreeMap<TableName, Entry>,
    /// Moves whose answer was lost and that are made later, ms.
    late: Vec<(i64, Move)>,
    /// Commit ids that were in the table's progress at some time.
    commits: BTreeSet<String>,
    /// Snapshots that were current at some time.
    snapshots: BTreeSet<i64>,
    /// Partition and offset → the Kafka time, ms, up to which it was once said that all lies before it.
    covered: BTreeMap<(i32, i64), i64>,
    /// How often that moved on without a snapshot.
    covered_idly: u64,
}

/// The catalog; one for all processes, cheap to clone.
#[derive(Debug, Clone)]
pub struct SimPointer {
    state: Arc<Mutex<State>>,
    faults: Faults,
    compared: Compared,
    /// Says yes where it should say unknown.
    takes_silence_for_yes: bool,
}

impl SimPointer {
    /// An empty catalog.
    pub fn new(faults: Faults, compared: Compared, takes_silence_for_yes: bool) -> SimPointer {
        SimPointer { state: Arc::default(), faults, compared, takes_silence_for_yes }
    }

    /// Whether a commit of ours ever landed.
    pub fn ever_committed(&self, commit: &str) -> bool {
        self.lock().commits.contains(commit)
    }

    /// Whether a snapshot was ever current.
    pub fn ever_current(&self, snapshot: i64) -> bool {
        self.lock().snapshots.contains(&snapshot)
    }

    /// How often coverage moved on without a snapshot.
    pub fn covered_idly(&self) -> u64 {
        self.lock().covered_idly
    }

    /// Partition and offset → the Kafka time, ms, up to which it was once said that all lies before it.
    pub fn covered(&self) -> BTreeMap<(i32, i64), i64> {
        self.lock().covered.clone()
    }

    /// The state, once every move is made that is due.
    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = self.faults.now_ms();
        let (due, later) =
            std::mem::take(&mut state.late).into_iter().partition(|(due_ms, _)| *due_ms <= now_ms);
        state.late = later;
        let due: Vec<(i64, Move)> = due;
        for (_, late) in due {
            let landed = state.make(&late, self.compared);
            match (self.compared, landed) {
                (Compared::Version, true) => self.faults.count("glue landed late"),
                (Compared::Version, false) => self.faults.count("glue refused late"),
                _ => {}
            }
        }
        state
    }

    fn unknown(&self) -> Swap {
        if self.takes_silence_for_yes { Swap::Done } else { Swap::Unknown("no answer".into()) }
    }

    /// What Glue does between the two calls of a swap: the entry is read, and somebody else changes
    /// what is no concern of ours.
    async fn between(&self, asked: &Move) {
        turn().await;
        if self.faults.of_catalog(60)
            && let Some(entry) = self.lock().tables.get_mut(&asked.name)
        {
            entry.version += 1;
            self.faults.count("glue version moved");
        }
    }
}

impl State {
    fn make(&mut self, asked: &Move, compared: Compared) -> bool {
        let Some(entry) = self.tables.get_mut(&asked.name) else { return false };
        let same = match compared {
            Compared::Location => entry.location == asked.old,
            Compared::Version => entry.version == asked.version,
        };
        if same {
            entry.location.clone_from(&asked.new.location);
            entry.version += 1;
            self.note(&asked.new);
        }
        same
    }

    fn insert(&mut self, name: &TableName, new: &Loaded) -> Swap {
        if self.tables.contains_key(name) {
            return Swap::Conflict("it exists".into());
        }
        let entry = Entry { location: new.location.clone(), version: 0 };
        self.tables.insert(name.clone(), entry);
        Swap::Done
    }

    /// Notes what metadata that have become current say.
    fn note(&mut self, new: &Loaded) {
        let current = new.metadata.current_snapshot_id();
        let is_idle = current.is_some_and(|id| self.snapshots.contains(&id));
        self.snapshots.extend(current);
        let property = |key: &str| new.metadata.properties().get(key).map_or("", String::as_str);
        if let Ok(coverage) = Coverage::from_json(property(key::COVERAGE)) {
            for (partition, covered) in coverage.partitions {
                let Some(covered) = covered else { continue };
                let time_ms = self.covered.entry((partition, covered.until)).or_insert(i64::MIN);
                self.covered_idly += u64::from(is_idle && covered.time_ms > *time_ms);
                *time_ms = (*time_ms).max(covered.time_ms);
            }
        }
        let progress: Value = serde_json::from_str(property(key::PROGRESS)).unwrap_or_default();
        let commits = progress["commits"].as_array().into_iter().flatten();
        self.commits.extend(commits.filter_map(Value::as_str).map(str::to_string));
    }
}

#[async_trait]
impl Pointer for SimPointer {
    async fn list(&self) -> Result<Vec<TableName>> {
        turn().await;
        Ok(self.lock().tables.keys().cloned().collect())
    }

    async fn get(&self, name: &TableName) -> Result<Option<String>> {
        turn().await;
        if self.faults.of_catalog(200) {
            return Err(CatalogError::retry("the catalog does not answer"));
        }
        Ok(self.lock().tables.get(name).map(|entry| entry.location.clone()))
    }

    async fn insert(&self, name: &TableName, new: &Loaded) -> Swap {
        turn().await;
        self.lock().insert(name, new)
    }

    async fn swap(&self, name: &TableName, old: &str, new: &Loaded) -> Swap {
        turn().await;
        if self.faults.of_catalog(40) {
            return Swap::Failed(CatalogError::retry("the catalog is busy"));
        }
        let version = self.lock().tables.get(name).map_or(0, |entry| entry.version);
        let (name, old, new) = (name.clone(), old.to_string(), new.clone());
        let asked = Move { name, old, version, new };
        if self.compared == Compared::Version {
            let now = self.lock().tables.get(&asked.name).map(|entry| entry.location.clone());
            if now.as_ref() != Some(&asked.old) {
                return Swap::Conflict(format!("it is at {now:?}"));
            }
            self.between(&asked).await;
        }
        if self.faults.of_catalog(25) {
            let due_ms = self.faults.soon_ms(2_000);
            self.lock().late.push((due_ms, asked));
            turn().await;
            return self.unknown();
        }
        if self.faults.of_catalog(40) {
            turn().await;
            return self.unknown();
        }
        let landed = self.lock().make(&asked, self.compared);
        let lost = self.faults.of_catalog(40);
        turn().await;
        match (landed, lost) {
            (_, true) => self.unknown(),
            (true, false) => Swap::Done,
            (false, false) => Swap::Conflict("it moved".into()),
        }
    }
}

/// The same pointers as their own server has them: at once, and without faults.
#[derive(Debug)]
pub struct Inside(pub SimPointer);

#[async_trait]
impl Pointer for Inside {
    async fn list(&self) -> Result<Vec<TableName>> {
        Ok(self.0.lock().tables.keys().cloned().collect())
    }

    async fn get(&self, name: &TableName) -> Result<Option<String>> {
        Ok(self.0.lock().tables.get(name).map(|entry| entry.location.clone()))
    }

    async fn insert(&self, name: &TableName, new: &Loaded) -> Swap {
        self.0.lock().insert(name, new)
    }

    async fn swap(&self, name: &TableName, old: &str, new: &Loaded) -> Swap {
        let (name, old, new) = (name.clone(), old.to_string(), new.clone());
        let asked = Move { name, old, version: 0, new };
        match self.0.lock().make(&asked, Compared::Location) {
            true => Swap::Done,
            false => Swap::Conflict("it moved".into()),
        }
    }
}
