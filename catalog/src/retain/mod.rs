//! `weir retain`: rows past the retention of their contract are deleted, and counted as *removed*.
//!
//! Accepted rows go by whole days or months of event time, which costs a look at their offsets and no rewriting;
//! rejected rows, which have no event time, one by one by their Kafka time. A commit takes some files out
//! and moves their rows to *removed*, at once: a kill at any instant leaves the table as it was, or with what
//! was committed, and the next run goes on. Snapshots and tags that stand keep showing what they held; the
//! files themselves go when none of them does (`weir maintain` sweeps).

pub mod plan;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{filter_record_batch, not};
use arrow::datatypes::{Int32Type, TimestampMicrosecondType};
use futures::TryStreamExt;
use serde::Serialize;
use weir_contract::contract::{Contract, Keep};
use weir_contract::names::{TableName, column, key};
use weir_contract::progress::{Progress, Removed, Verdict};

use crate::commit::{Change, Committed, Decision, commit};
use crate::encode::{FileEncoder, FileFormat, ParquetFormat};
use crate::files::{NewFile, Specs};
use crate::look::no_table;
use crate::scan::file::rows;
use crate::sought::{Found, Sought, files, still_stand};
use crate::verify::positions;
use crate::{Base, CatalogError, Lake, Result};
use plan::{Cutoff, Fate, cutoff};

/// The stage's name in `weir.stage`.
pub const STAGE: &str = "retain";
/// Files that one commit takes out at most.
const UNIT_FILES: usize = 1_000;
/// Times in a row that others may get in the way.
const LOST_MAX: u32 = 10;

/// The retention of one raw table.
pub struct Retain<'a> {
    /// The lake.
    pub lake: &'a Lake,
    /// The stream's raw table.
    pub table: TableName,
    /// Today's contract, which says how long rows are kept.
    pub contract: &'a Contract,
    /// Only say what would be deleted.
    pub dry_run: bool,
    /// Set when the run shall end after the commit under way.
    pub shutdown: Arc<AtomicBool>,
}

/// What was deleted, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The first day of event time that is kept, since 1970-01-01; null: all are.
    pub first_day: Option<i32>,
    /// Rejected rows of an earlier Kafka time are not kept, µs since the epoch; null: all are.
    pub rejects_from_us: Option<String>,
    /// Accepted rows.
    pub rows: u64,
    /// Rejected rows.
    pub rejected: u64,
    /// Files taken out of the table.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files written with what was left of some.
    pub rewritten: u64,
    /// Commits made.
    pub commits: u64,
    /// Times that others changed what was read.
    pub lost: u64,
    /// Files that another engine wrote under another partitioning, which are left as they are.
    pub other_spec: u64,
    /// Whether a signal ended the run before it was done.
    pub stopped: bool,
}

type Removals = BTreeMap<(String, i32), Removed>;

/// Files that one commit takes out.
#[derive(Default)]
struct Unit {
    files: Vec<Found>,
    left: Vec<NewFile>,
    removals: Removals,
    /// Files that cannot be told to be past their time.
    other_spec: u64,
}

