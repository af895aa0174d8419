//! One field of a CSV file → a value of its column.

use arrow_array::ArrayRef;
use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int32Builder,
    Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use serde::de::IgnoredAny;

use crate::contract::{Allowed, Bound, Field, FieldType, decimal, double, integer};
use crate::rule::Cells;
use crate::time;
use crate::yaml::{nearest, quoted};

/// A value; times in µs, dates in days, decimals unscaled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell<'a> {
    Null,
    Text(&'a str),
    Boolean(bool),
    Exact(i128),
    Double(f64),
}

/// The value of `text` in the column, or what is wrong with it. An empty field is null.
pub(super) fn parse<'a>(field: &Field, text: &'a str) -> Result<Cell<'a>, String> {
    if text.is_empty() {
        return Ok(Cell::Null);
    }
    if text.trim() != text {
        return Err("has a blank at its beginning or end; remove it".into());
    }
    let allowed = &field.allowed;
    let cell = match field.kind {
        FieldType::String => {
            length(allowed, text)?;
            Cell::Text(text)
        }
        FieldType::Json => {
            let nested =
                text.starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok();
            if !nested {
                return Err("is not a JSON object or array".into());
            }
            Cell::Text(text)
        }
        FieldType::Boolean if text.eq_ignore_ascii_case("true") => Cell::Boolean(true),
        FieldType::Boolean if text.eq_ignore_ascii_case("false") => Cell::Boolean(false),
        FieldType::Boolean => return Err("is neither true nor false".into()),
        FieldType::Int => Cell::Exact(whole(text, i32::MIN.into(), i32::MAX.into())?),
        FieldType::Long => Cell::Exact(whole(text, i64::MIN.into(), i64::MAX.into())?),
        FieldType::Decimal { precision, scale } => Cell::Exact(
            decimal(text, precision, scale).map_err(|why| format!("does not fit: {why}"))?,
        ),
        // Zero has no sign: readers differ in whether -0.0 equals 0.0.
        FieldType::Double => Cell::Double(double(text).map_err(|_| "is no finite number")? + 0.0),
        FieldType::Timestamp => Cell::Exact(time::timestamp(text.as_bytes())?.into()),
        FieldType::Date => Cell::Exact(time::day(text.as_bytes())?.into()),
    };
    bounds(allowed, cell)?;
    if !allowed.values.is_empty() && !listed(allowed, cell, text) {
        let near = nearest(text, allowed.values.iter().map(String::as_str));
        return Err(match near {
            Some(near) => format!("is not allowed; did you mean {near}?"),
            None => format!("is not one of {}", allowed.values.join(", ")),
        });
    }
    Ok(cell)
}

/// A field as messages show it.
pub(super) fn shown(field: &Field, text: &str) -> String {
    format!("{} {}", field.name, quoted(text))
}

fn whole(text: &str, least: i128, greatest: i128) -> Result<i128, String> {
    let number = integer(text).map_err(|_| "is not a whole number in decimal digits")?;
    match (least..=greatest).contains(&number) {
        true => Ok(number),
        false => Err(format!("lies outside of {least} to {greatest}")),
    }
}

fn length(allowed: &Allowed, text: &str) -> Result<(), String> {
    let length = text.chars().count();
    if allowed.length_max.is_some_and(|max| length > max) {
        return Err(format!("is longer than {} characters", allowed.length_max.unwrap_or(0)));
    }
    if allowed.length_min.is_some_and(|min| length < min) {
        return Err(format!("is shorter than {} characters", allowed.length_min.unwrap_or(0)));
    }
    Ok(())
}

fn bounds(allowed: &Allowed, cell: Cell<'_>) -> Result<(), String> {
    let beyond = |limit: Option<Bound>, wrong: fn(std::cmp::Ordering) -> bool| {
        let order = match (cell, limit) {
            (Cell::Exact(value), Some(Bound::Exact(limit))) => Some(value.cmp(&limit)),
            (Cell::Double(value), Some(Bound::Double(limit))) => value.partial_cmp(&limit),
            _ => None,
        };
        order.is_some_and(wrong)
    };
    if beyond(allowed.minimum, std::cmp::Ordering::is_lt) {
        return Err("is less than the contract's minimum".into());
    }
    if beyond(allowed.maximum, std::cmp::Ordering::is_gt) {
        return Err("is greater than the contract's maximum".into());
    }
    Ok(())
}

