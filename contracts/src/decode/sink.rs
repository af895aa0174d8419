//! The row that is being read: text of values in, columns out, or what is wrong with a value.

use arrow_array::ArrayRef;

use super::column::{Bytes, Fixed};
use super::number::{self, DecimalFault, Number};
use super::plan::{Plan, TokenSet};
use super::scan::{self, Depth, Quoted, Stop};
use super::store::{ClosedList, Column, Range, Role, Store, TextRule, WholeRule};
use super::time;
use crate::contract::Contract;

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
    number: usize,
    /// Bytes of strings held, and how many there were before this row.
    bytes: usize,
    bytes_before: usize,
    seen: TokenSet,
    nulls: TokenSet,
    types: ClosedList,
    /// Index into the contract's event types.
    event_type: Option<usize>,
    /// µs since 1970.
    pub event_time: Option<i64>,
    earliest: i64,
    latest: i64,
    depth_max: usize,
    pub unknowns: Vec<Unknown>,
    /// Scratch: the containers that are open inside a value.
    open: Vec<u8>,
    /// Scratch: a string without its escapes.
    plain: Vec<u8>,
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
            Store::Text(..) => ("a string", false),
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

    #[inline(always)]
    fn text(
        &mut self,
        values: &mut Bytes,
        rule: &mut TextRule,
        role: Role,
        text: &[u8],
        at: usize,
    ) -> Result<usize, Trouble> {
        let quoted = string(text, at)?;
        let value = plain(text, quoted, &mut self.plain);
        let end = quoted.end + 1;
        if !rule.values.is_empty() && rule.values.find(value).is_none() {
            return problem(Reason::Unlisted, at, end);
        }
        if rule.too_long(value) {
            return problem(Reason::TooLong, at, end);
        }
        if rule.too_short(value) {
            return problem(Reason::TooShort, at, end);
        }
        if role == Role::EventType && !self.types.is_empty() {
            self.event_type = self.types.find(value);
            if self.event_type.is_none() {
                return problem(Reason::UnknownType, at, end);
            }
        }
        values.push(self.number, value);
        self.bytes += value.len();
        Ok(end)
    }

    #[inline(always)]
    fn timestamp(
        &mut self,
        values: &mut Fixed<i64>,
        role: Role,
        text: &[u8],
        at: usize,
    ) -> Result<usize, Trouble> {
        let quoted = string(text, at)?;
        let end = quoted.end + 1;
        let us = match time::timestamp(plain(text, quoted, &mut self.plain)) {
            Ok(us) => us,
            Err(fault) => return problem(Reason::Time(fault), at, end),
        };
        if role == Role::EventTime {
            if us < self.earliest {
                return problem(Reason::TooEarly(self.earliest), at, end);
            }
            if us > self.latest {
                return problem(Reason::TooLate(self.latest), at, end);
            }
            self.event_time = Some(us);
        }
        values.push(self.number, us);
        Ok(end)
    }

    fn date(&mut self, values: &mut Fixed<i32>, text: &[u8], at: usize) -> Result<usize, Trouble> {
        let quoted = string(text, at)?;
        let end = quoted.end + 1;
        match time::day(plain(text, quoted, &mut self.plain)) {
            Ok(day) => values.push(self.number, day),
            Err(fault) => return problem(Reason::Time(fault), at, end),
        }
        Ok(end)
    }

    #[inline(always)]
    fn boolean(
        &mut self,
        values: &mut Fixed<bool>,
        text: &[u8],
        at: usize,
    ) -> Result<usize, Trouble> {
        let (value, length) = match text.get(at..).unwrap_or_default() {
            [b't', b'r', b'u', b'e', ..] => (true, 4),
            [b'f', b'a', b'l', b's', b'e', ..] => (false, 5),
            _ => return Err(Trouble::Other),
        };
        values.push(self.number, value);
        Ok(at + length)
    }

    fn json(
        &mut self,
        values: &mut Bytes,
        outside: usize,
        text: &[u8],
        at: usize,
    ) -> Result<usize, Trouble> {
        let Some(b'{' | b'[') = text.get(at) else { return Err(Trouble::Other) };
        let end = self.skip(text, at, outside)?;
        values.push(self.number, text.get(at..end).unwrap_or_default());
        self.bytes += end - at;
        Ok(end)
    }

    #[inline(always)]
    fn double(
        &mut self,
        values: &mut Fixed<f64>,
        range: &Range<f64>,
        text: &[u8],
        at: usize,
    ) -> Result<usize, Trouble> {
        let number = number(text, at)?;
        let value = number.as_f64(text);
        if !value.is_finite() {
            return problem(Reason::Unfit("a double"), at, number.end);
        }
        within(range, &value, &number)?;
        values.push(self.number, value);
        Ok(number.end)
    }

    #[inline(always)]
    fn decimal(
        &mut self,
        values: &mut Fixed<i128>,
        (precision, scale): (u8, u8),
        range: &Range<i128>,
        text: &[u8],
        at: usize,
    ) -> Result<usize, Trouble> {
        let number = number(text, at)?;
        let value = match number.as_decimal(text, precision, scale) {
            Ok(value) => value,
            Err(DecimalFault::Scale) => return problem(Reason::Scale(scale), at, number.end),
            Err(DecimalFault::Precision) => {
                return problem(Reason::Precision(precision, scale), at, number.end);
            }
        };
        within(range, &value, &number)?;
        values.push(self.number, value);
        Ok(number.end)
    }

    #[inline(always)]
    fn long(
        &mut self,
        values: &mut Fixed<i64>,
        rule: &WholeRule,
        text: &[u8],
        at: usize,
    ) -> Result<usize, Trouble> {
        let number = integer(text, at)?;
        let Some(value) = number.as_i64() else {
            return problem(Reason::Unfit("a 64-bit integer"), at, number.end);
        };
        whole(rule, value, &number)?;
        values.push(self.number, value);
        Ok(number.end)
    }

    #[inline(always)]
    fn int(
        &mut self,
        values: &mut Fixed<i32>,
        rule: &WholeRule,
        text: &[u8],
        at: usize,
    ) -> Result<usize, Trouble> {
        let number = integer(text, at)?;
        let Some(value) = number.as_i64().and_then(|value| i32::try_from(value).ok()) else {
            return problem(Reason::Unfit("a 32-bit integer"), at, number.end);
        };
        whole(rule, i64::from(value), &number)?;
        values.push(self.number, value);
        Ok(number.end)
    }
}