impl Retain<'_> {
    /// Runs to the end, or until it shall stop.
    ///
    /// Errors: bad config (no such table, one that does not fit the contract), retry (others got in the way
    /// too often), bad data (rows and counters do not fit), and what catalog and storage say. What was
    /// committed until then stays.
    pub async fn run(self) -> (Report, Result<()>) {
        let mut report = Report::default();
        let result = self.turn_until_done(&mut report).await;
        report.stopped = self.stops();
        (report, result)
    }

    async fn turn_until_done(&self, report: &mut Report) -> Result<()> {
        let cutoff = cutoff(&self.contract.keep, self.lake.env.clock.now_ms());
        report.first_day = cutoff.day;
        report.rejects_from_us = cutoff.rejects_us.map(|us| us.to_string());
        let mut lost = 0;
        while self.contract.keep != Keep::default() && !self.stops() {
            let base = self.base().await?;
            if let Some(unit) = self.unit(&base, &cutoff).await? {
                report.other_spec = unit.other_spec;
                if unit.files.is_empty() {
                    return Ok(());
                }
                if self.dry_run {
                    report.count(&unit);
                    return Ok(());
                }
                if self.commit(base, &unit).await? {
                    (lost, report.commits) = (0, report.commits + 1);
                    report.count(&unit);
                    continue;
                }
            }
            (lost, report.lost) = (lost + 1, report.lost + 1);
            if lost >= LOST_MAX {
                return Err(CatalogError::retry(format!(
                    "others changed {} {lost} times while rows were taken out; run the command again",
                    self.table
                )));
            }
        }
        Ok(())
    }

    async fn base(&self) -> Result<Base> {
        let base = self.lake.raw(self.contract, &self.table).await?;
        base.ok_or_else(|| no_table(&self.table))
    }

    fn stops(&self) -> bool {
        self.shutdown.load(Ordering::Relaxed)
    }

    /// The next files to take out, in a dry run all of them; none if others took one that was being read.
    async fn unit(&self, base: &Base, cutoff: &Cutoff) -> Result<Option<Unit>> {
        let (specs, schema) = (Specs::of(base)?, base.metadata().current_schema());
        let mut unit = Unit::default();
        for found in files(self.lake, base, &Sought::ALL).await? {
            let full = !self.dry_run && unit.files.len() >= UNIT_FILES;
            if full || self.stops() {
                break;
            }
            let Some(days) = specs.days(&found) else {
                unit.other_spec += 1;
                continue;
            };
            let last = days.map(|(_, last)| last);
            let taken = match cutoff.fate(last, found.least(schema, column::KAFKA_TIME)) {
                Fate::Stay => continue,
                Fate::Go => self.whole(base, &found, &mut unit.removals).await,
                Fate::Look => self.part(base, &found, cutoff, &mut unit).await,
            };
            match taken {
                Ok(true) => unit.files.push(found),
                Ok(false) => {}
                // Where it is gone because it is no longer the table's, nothing is wrong.
                Err(e) => {
                    return match still_stand(self.lake, &self.base().await?, &[found]).await? {
                        true => Err(e),
                        false => Ok(None),
                    };
                }
            }
        }
        Ok(Some(unit))
    }

    /// Counts the rows of a file that goes.
    async fn whole(&self, base: &Base, found: &Found, removals: &mut Removals) -> Result<bool> {
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        for (place, seen) in positions(self.lake, base, found).await? {
            let removed = removals.entry(place).or_default();
            removed.rows += signed(seen.accepted.len());
            removed.rejected += signed(seen.rejected.len());
        }
        Ok(true)
    }

    /// Looks at the rows of a file of rejects, and writes anew those that stay, if some go; false if none
    /// does.
    async fn part(
        &self,
        base: &Base,
        found: &Found,
        cutoff: &Cutoff,
        unit: &mut Unit,
    ) -> Result<bool> {
        let mut removals = Removals::new();
        let mut batches = rows(self.lake, base, found).await?;
        while let Some(batch) = batches.try_next().await? {
            count(&filtered(&batch, &going(&batch, cutoff))?, &mut removals);
        }
        if removals.is_empty() {
            return Ok(false);
        }
        let mut encoder: Option<Box<dyn FileEncoder>> = None;
        let mut batches = rows(self.lake, base, found).await?;
        while !self.dry_run
            && let Some(batch) = batches.try_next().await?
        {
            let stay = not(&going(&batch, cutoff));
            let stay = filtered(&batch, &stay.map_err(|e| bug(&e))?)?;
            if stay.num_rows() > 0 {
                let file = match &mut encoder {
                    Some(file) => file,
                    None => {
                        encoder.insert(ParquetFormat::for_sorted().encoder(&base.schema()?, None)?)
                    }
                };
                file.write(&stay)?;
            }
        }
        if let Some(file) = encoder {
            let new = self.lake.put_data_file(base, file.finish()?).await?;
            unit.left.push(new.in_place_of(found.sequence()));
        }
        for (place, more) in removals {
            let removed = unit.removals.entry(place).or_default();
            removed.rows += more.rows;
            removed.rejected += more.rejected;
        }
        Ok(true)
    }

    /// Whether the unit was committed; not if others changed what was read.
    async fn commit(&self, base: Base, unit: &Unit) -> Result<bool> {
        let removals = full_names(&base, &unit.removals)?;
        let change = Change {
            commit_id: self.lake.env.ids.uuid().to_string(),
            stage: STAGE,
            added: unit.left.clone(),
            removed: unit.files.iter().map(|found| found.path().to_string()).collect(),
            summary: BTreeMap::from([(key::REASON.to_string(), reason(self.contract))]),
            ..Change::default()
        };
        let mut base = base;
        loop {
            let seen_in = base.metadata().current_snapshot_id();
            let decide = &mut |now: &Base, progress: &Progress| {
                if !now.only_appended_since(seen_in) {
                    return Decision::Decline(None);
                }
                match progress.remove(&change.commit_id, &removals) {
                    Verdict::Apply(next) => Decision::Advance(next),
                    Verdict::Invalid(why) => Decision::Decline(Some(why)),
                    // The commit layer looks for the id first, and no head moves.
                    Verdict::Already | Verdict::Fenced(_) => Decision::Decline(None),
                }
            };
            match commit(self.lake, base, &change, decide).await? {
                Committed::Done(_) => return Ok(true),
                Committed::Declined(Some(why)) => {
                    return Err(CatalogError::bad_data(format!(
                        "the rows of {} do not fit its counters: {why}; `weir verify {}` shows what is \
                         wrong",
                        self.table, self.table
                    )));
                }
                Committed::Declined(None) => {}
            }
            base = self.base().await?;
            if !still_stand(self.lake, &base, &unit.files).await? {
                return Ok(false);
            }
        }
    }
}

