//! Where a record is: from its partition and offset to the row, its file and its first snapshot, and
//! back again. Files are found by the bounds in manifests, whatever compaction did; only those that may
//! hold the offset are read.

mod back;
mod first;
mod search;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int32Type, Int64Type};
use arrow_array::Array;
use futures::TryStreamExt;
use iceberg::spec::Snapshot;
use serde::Serialize;
use weir_contract::names::{SourceId, column, key};
use weir_contract::progress::{Partition, Progress};

pub use back::{Brought, FileAt, Ranges, file, snapshot};
pub use first::{At, First, History, Why};
pub use search::{Hit, Search, search};

use crate::look::{as_text, as_text_or_null, chain, text};
use crate::scan::file::rows;
use crate::sought::{Found, Sought, files};
use crate::verify::positions;
use crate::{Base, CatalogError, Lake, Result};
use first::Held;

/// One record's place.
#[derive(Debug, Serialize)]
pub struct Place {
    /// Full source id; none if the table knows no source with that partition.
    pub source: Option<String>,
    /// Kafka partition.
    pub partition: i32,
    /// Kafka offset.
    #[serde(serialize_with = "as_text")]
    pub offset: i64,
    /// What is there.
    #[serde(flatten)]
    pub state: State,
}

/// What is at an offset.
#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Its row; several only in a table that `weir verify` would complain about.
    Row {
        /// The rows.
        rows: Vec<RowAt>,
    },
    /// The table has not come so far.
    NotIngested {
        /// The first offset that is not in the table; none for a partition that it does not know.
        #[serde(serialize_with = "as_text_or_null")]
        head: Option<i64>,
    },
    /// It lies before the first offset that the table answers for.
    BeforeStart {
        /// That offset.
        #[serde(serialize_with = "as_text")]
        start: i64,
    },
    /// It has no row.
    NoRow {
        /// Every reason that the table's counters allow.
        why: Vec<Why>,
    },
}

/// A row and where it stands.
#[derive(Debug, Serialize)]
pub struct RowAt {
    /// Its data file.
    pub file: String,
    /// Whether it is a rejected one.
    pub rejected: bool,
    /// Its revision: 0 unless redrive replaced it.
    pub rev: i32,
    /// Since when the table holds the record.
    pub first: First,
    /// Since when it is accepted, if redrive did that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redriven: Option<First>,
    /// The row itself: a batch of one.
    #[serde(skip)]
    pub row: RecordBatch,
}

/// Finds a record in the current snapshot of a raw table: one place for each source with that
/// partition (a recreated topic is another source), those of `topic` if one is named.
///
/// Errors: bad data (progress that cannot be told, damaged files), what the storage says.
pub async fn record(
    lake: &Lake,
    base: &Base,
    topic: Option<&str>,
    partition: i32,
    offset: i64,
) -> Result<Vec<Place>> {
    let progress = base.progress()?;
    let history = history(base);
    let mut places = Vec::new();
    for (source, partitions) in &progress.sources {
        let id: Option<SourceId> = source.parse().ok();
        if topic.is_some_and(|topic| id.as_ref().is_none_or(|id| id.topic != topic)) {
            continue;
        }
        let Some(now) = partitions.get(&partition) else { continue };
        let short = id.map(|id| id.short()).unwrap_or_default();
        let row = Row { source, short: &short, partition, offset };
        let state = row.state(lake, base, &history, now).await?;
        places.push(Place { source: Some(source.clone()), partition, offset, state });
    }
    if places.is_empty() {
        let state = State::NotIngested { head: None };
        places.push(Place { source: None, partition, offset, state });
    }
    Ok(places)
}

/// A row that is looked for.
struct Row<'a> {
    source: &'a str,
    short: &'a str,
    partition: i32,
    offset: i64,
}

