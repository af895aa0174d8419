//! Compaction: many small files of a day or month become few large ones with the same rows, sorted.
//!
//! What is written is nobody's until a commit swaps it for its inputs, all at once; a kill at any instant
//! leaves the table as it was, or with the groups that were committed. There is nothing else to remember:
//! the next run looks at the table and goes on. Appends in between change nothing. A group of which another
//! engine, a redrive or another compaction took a file, or deleted rows, is given up and told.

pub mod order;
pub mod plan;
mod sort;

use std::collections::BTreeSet;

use futures::TryStreamExt;
use weir_contract::class::ErrorClass;
use weir_contract::names::{column, key};
use weir_contract::progress::{Progress, Verdict};

use super::report::{Compaction, MaintainEvent};
use super::{Maintain, STAGE};
use crate::commit::{Change, Committed, Decision, Rewrite, commit};
use crate::create::reference_key;
use crate::encode::{FileEncoder, FileFormat, ParquetFormat};
use crate::files::{NewFile, Specs};
use crate::schema::is_reference;
use crate::sought::{Found, Sought, files, still_stand, which_stand};
use crate::{Base, CatalogError, Result};
use order::Order;
use plan::{FileFacts, State, is_old, plan};

/// What a table's property says of the size of files, and what holds without.
const TARGET_PROPERTY: &str = "write.target-file-size-bytes";
const TARGET_BYTES: u64 = 128 << 20;
/// Bytes and files that one commit replaces, about.
const UNIT_BYTES: u64 = 256 << 20;
const UNIT_FILES: usize = 1_000;
/// Looks at the table in one run. Each look after the first finds what the one before lost or left.
const LOOKS_MAX: usize = 5;

/// A group and what was written in its place.
struct Written {
    inputs: Vec<Found>,
    outputs: Vec<NewFile>,
}

/// Groups that one commit swaps.
#[derive(Default)]
struct Unit {
    groups: Vec<Written>,
    bytes: u64,
    files: usize,
}

impl Unit {
    fn push(&mut self, written: Written) {
        self.bytes += written.inputs.iter().map(Found::bytes).sum::<u64>();
        self.files += written.inputs.len();
        self.groups.push(written);
    }

    fn is_full(&self) -> bool {
        self.bytes >= UNIT_BYTES || self.files >= UNIT_FILES
    }
}

