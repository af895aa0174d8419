//! Rows of a raw table through today's contract: which of the selected rejected ones it accepts. The
//! record is the one that Kafka had: its value, key, headers and time are read from the row.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::compute::{filter_record_batch, take};
use arrow_array::cast::AsArray;
use arrow_array::{Array, BinaryArray, BooleanArray, Int32Array, Int64Array, RecordBatch};
use arrow_array::{StringArray, TimestampMicrosecondArray, UInt32Array};
use weir_catalog::error::CatalogError;
use weir_contract::class::RejectClass;
use weir_contract::contract::Contract;
use weir_contract::decode::{Chunk, Decoder, Outcome, Record, read_headers};
use weir_contract::names::column;

use super::select::Selection;

/// What became of the selected rows of some batches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Selected rows.
    pub selected: u64,
    /// Rows that the contract accepts, by the class that they were rejected with.
    pub accepted: BTreeMap<String, u64>,
    /// Rows that it refuses, by the class that it would reject them with.
    pub refused: BTreeMap<String, u64>,
    /// Accepted rows by short source id and partition.
    pub moved: BTreeMap<(String, i32), i64>,
}

impl Tally {
    /// Both together.
    pub fn add(&mut self, other: &Tally) {
        self.selected += other.selected;
        let sum = |mine: &mut BTreeMap<String, u64>, theirs: &BTreeMap<String, u64>| {
            theirs.iter().for_each(|(class, n)| *mine.entry(class.clone()).or_default() += n);
        };
        sum(&mut self.accepted, &other.accepted);
        sum(&mut self.refused, &other.refused);
        for (place, n) in &other.moved {
            *self.moved.entry(place.clone()).or_default() += n;
        }
    }

    /// Rows that the contract accepts.
    pub fn accepted(&self) -> u64 {
        self.accepted.values().sum()
    }
}

/// One batch, judged.
#[derive(Debug)]
pub struct Judged {
    /// The accepted rows, decoded.
    pub accepted: Vec<Chunk>,
    /// Every other row, as it was: rejected, not selected, or accepted long ago.
    pub kept: Chunk,
    /// The counts.
    pub tally: Tally,
}

/// Judges batches of one table.
pub struct Judge<'a> {
    contract: &'a Arc<Contract>,
    selection: &'a Selection,
    rev: i32,
    decoders: BTreeMap<String, Decoder>,
}

/// The columns that make a record, and why it was rejected.
struct Columns<'a> {
    source: &'a StringArray,
    partition: &'a Int32Array,
    offset: &'a Int64Array,
    time: &'a TimestampMicrosecondArray,
    key: &'a BinaryArray,
    value: &'a BinaryArray,
    headers: &'a BinaryArray,
    error: &'a dyn Array,
    class: &'a StringArray,
}

impl<'a> Judge<'a> {
    /// A judge whose accepted rows have this revision.
    pub fn new(contract: &'a Arc<Contract>, selection: &'a Selection, rev: i32) -> Judge<'a> {
        Judge { contract, selection, rev, decoders: BTreeMap::new() }
    }

    /// Judges a batch with the schema of a raw table that fits the contract.
    pub fn judge(&mut self, batch: &RecordBatch, now_us: i64) -> Result<Judged, CatalogError> {
        let columns = Columns::of(batch)?;
        let mut tally = Tally::default();
        let mut accepted_rows = vec![false; batch.num_rows()];
        // Rows and whether they were accepted, by source, in the order in which its decoder got them.
        let mut pushed: BTreeMap<&str, Vec<(u32, bool)>> = BTreeMap::new();
        for (row, is_accepted) in accepted_rows.iter_mut().enumerate() {
            let Some(class) = columns.selected(row, self.selection) else { continue };
            tally.selected += 1;
            let source = columns.source.value(row);
            let decoder = self
                .decoders
                .entry(source.to_string())
                .or_insert_with(|| Decoder::new(self.contract.clone(), source).at_rev(self.rev));
            let outcome = columns.decode(row, class, decoder);
            if let Some(outcome) = outcome {
                let accepted = matches!(outcome, Outcome::Accepted { .. });
                pushed.entry(source).or_default().push((row as u32, accepted));
            }
            match outcome {
                Some(Outcome::Accepted { .. }) => {
                    *is_accepted = true;
                    *tally.accepted.entry(class.to_string()).or_default() += 1;
                    let place = (source.to_string(), columns.partition.value(row));
                    *tally.moved.entry(place).or_default() += 1;
                }
                Some(Outcome::Rejected(now)) => {
                    *tally.refused.entry(now.name().to_string()).or_default() += 1;
                }
                None => *tally.refused.entry(class.to_string()).or_default() += 1,
            }
        }
        let mut accepted = Vec::new();
        for (source, outcomes) in pushed {
            let Some(decoder) = self.decoders.get_mut(source) else { continue };
            let Chunk { batch: decoded, days, .. } = decoder.finish(now_us);
            let decoded =
                filter(&decoded, outcomes.iter().map(|(_, accepted)| *accepted).collect())?;
            let rows = outcomes.iter().filter(|(_, accepted)| *accepted).map(|(row, _)| *row);
            let days: Vec<_> = days.into_iter().filter(Option::is_some).collect();
            let decoded = with_trace(decoded, batch, rows.collect())?;
            accepted.push(Chunk { batch: decoded, days, rejected: 0 });
        }
        let kept = kept(batch, accepted_rows)?;
        Ok(Judged { accepted, kept, tally })
    }
}

