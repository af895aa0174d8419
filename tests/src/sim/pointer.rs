//! A catalog whose pointer is durable and whose answers get lost: a swap may land without our being
//! told, may be refused without our being told, or may land later.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use weir_catalog::backend::{Pointer, Swap};
use weir_catalog::error::{CatalogError, Result};
use weir_contract::names::TableName;

use super::clock::SimClock;
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
    /// Metadata files that were current at some time, in order.
    landed: Vec<String>,
}

/// The catalog; one for all processes, cheap to clone.
#[derive(Debug, Clone)]
pub struct SimPointer {
    state: Arc<Mutex<State>>,
    clock: SimClock,
    rng: Rng,
    healed: Arc<AtomicBool>,
    /// Says yes where it should say unknown.
    takes_silence_for_yes: bool,
}

impl SimPointer {
    /// An empty catalog.
    pub fn new(clock: SimClock, rng: Rng, takes_silence_for_yes: bool) -> SimPointer {
        let (state, healed) = (Arc::default(), Arc::default());
        SimPointer { state, clock, rng, healed, takes_silence_for_yes }
    }

    /// No more faults.
    pub fn heal(&self) {
        self.healed.store(true, Ordering::Relaxed);
    }

    /// Metadata files that were made current since the last call.
    pub fn take_landed(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().landed)
    }

    /// Where the table's metadata stands.
    pub fn location(&self, name: &TableName) -> Option<String> {
        self.lock().tables.get(name).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = self.clock.now();
        let (due, later) = std::mem::take(&mut state.late).into_iter().partition(|l| l.due_ms <= now_ms);
        state.late = later;
        let due: Vec<Late> = due;
        for late in due {
            state.swap(&late.name, &late.old, &late.new);
        }
        state
    }

    fn fault(&self, times: u64) -> bool {
        !self.healed.load(Ordering::Relaxed) && self.rng.one_in(times)
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
                self.landed.push(new.to_string());
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

    async fn insert(&self, name: &TableName, location: &str) -> Swap {
        turn().await;
        let mut state = self.lock();
        if state.tables.contains_key(name) {
            return Swap::Conflict("it exists".into());
        }
        state.tables.insert(name.clone(), location.into());
        Swap::Done
    }

    async fn swap(&self, name: &TableName, old: &str, new: &str) -> Swap {
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
        let landed = self.lock().swap(name, old, new);
        let lost = self.fault(40);
        turn().await;
        match (landed, lost) {
            (_, true) => self.unknown(),
            (true, false) => Swap::Done,
            (false, false) => Swap::Conflict("it moved".into()),
        }
    }
}
