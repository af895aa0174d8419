//! The text of a CSV file → rows, or every mistake in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{RecordBatch, TimestampMicrosecondArray};
use csv::{ByteRecord, ReaderBuilder};

use super::cell::{self, Cell, Column, Row};
use super::plan::rows_of;
use super::{Mistakes, Reference, Stated};
use crate::contract::Requirement;
use crate::rule::Truth;
use crate::time;
use crate::yaml::{nearest, quoted};

/// Reads a file: RFC 4180 with a header that names columns of the contract in any order, UTF-8, a
/// byte order mark allowed. An empty field is null, and so is a column that the header does not name.
///
/// # Errors
/// Every mistake: nothing is half read.
pub fn read(reference: &Reference, text: &[u8]) -> Result<Stated, Mistakes> {
    let mut mistakes = Mistakes::default();
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    let mut record = ByteRecord::new();
    // Reading from memory fails at nothing.
    if !matches!(reader.read_byte_record(&mut record), Ok(true)) {
        mistakes.push(1, "the file is empty; its first line names the columns");
        return Err(mistakes);
    }
    let line = record.position().map_or(1, csv::Position::line);
    let header = read_header(reference, &record, line, &mut mistakes);
    if mistakes.count > 0 {
        return Err(mistakes);
    }
    let fields = &reference.contract.fields;
    let mut columns: Vec<Column> = fields.iter().map(|f| Column::new(f.kind)).collect();
    let mut lines = Vec::new();
    while matches!(reader.read_byte_record(&mut record), Ok(true)) {
        let line = record.position().map_or(0, csv::Position::line);
        let row = read_row(reference, &header, &record, line, &mut mistakes);
        // One that has mistakes is there too, so that the others are found.
        for (column, cell) in columns.iter_mut().zip(row) {
            column.push(cell);
        }
        lines.push(line);
    }
    let arrays = columns.iter_mut().map(Column::finish).collect();
    let rows = RecordBatch::try_new(reference.schema(), arrays);
    match rows {
        Ok(rows) if mistakes.count == 0 => until_the_next(reference, rows, &lines),
        Ok(_) => Err(mistakes.sorted()),
        Err(error) => {
            mistakes.push(1, format!("the rows make no table: {error}"));
            Err(mistakes)
        }
    }
}

/// Which column each field of a row belongs to.
fn read_header(
    reference: &Reference,
    header: &ByteRecord,
    line: u64,
    mistakes: &mut Mistakes,
) -> Vec<usize> {
    let contract = &reference.contract;
    let mut columns = Vec::new();
    for name in header {
        let name = String::from_utf8_lossy(name);
        match contract.index_of(&name) {
            Some(column) if columns.contains(&column) => {
                mistakes.push(line, format!("the header names {} twice", quoted(&name)));
            }
            Some(column) => columns.push(column),
            None => {
                let near = nearest(&name, contract.fields.iter().map(|f| f.name.as_str()));
                let advice = match near {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("the contract {} has no such column", contract.id),
                };
                let name = quoted(&name);
                mistakes.push(line, format!("unknown column {name} in the header; {advice}"));
            }
        }
    }
    for (index, field) in contract.fields.iter().enumerate() {
        if field.required == Requirement::Always && !columns.contains(&index) {
            mistakes.push(line, format!("the header lacks the required column {}", field.name));
        }
    }
    columns
}

/// The values of one row, in the order of the contract; null where there was a mistake.
fn read_row<'a>(
    reference: &Reference,
    header: &[usize],
    record: &'a ByteRecord,
    line: u64,
    mistakes: &mut Mistakes,
) -> Vec<Cell<'a>> {
    let fields = &reference.contract.fields;
    let mut row = vec![Cell::Null; fields.len()];
    if record.len() != header.len() {
        let (has, names) = (record.len(), header.len());
        mistakes.push(line, format!("the row has {has} fields, the header names {names}"));
        return row;
    }
    let before = mistakes.count;
    for (&column, bytes) in header.iter().zip(record) {
        let field = &fields[column];
        match std::str::from_utf8(bytes) {
            Err(_) => mistakes.push(line, format!("{} is not UTF-8", field.name)),
            Ok(text) => match cell::parse(field, text) {
                Ok(cell) => row[column] = cell,
                Err(why) => mistakes.push(line, format!("{} {why}", cell::shown(field, text))),
            },
        }
    }
    if mistakes.count > before {
        return row;
    }
    for (field, cell) in fields.iter().zip(&row) {
        if field.required == Requirement::Always && *cell == Cell::Null {
            mistakes.push(line, format!("{} is empty; the contract requires it", field.name));
        }
    }
    let (from, to) = (row[reference.valid_from], row[reference.valid_to]);
    if let (Cell::Exact(from), Cell::Exact(to)) = (from, to)
        && to <= from
    {
        mistakes.push(line, "valid_to is not after valid_from");
        return row;
    }
    for rule in &reference.contract.rules {
        if matches!(rule.truth(&Row(&row)), Truth::False | Truth::Overflow) {
            mistakes.push(line, format!("the rule {} does not hold: {}", rule.name, rule.text));
        }
    }
    row
}

/// Gives each row that has no end the beginning of the next row of its key, and finds those that
/// overlap.
fn until_the_next(
    reference: &Reference,
    rows: RecordBatch,
    lines: &[u64],
) -> Result<Stated, Mistakes> {
    let mut mistakes = Mistakes::default();
    let keys = match rows_of(&reference.key, &[&rows]) {
        Ok(mut keys) => keys.remove(0),
        Err(error) => {
            mistakes.push(1, format!("the keys cannot be compared: {error}"));
            return Err(mistakes);
        }
    };
    let times = |column: usize| rows.column(column).as_primitive::<TimestampMicrosecondType>();
    let from = times(reference.valid_from).values();
    let stated = times(reference.valid_to);
    let mut to: Vec<Option<i64>> = stated.iter().collect();
    let mut by_key: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for row in 0..rows.num_rows() {
        by_key.entry(keys.row(row)).or_default().push(row);
    }
    for rows in by_key.values_mut() {
        rows.sort_by_key(|row| from[*row]);
        for pair in rows.windows(2) {
            let (row, next) = (pair[0], pair[1]);
            let (first, second) = (lines[row].min(lines[next]), lines[row].max(lines[next]));
            if from[row] == from[next] {
                let at = time::render(from[row]);
                mistakes.push(
                    second,
                    format!("a second row of its key from {at} on; the first is line {first}"),
                );
            } else if to[row].is_some_and(|to| to > from[next]) {
                let until = time::render(to[row].unwrap_or_default());
                mistakes.push(
                    lines[next],
                    format!("overlaps line {}, which holds until {until}", lines[row]),
                );
            } else {
                to[row] = to[row].or(Some(from[next]));
            }
        }
    }
    if mistakes.count > 0 {
        return Err(mistakes.sorted());
    }
    let to = TimestampMicrosecondArray::from(to).with_timezone("UTC");
    let mut columns = rows.columns().to_vec();
    columns[reference.valid_to] = Arc::new(to);
    match RecordBatch::try_new(rows.schema(), columns) {
        Ok(rows) => Ok(Stated { rows }),
        Err(error) => {
            mistakes.push(1, format!("the rows make no table: {error}"));
            Err(mistakes)
        }
    }
}
