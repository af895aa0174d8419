//! The simulation's contract and events, and data files that are lines of text: what stands in a row is
//! readable without Parquet, at a fraction of its cost.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use weir_catalog::encode::{Encoded, FileEncoder, FileFormat, TableSchema};
use weir_catalog::error::{CatalogError, Result};
use weir_contract::contract::{Allowed, Contract, Field, FieldType, Path, Requirement};
use weir_contract::names::column;

/// What a row of the simulation says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// Kafka partition.
    pub partition: i32,
    /// Kafka offset.
    pub offset: i64,
    /// The event's id, if it was accepted.
    pub id: Option<String>,
    /// Whether it was rejected.
    pub rejected: bool,
}

/// The simulation's contract: an id and a time.
pub fn contract() -> Contract {
    let field = |name: &str, member: &str, kind| Field {
        name: name.into(),
        path: Path { object: None, member: member.into() },
        kind,
        required: Requirement::Always,
        allowed: Allowed::default(),
        hashed: false,
        description: String::new(),
    };
    Contract {
        id: "vending.health".into(),
        version: "1.0.0".into(),
        description: "simulated events".into(),
        fields: vec![
            field(column::EVENT_ID, "id", FieldType::String),
            field(column::EVENT_TIME, "time", FieldType::Timestamp),
        ],
        ..Contract::default()
    }
}

/// The contract as it is corrected later: an event needs no id.
pub fn corrected() -> Contract {
    let mut contract = contract();
    contract.fields[0].required = Requirement::Never;
    Contract { version: "1.1.0".into(), ..contract }
}

/// The id of the event at an offset: names its place, so that a row tells whether it is there.
pub fn event_id(partition: i32, offset: i64) -> String {
    format!("event-{partition}-{offset}")
}

/// A good event; they fall on two days.
pub fn event(partition: i32, offset: i64) -> Vec<u8> {
    let id = event_id(partition, offset);
    let (day, second) = (30 + offset % 7 / 6, offset % 60);
    format!(r#"{{"id":"{id}","time":"2024-12-{day}T10:00:{second:02}Z"}}"#).into_bytes()
}

/// What an event without an id, which only the corrected contract accepts, begins with.
pub const ODD: &[u8] = b"{\"time\"";

/// An event without an id.
pub fn odd_event(offset: i64) -> Vec<u8> {
    format!(r#"{{"time":"2024-12-30T10:00:{:02}Z"}}"#, offset % 60).into_bytes()
}

/// Rows of a batch.
pub fn rows(batch: &RecordBatch) -> Result<Vec<Row>> {
    let column = |name: &str| {
        let found = batch.column_by_name(name);
        found.ok_or_else(|| CatalogError::bug(format!("no column {name}")))
    };
    let partition = column(column::PARTITION)?.as_primitive::<Int32Type>();
    let offset = column(column::OFFSET)?.as_primitive::<Int64Type>();
    let id = column(column::EVENT_ID)?.as_string::<i32>();
    let error = column(column::ERROR)?;
    let row = |i| Row {
        partition: partition.value(i),
        offset: offset.value(i),
        id: id.is_valid(i).then(|| id.value(i).to_string()),
        rejected: error.is_valid(i),
    };
    Ok((0..batch.num_rows()).map(row).collect())
}

/// Data files as lines.
#[derive(Debug)]
pub struct LineFormat;

impl FileFormat for LineFormat {
    fn encoder(&self, _: &TableSchema, day: Option<i32>) -> Result<Box<dyn FileEncoder>> {
        Ok(Box::new(Lines { day, text: String::new(), rows: 0 }))
    }
}

struct Lines {
    day: Option<i32>,
    text: String,
    rows: u64,
}

impl FileEncoder for Lines {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        for row in rows(batch)? {
            let id = row.id.unwrap_or_default();
            self.text += &format!("{} {} {} {id}\n", row.partition, row.offset, row.rejected);
            self.rows += 1;
        }
        Ok(())
    }

    fn memory(&self) -> usize {
        self.text.len()
    }

    fn encoded(&self) -> usize {
        self.text.len()
    }

    fn finish(self: Box<Self>) -> Result<Encoded> {
        Ok(Encoded::without_metrics(self.text.into_bytes().into(), self.rows, self.day))
    }
}

/// Reads a data file of either format.
pub fn read(bytes: &Bytes) -> Result<Vec<Row>> {
    if bytes.starts_with(b"PAR1") {
        return read_parquet(bytes);
    }
    let lines = std::str::from_utf8(bytes).ok().and_then(read_lines);
    lines.ok_or_else(|| CatalogError::bad_data("these are not lines of rows"))
}

fn read_parquet(bytes: &Bytes) -> Result<Vec<Row>> {
    let failed = |e: &dyn std::fmt::Display| CatalogError::bad_data(e.to_string());
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).map_err(|e| failed(&e))?;
    let mut all = Vec::new();
    for batch in reader.build().map_err(|e| failed(&e))? {
        all.extend(rows(&batch.map_err(|e| failed(&e))?)?);
    }
    Ok(all)
}

fn read_lines(text: &str) -> Option<Vec<Row>> {
    let row = |line: &str| {
        let mut words = line.split(' ');
        Some(Row {
            partition: words.next()?.parse().ok()?,
            offset: words.next()?.parse().ok()?,
            rejected: words.next()?.parse().ok()?,
            id: words.next().filter(|id| !id.is_empty()).map(str::to_string),
        })
    };
    text.lines().map(row).collect()
}
