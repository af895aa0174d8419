//! Why a record was rejected, in words, and what of its identity could be read all the same.

use super::general::{Duplicate, Findings, Wrong};
use super::plan::{Plan, TOP};
use super::scan::{self, Quoted, Stop};
use super::sink::{Problem, Reason, Sink};
use crate::class::RejectClass;
use crate::contract::{Bound, Contract, FieldType};
use crate::names::column;
use crate::rule::{Cells, Rule, Truth};
use crate::time;

/// The most characters of a record's text that a message repeats.
const TEXT_MAX: usize = 120;
/// The most characters that each identity column of `_error` keeps.
const IDENTITY_MAX: usize = 256;

/// Why a record was rejected: `_error.class`, `.field` and `.message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub class: RejectClass,
    /// Path of the member, or name of the reserved column.
    pub field: Option<String>,
    pub message: String,
}

impl Fault {
    fn new(class: RejectClass, message: String) -> Fault {
        Fault { class, field: None, message }
    }

    pub fn null_value() -> Fault {
        Fault::new(RejectClass::NullValue, "the record has no value".into())
    }

    pub fn value_too_large(bytes: usize, max: usize) -> Fault {
        let message = format!("the value has {bytes} bytes, more than the {max} allowed");
        Fault::new(RejectClass::TooLarge, message)
    }

    /// A record that the columns of one chunk cannot hold; its value is not kept.
    pub fn no_room(bytes: usize) -> Fault {
        let message =
            format!("the record has {bytes} bytes, too many for one column; its value is not kept");
        Fault::new(RejectClass::TooLarge, message)
    }

    pub fn extra_too_large(bytes: usize, max: usize) -> Fault {
        Fault {
            class: RejectClass::TooLarge,
            field: Some(column::EXTRA.into()),
            message: format!("unknown members take {bytes} bytes, more than the {max} allowed"),
        }
    }

    pub fn not_utf8(value: &[u8]) -> Fault {
        let at = std::str::from_utf8(value).map_or_else(|e| e.valid_up_to(), str::len);
        Fault::new(RejectClass::NotUtf8, format!("the value is not UTF-8 at byte {at}"))
    }

    /// What ended the reading of `text`.
    pub fn stop(stop: Stop, text: &[u8], contract: &Contract) -> Fault {
        match stop {
            Stop::NotJson { at, what } if contract.protects() => {
                Fault::new(RejectClass::NotJson, format!("not JSON at byte {at}: {what}"))
            }
            Stop::NotJson { at, what } => {
                let here = match text.get(at..).unwrap_or_default() {
                    [] => "the end".to_owned(),
                    rest => cut(rest, 20),
                };
                let message = format!("not JSON at byte {at}: {what}; found {here}");
                Fault::new(RejectClass::NotJson, message)
            }
            Stop::TooDeep { at } => {
                let max = contract.limits.depth_max;
                let message = format!("nested deeper than {max} at byte {at}");
                Fault::new(RejectClass::TooDeep, message)
            }
        }
    }

    pub fn duplicate(duplicate: Duplicate, plan: &Plan, text: &[u8]) -> Fault {
        let Duplicate { scope, name: Quoted { start, end, .. } } = duplicate;
        let mut name = Vec::new();
        scan::unescape(text.get(start..end).unwrap_or_default(), &mut name);
        let name = shortened(&String::from_utf8_lossy(&name), TEXT_MAX);
        let path = match scope.checked_sub(TOP + 1).and_then(|o| plan.objects.get(o)) {
            Some(object) => format!("{}.{name}", object.name),
            None => name,
        };
        let message =
            format!("the member occurs a second time at byte {}", start.saturating_sub(1));
        Fault { class: RejectClass::DuplicateMember, field: Some(path), message }
    }

    /// A required column without a value.
    pub fn missing(contract: &Contract, column: usize, event_type: Option<usize>) -> Fault {
        let message = match event_type.and_then(|t| contract.event_types.get(t)) {
            Some(event_type) => {
                format!("required in events of type {event_type}, but absent or null")
            }
            None => "required, but absent or null".into(),
        };
        let field = contract.fields[column].path.to_string();
        Fault { class: RejectClass::Missing, field: Some(field), message }
    }

    /// A rule that does not hold for the row in the sink.
    pub fn rule(rule: &Rule, truth: Truth, contract: &Contract, row: &Sink) -> Fault {
        let values: Vec<String> = rule.columns().iter().map(|c| value(contract, *c, row)).collect();
        let what = if truth == Truth::Overflow { "cannot be calculated" } else { "does not hold" };
        Fault {
            class: RejectClass::RuleFailed,
            field: Some(rule.name.clone()),
            message: format!(
                "{} {what}: {}",
                shortened(&rule.text, 4 * TEXT_MAX),
                values.join(", ")
            ),
        }
    }

    /// Says that the bytes of the record are not kept.
    pub fn unkept(mut self) -> Fault {
        self.message.push_str("; its value is not kept, for the contract hashes or drops members");
        self
    }

    /// A contract without a time for its rows.
    pub fn timeless() -> Fault {
        Fault {
            class: RejectClass::Missing,
            field: Some(column::EVENT_TIME.into()),
            message: "the contract has no column event_time of type timestamp".into(),
        }
    }