impl Maintain<'_> {
    /// Compacts until there is nothing left to gain, or it shall stop.
    pub(super) async fn compact(&mut self, report: &mut Compaction) -> Result<()> {
        // Inputs of which fewer files could not be made.
        let mut useless: BTreeSet<String> = BTreeSet::new();
        for look in 0..LOOKS_MAX {
            let base = self.base().await?;
            if base.metadata().properties().contains_key(key::MODEL) {
                // Its builds write it in as few files as it needs, increments the small ones anew with what is new.
                return Ok(());
            }
            let mut found = files(self.lake, &base, &Sought::ALL).await?;
            found.retain(|file| !useless.contains(file.path()));
            let (target, facts) = (self.target(&base), self.facts(&base, &found)?);
            let groups = plan(&facts, target);
            if look == 0 {
                report.look(&facts);
            }
            if groups.is_empty() || self.stops() {
                return Ok(());
            }
            let take = |group: &Vec<usize>| group.iter().map(|i| found[*i].clone()).collect();
            let groups: Vec<Vec<Found>> = groups.iter().map(take).collect();
            if self.dry_run {
                groups.iter().for_each(|group| report.would(group));
                return Ok(());
            }
            self.pass(base, groups, target, &mut useless, report).await?;
        }
        Ok(())
    }

    /// Bytes of a file that is large enough; what the memory can hold.
    fn target(&self, base: &Base) -> u64 {
        let property = base.metadata().properties().get(TARGET_PROPERTY);
        let asked = property.and_then(|text| text.parse().ok()).filter(|bytes| *bytes > 0);
        asked.unwrap_or(TARGET_BYTES).min(self.options.memory_bytes as u64 / 4)
    }

    fn facts(&self, base: &Base, found: &[Found]) -> Result<Vec<FileFacts>> {
        let metadata = base.metadata();
        let (specs, schema) = (Specs::of(base)?, metadata.current_schema());
        let age_ms = i64::try_from(self.options.age_min.as_millis()).unwrap_or(i64::MAX);
        let before_ms = self.lake.env.clock.now_ms().saturating_sub(age_ms);
        let standing: Vec<_> =
            metadata.snapshots().map(|s| (s.sequence_number(), s.timestamp_ms())).collect();
        let old = |file: &Found| {
            let ingested_ms = file.greatest(schema, column::INGESTED_AT).map(|us| us / 1_000);
            age_ms == 0 || is_old(file.sequence(), ingested_ms, &standing, before_ms)
        };
        let state = |file: &Found| match specs.span(file) {
            None => State::OtherSpec,
            Some(_) if !file.deletes.is_empty() => State::HasDeletes,
            Some(_) if !old(file) => State::Young,
            Some(span) => State::Free(span),
        };
        let one = |file: &Found| FileFacts {
            bytes: file.bytes(),
            sequence: file.sequence(),
            state: state(file),
        };
        Ok(found.iter().map(one).collect())
    }

    /// Writes and commits groups that were planned on `base`.
    async fn pass(
        &mut self,
        base: Base,
        groups: Vec<Vec<Found>>,
        target: u64,
        useless: &mut BTreeSet<String>,
        report: &mut Compaction,
    ) -> Result<()> {
        let planned_on = base.metadata().current_snapshot_id();
        let mut base = base;
        let mut unit = Unit::default();
        for inputs in groups {
            if self.stops() {
                break;
            }
            match self.write(&base, &inputs, target).await {
                Ok(outputs) if outputs.len() >= inputs.len() => {
                    useless.extend(inputs.iter().map(|file| file.path().to_string()));
                }
                Ok(outputs) => unit.push(Written { inputs, outputs }),
                Err(e) if e.class() == ErrorClass::BadData => {
                    // Where a file is gone because it is no longer the table's, nothing is wrong.
                    if still_stand(self.lake, &self.base().await?, &inputs).await? {
                        return Err(e);
                    }
                    self.lose(&inputs, report);
                }
                Err(e) => return Err(e),
            }
            if unit.is_full() {
                base = self.swap(base, planned_on, std::mem::take(&mut unit), report).await?;
            }
        }
        self.swap(base, planned_on, unit, report).await?;
        Ok(())
    }

    /// Writes the rows of `inputs`, sorted, as files of about `target` bytes. They are durable then, and
    /// nobody's.
    async fn write(&self, base: &Base, inputs: &[Found], target: u64) -> Result<Vec<NewFile>> {
        let schema = base.schema()?;
        let specs = Specs::of(base)?;
        let days = inputs.first().and_then(|file| specs.days(file)).flatten();
        // Any day of the span that they share.
        let day = days.map(|(first, _)| first);
        let order = match is_reference(schema.iceberg()) {
            true => Order::Reference(reference_key(base).unwrap_or_default()),
            false => Order::raw(schema.iceberg(), base.metadata().default_sort_order(), day),
        };
        // A half holds the file that is being written, a quarter sorts, the rest is what nobody counts.
        let (half, quarter) = (self.options.memory_bytes / 2, self.options.memory_bytes / 4);
        let mut rows = sort::sorted(self.lake, base, inputs, &order, quarter).await?;
        let format = ParquetFormat::for_sorted();
        let sequence = inputs.iter().map(Found::sequence).max().unwrap_or(0);
        let mut outputs =
            Outputs { files: Vec::new(), rows: 0, bytes_per_row: bytes_per_row(inputs) };
        let mut encoder: Option<(Box<dyn FileEncoder>, u64)> = None;
        while let Some(batch) = rows.try_next().await? {
            let (file, of_file) = match &mut encoder {
                Some(open) => open,
                None => encoder.insert((format.encoder(&schema, day)?, 0)),
            };
            file.write(&batch)?;
            *of_file += batch.num_rows() as u64;
            let full = outputs.is_full(*of_file, target) || file.memory() >= half;
            if let Some((file, _)) = encoder.take_if(|_| full) {
                outputs.add(self.lake.put_data_file(base, file.finish()?).await?, sequence);
            }
        }
        if let Some((file, _)) = encoder {
            outputs.add(self.lake.put_data_file(base, file.finish()?).await?, sequence);
        }
        let written = outputs.rows;
        let read: u64 = inputs.iter().map(Found::rows).sum();
        if written != read {
            return Err(CatalogError::bad_data(format!(
                "{} files of {} hold {written} rows, their manifests say {read}; nothing was replaced; \
                 `weir verify {}` shows which",
                inputs.len(),
                base.name,
                base.name
            )));
        }
        Ok(outputs.files)
    }

    /// Commits a unit, less the groups that others touched. `planned_on` is the snapshot in which all inputs
    /// were seen.
    async fn swap(
        &mut self,
        base: Base,
        planned_on: Option<i64>,
        mut unit: Unit,
        report: &mut Compaction,
    ) -> Result<Base> {
        let (mut base, mut seen_in) = (base, planned_on);
        let commit_id = self.lake.env.ids.uuid().to_string();
        while !unit.groups.is_empty() {
            let change = change(&unit.groups, &commit_id);
            let files = change.removed.len();
            (self.listen)(&MaintainEvent::CommitStarted { commit_id: commit_id.clone(), files });
            let decide = &mut |now: &Base, progress: &Progress| match progress
                .rewrite(&change.commit_id)
            {
                Verdict::Apply(next) if now.only_appended_since(seen_in) => Decision::Advance(next),
                _ => Decision::Decline(()),
            };
            if let Committed::Done(receipt) =
                commit(self.lake, base.clone(), &change, decide).await?
            {
                report.commit(&receipt);
                unit.groups.iter().for_each(|g| report.gain(&g.inputs, &g.outputs));
                let snapshot_id = receipt.snapshot_id;
                (self.listen)(&MaintainEvent::Committed { commit_id, snapshot_id });
                return Ok(receipt.base);
            }
            base = self.base().await?;
            seen_in = base.metadata().current_snapshot_id();
            let groups: Vec<&[Found]> = unit.groups.iter().map(|g| &g.inputs[..]).collect();
            let stand = which_stand(self.lake, &base, &groups).await?;
            let (kept, lost): (Vec<_>, Vec<_>) =
                unit.groups.into_iter().zip(stand).partition(|(_, stands)| *stands);
            lost.iter().for_each(|(group, _)| self.lose(&group.inputs, report));
            unit.groups = kept.into_iter().map(|(group, _)| group).collect();
        }
        Ok(base)
    }

    fn lose(&mut self, inputs: &[Found], report: &mut Compaction) {
        report.lost += 1;
        (self.listen)(&MaintainEvent::Lost { files: inputs.len() });
    }
}

