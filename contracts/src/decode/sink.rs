//! The row that is being read: text of values in, columns out, or what is wrong with a value.

use arrow_array::ArrayRef;

use super::plan::{Plan, TokenSet};
use super::scan::{self, Depth, Quoted, Stop};
use super::store::{ClosedList, Column, Store};
use crate::contract::Contract;
use crate::privacy::HashKey;
use crate::rule::Cells;

/// Why a value cannot stand in its column. The text of the value is kept beside it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Reason {
    /// The value has another JSON type than the one named.
    Type(&'static str),
    /// `NaN`, `Infinity` or `-Infinity`, which JSON does not have.
    NotFinite,
    /// The number does not fit the column's type, which is named.
    Unfit(&'static str),
    /// More digits behind the point than this scale.
    Scale(u8),
    /// More digits than this precision and scale allow.
    Precision(u8, u8),
    /// Below the contract's minimum.
    Below,
    /// Above the contract's maximum.
    Above,
    /// Not in the contract's list of values.
    Unlisted,
    /// Not in the contract's list of event types.
    UnknownType,
    TooShort,
    TooLong,
    /// No time, or no date; says what is wrong, to be put behind the text.
    Time(&'static str),
    /// Before this earliest time, µs.
    TooEarly(i64),
    /// After this latest time, µs.
    TooLate(i64),
}

/// A value that cannot stand in its column; its text is `start..end`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Problem {
    pub reason: Reason,
    pub start: usize,
    pub end: usize,
}

/// Why a value was not taken: it is not even JSON, or it is none for its column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Trouble {
    Stop(Stop),
    Problem(Problem),
    /// It is of another JSON type than the column: null, not finite, or wrong.
    Other,
}

impl From<Stop> for Trouble {
    fn from(stop: Stop) -> Trouble {
        Trouble::Stop(stop)
    }
}

/// An unknown member: positions in the record's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unknown {
    pub scope: usize,
    /// The name, between its quotes, escapes and all.
    pub name: Quoted,
    pub value: (usize, usize),
}

/// The columns, and the row that is being read into them.
#[derive(Debug)]
pub(super) struct Sink {
    columns: Vec<Column>,
    pub row: Row,
}

/// What is known of the row that is being read.
#[derive(Debug)]
pub(super) struct Row {
    pub number: usize,
    /// Bytes of strings held, and how many there were before this row.
    pub bytes: usize,
    bytes_before: usize,
    seen: TokenSet,
    nulls: TokenSet,
    pub types: ClosedList,
    /// Index into the contract's event types.
    pub event_type: Option<usize>,
    /// µs since 1970.
    pub event_time: Option<i64>,
    pub earliest: i64,
    pub latest: i64,
    depth_max: usize,
    pub unknowns: Vec<Unknown>,
    /// Scratch: the containers that are open inside a value.
    open: Vec<u8>,
    /// Scratch: a string without its escapes.
    pub plain: Vec<u8>,
    /// The key of hashed columns.
    pub key: Option<HashKey>,
    /// Scratch: a hash.
    pub hash: Vec<u8>,
}

impl Sink {
    /// Columns for a contract whose tokens, those of unknown members included, are below `tokens`.
    pub fn new(contract: &Contract, tokens: usize) -> Sink {
        let row = Row {
            number: 0,
            bytes: 0,
            bytes_before: 0,
            seen: TokenSet::new(tokens),
            nulls: TokenSet::new(tokens),
            types: ClosedList::new(&contract.event_types),
            event_type: None,
            event_time: None,
            earliest: contract.limits.event_time_min_us,
            latest: i64::MAX,
            depth_max: contract.limits.depth_max,
            unknowns: Vec::new(),
            open: Vec::new(),
            plain: Vec::new(),
            key: contract.hash_key.clone(),
            hash: Vec::new(),
        };
        Sink { columns: Column::all(contract), row }
    }

    /// Begins a row, whose event time may be `latest` at most.
    pub fn begin(&mut self, number: usize, latest: i64) {
        self.row.number = number;
        self.row.latest = latest;
        self.row.bytes_before = self.row.bytes;
        self.row.clear();
    }

    /// Takes back everything that was read of this row.
    pub fn roll_back(&mut self) {
        for column in &mut self.columns {
            column.truncate(self.row.number);
        }
        self.row.bytes = self.row.bytes_before;
        self.row.clear();
    }

    /// Reads the value at `at` into its column and says where it ends.
    #[inline(always)]
    pub fn value(&mut self, column: usize, text: &[u8], at: usize) -> Result<usize, Trouble> {
        let Column { role, depth, store, .. } = &mut self.columns[column];
        let row = &mut self.row;
        let end = match store {
            Store::Text(values, rule) => row.text(values, rule, *role, text, at),
            Store::Hashed(values) => row.hashed(values, text, at),
            Store::Timestamp(values) => row.timestamp(values, *role, text, at),
            Store::Date(values) => row.date(values, text, at),
            Store::Boolean(values) => row.boolean(values, text, at),
            Store::Json(values) => row.json(values, *depth, text, at),
            Store::Double(values, range) => row.double(values, range, text, at),
            Store::Decimal { values, precision, scale, range } => {
                row.decimal(values, (*precision, *scale), range, text, at)
            }
            Store::Long(values, rule) => row.long(values, rule, text, at),
            Store::Int(values, rule) => row.int(values, rule, text, at),
        };
        if end == Err(Trouble::Other) { self.other(column, text, at) } else { end }
    }

