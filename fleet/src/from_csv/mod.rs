//! Real data as events: rows of a CSV file, by a mapping file. Nothing is cleaned: what the contract
//! refuses becomes rejected rows of the lake, and [`Refused`] says beforehand which and why.

mod mapping;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use weir_contract::contract::Contract;
use weir_contract::decode::{self, Decoder, Outcome};
use weir_contract::names::column;
use weir_contract::privacy::HashKey;

use crate::error::FleetError;
use crate::sink::{Record, Sink};
use crate::stream::Stream;
use mapping::{Event, Mapping, Row};

/// What became of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Rows behind the header.
    pub rows: u64,
    /// Rows that no event of the mapping wanted.
    pub unused: u64,
    /// Events by type.
    pub events: BTreeMap<String, u64>,
    /// Rejects to expect, by class and field; empty if no contract was asked.
    pub refused: BTreeMap<(String, String), Refused>,
}

/// Events that the contract refuses for the same reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// How many.
    pub events: u64,
    /// The first of them: its row, 1 for the first behind the header.
    pub row: u64,
    /// What is wrong with it.
    pub message: String,
}

/// A CSV file with its mapping, ready to be read.
pub struct Source {
    mapping: Mapping,
    reader: csv::Reader<File>,
    name: String,
}

impl Source {
    /// Opens a CSV file with a header and its mapping.
    pub fn open(file: &Path, mapping: &Path) -> Result<Source, FleetError> {
        let text = std::fs::read_to_string(mapping)
            .map_err(|error| FleetError::file(mapping, "read", &error))?;
        let wrong = |what: String| FleetError::config(format!("{}: {what}", mapping.display()));
        let raw = mapping::read(&text).map_err(wrong)?;
        let opened = File::open(file).map_err(|error| FleetError::file(file, "read", &error))?;
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(raw.delimiter())
            // A row that is too short or too long is data too.
            .flexible(true)
            .from_reader(opened);
        let name = file.display().to_string();
        let columns = reader.headers().map_err(|error| unreadable(&name, &error))?;
        let mapping = raw.resolve(columns).map_err(|wrongs| wrong(wrongs.join("; ")))?;
        Ok(Source { mapping, reader, name })
    }

    /// Where the events belong.
    pub fn stream(&self) -> Stream {
        self.mapping.stream
    }

    /// Sends an event for each that a row makes, in the file's order, with `now_ms` as Kafka time. With
    /// a contract the report says what it will refuse.
    pub fn send(
        mut self,
        sink: &mut dyn Sink,
        now_ms: i64,
        contract: Option<Contract>,
        stop: &AtomicBool,
    ) -> Result<Report, FleetError> {
        let mut report = Report::default();
        let mut judge = contract.map(judge).transpose()?;
        let mut seen: Vec<HashSet<String>> = vec![HashSet::new(); self.mapping.events.len()];
        let (mut values, mut key) = (csv::StringRecord::new(), Vec::new());
        let (mut value, mut scratch) = (Vec::new(), Vec::new());
        let read = |reader: &mut csv::Reader<File>, values: &mut csv::StringRecord| {
            reader.read_record(values).map_err(|error| unreadable(&self.name, &error))
        };
        while read(&mut self.reader, &mut values)? && !stop.load(Ordering::Relaxed) {
            report.rows += 1;
            let row = Row { values: &values, number: report.rows, repeat: 1 };
            let mut used = false;
            for (event, seen) in self.mapping.events.iter().zip(&mut seen) {
                for repeat in 1..=first_only(event, row, seen) {
                    let row = Row { repeat, ..row };
                    used = true;
                    key.clear();
                    event.key(row, &mut key);
                    value.clear();
                    event.write(row, &mut scratch, &mut value);
                    let stream = self.mapping.stream;
                    let record = Record { stream, key: &key, value: Some(&value), time_ms: now_ms };
                    sink.put(&record)?;
                    *report.events.entry(event.kind.clone()).or_default() += 1;
                    if let Some(judge) = &mut judge {
                        ask(judge, &record, row.number, &mut report);
                    }
                }
            }
            report.unused += u64::from(!used);
        }
        sink.finish()?;
        Ok(report)
    }
}

fn unreadable(name: &str, error: &csv::Error) -> FleetError {
    FleetError::config(format!("{name} cannot be read as CSV: {error}"))
}

/// A decoder that is only asked what it refuses: what it would hash with is of no matter.
fn judge(mut contract: Contract) -> Result<Decoder, FleetError> {
    let key = HashKey::new(b"to judge, not to keep").map_err(FleetError::config)?;
    contract.hash_key.get_or_insert(key);
    Ok(Decoder::new(Arc::new(contract), "csv"))
}

/// How many of the event the row makes, where only the first row of a value may make one.
fn first_only(event: &Event, row: Row<'_>, seen: &mut HashSet<String>) -> u64 {
    let count = event.count(row);
    let Some(column) = event.once_per.filter(|_| count > 0) else { return count };
    let value = row.values.get(column).unwrap_or_default();
    if seen.insert(value.into()) { count } else { 0 }
}

/// What does the contract say about the record?
fn ask(judge: &mut Decoder, record: &Record<'_>, row: u64, report: &mut Report) {
    let outcome = judge.push(&decode::Record {
        partition: 0,
        offset: row as i64,
        timestamp_ms: Some(record.time_ms),
        key: Some(record.key),
        value: record.value,
        headers: &[],
    });
    if let Outcome::Rejected(class) = outcome {
        let [field, message] = reason(judge);
        let refused = Refused { events: 0, row, message };
        let entry = report.refused.entry((class.name().into(), field)).or_insert(refused);
        entry.events += 1;
    } else if judge.rows() >= 10_000 {
        judge.finish(0);
    }
}

/// Field and message of the last row, which is a reject.
fn reason(judge: &mut Decoder) -> [String; 2] {
    use arrow_array::cast::AsArray;
    let batch = judge.finish(0).batch;
    let error = batch.column_by_name(column::ERROR).map(|error| error.as_struct());
    ["field", "message"].map(|member| {
        let texts = error.and_then(|error| error.column_by_name(member));
        let text = texts.and_then(|texts| {
            texts.as_string_opt::<i32>()?.iter().last().flatten().map(str::to_owned)
        });
        text.unwrap_or_default()
    })
}
