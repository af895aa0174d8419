//! Rejected rows through today's contract: those that it accepts are replaced by accepted ones of the
//! next revision, each exactly once.
//!
//! The files of rejected rows are read one after another, twice: first to see whether the contract
//! accepts anything in them, then, if so, to write them anew. A commit replaces some files as a whole
//! (copy-on-write) and is one compare-and-swap: a kill at any instant leaves the rows as they were, or
//! all of them replaced. There is nothing else to remember, so that a run that ended early is simply
//! run again. What the contract still refuses is left as it is, its old `_error` included.
//!
//! Ingest may commit in between: its appends change nothing here. Where another engine rewrote a file,
//! or another redrive was faster, what was written is thrown away and the table is looked at anew.

mod event;
mod judge;
mod rewrite;
mod select;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::TryStreamExt;
use weir_catalog::commit::Receipt;
use weir_catalog::error::{CatalogError, Result};
use weir_catalog::look::no_table;
use weir_catalog::scan::file;
use weir_catalog::sought::{self, Found};
use weir_catalog::{Base, Lake};
use weir_contract::class::ErrorClass;
use weir_contract::contract::Contract;
use weir_contract::names::TableName;

pub use event::{RedriveEvent, Report};
pub use judge::Tally;
pub use select::Selection;

use judge::Judge;
use rewrite::Rewritten;

/// The stage's name in `weir.stage`.
pub const STAGE: &str = "redrive";
/// Bytes of the files that one commit replaces, about, and how many at most.
const UNIT_BYTES: u64 = 64 << 20;
const UNIT_FILES: usize = 1_000;
/// Times in a row that others may get in the way.
const LOST_MAX: u32 = 10;

/// One table's redrive.
pub struct Redrive<'a> {
    /// The lake.
    pub lake: &'a Lake,
    /// The stream's raw table.
    pub table: TableName,
    /// Today's contract.
    pub contract: Arc<Contract>,
    /// Which rows.
    pub selection: Selection,
    /// Only say what would be done.
    pub dry_run: bool,
    /// Set when the run shall end after the commit under way.
    pub shutdown: Arc<AtomicBool>,
    /// Hears what happens.
    pub listen: &'a mut dyn FnMut(&RedriveEvent),
}

/// Files that one commit replaces.
#[derive(Default)]
struct Unit {
    files: Vec<Found>,
    bytes: u64,
    tally: Tally,
}

/// How the attempt to replace a unit ended.
enum Attempt {
    /// It is in the table, with this revision and these files.
    Done(Receipt, i32, Vec<String>),
    /// Others changed what was read: why.
    Lost(String),
}

impl Redrive<'_> {
    /// Runs to the end. Every rejected row that the table holds at the start is looked at.
    ///
    /// Errors: bad config (no such table, one that does not fit the contract), retry (others got in
    /// the way too often), and what catalog and storage say. What was committed until then stays.
    pub async fn run(mut self) -> (Report, Result<()>) {
        let mut report = Report::default();
        let result = self.turn_until_done(&mut report).await;
        (report, result)
    }

    async fn turn_until_done(&mut self, report: &mut Report) -> Result<()> {
        // Files in which nothing is left to do; a file never changes.
        let mut done = BTreeSet::new();
        let mut lost = 0;
        loop {
            let (base, commits) = (self.base().await?, report.commits);
            match self.pass(base, &mut done, report).await? {
                None => return Ok(()),
                Some(why) => {
                    lost = if report.commits > commits { 1 } else { lost + 1 };
                    report.lost += 1;
                    (self.listen)(&RedriveEvent::Lost { why: why.clone() });
                    if lost >= LOST_MAX {
                        return Err(CatalogError::retry(format!(
                            "others changed {} {lost} times while it was redriven, the last time: \
                             {why}",
                            self.table
                        )));
                    }
                }
            }
        }
    }

    async fn base(&self) -> Result<Base> {
        let base = self.lake.raw(&self.contract, &self.table).await?;
        base.ok_or_else(|| no_table(&self.table))
    }

    /// Goes through the files as they are on `base`; why it must begin anew, if it must.
    async fn pass(
        &mut self,
        mut base: Base,
        done: &mut BTreeSet<String>,
        report: &mut Report,
    ) -> Result<Option<String>> {
        let mut files = sought::files(self.lake, &base, &self.selection.sought()).await?;
        files.retain(|found| !done.contains(found.path()));
        let mut files = files.into_iter().peekable();
        let mut unit = Unit::default();
        while let Some(found) = files.next() {
            if self.shutdown.load(Ordering::Relaxed) {
                return Err(CatalogError::retry("a signal ended the run before it was done"));
            }
            let tally = match self.look(&base, &found).await {
                Err(e) => return self.lost(e, &[found]).await.map(Some),
                Ok(tally) => tally,
            };
            report.files += 1;
            if tally.accepted() == 0 || self.dry_run {
                report.count(&tally);
                done.insert(found.path().to_string());
            } else {
                unit.bytes += found.bytes();
                unit.tally.add(&tally);
                unit.files.push(found);
            }
            let full = unit.bytes >= UNIT_BYTES || unit.files.len() >= UNIT_FILES;
            if unit.files.is_empty() || !(full || files.peek().is_none()) {
                continue;
            }
            let unit = std::mem::take(&mut unit);
            match self.replace(base, &unit).await? {
                Attempt::Done(receipt, rev, files) => {
                    report.count(&unit.tally);
                    report.commit(&receipt, rev);
                    done.extend(files);
                    base = receipt.base;
                }
                Attempt::Lost(why) => return Ok(Some(why)),
            }
        }
        Ok(None)
    }

    /// What today's contract says of the selected rows in a file.
    async fn look(&self, base: &Base, found: &Found) -> Result<Tally> {
        let mut judge = Judge::new(&self.contract, &self.selection, 0);
        let mut rows = file::rows(self.lake, base, found).await?;
        let mut tally = Tally::default();
        while let Some(batch) = rows.try_next().await? {
            tally.add(&judge.judge(&batch, 0)?.tally);
        }
        Ok(tally)
    }

    /// Why an error is none: the files that it is about are no longer the table's.
    async fn lost(&self, error: CatalogError, files: &[Found]) -> Result<String> {
        if error.class() == ErrorClass::BadData {
            let base = self.base().await?;
            if !sought::still_stand(self.lake, &base, files).await? {
                return Ok(rewrite::REWROTE.into());
            }
        }
        Err(error)
    }

    async fn replace(&mut self, base: Base, unit: &Unit) -> Result<Attempt> {
        // They were listed before the commits of earlier units, which others may have come between.
        if !sought::still_stand(self.lake, &base, &unit.files).await? {
            return Ok(Attempt::Lost(rewrite::REWROTE.into()));
        }
        let rev = base.progress()?.rev.saturating_add(1);
        let mut judge = Judge::new(&self.contract, &self.selection, rev);
        let added = match rewrite::write(self.lake, &base, &unit.files, &mut judge).await {
            Ok(added) => added,
            Err(e) => return self.lost(e, &unit.files).await.map(Attempt::Lost),
        };
        let rewritten = Rewritten { rev, files: &unit.files, moved: &unit.tally.moved };
        rewritten.commit(self.lake, base, added, self.listen).await
    }
}
