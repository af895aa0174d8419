//! What the table says now, and what a file states → the rows that a load appends.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow_row::{Row, RowConverter, Rows, SortField};
use arrow_schema::{ArrowError, DataType, Field as ArrowField, Schema};
use arrow_select::interleave::interleave;

use super::{Reference, Stated};
use crate::names::column;
use crate::time;

/// What a load appends.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The rows with [`Reference::schema`], by key.
    rows: RecordBatch,
    /// What they do.
    pub counts: Counts,
}

/// What the rows of a load do. Each does one of the four.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// State an interval that begins where none began.
    pub added: usize,
    /// State other attributes for an interval.
    pub changed: usize,
    /// Let an interval end elsewhere.
    pub ended: usize,
    /// Withdraw an interval: from `valid_from` on something else holds, or nothing.
    pub withdrawn: usize,
    /// Intervals of the file's keys that stay as they are; no rows.
    pub unchanged: usize,
}

impl Plan {
    /// The number of rows to append; 0: the table says already what the file states.
    pub fn len(&self) -> usize {
        self.rows.num_rows()
    }

    /// Is there nothing to do?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows, as those of load `load`.
    ///
    /// # Errors
    /// None but by a bug.
    pub fn batch(&self, load: i64) -> Result<RecordBatch, ArrowError> {
        let number = Arc::new(ArrowField::new(column::LOAD, DataType::Int64, true));
        let schema = self.rows.schema();
        let fields: Vec<_> = schema.fields().iter().cloned().chain([number]).collect();
        let mut columns = self.rows.columns().to_vec();
        columns.push(Arc::new(Int64Array::from(vec![load; self.rows.num_rows()])));
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
    }
}

/// An interval, and where its values stand.
#[derive(Debug, Clone, Copy)]
struct Interval<'a> {
    from: i64,
    to: Option<i64>,
    values: Row<'a>,
    /// 0: the table, 1: the file; and the row there.
    place: (usize, usize),
}

/// A row to be appended: where its values stand, and what they hold for.
type Appended = ((usize, usize), i64, Option<i64>);

/// Plans a load. `now` (with [`Reference::schema`]) holds the rows of the table that count, those
/// that hold at no time left out. `full` says that the file names all keys: one that it does not
/// name ends at that instant, µs since 1970.
///
/// # Errors
/// Rows of the table overlap: somebody else wrote it. The message names one.
pub fn plan(
    reference: &Reference,
    now: &RecordBatch,
    stated: &Stated,
    full: Option<i64>,
) -> Result<Plan, String> {
    let failed = |error: ArrowError| format!("rows cannot be compared: {error}");
    let both = [now, &stated.rows];
    let keys = rows_of(&reference.key, &both).map_err(failed)?;
    let values = rows_of(&reference.values(), &both).map_err(failed)?;
    let mut by_key: BTreeMap<Row<'_>, [Vec<Interval<'_>>; 2]> = BTreeMap::new();
    for (side, batch) in both.into_iter().enumerate() {
        let times = |c: usize| batch.column(c).as_primitive::<TimestampMicrosecondType>();
        let (from, to) = (times(reference.valid_from), times(reference.valid_to));
        for (row, to) in to.iter().enumerate() {
            let values = values[side].row(row);
            let interval = Interval { from: from.value(row), to, values, place: (side, row) };
            by_key.entry(keys[side].row(row)).or_default()[side].push(interval);
        }
    }
    let (mut appended, mut counts) = (Vec::new(), Counts::default());
    for [before, file] in by_key.values_mut() {
        before.sort_by_key(|interval| interval.from);
        file.sort_by_key(|interval| interval.from);
        check(before)?;
        let named = !file.is_empty();
        let after = match full {
            _ if named => merged(before, file),
            Some(end) => ended(before, end),
            None => continue,
        };
        difference(before, &after, named, &mut appended, &mut counts);
    }
    let rows = gather(reference, &both, &appended).map_err(failed)?;
    Ok(Plan { rows, counts })
}

