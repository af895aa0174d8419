//! How far a quickstart has come: told by the fleet and by ingest.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use weir_ingest::event::IngestEvent;

/// How far everything has come.
#[derive(Debug, Default)]
pub struct Live {
    /// Records that the fleet has sent.
    pub sent: u64,
    /// The fleet's time, ms since 1970.
    pub world_ms: i64,
    /// Accepted rows in the lake.
    pub rows: u64,
    /// Rejected rows in the lake.
    pub rejected: u64,
    /// The same, by class.
    pub rejects: BTreeMap<&'static str, u64>,
    /// Commits.
    pub commits: u64,
    /// How long the newest rows took from being sent to being visible.
    pub freshness: Option<Duration>,
    /// The greatest of all.
    pub freshness_max: Duration,
    /// When how much had been sent: what freshness is told by.
    marks: VecDeque<(Instant, u64)>,
}

impl Live {
    /// The fleet has sent so many records in all.
    pub fn sent(&mut self, records: u64, world_ms: i64) {
        if records > self.sent {
            self.marks.push_back((Instant::now(), records));
        }
        (self.sent, self.world_ms) = (records, world_ms);
    }

    /// Something happened to a stream.
    pub fn hear(&mut self, event: &IngestEvent) {
        let IngestEvent::BatchCommitted { rows, rejected, rejects, .. } = event else { return };
        self.rows += rows;
        self.rejected += rejected;
        self.commits += 1;
        for (class, count) in rejects {
            *self.rejects.entry(class).or_default() += count;
        }
        let there = self.in_lake();
        while let Some((at, _)) = self.marks.front().filter(|(_, sent)| *sent <= there) {
            let age = at.elapsed();
            self.freshness = Some(age);
            self.freshness_max = self.freshness_max.max(age);
            self.marks.pop_front();
        }
    }

    /// Rows in the lake, accepted or not.
    pub fn in_lake(&self) -> u64 {
        self.rows + self.rejected
    }

    /// Records sent and not yet in the lake.
    pub fn lag(&self) -> u64 {
        self.sent.saturating_sub(self.in_lake())
    }
}

/// The guard, whoever died holding it.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
