//! Values of the config: typed text such as `5s` and `64MiB`, and what each kind accepts.

use std::fmt;
use std::time::Duration;

/// Bytes in a kibibyte.
pub const KIB: u64 = 1024;
/// Bytes in a mebibyte.
pub const MIB: u64 = 1024 * KIB;
/// Bytes in a gibibyte.
pub const GIB: u64 = 1024 * MIB;

/// What a key's value must look like.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any text that is not empty.
    Text,
    /// A path.
    Path,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A duration such as `5s`, within bounds.
    Duration {
        /// The least.
        min: Duration,
        /// The greatest.
        max: Duration,
    },
    /// A number of bytes such as `64MiB`, within bounds.
    Size {
        /// The least, bytes.
        min: u64,
        /// The greatest, bytes.
        max: u64,
    },
    /// A whole number within bounds.
    Count {
        /// The least.
        min: u64,
        /// The greatest.
        max: u64,
    },
}

/// A value as it was given: a file has types, variables and flags have only text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// Text of an environment variable, a flag or a default.
    Untyped(String),
    /// A string of the file.
    Text(String),
    /// An integer of the file, as decimal digits.
    Integer(String),
    /// Anything else of the file, by the name of its type.
    Other(&'static str),
}

/// A checked value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Of the kinds text, path and choice.
    Text(String),
    /// Of the kind duration.
    Duration(Duration),
    /// Of the kinds size (bytes) and count.
    Number(u64),
}

impl Kind {
    /// Checks a value; the error says what was expected, for the end of a sentence.
    pub fn check(&self, given: &Given) -> Result<Value, String> {
        let text = match (self, given) {
            (_, Given::Untyped(text)) => text,
            (Kind::Count { .. }, Given::Integer(text)) => text,
            (Kind::Count { .. }, Given::Text(text)) => {
                return Err(format!("expected {self}, found the string {text:?}"));
            }
            (_, Given::Text(text)) => text,
            (_, Given::Integer(text)) => {
                return Err(format!("expected {self}, found the number {text}"));
            }
            (_, Given::Other(name)) => return Err(format!("expected {self}, found {name}")),
        };
        self.check_text(text)
    }

    fn check_text(&self, text: &str) -> Result<Value, String> {
        match *self {
            Kind::Text | Kind::Path if text.trim().is_empty() => {
                Err(format!("expected {self}, found nothing"))
            }
            Kind::Text | Kind::Path => Ok(Value::Text(text.into())),
            Kind::Choice(words) if words.contains(&text) => Ok(Value::Text(text.into())),
            Kind::Choice(_) => Err(format!("expected {self}, found {text:?}")),
            Kind::Duration { min, max } => {
                let value = parse_duration(text)?;
                within(value, min, max, |d| show_duration(*d)).map(Value::Duration)
            }
            Kind::Size { min, max } => {
                within(parse_size(text)?, min, max, |n| show_size(*n)).map(Value::Number)
            }
            Kind::Count { min, max } => {
                let digits = text.replace('_', "");
                let value = digits
                    .parse::<u64>()
                    .map_err(|_| format!("expected {self}, found {text:?}"))?;
                within(value, min, max, u64::to_string).map(Value::Number)
            }
        }
    }

    /// The bounds for the reference, or nothing.
    pub fn bounds(&self) -> Option<String> {
        match *self {
            Kind::Duration { min, max } => {
                Some(format!("{} to {}", show_duration(min), show_duration(max)))
            }
            Kind::Size { min, max } => Some(format!("{} to {}", show_size(min), show_size(max))),
            Kind::Count { min, max } => Some(format!("{min} to {max}")),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Text => f.write_str("text"),
            Kind::Path => f.write_str("a path"),
            Kind::Choice(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
                f.write_str(&words.join(" or "))
            }
            Kind::Duration { .. } => f.write_str("a duration such as \"5s\""),
            Kind::Size { .. } => f.write_str("a size such as \"64MiB\""),
            Kind::Count { .. } => f.write_str("a whole number"),
        }
    }
}

fn within<T: PartialOrd>(value: T, min: T, max: T, show: fn(&T) -> String) -> Result<T, String> {
    if value < min {
        Err(format!("{} is less than the least, {}", show(&value), show(&min)))
    } else if value > max {
        Err(format!("{} is more than the most, {}", show(&value), show(&max)))
    } else {
        Ok(value)
    }
}

