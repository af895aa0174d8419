//! One contract column: its rules, resolved to the units of its buffer, and the buffer.

use arrow_array::ArrayRef;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_schema::DataType;

use super::column::{Bytes, Fixed};
use super::plan;
use crate::contract::{Bound, Contract, Field, FieldType};
use crate::names::column;

/// What a column does besides holding its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Plain,
    /// The event's type, which decides what is required.
    EventType,
    /// The event's time, which must lie between the contract's bounds.
    EventTime,
}

/// A contract column.
#[derive(Debug)]
pub(super) struct Column {
    pub role: Role,
    /// How many containers surround its values.
    pub depth: usize,
    pub store: Store,
    data_type: DataType,
}

/// A column's values and the rules for them, by type.
#[derive(Debug)]
pub(super) enum Store {
    Text(Bytes, TextRule),
    /// Hashes of strings.
    Hashed(Bytes),
    Boolean(Fixed<bool>),
    Int(Fixed<i32>, WholeRule),
    Long(Fixed<i64>, WholeRule),
    Double(Fixed<f64>, Range<f64>),
    Decimal {
        values: Fixed<i128>,
        precision: u8,
        scale: u8,
        range: Range<i128>,
    },
    Timestamp(Fixed<i64>),
    Date(Fixed<i32>),
    Json(Bytes),
}

/// Inclusive bounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range<T> {
    pub minimum: Option<T>,
    pub maximum: Option<T>,
}

impl<T: PartialOrd> Range<T> {
    #[inline(always)]
    pub fn below(&self, value: &T) -> bool {
        self.minimum.as_ref().is_some_and(|minimum| value < minimum)
    }

    #[inline(always)]
    pub fn above(&self, value: &T) -> bool {
        self.maximum.as_ref().is_some_and(|maximum| value > maximum)
    }
}

/// What a whole number may be.
#[derive(Debug)]
pub(super) struct WholeRule {
    pub range: Range<i128>,
    /// Sorted; empty means any.
    values: Vec<i64>,
}

impl WholeRule {
    #[inline]
    pub fn lists(&self, value: i64) -> bool {
        self.values.is_empty() || self.values.binary_search(&value).is_ok()
    }
}

/// What a string may be.
#[derive(Debug)]
pub(super) struct TextRule {
    pub values: ClosedList,
    length_min: usize,
    length_max: usize,
}

impl TextRule {
    /// More bytes than characters are possible, never fewer; so most strings are not counted.
    #[inline]
    pub fn too_long(&self, text: &[u8]) -> bool {
        text.len() > self.length_max && characters(text) > self.length_max
    }

    #[inline]
    pub fn too_short(&self, text: &[u8]) -> bool {
        self.length_min > 0 && characters(text) < self.length_min
    }
}

/// Characters of a UTF-8 text.
fn characters(text: &[u8]) -> usize {
    text.iter().filter(|&&byte| byte & 0xC0 != 0x80).count()
}

/// A closed list of strings that remembers the last hit, since values repeat.
#[derive(Debug)]
pub(super) struct ClosedList {
    values: Vec<Box<[u8]>>,
    last: usize,
}

