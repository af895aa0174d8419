//! What the values of one member were.

use std::collections::BTreeMap;

use crate::contract::FieldType;
use crate::time;

/// How many different strings are told apart.
const VALUES_MAX: usize = 12;
/// The longest string that may be one of a closed list, bytes.
const VALUE_BYTES_MAX: usize = 64;
/// 2020-01-01T00:00:00Z, the default lower bound of event times.
const CLOCK_SET_US: i64 = 1_577_836_800_000_000;

/// Counts over the values of one member.
#[derive(Debug)]
pub(super) struct Seen {
    /// Records that hold the member, null or not.
    pub present: usize,
    pub nulls: usize,
    booleans: usize,
    /// Whole numbers, and others.
    wholes: usize,
    fractions: usize,
    /// RFC 3339 times with a zone, dates, and other strings.
    times: usize,
    dates: usize,
    texts: usize,
    pub objects: usize,
    arrays: usize,
    /// Times before 2020, as clocks that were never set tell.
    pub early: usize,
    /// Numbers that do not fit a long, decimal(18,4), a double.
    beyond_long: usize,
    beyond_money: usize,
    beyond_double: usize,
    /// Least and greatest number, or length of a string in characters.
    range: Option<(f64, f64)>,
    lengths: Option<(usize, usize)>,
    /// Different strings, and how often each occurred; none if there were too many.
    pub values: Option<BTreeMap<String, usize>>,
    /// By event type: records that hold a value.
    pub by_type: BTreeMap<usize, usize>,
}

impl Default for Seen {
    fn default() -> Seen {
        Seen {
            present: 0,
            nulls: 0,
            booleans: 0,
            wholes: 0,
            fractions: 0,
            times: 0,
            dates: 0,
            texts: 0,
            objects: 0,
            arrays: 0,
            early: 0,
            beyond_long: 0,
            beyond_money: 0,
            beyond_double: 0,
            range: None,
            lengths: None,
            values: Some(BTreeMap::new()),
            by_type: BTreeMap::new(),
        }
    }
}

/// The type that fits most values.
pub(super) struct Guess {
    pub kind: FieldType,
    /// Objects rather than arrays.
    pub object: bool,
    /// Values that the type does not fit.
    pub misfits: usize,
}

impl Seen {
    /// Counts a value, given as its JSON text.
    pub fn add(&mut self, value: &str, event_type: Option<usize>) {
        self.present += 1;
        match value.as_bytes().first() {
            Some(b'n') | None => {
                self.nulls += 1;
                return;
            }
            Some(b't' | b'f') => self.booleans += 1,
            Some(b'{') => self.objects += 1,
            Some(b'[') => self.arrays += 1,
            Some(b'"') => self.string(&serde_json::from_str::<String>(value).unwrap_or_default()),
            Some(_) => self.number(value),
        }
        if let Some(event_type) = event_type {
            *self.by_type.entry(event_type).or_default() += 1;
        }
    }

    fn string(&mut self, text: &str) {
        match time::timestamp(text.as_bytes()) {
            Ok(us) => {
                self.times += 1;
                self.early += usize::from(us < CLOCK_SET_US);
            }
            Err(_) if time::day(text.as_bytes()).is_ok() => self.dates += 1,
            Err(_) => self.texts += 1,
        }
        let length = text.chars().count();
        let (least, greatest) = self.lengths.unwrap_or((length, length));
        self.lengths = Some((least.min(length), greatest.max(length)));
        if let Some(values) = &mut self.values {
            if let Some(count) = values.get_mut(text) {
                *count += 1;
            } else if values.len() == VALUES_MAX || text.len() > VALUE_BYTES_MAX {
                self.values = None;
            } else {
                values.insert(text.to_owned(), 1);
            }
        }
    }

    fn number(&mut self, text: &str) {
        let whole = !text.contains(['.', 'e', 'E']);
        self.wholes += usize::from(whole);
        self.fractions += usize::from(!whole);
        self.beyond_long += usize::from(text.parse::<i64>().is_err());
        let (digits, fraction) = text.trim_start_matches('-').split_once('.').unwrap_or((text, ""));
        let money = !text.contains(['e', 'E']) && digits.len() <= 14 && fraction.len() <= 4;
        self.beyond_money += usize::from(!money);
        let number = text.parse::<f64>().unwrap_or(f64::INFINITY);
        self.beyond_double += usize::from(!number.is_finite());
        let (least, greatest) = self.range.unwrap_or((number, number));
        self.range = Some((least.min(number), greatest.max(number)));
    }

    /// Records that hold a value.
    pub fn filled(&self) -> usize {
        self.present - self.nulls
    }

    fn strings(&self) -> usize {
        self.times + self.dates + self.texts
    }

    fn numbers(&self) -> usize {
        self.wholes + self.fractions
    }

    /// The type that fits most values; `money` says that the name speaks of money.
    pub fn guess(&self, money: bool) -> Guess {
        let containers = self.objects + self.arrays;
        let most = [self.strings(), self.numbers(), self.booleans, containers].into_iter().max();
        let (kind, fits) = match most {
            Some(count) if count == self.strings() => self.guess_string(),
            Some(count) if count == self.numbers() => self.guess_number(money),
            Some(count) if count == self.booleans => (FieldType::Boolean, count),
            _ => (FieldType::Json, containers),
        };
        let object = self.objects >= self.arrays;
        Guess { kind, object, misfits: self.filled() - fits }
    }

    fn guess_string(&self) -> (FieldType, usize) {
        let strings = self.strings();
        match strings {
            0 => (FieldType::String, 0),
            _ if self.times == strings => (FieldType::Timestamp, strings),
            _ if self.dates == strings => (FieldType::Date, strings),
            _ => (FieldType::String, strings),
        }
    }

    fn guess_number(&self, money: bool) -> (FieldType, usize) {
        let numbers = self.numbers();
        if money && self.beyond_money == 0 {
            (FieldType::Decimal { precision: 18, scale: 4 }, numbers)
        } else if self.beyond_long == 0 {
            (FieldType::Long, numbers)
        } else {
            (FieldType::Double, numbers - self.beyond_double)
        }
    }

    /// Values that are times.
    pub fn times(&self) -> usize {
        self.times
    }

    /// The observed range, in words: of numbers, or of the lengths of strings.
    pub fn range(&self, kind: FieldType) -> Option<String> {
        match kind {
            FieldType::Long | FieldType::Double | FieldType::Decimal { .. } => {
                self.range.map(|(least, greatest)| format!("from {least} to {greatest}"))
            }
            FieldType::String => self.lengths.map(|(least, greatest)| match least == greatest {
                true => format!("{least} characters"),
                false => format!("{least} to {greatest} characters"),
            }),
            _ => None,
        }
    }
}