fn listed(allowed: &Allowed, cell: Cell<'_>, text: &str) -> bool {
    match cell {
        Cell::Exact(number) => allowed.values.contains(&number.to_string()),
        _ => allowed.values.iter().any(|value| value == text),
    }
}

/// One row's values, for the contract's rules.
pub(super) struct Row<'a>(pub &'a [Cell<'a>]);

impl Cells for Row<'_> {
    fn exact(&self, column: usize) -> Option<i128> {
        match self.0[column] {
            Cell::Exact(value) => Some(value),
            _ => None,
        }
    }

    fn double(&self, column: usize) -> Option<f64> {
        match self.0[column] {
            Cell::Double(value) => Some(value),
            _ => None,
        }
    }

    fn text(&self, column: usize) -> Option<&[u8]> {
        match self.0[column] {
            Cell::Text(text) => Some(text.as_bytes()),
            _ => None,
        }
    }

    fn boolean(&self, column: usize) -> Option<bool> {
        match self.0[column] {
            Cell::Boolean(value) => Some(value),
            _ => None,
        }
    }

    fn is_null(&self, column: usize) -> bool {
        self.0[column] == Cell::Null
    }
}

/// The values of one column.
pub(super) enum Column {
    Text(StringBuilder),
    Boolean(BooleanBuilder),
    Int(Int32Builder),
    Long(Int64Builder),
    Double(Float64Builder),
    Decimal(Decimal128Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Date(Date32Builder),
}

impl Column {
    pub fn new(kind: FieldType) -> Column {
        match kind {
            FieldType::String | FieldType::Json => Column::Text(StringBuilder::new()),
            FieldType::Boolean => Column::Boolean(BooleanBuilder::new()),
            FieldType::Int => Column::Int(Int32Builder::new()),
            FieldType::Long => Column::Long(Int64Builder::new()),
            FieldType::Double => Column::Double(Float64Builder::new()),
            FieldType::Decimal { .. } => {
                let builder = Decimal128Builder::new();
                Column::Decimal(builder.with_data_type(crate::decode::arrow_type(kind)))
            }
            FieldType::Timestamp => {
                let builder = TimestampMicrosecondBuilder::new();
                Column::Timestamp(builder.with_timezone("UTC"))
            }
            FieldType::Date => Column::Date(Date32Builder::new()),
        }
    }

    /// Adds a value that [`parse`] gave for a column of this type; anything else is null.
    pub fn push(&mut self, cell: Cell<'_>) {
        match (self, cell) {
            (Column::Text(b), Cell::Text(text)) => b.append_value(text),
            (Column::Text(b), _) => b.append_null(),
            (Column::Boolean(b), Cell::Boolean(value)) => b.append_value(value),
            (Column::Boolean(b), _) => b.append_null(),
            (Column::Double(b), Cell::Double(value)) => b.append_value(value),
            (Column::Double(b), _) => b.append_null(),
            (Column::Decimal(b), Cell::Exact(value)) => b.append_value(value),
            (Column::Decimal(b), _) => b.append_null(),
            (Column::Int(b), cell) => b.append_option(exact(cell)),
            (Column::Date(b), cell) => b.append_option(exact(cell)),
            (Column::Long(b), cell) => b.append_option(exact(cell)),
            (Column::Timestamp(b), cell) => b.append_option(exact(cell)),
        }
    }

    pub fn finish(&mut self) -> ArrayRef {
        match self {
            Column::Text(b) => ArrayBuilder::finish(b),
            Column::Boolean(b) => ArrayBuilder::finish(b),
            Column::Int(b) => ArrayBuilder::finish(b),
            Column::Long(b) => ArrayBuilder::finish(b),
            Column::Double(b) => ArrayBuilder::finish(b),
            Column::Decimal(b) => ArrayBuilder::finish(b),
            Column::Timestamp(b) => ArrayBuilder::finish(b),
            Column::Date(b) => ArrayBuilder::finish(b),
        }
    }
}

fn exact<T: TryFrom<i128>>(cell: Cell<'_>) -> Option<T> {
    match cell {
        Cell::Exact(value) => T::try_from(value).ok(),
        _ => None,
    }
}