const DURATION_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZE_UNITS: [(&str, u64); 4] = [("B", 1), ("KiB", KIB), ("MiB", MIB), ("GiB", GIB)];

/// `250ms`, `5s`, `2m`, `1h`, `7d`: a whole number and one unit.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    match parse_unit(text, &DURATION_UNITS) {
        Some(ms) => Ok(Duration::from_millis(ms)),
        None => Err(format!(
            "expected a duration, a whole number with ms, s, m, h or d such as \"5s\", found {text:?}"
        )),
    }
}

/// `512B`, `64KiB`, `64MiB`, `2GiB`: a whole number and one unit, in bytes.
pub fn parse_size(text: &str) -> Result<u64, String> {
    parse_unit(text, &SIZE_UNITS).ok_or_else(|| {
        format!(
            "expected a size, a whole number with B, KiB, MiB or GiB such as \"64MiB\", found {text:?}"
        )
    })
}

fn parse_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(end);
    let (_, scale) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    digits.parse::<u64>().ok()?.checked_mul(*scale)
}

/// A duration in the greatest unit that needs no fraction.
pub fn show_duration(duration: Duration) -> String {
    show_unit(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), &DURATION_UNITS)
}

/// A size in the greatest unit that needs no fraction.
pub fn show_size(bytes: u64) -> String {
    show_unit(bytes, &SIZE_UNITS)
}

fn show_unit(value: u64, units: &[(&str, u64)]) -> String {
    let fits = |scale: u64| value != 0 && value.is_multiple_of(scale);
    let (name, scale) = units.iter().rfind(|(_, scale)| fits(*scale)).unwrap_or(&units[0]);
    format!("{}{name}", value / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_typed_text() {
        let ms = |text| parse_duration(text).map(|d| d.as_millis());
        assert_eq!(ms("250ms"), Ok(250));
        assert_eq!(ms("5s"), Ok(5_000));
        assert_eq!(ms("2 h"), Ok(7_200_000));
        assert_eq!(ms("7d"), Ok(604_800_000));
        for bad in ["", "5", "s", "-5s", "1.5s", "5sec", "5S", "99999999999999999999s", "1h30m"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_size("64MiB"), Ok(64 * MIB));
        assert_eq!(parse_size("1 B"), Ok(1));
        for bad in ["64", "64MB", "64mib", "", "MiB", "18446744073709551615GiB"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_shown_parses_to_the_same() {
        for ms in [0, 1, 999, 1_000, 1_500, 60_000, 3_600_000, 86_400_000, 90_000_000] {
            let duration = Duration::from_millis(ms);
            assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }
        for bytes in [0, 1, 1023, 1024, 1536, 64 * MIB, 3 * GIB] {
            assert_eq!(parse_size(&show_size(bytes)), Ok(bytes));
        }
        assert_eq!(show_size(64 * MIB), "64MiB");
        assert_eq!(show_duration(Duration::from_millis(1_500)), "1500ms");
    }

    #[test]
    fn a_file_has_types_and_a_variable_has_text() {
        let count = Kind::Count { min: 1, max: 10 };
        assert_eq!(count.check(&Given::Integer("7".into())), Ok(Value::Number(7)));
        assert_eq!(count.check(&Given::Untyped("7".into())), Ok(Value::Number(7)));
        let error = |kind: Kind, given| kind.check(&given).unwrap_err();
        assert_eq!(
            error(count, Given::Text("7".into())),
            "expected a whole number, found the string \"7\""
        );
        assert_eq!(error(count, Given::Integer("0".into())), "0 is less than the least, 1");
        assert_eq!(error(count, Given::Untyped("11".into())), "11 is more than the most, 10");
        assert!(error(count, Given::Untyped("-1".into())).contains("a whole number"));
        assert_eq!(error(Kind::Text, Given::Other("a boolean")), "expected text, found a boolean");
        let choice = Kind::Choice(&["earliest", "latest"]);
        assert_eq!(
            error(choice, Given::Text("newest".into())),
            "expected \"earliest\" or \"latest\", found \"newest\""
        );
    }
}