impl ClosedList {
    pub fn new(values: &[String]) -> ClosedList {
        ClosedList { values: values.iter().map(|v| v.as_bytes().into()).collect(), last: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The position of `text` in the list.
    #[inline]
    pub fn find(&mut self, text: &[u8]) -> Option<usize> {
        if self.values.get(self.last).is_some_and(|value| **value == *text) {
            return Some(self.last);
        }
        self.last = self.values.iter().position(|value| **value == *text)?;
        Some(self.last)
    }
}

impl Column {
    pub fn new(field: &Field) -> Column {
        let rule = &field.allowed;
        let whole = || {
            let mut values: Vec<i64> = rule.values.iter().filter_map(|v| v.parse().ok()).collect();
            values.sort_unstable();
            WholeRule { range: exact_range(rule.minimum, rule.maximum), values }
        };
        let store = match field.kind {
            FieldType::String if field.hashed => Store::Hashed(Bytes::default()),
            FieldType::String => {
                let values = ClosedList::new(&rule.values);
                let length_min = rule.length_min.unwrap_or(0);
                let length_max = rule.length_max.unwrap_or(usize::MAX);
                Store::Text(Bytes::default(), TextRule { values, length_min, length_max })
            }
            FieldType::Boolean => Store::Boolean(Fixed::default()),
            FieldType::Int => Store::Int(Fixed::default(), whole()),
            FieldType::Long => Store::Long(Fixed::default(), whole()),
            FieldType::Double => {
                let double = |bound| match bound {
                    Bound::Exact(value) => value as f64,
                    Bound::Double(value) => value,
                };
                let (minimum, maximum) = (rule.minimum.map(double), rule.maximum.map(double));
                Store::Double(Fixed::default(), Range { minimum, maximum })
            }
            FieldType::Decimal { precision, scale } => {
                let range = exact_range(rule.minimum, rule.maximum);
                Store::Decimal { values: Fixed::default(), precision, scale, range }
            }
            FieldType::Timestamp => Store::Timestamp(Fixed::default()),
            FieldType::Date => Store::Date(Fixed::default()),
            FieldType::Json => Store::Json(Bytes::default()),
        };
        let role = match field.name.as_str() {
            column::EVENT_TYPE => Role::EventType,
            column::EVENT_TIME => Role::EventTime,
            _ => Role::Plain,
        };
        let depth = if field.path.object.is_some() { 2 } else { 1 };
        Column { role, depth, store, data_type: plan::arrow_type(field.kind) }
    }

    /// The columns of a contract, in order.
    pub fn all(contract: &Contract) -> Vec<Column> {
        contract.fields.iter().map(Column::new).collect()
    }

    /// Takes back what rows from `rows` on have pushed.
    pub fn truncate(&mut self, rows: usize) {
        match &mut self.store {
            Store::Text(values, _) | Store::Hashed(values) | Store::Json(values) => {
                values.truncate(rows);
            }
            Store::Boolean(values) => values.truncate(rows),
            Store::Int(values, _) | Store::Date(values) => values.truncate(rows),
            Store::Long(values, _) | Store::Timestamp(values) => values.truncate(rows),
            Store::Double(values, _) => values.truncate(rows),
            Store::Decimal { values, .. } => values.truncate(rows),
        }
    }

    /// The exact value of a row, if there is one.
    #[inline]
    pub fn exact(&self, row: usize) -> Option<i128> {
        match &self.store {
            Store::Int(values, _) | Store::Date(values) => values.get(row).map(i128::from),
            Store::Long(values, _) | Store::Timestamp(values) => values.get(row).map(i128::from),
            Store::Decimal { values, .. } => values.get(row),
            _ => None,
        }
    }

    /// Is there no value for the row?
    pub fn is_null(&self, row: usize) -> bool {
        match &self.store {
            Store::Text(values, _) | Store::Hashed(values) | Store::Json(values) => {
                values.get(row).is_none()
            }
            Store::Boolean(values) => values.get(row).is_none(),
            Store::Double(values, _) => values.get(row).is_none(),
            _ => self.exact(row).is_none(),
        }
    }

    /// The rows as an array; the column is empty then.
    pub fn finish(&mut self, rows: usize) -> ArrayRef {
        let kind = &self.data_type;
        match &mut self.store {
            Store::Text(values, _) | Store::Hashed(values) | Store::Json(values) => {
                values.finish_utf8(rows)
            }
            Store::Boolean(values) => values.finish_bool(rows),
            Store::Int(values, _) => values.finish::<Int32Type>(rows, kind),
            Store::Date(values) => values.finish::<Date32Type>(rows, kind),
            Store::Long(values, _) => values.finish::<Int64Type>(rows, kind),
            Store::Timestamp(values) => values.finish::<TimestampMicrosecondType>(rows, kind),
            Store::Double(values, _) => values.finish::<Float64Type>(rows, kind),
            Store::Decimal { values, .. } => values.finish::<Decimal128Type>(rows, kind),
        }
    }

    /// Bytes that every row takes, whatever it holds.
    pub fn width(&self) -> usize {
        match &self.store {
            Store::Boolean(_) => 1,
            Store::Text(..) | Store::Hashed(_) | Store::Json(_) => 4,
            Store::Int(..) | Store::Date(_) => 4,
            Store::Long(..) | Store::Timestamp(_) | Store::Double(..) => 8,
            Store::Decimal { .. } => 16,
        }
    }
}

/// Bounds of an exact column; a double is turned into the nearest whole bound inside it.
fn exact_range(minimum: Option<Bound>, maximum: Option<Bound>) -> Range<i128> {
    let exact = |bound, round: fn(f64) -> f64| match bound {
        Bound::Exact(value) => value,
        Bound::Double(value) => round(value) as i128,
    };
    Range {
        minimum: minimum.map(|bound| exact(bound, f64::ceil)),
        maximum: maximum.map(|bound| exact(bound, f64::floor)),
    }
}
