//! `weir maintain`: what a table needs to stay healthy for years, beside the writers that it has.
//!
//! - [`compact`]: small files become large ones, sorted, with the same rows.
//! - [`manifests`]: many manifests become few, clustered by partition.
//! - [`sweep`]: files that nobody refers to are deleted, long after they were first seen so.
//!
//! Each step may be killed at any instant, run twice, and run beside ingest, other engines and itself.

pub mod compact;
mod manifests;
mod report;
pub mod sweep;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use weir_contract::names::{TableName, key};

pub use report::{Compaction, MaintainEvent, Manifests, Report, Sweep};

use crate::look::no_table;
use crate::{Base, CatalogError, Lake, Result};

/// The stage's name in `weir.stage`.
pub const STAGE: &str = "maintain";

/// Bounds of maintenance, with their defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaintainOptions {
    /// Bytes that sorting and encoding hold, about; what does not fit is spilled to disk.
    pub memory_bytes: usize,
    /// Files whose rows were committed within so long are not compacted.
    pub age_min: Duration,
}

impl Default for MaintainOptions {
    fn default() -> MaintainOptions {
        MaintainOptions { memory_bytes: 512 << 20, age_min: Duration::from_secs(60 * 60) }
    }
}

/// The maintenance of one table.
pub struct Maintain<'a> {
    /// The lake.
    pub lake: &'a Lake,
    /// A raw or reference table.
    pub table: TableName,
    /// Bounds.
    pub options: MaintainOptions,
    /// Only say what would be done.
    pub dry_run: bool,
    /// When to stop, ms since the epoch: what is under way is committed, nothing more begun.
    pub until_ms: Option<i64>,
    /// Set when the run shall end after the commit under way.
    pub shutdown: Arc<AtomicBool>,
    /// Hears what happens.
    pub listen: &'a mut dyn FnMut(&MaintainEvent),
}

impl Maintain<'_> {
    /// Runs to the end, or until it shall stop.
    ///
    /// Errors: bad config (no such table, not one of ours), bad data (files or metadata are damaged), and
    /// what catalog and storage say. What was committed until then stays.
    pub async fn run(mut self) -> (Report, Result<()>) {
        let mut report = Report::default();
        let result = self.steps(&mut report).await;
        report.stopped = self.stops();
        (report, result)
    }

    async fn steps(&mut self, report: &mut Report) -> Result<()> {
        check(&self.base().await?)?;
        self.compact(&mut report.compaction).await?;
        report.manifests = self.cluster().await?;
        self.sweep(&mut report.sweep).await
    }

    async fn base(&self) -> Result<Base> {
        self.lake.table(&self.table).await?.ok_or_else(|| no_table(&self.table))
    }

    fn stops(&self) -> bool {
        self.shutdown.load(Ordering::Relaxed)
            || self.until_ms.is_some_and(|until| self.lake.env.clock.now_ms() >= until)
    }
}

/// Whether it is for us to write the table anew.
fn check(base: &Base) -> Result<()> {
    let properties = base.metadata().properties();
    if properties.contains_key(key::CONTRACT) || properties.contains_key(key::MODEL) {
        return Ok(());
    }
    Err(CatalogError::bad_config(format!(
        "{} has no property {} or {}: weir did not make it, and leaves it to the engine that did",
        base.name,
        key::CONTRACT,
        key::MODEL
    )))
}
