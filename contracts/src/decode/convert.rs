//! Values, from their text into the buffers of their columns, by type.

use super::column::{Bytes, Fixed};
use super::number::{self, DecimalFault, Number};
use super::scan::{self, Quoted};
use super::sink::{Reason, Row, Trouble, problem};
use super::store::{Range, Role, TextRule, WholeRule};
use crate::time;

/// Each reads the value at `at` into the row and says where it ends. A value of another JSON type
/// is [`Trouble::Other`].
impl Row {
    #[inline(always)]
    pub fn text(
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

    /// Stores the hash of a string in its place.
    pub fn hashed(&mut self, values: &mut Bytes, text: &[u8], at: usize) -> Result<usize, Trouble> {
        let quoted = string(text, at)?;
        let value = plain(text, quoted, &mut self.plain);
        // A decoder is not made without the key that its contract needs.
        if let Some(key) = &self.key {
            key.hash(value, &mut self.hash);
            values.push(self.number, &self.hash);
            self.bytes += self.hash.len();
        }
        Ok(quoted.end + 1)
    }

    #[inline(always)]
    pub fn timestamp(
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

    pub fn date(
        &mut self,
        values: &mut Fixed<i32>,
        text: &[u8],
        at: usize,
    ) -> Result<usize, Trouble> {
        let quoted = string(text, at)?;
        let end = quoted.end + 1;
        match time::day(plain(text, quoted, &mut self.plain)) {
            Ok(day) => values.push(self.number, day),
            Err(fault) => return problem(Reason::Time(fault), at, end),
        }
        Ok(end)
    }

    #[inline(always)]
    pub fn boolean(
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

    pub fn json(
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
    pub fn double(
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
        // Takes the sign from zero and nothing else.
        values.push(self.number, value + 0.0);
        Ok(number.end)
    }

    #[inline(always)]
    pub fn decimal(
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
    pub fn long(
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
    pub fn int(
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