    /// A value that is not of the column's JSON type: null, not a finite number, or wrong.
    #[cold]
    fn other(&mut self, column: usize, text: &[u8], at: usize) -> Result<usize, Trouble> {
        let Column { store, depth, .. } = &self.columns[column];
        let (expected, numeric) = match store {
            Store::Text(..) | Store::Hashed(_) => ("a string", false),
            Store::Timestamp(_) => ("a string that holds a time", false),
            Store::Date(_) => ("a string that holds a date", false),
            Store::Boolean(_) => ("true or false", false),
            Store::Json(_) => ("an object or an array", false),
            Store::Int(..) | Store::Long(..) => ("an integer", true),
            Store::Double(..) | Store::Decimal { .. } => ("a number", true),
        };
        if let Some(end) = infinite(text, at).filter(|_| numeric) {
            return problem(Reason::NotFinite, at, end);
        }
        let end = self.row.skip(text, at, *depth)?;
        if text.get(at) == Some(&b'n') {
            self.row.nulls.insert(column);
            return Ok(end);
        }
        problem(Reason::Type(expected), at, end)
    }

    /// The rows as arrays; the columns are empty then.
    pub fn finish(&mut self, rows: usize) -> Vec<ArrayRef> {
        self.row.bytes = 0;
        self.columns.iter_mut().map(|column| column.finish(rows)).collect()
    }

    /// Bytes of strings held.
    pub fn bytes(&self) -> usize {
        self.row.bytes
    }

    /// Bytes that every row takes.
    pub fn width(&self) -> usize {
        self.columns.iter().map(Column::width).sum()
    }
}

/// The row that is being read.
impl Cells for Sink {
    #[inline]
    fn exact(&self, column: usize) -> Option<i128> {
        self.columns[column].exact(self.row.number)
    }

    #[inline]
    fn double(&self, column: usize) -> Option<f64> {
        match &self.columns[column].store {
            Store::Double(values, _) => values.get(self.row.number),
            _ => None,
        }
    }

    #[inline]
    fn text(&self, column: usize) -> Option<&[u8]> {
        match &self.columns[column].store {
            Store::Text(values, _) => values.get(self.row.number),
            _ => None,
        }
    }

    #[inline]
    fn boolean(&self, column: usize) -> Option<bool> {
        match &self.columns[column].store {
            Store::Boolean(values) => values.get(self.row.number),
            _ => None,
        }
    }

    fn is_null(&self, column: usize) -> bool {
        self.columns[column].is_null(self.row.number)
    }
}

impl Row {
    #[inline]
    fn clear(&mut self) {
        self.seen.clear();
        self.nulls.clear();
        self.unknowns.clear();
        self.event_type = None;
        self.event_time = None;
    }

    /// Notes that a member occurs; false if it occurred before.
    #[inline(always)]
    pub fn mark(&mut self, token: usize) -> bool {
        self.seen.insert(token)
    }

    /// Does the row hold all that its type requires?
    #[inline]
    pub fn complete(&self, plan: &Plan) -> bool {
        plan.required(self.event_type).within(&self.seen, &self.nulls)
    }

    /// The event's type, an index into the contract's types.
    pub fn event_type(&self) -> Option<usize> {
        self.event_type
    }

    /// Does the row's type require this column, and is there no value for it?
    pub fn misses(&self, plan: &Plan, column: usize) -> bool {
        plan.required(self.event_type).contains(column)
            && (!self.seen.contains(column) || self.nulls.contains(column))
    }

    /// The end of the value at `at`, which has `outside` containers around it.
    #[inline]
    pub fn skip(&mut self, text: &[u8], at: usize, outside: usize) -> Result<usize, Stop> {
        scan::skip(text, at, Depth { outside, max: self.depth_max, open: &mut self.open })
    }

    /// Is a container inside `outside` others too deep?
    pub fn too_deep(&self, outside: usize) -> bool {
        outside >= self.depth_max
    }
}

/// [`Trouble::Problem`] as an error.
#[cold]
pub(super) fn problem<T>(reason: Reason, start: usize, end: usize) -> Result<T, Trouble> {
    Err(Trouble::Problem(Problem { reason, start, end }))
}

/// The end of a bare `NaN`, `Infinity` or `-Infinity` at `at`, as JavaScript and Python write them.
pub(super) fn infinite(text: &[u8], at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let word = ["NaN", "Infinity", "-Infinity"].iter().find(|w| rest.starts_with(w.as_bytes()))?;
    let end = at + word.len();
    matches!(text.get(end), None | Some(b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'))
        .then_some(end)
}