/// The decoded rows with the trace ids that the rows have: a contract that protects personal data keeps
/// no headers to read them from.
fn with_trace(
    decoded: RecordBatch,
    batch: &RecordBatch,
    rows: Vec<u32>,
) -> Result<RecordBatch, CatalogError> {
    let failed = |e: arrow::error::ArrowError| CatalogError::bug(format!("keeping trace ids: {e}"));
    let traces = typed::<StringArray>(batch, column::TRACE_ID)?;
    let traces = take(traces, &UInt32Array::from(rows), None).map_err(failed)?;
    let schema = decoded.schema();
    let index = schema.index_of(column::TRACE_ID).map_err(failed)?;
    let mut columns = decoded.columns().to_vec();
    columns[index] = traces;
    RecordBatch::try_new(schema, columns).map_err(failed)
}

/// The rows that were not accepted now, with the day of their event's time.
fn kept(batch: &RecordBatch, accepted: Vec<bool>) -> Result<Chunk, CatalogError> {
    let batch = filter(batch, accepted.into_iter().map(|accepted| !accepted).collect())?;
    let times = typed::<TimestampMicrosecondArray>(&batch, column::EVENT_TIME)?;
    let day = |us: i64| us.div_euclid(86_400_000_000) as i32;
    let days: Vec<_> = times.iter().map(|time| time.map(day)).collect();
    let rejected = days.iter().filter(|day| day.is_none()).count();
    Ok(Chunk { batch, days, rejected })
}

fn filter(batch: &RecordBatch, keep: Vec<bool>) -> Result<RecordBatch, CatalogError> {
    filter_record_batch(batch, &BooleanArray::from(keep))
        .map_err(|e| CatalogError::bug(format!("choosing rows: {e}")))
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Columns<'a>, CatalogError> {
        let error = batch.column_by_name(column::ERROR);
        let error = error.and_then(|error| error.as_struct_opt());
        let error = error.ok_or_else(|| lacks(column::ERROR))?;
        let class = error.column_by_name(column::ERROR_MEMBERS[0]);
        Ok(Columns {
            source: typed(batch, column::SOURCE)?,
            partition: typed(batch, column::PARTITION)?,
            offset: typed(batch, column::OFFSET)?,
            time: typed(batch, column::KAFKA_TIME)?,
            key: typed(batch, column::KEY)?,
            value: typed(batch, column::VALUE)?,
            headers: typed(batch, column::HEADERS)?,
            error,
            class: class
                .and_then(|class| class.as_string_opt::<i32>())
                .ok_or_else(|| lacks(column::ERROR))?,
        })
    }

    /// The class of a rejected row that is selected.
    fn selected(&self, row: usize, selection: &Selection) -> Option<&'a str> {
        let placed =
            self.source.is_valid(row) && self.partition.is_valid(row) && self.offset.is_valid(row);
        if self.error.is_null(row) || !placed {
            return None;
        }
        let class = if self.class.is_valid(row) { self.class.value(row) } else { "" };
        let (partition, offset) = (self.partition.value(row), self.offset.value(row));
        selection.holds(class, partition, offset).then_some(class)
    }

    /// Decodes the record of a row; none if the row does not have the record whole.
    fn decode(&self, row: usize, class: &str, decoder: &mut Decoder) -> Option<Outcome> {
        let bytes = |array: &'a BinaryArray| array.is_valid(row).then(|| array.value(row));
        let value = bytes(self.value);
        if value.is_none() && class != RejectClass::NullValue.name() {
            return None;
        }
        let headers = match bytes(self.headers) {
            Some(json) => read_headers(json)?,
            None => Vec::new(),
        };
        let headers: Vec<(&str, Option<&[u8]>)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        Some(decoder.push(&Record {
            partition: self.partition.value(row),
            offset: self.offset.value(row),
            timestamp_ms: self.time.is_valid(row).then(|| self.time.value(row).div_euclid(1000)),
            key: bytes(self.key),
            value,
            headers: &headers,
        }))
    }
}

