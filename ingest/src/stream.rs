//! One stream's ingest as its caller sees it: what is asked, what runs, what was done. The loop itself
//! stands in [`crate::run`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use weir_catalog::Lake;
use weir_catalog::commit::Receipt;
use weir_catalog::error::CatalogError;
use weir_contract::class::{ErrorClass, RejectClass};
use weir_contract::contract::Contract;
use weir_contract::names::TableName;
use weir_contract::progress::{Progress, Step};

use crate::batch::Taken;
use crate::event::IngestEvent;
use crate::flight::{Advance, Outcome};
use crate::flush::FlushLimits;
use crate::news::News;
use crate::resume::{AcceptKind, Start};
use crate::run::{Opening, Run, look};
use crate::source::{Source, SourceError};

/// When a run ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Never.
    Forever,
    /// When the table holds every partition up to the end that it had at the start.
    Latest,
    /// After this long.
    For(Duration),
}

/// What a run of one stream is asked to do.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bounds of a micro-batch.
    pub flush: FlushLimits,
    /// Bytes that the stream may hold, the source's queue included.
    pub memory_max: usize,
    /// Bytes of it that the source's queue may take.
    pub source_memory: usize,
    /// First start of a source.
    pub start: Start,
    /// What the operator accepts.
    pub accept: Vec<AcceptKind>,
    /// When the run ends.
    pub until: Until,
    /// Encode on a thread of its own.
    pub threaded: bool,
    /// How steps move a progress.
    pub advance: Advance,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            flush: FlushLimits::default(),
            memory_max: 160 << 20,
            source_memory: 40 << 20,
            start: Start::Earliest,
            accept: Vec::new(),
            until: Until::Forever,
            threaded: true,
            advance: Progress::advance_since,
        }
    }
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// Records read.
    pub records: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// Accepted rows committed.
    pub rows: u64,
    /// Rejected rows committed.
    pub rejected: u64,
    /// Rejected records read, by class.
    pub rejects: BTreeMap<&'static str, u64>,
    /// Offsets committed that hold no record.
    pub absent: u64,
    /// Batches committed.
    pub commits: u64,
    /// Attempts that another writer beat.
    pub conflicts: u64,
    /// Attempts whose outcome was unknown at first.
    pub unknowns: u64,
    /// Batches thrown away because another writer owned their partitions.
    pub fenced: u64,
    /// Batches thrown away for any other reason.
    pub abandoned: u64,
    /// Commits that failed in a way that may pass.
    pub failed: u64,
    /// Times that the group gave us partitions.
    pub assignments: u64,
    /// Records delivered again, or past the run's end.
    pub passed_over: u64,
    /// From the start of the run to the first records, ms.
    pub first_fetch_ms: Option<i64>,
    /// The most that was held at a time, by the budget's own counters, bytes.
    pub memory_peak: usize,
    /// Whether `--until-latest` reached its ends, or the run ended in its own time.
    pub complete: bool,
}

/// Why a stream stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct IngestError {
    /// What the caller can do.
    pub class: ErrorClass,
    /// What happened and what to do next.
    pub message: String,
}

impl From<SourceError> for IngestError {
    fn from(error: SourceError) -> IngestError {
        IngestError { class: error.class, message: error.message }
    }
}

impl From<CatalogError> for IngestError {
    fn from(error: CatalogError) -> IngestError {
        IngestError { class: error.class(), message: error.to_string() }
    }
}

/// Runs a future beside the loop: a task of the runtime, or nothing at all in the simulation, where
/// the loop polls it itself.
pub type Spawn = Arc<dyn Fn(BoxFuture<'static, Outcome>) -> BoxFuture<'static, Outcome>>;

/// One stream's loop.
pub struct Stream<'a, S: Source> {
    /// The lake.
    pub lake: Arc<Lake>,
    /// The broker.
    pub source: &'a mut S,
    /// The stream's contract.
    pub contract: Arc<Contract>,
    /// Whether there is another one by now; none: it stays as it is.
    pub news: Option<&'a mut dyn News>,
    /// The stream's raw table.
    pub table: TableName,
    /// What is asked.
    pub settings: Settings,
    /// Where flights run.
    pub spawn: Spawn,
    /// Set when the run shall end.
    pub shutdown: Arc<AtomicBool>,
    /// Hears what happens.
    pub listen: &'a mut dyn FnMut(&IngestEvent),
}

impl<S: Source> Stream<'_, S> {
    /// Runs until the settings, the shutdown flag or an error end it. The report is true either way.
    pub async fn run(mut self) -> (Report, Result<(), IngestError>) {
        let started_ms = self.lake.env.clock.now_ms();
        match self.open().await {
            Ok(Some(opening)) => {
                let mut run = Run::new(self, opening, started_ms);
                let result = run.turn_until_done().await;
                (run.report, result)
            }
            Ok(None) => (Report::default(), Ok(())),
            Err(error) => (Report::default(), Err(error)),
        }
    }

    /// What the run begins with; nothing where it is told to end before. A run without end waits for
    /// a broker or a lake that is away, as it would later.
    async fn open(&mut self) -> Result<Option<Opening>, IngestError> {
        let mut failures = 0;
        while !self.shutdown.load(Ordering::Relaxed) {
            let error = match look(self).await {
                Ok(opening) => return Ok(Some(opening)),
                Err(error) => error,
            };
            if error.class != ErrorClass::Retry || self.settings.until != Until::Forever {
                return Err(error);
            }
            failures += 1;
            (self.listen)(&IngestEvent::Interrupted { error: error.message, failures });
            self.lake.env.clock.sleep(pause(failures)).await;
        }
        Ok(None)
    }
}

/// How long to wait after so many failures in a row.
pub(crate) fn pause(failures: u32) -> Duration {
    Duration::from_millis(100 << failures.min(7))
}

impl Report {
    pub(crate) fn add(&mut self, taken: &Taken) {
        self.records += taken.records;
        self.bytes += taken.bytes;
        self.passed_over += taken.passed_over;
        for (class, count) in RejectClass::ALL.iter().zip(taken.rejected) {
            if count > 0 {
                *self.rejects.entry(class.name()).or_default() += count;
            }
        }
    }

    pub(crate) fn commit(&mut self, steps: &[(i32, Step)], receipt: &Receipt) {
        let sum = |count: fn(&Step) -> i64| steps.iter().map(|(_, s)| count(s) as u64).sum::<u64>();
        self.rows += sum(|step| step.rows);
        self.rejected += sum(|step| step.rejected);
        self.absent += sum(|step| step.absent);
        self.commits += 1;
        self.conflicts += u64::from(receipt.conflicts);
        self.unknowns += u64::from(receipt.unknowns);
    }
}