impl Report {
    fn count(&mut self, unit: &Unit) {
        let sum = |of: fn(&Removed) -> i64| -> u64 {
            unit.removals.values().map(|removed| of(removed).unsigned_abs()).sum()
        };
        self.rows += sum(|removed| removed.rows);
        self.rejected += sum(|removed| removed.rejected);
        self.files += unit.files.len() as u64;
        self.bytes += unit.files.iter().map(Found::bytes).sum::<u64>();
        self.rewritten += unit.left.len() as u64;
    }
}

/// What the snapshot says of why.
fn reason(contract: &Contract) -> String {
    let days =
        |days: Option<u32>| days.map_or("for ever".to_string(), |days| format!("{days} days"));
    format!(
        "contract {}@{} keeps rows {} and rejected ones {}",
        contract.id,
        contract.version,
        days(contract.keep.rows_days),
        days(contract.keep.rejects_days)
    )
}

/// The counts by full source ids.
fn full_names(
    base: &Base,
    removals: &Removals,
) -> Result<BTreeMap<String, BTreeMap<i32, Removed>>> {
    let names = base.sources();
    let mut full: BTreeMap<String, BTreeMap<i32, Removed>> = BTreeMap::new();
    for ((short, partition), removed) in removals {
        let Some(source) = names.get(short) else {
            return Err(CatalogError::bad_data(format!(
                "rows of {} name the source {short:?}, which the table does not know; `weir verify {}` \
                 shows more",
                base.name, base.name
            )));
        };
        full.entry(source.clone()).or_default().insert(*partition, *removed);
    }
    Ok(full)
}

/// Which rows go.
fn going(batch: &RecordBatch, cutoff: &Cutoff) -> BooleanArray {
    let times = |name: &str| {
        let found = batch.column_by_name(name)?;
        found.as_primitive_opt::<TimestampMicrosecondType>().cloned()
    };
    let (kafka, ingested) = (times(column::KAFKA_TIME), times(column::INGESTED_AT));
    let at = |times: &Option<arrow::array::TimestampMicrosecondArray>, row: usize| {
        times.as_ref().filter(|times| times.is_valid(row)).map(|times| times.value(row))
    };
    let takes = |row| Some(cutoff.takes(at(&kafka, row), at(&ingested, row)));
    (0..batch.num_rows()).map(takes).collect()
}

fn filtered(batch: &RecordBatch, keep: &BooleanArray) -> Result<RecordBatch> {
    filter_record_batch(batch, keep).map_err(|e| bug(&e))
}

fn bug(e: &arrow_schema::ArrowError) -> CatalogError {
    CatalogError::bug(format!("choosing rows: {e}"))
}

/// Counts rows by their place. One without a place is counted nowhere: `weir verify` tells of it.
fn count(batch: &RecordBatch, removals: &mut Removals) {
    let column = |name: &str| batch.column_by_name(name);
    let (Some(sources), Some(partitions)) = (
        column(column::SOURCE).and_then(|c| c.as_string_opt::<i32>()),
        column(column::PARTITION).and_then(|c| c.as_primitive_opt::<Int32Type>()),
    ) else {
        return;
    };
    let errors = column(column::ERROR);
    for row in (0..batch.num_rows()).filter(|r| sources.is_valid(*r) && partitions.is_valid(*r)) {
        let place = (sources.value(row).to_string(), partitions.value(row));
        let removed = removals.entry(place).or_default();
        match errors.is_some_and(|errors| errors.is_valid(row)) {
            true => removed.rejected += 1,
            false => removed.rows += 1,
        }
    }
}

#[cfg(test)]
mod tests;
