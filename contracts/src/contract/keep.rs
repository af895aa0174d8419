//! How long a lake keeps a stream's rows: the contract's `slaProperties`, as the standard has them, and the
//! custom property `weir.rejectRetention`.

use super::value;
use crate::yaml::{self, Object, Sink};

/// How long rows are kept, in days; none: for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// Accepted rows, from the end of their day of event time.
    pub rows_days: Option<u32>,
    /// Rejected rows, from their Kafka time.
    pub rejects_days: Option<u32>,
}

/// The entries of `slaProperties` that are read.
const RETENTION: &str = "retention";
const LATENCY: &str = "latency";
const DAYS_MAX: u32 = 100 * DAYS_OF_YEAR;
/// A leap year's: never shorter than was asked.
const DAYS_OF_YEAR: u32 = 366;

/// What `slaProperties` promise: for how many days rows are kept, and after how many seconds at most a
/// record is in the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Promises {
    pub rows_days: Option<u32>,
    pub latency_s: Option<i64>,
}

impl Promises {
    /// Reads the entries `retention` and `latency`; the others are for people and other tools.
    pub(super) fn read(contract: &Object<'_>, sink: &mut Sink<'_>) -> Promises {
        let (mut promises, mut seen) = (Promises::default(), Vec::new());
        for item in contract.list("slaProperties", sink).unwrap_or_default() {
            let what = "an entry of `slaProperties`";
            let Some(entry) = Object::new(what, item, sink) else { continue };
            let hint = "it is the name of what is promised, for example retention";
            let (property, at) = match entry.require_string("property", hint, sink) {
                Some((property @ (RETENTION | LATENCY), at)) => (property, at),
                _ => continue,
            };
            if seen.contains(&property) {
                sink.push(at, format!("`slaProperties` has `{property}` twice"));
                continue;
            }
            seen.push(property);
            let (units, is) = match property {
                RETENTION => (UNITS_OF_DAYS, "it is how long rows are kept"),
                _ => (UNITS_OF_TIME, "it is how long a record may take into the lake"),
            };
            let (Some(unit), Some(value)) =
                (entry.require("unit", units, sink), entry.require("value", is, sink))
            else {
                continue;
            };
            let (unit_of, value_of) =
                (format!("`unit` of the {property}"), format!("`value` of the {property}"));
            if property == RETENTION {
                let unit = yaml::text(unit, &unit_of, sink, unit_days).unwrap_or(1);
                promises.rows_days = yaml::text(value, &value_of, sink, |text| days(text, unit));
            } else {
                let unit = yaml::text(unit, &unit_of, sink, unit_s).unwrap_or(1);
                promises.latency_s = yaml::text(value, &value_of, sink, |text| latency(text, unit));
            }
        }
        promises
    }
}

const UNITS_OF_DAYS: &str = "it is d for days, or y for years";
const UNITS_OF_TIME: &str = "it is s, m, h or d, for seconds, minutes, hours or days";

/// Seconds in a unit.
fn unit_s(text: &str) -> Result<i64, String> {
    match text {
        "s" | "sec" | "second" | "seconds" => Ok(1),
        "m" | "min" | "minute" | "minutes" => Ok(60),
        "h" | "hour" | "hours" => Ok(3_600),
        "d" | "day" | "days" => Ok(86_400),
        _ => Err(UNITS_OF_TIME.to_owned()),
    }
}

fn latency(text: &str, unit: i64) -> Result<i64, String> {
    let seconds = i64::try_from(value::integer(text)?).ok().and_then(|n| n.checked_mul(unit));
    let seconds = seconds.filter(|seconds| (1..=30 * 86_400).contains(seconds));
    seconds.ok_or_else(|| "it must be at least 1, and at most 30 days".to_owned())
}

/// Days in a unit of the standard.
fn unit_days(text: &str) -> Result<u32, String> {
    match text {
        "d" | "day" | "days" => Ok(1),
        "y" | "yr" | "year" | "years" => Ok(DAYS_OF_YEAR),
        _ => Err(UNITS_OF_DAYS.to_owned()),
    }
}

fn days(text: &str, unit: u32) -> Result<u32, String> {
    let number = value::integer(text)?;
    let days = u32::try_from(number).ok().and_then(|number| number.checked_mul(unit));
    let days = days.filter(|days| (1..=DAYS_MAX).contains(days));
    days.ok_or_else(|| "it must be at least 1, and at most 100 years".to_owned())
}

/// The value of `weir.rejectRetention`.
pub(super) fn reject_retention(text: &str) -> Result<u32, String> {
    const DAY_US: i64 = 86_400_000_000;
    let us = value::duration_us(text)?;
    let days = u32::try_from(us / DAY_US).ok().filter(|days| (1..=DAYS_MAX).contains(days));
    match days {
        Some(days) if us % DAY_US == 0 => Ok(days),
        _ => Err("it is a number of days from 1d on, for example \"90d\"".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_are_never_shorter_than_asked() {
        assert_eq!(unit_days("y"), Ok(366));
        assert_eq!(days("7", 366), Ok(2562));
        assert_eq!(days("30", unit_days("days").unwrap()), Ok(30));
        for wrong in ["0", "-1", "101", "7.5", "x"] {
            assert!(days(wrong, 366).is_err(), "{wrong}");
        }
        assert!(unit_days("m").is_err());
    }

    #[test]
    fn rejects_are_kept_for_whole_days() {
        assert_eq!(reject_retention("90d"), Ok(90));
        assert_eq!(reject_retention("48h"), Ok(2));
        for wrong in ["0d", "12h", "36h", "90"] {
            assert!(reject_retention(wrong).is_err(), "{wrong}");
        }
    }
}