    pub fn wrong(wrong: Wrong, contract: &Contract, plan: &Plan, text: &[u8]) -> Fault {
        match wrong {
            Wrong::Object(object, start, end) => Fault {
                class: RejectClass::WrongType,
                field: Some(plan.objects[object].name.clone()),
                message: match plan.objects[object].protected {
                    true => "expected an object".into(),
                    false => format!(
                        "expected an object, found {}",
                        cut(text.get(start..end).unwrap_or_default(), TEXT_MAX)
                    ),
                },
            },
            Wrong::Column(column, _) if plan.hashed[column] => Fault {
                class: RejectClass::WrongType,
                field: Some(contract.fields[column].path.to_string()),
                message: "expected a string".into(),
            },
            Wrong::Column(column, Problem { reason, start, end }) => {
                let value = cut(text.get(start..end).unwrap_or_default(), TEXT_MAX);
                let (class, message) = explain(reason, contract, column, &value);
                let field = Some(contract.fields[column].path.to_string());
                Fault { class, field, message }
            }
        }
    }
}

fn explain(reason: Reason, contract: &Contract, at: usize, value: &str) -> (RejectClass, String) {
    use RejectClass::{BadTime, OutOfRange, WrongType};
    let field = &contract.fields[at];
    let allowed = &field.allowed;
    let bound = |bound: Option<Bound>| bound.map_or(String::new(), |b| render(b, field.kind));
    match reason {
        Reason::Type(expected) => (WrongType, format!("expected {expected}, found {value}")),
        Reason::NotFinite => (OutOfRange, format!("{value} is not a finite number")),
        Reason::Unfit(what) => (OutOfRange, format!("{value} does not fit {what}")),
        Reason::Scale(scale) => {
            let places = format!("more than {scale} digits behind the point");
            (OutOfRange, format!("{value} has {places}; it is not rounded"))
        }
        Reason::Precision(precision, scale) => {
            (OutOfRange, format!("{value} does not fit decimal({precision},{scale})"))
        }
        Reason::Below => {
            (OutOfRange, format!("{value} is below the minimum {}", bound(allowed.minimum)))
        }
        Reason::Above => {
            (OutOfRange, format!("{value} is above the maximum {}", bound(allowed.maximum)))
        }
        Reason::Unlisted => {
            let values = shortened(&allowed.values.join(", "), TEXT_MAX);
            (OutOfRange, format!("{value} is not one of: {values}"))
        }
        Reason::UnknownType => {
            let types = shortened(&contract.event_types.join(", "), TEXT_MAX);
            (OutOfRange, format!("{value} is no event type of the contract: {types}"))
        }
        Reason::TooShort => {
            let least = allowed.length_min.unwrap_or(0);
            (OutOfRange, format!("{value} has fewer than {least} characters"))
        }
        Reason::TooLong => {
            let most = allowed.length_max.unwrap_or(usize::MAX);
            (OutOfRange, format!("{value} has more than {most} characters"))
        }
        Reason::Time(fault) => (BadTime, format!("{value} {fault}")),
        Reason::TooEarly(earliest) => {
            (BadTime, format!("{value} is before the lower bound {}", time::render(earliest)))
        }
        Reason::TooLate(latest) => {
            let what = "the record's Kafka time plus the skew that the contract allows";
            (BadTime, format!("{value} is after {}, {what}", time::render(latest)))
        }
    }
}

fn render(bound: Bound, kind: FieldType) -> String {
    match (bound, kind) {
        (Bound::Exact(value), FieldType::Decimal { scale, .. }) if scale > 0 => {
            let digits =
                format!("{:0width$}", value.unsigned_abs(), width = usize::from(scale) + 1);
            let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
            format!("{}{whole}.{fraction}", if value < 0 { "-" } else { "" })
        }
        (Bound::Exact(value), _) => value.to_string(),
        (Bound::Double(value), _) => value.to_string(),
    }
}

/// `column = value` for a message.
fn value(contract: &Contract, column: usize, row: &Sink) -> String {
    let field = &contract.fields[column];
    let exact = |render: &dyn Fn(i128) -> String| row.exact(column).map(render);
    let value = match field.kind {
        FieldType::String => row.text(column).map(|text| format!("{:?}", cut(text, TEXT_MAX))),
        FieldType::Boolean => row.boolean(column).map(|value| value.to_string()),
        FieldType::Double => row.double(column).map(|value| value.to_string()),
        FieldType::Timestamp => exact(&|us| time::render(us as i64)),
        FieldType::Date => exact(&|day| time::render(day as i64 * time::DAY_US)[..10].to_owned()),
        FieldType::Json => (!row.is_null(column)).then(|| "…".to_owned()),
        kind => exact(&|number| render(Bound::Exact(number), kind)),
    };
    format!("{} = {}", field.name, value.as_deref().unwrap_or("null"))
}

/// The texts of the identity columns, where they could be read.
pub(super) fn identity(findings: &Findings, text: &[u8]) -> [Option<String>; 4] {
    findings.identity.map(|place| {
        let (start, end) = place?;
        let value = match text.get(start..end)? {
            b"null" => return None,
            [b'"', contents @ .., b'"'] => {
                let mut plain = Vec::new();
                scan::unescape(contents, &mut plain);
                plain
            }
            other => other.to_vec(),
        };
        Some(shortened(&String::from_utf8_lossy(&value), IDENTITY_MAX))
    })
}

/// A record's text for a message: at most so many characters.
fn cut(text: &[u8], max: usize) -> String {
    // A character has four bytes at most.
    let head = &text[..text.len().min(max * 4)];
    let lossy = String::from_utf8_lossy(head);
    shortened(&lossy, max)
}

fn shortened(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut("é".repeat(121).as_bytes(), 120), format!("{}…", "é".repeat(120)));
        assert_eq!(cut("é".repeat(120).as_bytes(), 120), "é".repeat(120));
    }

    #[test]
    fn decimal_bounds_are_written_with_their_point() {
        let money = FieldType::Decimal { precision: 18, scale: 4 };
        assert_eq!(render(Bound::Exact(-5), money), "-0.0005");
        assert_eq!(render(Bound::Exact(1_234_500), money), "123.4500");
        assert_eq!(render(Bound::Exact(7), FieldType::Int), "7");
    }
}