/// Rows of several batches in a form that compares.
pub(super) fn rows_of(
    columns: &[usize],
    batches: &[&RecordBatch],
) -> Result<Vec<Rows>, ArrowError> {
    let Some(first) = batches.first() else { return Ok(Vec::new()) };
    let kinds = columns.iter().map(|c| SortField::new(first.column(*c).data_type().clone()));
    let converter = RowConverter::new(kinds.collect())?;
    let rows = batches.iter().map(|batch| {
        let arrays: Vec<ArrayRef> = columns.iter().map(|c| batch.column(*c).clone()).collect();
        converter.convert_columns(&arrays)
    });
    rows.collect()
}

fn check(intervals: &[Interval<'_>]) -> Result<(), String> {
    let overlap = intervals.windows(2).find(|pair| pair[0].to.is_none_or(|to| to > pair[1].from));
    match overlap {
        None => Ok(()),
        Some(pair) => Err(format!(
            "two rows of one key that count overlap, those from {} and from {} on",
            time::render(pair[0].from),
            time::render(pair[1].from)
        )),
    }
}

/// What holds after a full file that does not name the key.
fn ended<'a>(before: &[Interval<'a>], end: i64) -> Vec<Interval<'a>> {
    let begun = before.iter().filter(|interval| interval.from < end);
    begun.map(|i| Interval { to: Some(i.to.map_or(end, |to| to.min(end))), ..*i }).collect()
}

/// What holds after the file: before its first row what held, then what it says. Neighbours that say
/// the same are one interval.
fn merged<'a>(before: &[Interval<'a>], file: &[Interval<'a>]) -> Vec<Interval<'a>> {
    let first = file.first().map_or(i64::MAX, |interval| interval.from);
    let kept = before.iter().filter(|interval| interval.from < first);
    let kept = kept.map(|i| Interval { to: Some(i.to.map_or(first, |to| to.min(first))), ..*i });
    let mut after: Vec<Interval<'a>> = Vec::with_capacity(before.len() + file.len());
    for next in kept.chain(file.iter().copied()) {
        match after.last_mut() {
            Some(last) if last.to == Some(next.from) && last.values == next.values => {
                last.to = next.to;
            }
            _ => after.push(next),
        }
    }
    after
}

/// The rows that turn `before` into `after`.
fn difference(
    before: &[Interval<'_>],
    after: &[Interval<'_>],
    named: bool,
    appended: &mut Vec<Appended>,
    counts: &mut Counts,
) {
    let mut old = before.iter().peekable();
    let mut withdraw = |gone: &Interval<'_>, counts: &mut Counts| {
        appended.push((gone.place, gone.from, Some(gone.from)));
        counts.withdrawn += 1;
    };
    let mut stay = Vec::new();
    for new in after {
        while let Some(gone) = old.next_if(|old| old.from < new.from) {
            withdraw(gone, counts);
        }
        match old.next_if(|old| old.from == new.from) {
            Some(old) if old.values == new.values && old.to == new.to => {
                counts.unchanged += usize::from(named);
                continue;
            }
            Some(old) if old.values == new.values => counts.ended += 1,
            Some(_) => counts.changed += 1,
            None => counts.added += 1,
        }
        stay.push((new.place, new.from, new.to));
    }
    for gone in old {
        withdraw(gone, counts);
    }
    appended.extend(stay);
}

/// The rows at the places, with other intervals.
fn gather(
    reference: &Reference,
    batches: &[&RecordBatch; 2],
    appended: &[Appended],
) -> Result<RecordBatch, ArrowError> {
    let times =
        |times: TimestampMicrosecondArray| -> ArrayRef { Arc::new(times.with_timezone("UTC")) };
    let places: Vec<(usize, usize)> = appended.iter().map(|(place, ..)| *place).collect();
    let columns = (0..reference.contract.fields.len()).map(|column| {
        if column == reference.valid_from {
            return Ok(times(appended.iter().map(|(_, from, _)| Some(*from)).collect()));
        }
        if column == reference.valid_to {
            return Ok(times(appended.iter().map(|(_, _, to)| *to).collect()));
        }
        let sides = batches.map(|batch| batch.column(column).as_ref());
        interleave(&sides, &places)
    });
    RecordBatch::try_new(reference.schema(), columns.collect::<Result<_, _>>()?)
}