impl Row<'_> {
    async fn state(
        &self,
        lake: &Lake,
        base: &Base,
        history: &History,
        now: &Partition,
    ) -> Result<State> {
        if self.offset < now.start {
            return Ok(State::BeforeStart { start: now.start });
        }
        if self.offset >= now.until {
            return Ok(State::NotIngested { head: Some(now.until) });
        }
        let until = self.offset.saturating_add(1);
        let sought =
            Sought { partition: Some(self.partition), from: self.offset, until, rejected: false };
        let mut found = Vec::new();
        for file in files(lake, base, &sought).await? {
            if self.is_in(lake, base, &file).await? {
                found.extend(self.read(lake, base, &file, history).await?);
            }
        }
        if found.is_empty() {
            let why = history.why(self.source, self.partition, self.offset, now);
            return Ok(State::NoRow { why });
        }
        Ok(State::Row { rows: found })
    }

    /// Reads only the columns that tell a row's position.
    async fn is_in(&self, lake: &Lake, base: &Base, file: &Found) -> Result<bool> {
        let seen = positions(lake, base, file).await?;
        let seen = seen.get(&(self.short.to_string(), self.partition));
        let offset = u64::try_from(self.offset).unwrap_or_default();
        Ok(seen.is_some_and(|s| s.accepted.contains(offset) || s.rejected.contains(offset)))
    }

    async fn read(
        &self,
        lake: &Lake,
        base: &Base,
        file: &Found,
        history: &History,
    ) -> Result<Vec<RowAt>> {
        let mut batches = rows(lake, base, file).await?;
        let mut found = Vec::new();
        while let Some(batch) = batches.try_next().await? {
            let batch = self.only(&batch)?;
            for at in 0..batch.num_rows() {
                let row = batch.slice(at, 1);
                let column = |name: &str| row.column_by_name(name).cloned();
                let rev = column(column::REV);
                let rev = rev.and_then(|c| c.as_primitive_opt::<Int32Type>().map(|c| c.value(0)));
                let rev = rev.unwrap_or_default();
                let has = |p: &Progress| {
                    p.head(self.source, self.partition).is_some_and(|head| head > self.offset)
                };
                found.push(RowAt {
                    file: file.path().to_string(),
                    rejected: column(column::ERROR).is_some_and(|error| error.is_valid(0)),
                    rev,
                    first: history.first(has),
                    redriven: (rev > 0).then(|| history.first(|p| has(p) && p.rev >= rev)),
                    row,
                });
            }
        }
        Ok(found)
    }

    /// The rows of the batch that are the one looked for.
    fn only(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let column = |name: &str| {
            let found = batch.column_by_name(name);
            found.ok_or_else(|| CatalogError::bug(format!("a raw row without {name}")))
        };
        let sources = column(column::SOURCE)?.as_string_opt::<i32>();
        let partitions = column(column::PARTITION)?.as_primitive_opt::<Int32Type>();
        let offsets = column(column::OFFSET)?.as_primitive_opt::<Int64Type>();
        let (Some(sources), Some(partitions), Some(offsets)) = (sources, partitions, offsets)
        else {
            return Err(CatalogError::bad_config("the table's positions have other types"));
        };
        let is_it = |row: usize| {
            sources.is_valid(row)
                && sources.value(row) == self.short
                && partitions.is_valid(row)
                && partitions.value(row) == self.partition
                && offsets.is_valid(row)
                && offsets.value(row) == self.offset
        };
        let mask: BooleanArray = (0..batch.num_rows()).map(|row| Some(is_it(row))).collect();
        filter_record_batch(batch, &mask)
            .map_err(|e| CatalogError::bug("choosing a row").with_source(e))
    }
}

/// What the standing snapshots say of the past.
fn history(base: &Base) -> History {
    let metadata = base.metadata();
    let mut tags: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for (tag, reference) in base.loaded.refs.iter().filter(|(_, r)| !r.is_branch()) {
        tags.entry(reference.snapshot_id).or_default().push(tag.clone());
    }
    let held = |snapshot: &Snapshot| {
        let heads = Progress::from_heads(text(snapshot, key::HEADS)?).ok()?;
        let id = snapshot.snapshot_id();
        let at = At { snapshot: id, committed_at_ms: snapshot.timestamp_ms() };
        Some(Held { at, heads, tags: tags.get(&id).cloned().unwrap_or_default() })
    };
    let standing = chain(metadata);
    // Expiry by other engines may take the parent out of the survivor; the number it keeps.
    let whole = standing.last().is_some_and(|s| s.sequence_number() <= 1);
    let mut tagged: Vec<_> =
        metadata.snapshots().filter(|s| tags.contains_key(&s.snapshot_id())).collect();
    tagged.sort_by_key(|s| s.sequence_number());
    History {
        chain: standing.iter().rev().filter_map(|s| held(s)).collect(),
        whole,
        tagged: tagged.into_iter().filter_map(|s| held(s)).collect(),
    }
}