/// The string at `at`.
#[inline(always)]
fn string(text: &[u8], at: usize) -> Result<Quoted, Trouble> {
    if text.get(at) != Some(&b'"') {
        return Err(Trouble::Other);
    }
    Ok(scan::string(text, at)?)
}

/// A string's value: its place in the text, or its unescaped copy in `scratch`.
#[inline(always)]
fn plain<'a>(text: &'a [u8], quoted: Quoted, scratch: &'a mut Vec<u8>) -> &'a [u8] {
    let contents = text.get(quoted.start..quoted.end).unwrap_or_default();
    if !quoted.escaped {
        return contents;
    }
    scratch.clear();
    scan::unescape(contents, scratch);
    scratch
}

/// The number at `at`.
#[inline(always)]
fn number(text: &[u8], at: usize) -> Result<Number, Trouble> {
    match text.get(at) {
        Some(b'0'..=b'9') => {}
        Some(b'-') if text.get(at + 1) != Some(&b'I') => {}
        _ => return Err(Trouble::Other),
    }
    Ok(number::number(text, at)?)
}

/// The integer literal at `at`.
#[inline(always)]
fn integer(text: &[u8], at: usize) -> Result<Number, Trouble> {
    let number = number(text, at)?;
    if !number.integer {
        let expected = "an integer without point and exponent";
        return problem(Reason::Type(expected), at, number.end);
    }
    Ok(number)
}

#[inline(always)]
fn whole(rule: &WholeRule, value: i64, number: &Number) -> Result<(), Trouble> {
    if !rule.lists(value) {
        return problem(Reason::Unlisted, number.start, number.end);
    }
    within(&rule.range, &i128::from(value), number)
}

#[inline(always)]
fn within<T: PartialOrd>(range: &Range<T>, value: &T, number: &Number) -> Result<(), Trouble> {
    if range.below(value) {
        return problem(Reason::Below, number.start, number.end);
    }
    if range.above(value) {
        return problem(Reason::Above, number.start, number.end);
    }
    Ok(())
}

#[cold]
fn problem<T>(reason: Reason, start: usize, end: usize) -> Result<T, Trouble> {
    Err(Trouble::Problem(Problem { reason, start, end }))
}

/// The end of a bare `NaN`, `Infinity` or `-Infinity` at `at`, as JavaScript and Python write them.
fn infinite(text: &[u8], at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let word = ["NaN", "Infinity", "-Infinity"].iter().find(|w| rest.starts_with(w.as_bytes()))?;
    let end = at + word.len();
    matches!(text.get(end), None | Some(b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'))
        .then_some(end)
}
