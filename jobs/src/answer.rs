//! What `weir where` answers, for people and for machines.

use std::fmt::Write;

use arrow::array::AsArray;
use serde_json::{Value, json};
use weir_catalog::locate::{At, Brought, FileAt, First, Hit, Place, Ranges, RowAt, State};
use weir_catalog::look::as_of::show_time;
use weir_contract::names::TableName;

use crate::failure::Failure;
use crate::output::Column;
use crate::rows::objects;

/// Columns of a list of rows.
pub const HITS: [Column; 6] = [
    Column::text("table"),
    Column::text("source"),
    Column::number("partition"),
    Column::number("offset"),
    Column::text("rejected"),
    Column::text("kafka_time"),
];

/// One thing that was found.
pub enum Answer {
    /// A record's place.
    Place(Place),
    /// A file and its offsets.
    File(FileAt),
    /// A snapshot and its offsets.
    Snapshot(Box<Brought>),
    /// One row of a trace or event.
    Hit(Hit),
}

impl Answer {
    /// For machines.
    pub fn json(&self, table: &TableName) -> Result<Value, Failure> {
        let made = match self {
            Answer::Place(place) => serde_json::to_value(place),
            Answer::File(file) => serde_json::to_value(file),
            Answer::Snapshot(brought) => serde_json::to_value(brought),
            Answer::Hit(hit) => serde_json::to_value(hit),
        };
        let mut object = made.map_err(Failure::bug)?;
        object["table"] = json!(table.to_string());
        if let Answer::Place(Place { state: State::Row { rows }, .. }) = self {
            for (at, row) in rows.iter().enumerate() {
                object["rows"][at]["row"] = first_row(row)?;
            }
        }
        Ok(object)
    }

    /// The cells under [`HITS`].
    pub fn cells(&self) -> Vec<Value> {
        let Answer::Hit(hit) = self else { return Vec::new() };
        vec![
            json!(hit.table.to_string()),
            json!(hit.source),
            json!(hit.partition),
            json!(hit.offset.to_string()),
            json!(hit.rejected),
            json!(hit.kafka_time),
        ]
    }

    /// For people, without a line break at the end.
    pub fn human(&self, table: &TableName) -> Result<String, Failure> {
        match self {
            Answer::Place(found) => place(table, found),
            Answer::File(found) => Ok(file(table, found)),
            Answer::Snapshot(found) => Ok(snapshot(table, found)),
            Answer::Hit(hit) => Ok(format!("{table}: {}/{}", hit.partition, hit.offset)),
        }
    }
}

fn first_row(row: &RowAt) -> Result<Value, Failure> {
    Ok(objects(&row.row)?.into_iter().next().unwrap_or(Value::Null))
}

fn place(table: &TableName, place: &Place) -> Result<String, Failure> {
    let source = place.source.as_deref().unwrap_or("no source with that partition");
    let mut text = format!("{table}: partition {}, offset {}", place.partition, place.offset);
    text += &format!(" of {source}");
    match &place.state {
        State::NotIngested { head: Some(head) } => {
            text += &format!("\n  not yet ingested: the table is complete up to offset {head}");
        }
        State::NotIngested { head: None } => {
            text += "\n  not yet ingested: the table does not know this partition";
        }
        State::BeforeStart { start } => {
            text += &format!("\n  before the start: the table begins at offset {start}");
        }
        State::NoRow { why } => {
            let either = if why.len() > 1 { "either " } else { "" };
            let why: Vec<&str> = why.iter().map(|why| why.text()).collect();
            text += &format!("\n  no row: {either}{}", why.join("\n  or "));
        }
        State::Row { rows } => rows.iter().try_for_each(|found| row(&mut text, found))?,
    }
    Ok(text)
}

fn row(text: &mut String, row: &RowAt) -> Result<(), Failure> {
    let what = if row.rejected { "rejected" } else { "accepted" };
    let mut line = |name: &str, value: &str| {
        // Writing to memory cannot fail.
        let _ = write!(text, "\n  {name:<12}{value}");
    };
    line("row", &format!("{what}, revision {}", row.rev));
    line("file", &row.file);
    line("held since", &first(&row.first));
    if let Some(redriven) = &row.redriven {
        line("redriven by", &first(redriven));
    }
    if let Value::Object(members) = first_row(row)? {
        for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
            let value = match (bytes_as_text(row, name), value) {
                (Some(text), _) => text,
                (None, Value::String(text)) => text.clone(),
                (None, other) => other.to_string(),
            };
            line("", &format!("{name}: {value}"));
        }
    }
    Ok(())
}

/// What a column of bytes holds, if it is text.
fn bytes_as_text(row: &RowAt, name: &str) -> Option<String> {
    let bytes = row.row.column_by_name(name)?.as_binary_opt::<i32>()?.value(0);
    std::str::from_utf8(bytes).ok().map(str::to_string)
}

fn first(first: &First) -> String {
    let at = |at: &At| format!("snapshot {} of {}", at.snapshot, show_time(at.committed_at_ms));
    match first {
        First::Snapshot(found) => at(found),
        First::Tag { tag, at: found } => {
            format!("expired; the first tag that holds it is {tag}, {}", at(found))
        }
        First::Expired { oldest: Some(oldest) } => {
            format!("expired; the oldest that stands and holds it is {}", at(oldest))
        }
        First::Expired { oldest: None } => "expired".to_string(),
    }
}

fn file(table: &TableName, file: &FileAt) -> String {
    let mut text = format!("{table}: {}", file.file);
    if let Some(added_by) = file.added_by {
        text += &format!("\n  added by snapshot {added_by}");
    }
    text += &match (file.current, file.newest) {
        (false, Some(newest)) => {
            format!("\n  no longer in the table; the newest snapshot with it is {newest}")
        }
        _ => "\n  in the current snapshot".to_string(),
    };
    text + &ranges(&file.offsets)
}

fn ranges(all: &[Ranges]) -> String {
    let mut text = String::new();
    for found in all {
        text += &format!("\n  {}, partition {}", found.source, found.partition);
        for (what, offsets) in [("accepted", &found.accepted), ("rejected", &found.rejected)] {
            if offsets.count > 0 {
                text += &format!("\n    {what} {}: {offsets}", offsets.count);
            }
        }
    }
    text
}

fn snapshot(table: &TableName, brought: &Brought) -> String {
    let line = &brought.line;
    let by = line.stage.as_deref().unwrap_or("another engine");
    let at = show_time(line.committed_at_ms);
    let mut text = format!("{table}: snapshot {} of {at}, {} by {by}", line.id, line.operation);
    for moved in &line.moved {
        let (from, until) = (moved.from, moved.until);
        text += &format!("\n  {}, partition {}", moved.source, moved.partition);
        text += &format!("\n    brought offsets {from} until {until}");
    }
    if !brought.redriven.is_empty() {
        text += "\n  rejected rows that it replaced by accepted ones:";
        text += &ranges(&brought.redriven);
    }
    if line.moved.is_empty() && brought.redriven.is_empty() {
        text += "\n  brought no offsets, as far as standing snapshots tell";
    }
    text
}