fn typed<'a, A: Array + 'static>(
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a A, CatalogError> {
    let array = batch.column_by_name(name).and_then(|array| array.as_any().downcast_ref());
    array.ok_or_else(|| lacks(name))
}

fn lacks(name: &str) -> CatalogError {
    CatalogError::bug(format!("rows of a raw table without a proper column {name}"))
}

#[cfg(test)]
mod tests {
    use weir_contract::contract::parse;

    use super::*;

    fn contract(kinds: &[&str]) -> Arc<Contract> {
        let kinds: String =
            kinds.iter().map(|kind| format!("          - value: {kind}\n")).collect();
        let text = format!(
            "apiVersion: v3.2.0
kind: DataContract
id: t
version: 1.0.0
schema:
  - name: event
    logicalType: object
    properties:
      - name: event_time
        logicalType: timestamp
        required: true
        customProperties:
          - property: weir.path
            value: time
      - name: kind
        logicalType: string
        enum:
{kinds}"
        );
        Arc::new(parse("t.yaml", &text).unwrap_or_else(|mistakes| panic!("{mistakes:?}")))
    }

    /// Rows of three kinds, and a tombstone, by a contract that knows only `a`.
    fn rows() -> RecordBatch {
        let mut decoder = Decoder::new(contract(&["a"]), "s1");
        let values = ["a", "b", "c"]
            .map(|kind| format!(r#"{{"time":"2026-11-21T10:00:00Z","data":{{"kind":"{kind}"}}}}"#));
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let headers: [(&str, Option<&[u8]>); 1] = [("traceparent", Some(parent.as_bytes()))];
        let values = values.iter().map(|text| Some(text.as_bytes())).chain([None]);
        for (offset, value) in (0..).zip(values) {
            decoder.push(&Record {
                partition: 3,
                offset,
                timestamp_ms: Some(1_795_255_200_000),
                key: Some(b"k"),
                value,
                headers: &headers,
            });
        }
        decoder.finish(1).batch
    }

    fn count(map: &BTreeMap<String, u64>) -> Vec<(&str, u64)> {
        map.iter().map(|(class, n)| (class.as_str(), *n)).collect()
    }

    #[test]
    fn what_the_contract_accepts_is_decoded_and_the_rest_is_kept() {
        let (wide, all) = (contract(&["a", "b"]), Selection::default());
        let judged = Judge::new(&wide, &all, 5).judge(&rows(), 77).unwrap();
        assert_eq!(judged.tally.selected, 3);
        assert_eq!(count(&judged.tally.accepted), [("out_of_range", 1)]);
        assert_eq!(count(&judged.tally.refused), [("null_value", 1), ("out_of_range", 1)]);
        assert_eq!(judged.tally.moved, BTreeMap::from([(("s1".to_string(), 3), 1)]));
        let [accepted] = &judged.accepted[..] else { panic!() };
        assert_eq!((accepted.batch.num_rows(), &accepted.days[..]), (1, &[Some(20_778)][..]));
        let text = |name: &str| {
            let column = accepted.batch.column_by_name(name).unwrap();
            arrow::util::display::array_value_to_string(column, 0).unwrap()
        };
        let expect = [
            (column::OFFSET, "1"),
            (column::REV, "5"),
            (column::SOURCE, "s1"),
            (column::TRACE_ID, "4bf92f3577b34da6a3ce929d0e0e4736"),
            (column::INGESTED_AT, "1970-01-01T00:00:00.000077Z"),
            ("kind", "b"),
        ];
        for (name, value) in expect {
            assert_eq!(text(name), value, "{name}");
        }
        // The accepted row of old and both that are refused, as they were.
        let kept = typed::<Int64Array>(&judged.kept.batch, column::OFFSET).unwrap();
        assert_eq!(kept.values(), &[0, 2, 3]);
        assert_eq!(judged.kept.days, [Some(20_778), None, None]);
        // Nothing is left to do for what is kept.
        let again = Judge::new(&wide, &all, 6).judge(&judged.kept.batch, 78).unwrap();
        assert_eq!((again.tally.accepted(), again.kept.batch.num_rows()), (0, 3));
    }

    #[test]
    fn what_is_not_selected_is_kept() {
        let wide = contract(&["a", "b", "c"]);
        let some = Selection { offsets: 2..9, ..Selection::default() };
        let judged = Judge::new(&wide, &some, 1).judge(&rows(), 0).unwrap();
        assert_eq!((judged.tally.selected, judged.tally.accepted()), (2, 1));
        assert_eq!(judged.kept.batch.num_rows(), 3);
    }

    #[test]
    fn a_record_whose_value_was_not_kept_stays_what_it_is() {
        let rows = rows();
        let index = rows.schema().index_of(column::VALUE).unwrap();
        let mut columns = rows.columns().to_vec();
        columns[index] = arrow_array::new_null_array(columns[index].data_type(), rows.num_rows());
        let without = RecordBatch::try_new(rows.schema(), columns).unwrap();
        let (wide, all) = (contract(&["a", "b", "c"]), Selection::default());
        let judged = Judge::new(&wide, &all, 1).judge(&without, 0).unwrap();
        assert_eq!(judged.tally.accepted(), 0);
        assert_eq!(count(&judged.tally.refused), [("null_value", 1), ("out_of_range", 2)]);
    }
}
