//! A catalog whose pointer is durable and whose answers get lost: a swap may land without our being
//! told, may be refused without our being told, or may land later.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use flate2::read::GzDecoder;
use serde_json::Value;
use weir_catalog::backend::{Loaded, Pointer, Swap};
use weir_catalog::error::{CatalogError, Result};
use weir_catalog::storage::Disk;
use weir_contract::coverage::Coverage;
use weir_contract::names::{TableName, key};

use super::clock::SimClock;
use super::disk::SimDisk;
use super::rng::Rng;
use super::turn;

/// A swap whose answer was lost and that may still land.
#[derive(Debug)]
struct Late {
    due_ms: i64,
    name: TableName,
    old: String,
    new: String,
}

#[derive(Debug, Default)]
struct State {
    tables: BTreeMap<TableName, String>,
    late: Vec<Late>,
    /// Commit ids that were in the table's progress at some time.
    commits: BTreeSet<String>,
    /// Snapshots that were current at some time.
    snapshots: BTreeSet<i64>,
    /// Partition and offset → the Kafka time, ms, up to which it was once said that all lies before it.
    covered: BTreeMap<(i32, i64), i64>,
}

/// The catalog; one for all processes, cheap to clone.
#[derive(Debug, Clone)]
pub struct SimPointer {
    state: Arc<Mutex<State>>,
    clock: SimClock,
    rng: Rng,
    disk: SimDisk,
    healed: Arc<AtomicBool>,
    troubled: Arc<AtomicBool>,
    /// Says yes where it should say unknown.
    takes_silence_for_yes: bool,
}

impl SimPointer {
    /// An empty catalog.
    pub fn new(
        clock: SimClock,
        rng: Rng,
        disk: SimDisk,
        takes_silence_for_yes: bool,
    ) -> SimPointer {
        let (state, healed, troubled) = (Arc::default(), Arc::default(), Arc::default());
        SimPointer { state, clock, rng, disk, healed, troubled, takes_silence_for_yes }
    }

    /// No more faults.
    pub fn heal(&self) {
        self.healed.store(true, Ordering::Relaxed);
    }

    /// Many more faults than at other times, or as many as before.
    pub fn trouble(&self, troubled: bool) {
        self.troubled.store(troubled, Ordering::Relaxed);
    }

    /// Whether a commit of ours ever landed.
    pub fn ever_committed(&self, commit: &str) -> bool {
        self.lock().commits.contains(commit)
    }

    /// Whether a snapshot was ever current.
    pub fn ever_current(&self, snapshot: i64) -> bool {
        self.lock().snapshots.contains(&snapshot)
    }

    /// Partition and offset → the Kafka time, ms, up to which it was once said that all lies before it.
    pub fn covered(&self) -> BTreeMap<(i32, i64), i64> {
        self.lock().covered.clone()
    }

    /// Notes what a metadata file that has become current says.
    fn note(&self, state: &mut State, location: &str) {
        let path = location.trim_start_matches("file://");
        let Ok(bytes) = self.disk.read(Path::new(path)) else { return };
        let Ok(metadata) = serde_json::from_reader::<_, Value>(GzDecoder::new(&bytes[..])) else {
            return;
        };
        state.snapshots.extend(metadata["current-snapshot-id"].as_i64());
        let property = |key: &str| metadata["properties"][key].as_str().unwrap_or_default();
        if let Ok(coverage) = Coverage::from_json(property(key::COVERAGE)) {
            for (partition, covered) in coverage.partitions {
                let Some(covered) = covered else { continue };
                let time_ms = state.covered.entry((partition, covered.until)).or_insert(i64::MIN);
                *time_ms = (*time_ms).max(covered.time_ms);
            }
        }
        let progress = property(key::PROGRESS);
        let progress: Value = serde_json::from_str(progress).unwrap_or_default();
        let commits = progress["commits"].as_array().into_iter().flatten();
        state.commits.extend(commits.filter_map(Value::as_str).map(str::to_string));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = self.clock.now();
        let (due, later) =
            std::mem::take(&mut state.late).into_iter().partition(|l| l.due_ms <= now_ms);
        state.late = later;
        let due: Vec<Late> = due;
        for late in due {
            if state.swap(&late.name, &late.old, &late.new) {
                self.note(&mut state, &late.new);
            }
        }
        state
    }

    fn fault(&self, times: u64) -> bool {
        match self.troubled.load(Ordering::Relaxed) {
            true => self.rng.one_in(times.div_ceil(8)),
            false => !self.healed.load(Ordering::Relaxed) && self.rng.one_in(times),
        }
    }

    fn unknown(&self) -> Swap {
        if self.takes_silence_for_yes { Swap::Done } else { Swap::Unknown("no answer".into()) }
    }
}

impl State {
    fn swap(&mut self, name: &TableName, old: &str, new: &str) -> bool {
        match self.tables.get_mut(name) {
            Some(location) if location == old => {
                *location = new.to_string();
                true
            }
            _ => false,
        }
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
        if self.fault(200) {
            return Err(CatalogError::retry("the catalog does not answer"));
        }
        Ok(self.lock().tables.get(name).cloned())
    }

    async fn insert(&self, name: &TableName, new: &Loaded) -> Swap {
        turn().await;
        let mut state = self.lock();
        if state.tables.contains_key(name) {
            return Swap::Conflict("it exists".into());
        }
        state.tables.insert(name.clone(), new.location.clone());
        Swap::Done
    }

    async fn swap(&self, name: &TableName, old: &str, new: &Loaded) -> Swap {
        let new = new.location.as_str();
        turn().await;
        if self.fault(40) {
            return Swap::Failed(CatalogError::retry("the catalog is busy"));
        }
        if self.fault(25) {
            let (name, old, new) = (name.clone(), old.to_string(), new.to_string());
            let due_ms = self.clock.now() + self.rng.below(2_000) as i64;
            self.lock().late.push(Late { due_ms, name, old, new });
            turn().await;
            return self.unknown();
        }
        if self.fault(40) {
            turn().await;
            return self.unknown();
        }
        let landed = {
            let mut state = self.lock();
            let landed = state.swap(name, old, new);
            if landed {
                self.note(&mut state, new);
            }
            landed
        };
        let lost = self.fault(40);
        turn().await;
        match (landed, lost) {
            (_, true) => self.unknown(),
            (true, false) => Swap::Done,
            (false, false) => Swap::Conflict("it moved".into()),
        }
    }
}