/// What was written in the place of a group.
struct Outputs {
    files: Vec<NewFile>,
    rows: u64,
    /// Bytes that a row takes, about: as in the inputs first, then as in the last file that was written.
    bytes_per_row: f64,
}

impl Outputs {
    /// Whether so many rows make a file of `target` bytes.
    fn is_full(&self, rows: u64, target: u64) -> bool {
        rows as f64 * self.bytes_per_row >= target as f64
    }

    fn add(&mut self, file: NewFile, sequence: i64) {
        self.rows += file.rows();
        self.bytes_per_row = file.size() as f64 / file.rows().max(1) as f64;
        self.files.push(file.in_place_of(sequence));
    }
}

fn bytes_per_row(files: &[Found]) -> f64 {
    let (bytes, rows) = files.iter().fold((0, 0), |(b, r), f| (b + f.bytes(), r + f.rows()));
    bytes as f64 / rows.max(1) as f64
}

fn change(groups: &[Written], commit_id: &str) -> Change {
    let inputs = groups.iter().flat_map(|group| &group.inputs);
    Change {
        commit_id: commit_id.to_string(),
        stage: STAGE,
        added: groups.iter().flat_map(|group| group.outputs.clone()).collect(),
        removed: inputs.map(|file| file.path().to_string()).collect(),
        rewrite: Rewrite::Files,
        ..Change::default()
    }
}

#[cfg(test)]
mod tests;
