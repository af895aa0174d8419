//! A slow second opinion: the same contract, judged with serde_json's raw values, chrono and text.
//! It shares no code with the decoder.

use std::collections::HashSet;
use std::fmt;

use chrono::{DateTime, NaiveDate};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::class::RejectClass::{self, *};
use crate::contract::{Bound, Contract, Field, FieldType, Requirement};
use crate::decode::Record;

/// What a record should become.
#[derive(Debug, PartialEq)]
pub enum Opinion {
    /// Contract columns as text, and `_extra`.
    Row(Vec<Option<String>>, Option<String>),
    Reject(RejectClass, Option<String>),
    /// Not JSON, but it also holds something that may be reported instead.
    RejectSomehow,
}

/// An object's members in order, each value as its text.
struct Members(Vec<(String, String, String)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(name) = map.next_key::<Box<RawValue>>()? {
                    let value: Box<RawValue> = map.next_value()?;
                    let plain =
                        serde_json::from_str(name.get()).map_err(serde::de::Error::custom)?;
                    members.push((plain, name.get().to_owned(), value.get().to_owned()));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}

/// Parses everything below a value; the greatest nesting, or none if something is not JSON.
fn depth(value: &str) -> Option<usize> {
    match value.as_bytes().first()? {
        b'{' => {
            let Members(members) = serde_json::from_str(value).ok()?;
            let inside: Option<Vec<_>> = members.iter().map(|(_, _, v)| depth(v)).collect();
            Some(1 + inside?.into_iter().max().unwrap_or(0))
        }
        b'[' => {
            let items: Vec<Box<RawValue>> = serde_json::from_str(value).ok()?;
            let inside: Option<Vec<_>> = items.iter().map(|v| depth(v.get())).collect();
            Some(1 + inside?.into_iter().max().unwrap_or(0))
        }
        b'"' => serde_json::from_str::<String>(value).ok().map(|_| 0),
        _ => serde_json::from_str::<Box<RawValue>>(value).ok().map(|_| 0),
    }
}

pub fn judge(contract: &Contract, record: &Record<'_>) -> Opinion {
    let Some(bytes) = record.value else { return Opinion::Reject(NullValue, None) };
    if bytes.len() > contract.limits.value_bytes_max {
        return Opinion::Reject(TooLarge, None);
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return Opinion::Reject(NotUtf8, None) };
    let trimmed = text.trim_matches([' ', '\t', '\r', '\n']);
    let nesting = if trimmed.starts_with('{') { depth(trimmed) } else { None };
    let Some(nesting) = nesting else {
        let ambiguous = ["NaN", "Infinity"].iter().any(|word| text.contains(word))
            || text.matches(['[', '{']).count() > contract.limits.depth_max;
        return if ambiguous { Opinion::RejectSomehow } else { Opinion::Reject(NotJson, None) };
    };
    if nesting > contract.limits.depth_max {
        return Opinion::Reject(TooDeep, None);
    }
    members(contract, record, trimmed)
}

fn members(contract: &Contract, record: &Record<'_>, text: &str) -> Opinion {
    let Members(top) = serde_json::from_str(text).unwrap();
    let paths = contract.fields.iter().map(|f| &f.path).chain(&contract.dropped);
    let objects: HashSet<&String> = paths.filter_map(|path| path.object.as_ref()).collect();
    let mut names = HashSet::new();
    let (mut flat, mut extra) = (Vec::new(), Vec::new());
    let mut inner_extra: Vec<(String, Vec<String>)> = Vec::new();
    let mut no_objects = Vec::new();
    for (name, raw_name, value) in &top {
        if !names.insert((None, name.clone())) {
            return Opinion::Reject(DuplicateMember, Some(name.clone()));
        }
        let envelope = ["specversion", "datacontenttype", "dataschema"].contains(&name.as_str());
        if objects.contains(name) {
            let Ok(Members(inside)) = serde_json::from_str(value) else {
                if value != "null" {
                    no_objects.push(name.clone());
                }
                continue;
            };
            let mut unknown = Vec::new();
            for (member, raw_member, value) in inside {
                if !names.insert((Some(name.clone()), member.clone())) {
                    return Opinion::Reject(DuplicateMember, Some(format!("{name}.{member}")));
                }
                if known(contract, Some(name), &member) {
                    flat.push((Some(name.clone()), member, value));
                } else if !dropped(contract, Some(name), &member) {
                    unknown.push(format!("{raw_member}:{value}"));
                }
            }
            if !unknown.is_empty() {
                inner_extra.push((name.clone(), unknown));
            }
        } else if known(contract, None, name) {
            flat.push((None, name.clone(), value.clone()));
        } else if !envelope && !dropped(contract, None, name) {
            extra.push(format!("{raw_name}:{value}"));
        }
    }
    inner_extra.sort();
    for (object, unknown) in inner_extra {
        extra.push(format!(
            "{}:{{{}}}",
            serde_json::to_string(&object).unwrap(),
            unknown.join(",")
        ));
    }
    let extra = (!extra.is_empty()).then(|| format!("{{{}}}", extra.join(",")));
    let find = |f: &Field| {
        let same = |(o, m, _): &&(Option<String>, String, String)| {
            *o == f.path.object && *m == f.path.member
        };
        flat.iter().find(same).map(|(_, _, value)| value.as_str()).filter(|value| *value != "null")
    };
    columns(contract, record, &find, &no_objects, extra)
}

fn known(contract: &Contract, object: Option<&String>, member: &str) -> bool {
    contract.fields.iter().any(|f| f.path.object.as_ref() == object && f.path.member == member)
}

fn dropped(contract: &Contract, object: Option<&String>, member: &str) -> bool {
    contract.dropped.iter().any(|path| path.object.as_ref() == object && path.member == member)
}

fn columns<'a>(
    contract: &Contract,
    record: &Record<'_>,
    find: &dyn Fn(&Field) -> Option<&'a str>,
    no_objects: &[String],
    extra: Option<String>,
) -> Opinion {
    let type_field = contract.fields.iter().find(|f| f.name == "event_type");
    let event_type = type_field.and_then(find).and_then(|v| serde_json::from_str::<String>(v).ok());
    let event_type = contract.event_types.iter().position(|t| Some(t) == event_type.as_ref());
    let mut fields: Vec<&Field> = contract.fields.iter().collect();
    fields.sort_by_key(|f| f.name != "event_type");
    for field in fields {
        if let Some(object) = field.path.object.as_ref().filter(|o| no_objects.contains(*o)) {
            return Opinion::Reject(WrongType, Some(object.clone()));
        }
        let required = match &field.required {
            Requirement::Never => field.name == "event_time",
            Requirement::Always => true,
            Requirement::For(types) => {
                field.name == "event_time" || event_type.is_some_and(|t| types.contains(&t))
            }
        };
        let fault = match find(field) {
            None => required.then_some(Missing),
            Some(value) => convert(contract, record, field, value).err(),
        };
        if let Some(class) = fault {
            return Opinion::Reject(class, Some(field.path.to_string()));
        }
    }
    // An object of dropped members alone is checked behind the columns.
    if let Some(object) = no_objects.first() {
        return Opinion::Reject(WrongType, Some(object.clone()));
    }
    if extra.as_ref().is_some_and(|extra| extra.len() > contract.limits.extra_bytes_max) {
        return Opinion::Reject(TooLarge, Some("_extra".into()));
    }
    let cell = |f: &Field| find(f).and_then(|value| convert(contract, record, f, value).ok());
    Opinion::Row(contract.fields.iter().map(cell).collect(), extra)
}

/// Every value in a redacted text that must not be stored as it came is null, a hash or empty.
pub fn check_redacted(contract: &Contract, text: &str) {
    let check = |object: Option<&String>, member: &str, value: &str| {
        let hashed = contract
            .fields
            .iter()
            .any(|f| f.hashed && f.path.object.as_ref() == object && f.path.member == member);
        let empty = ["null", "{}", "[]", "false", "0", "\"\""].contains(&value);
        assert!(!dropped(contract, object, member) || value == "null", "{text}");
        assert!(!hashed || empty || value.starts_with("\"hmac-sha256:"), "{text}");
    };
    let Ok(Members(top)) = serde_json::from_str(text) else {
        assert!(["NaN", "Infinity"].iter().any(|word| text.contains(word)), "{text}");
        return;
    };
    for (name, _, value) in &top {
        check(None, name, value);
        if let Ok(Members(inside)) = serde_json::from_str(value) {
            inside.iter().for_each(|(member, _, value)| check(Some(name), member, value));
        }
    }
}

/// Is this value right for the field?
pub fn accepts(contract: &Contract, record: &Record<'_>, field: &Field, value: &str) -> bool {
    convert(contract, record, field, value).is_ok()
}

fn convert(
    contract: &Contract,
    record: &Record<'_>,
    field: &Field,
    value: &str,
) -> Result<String, RejectClass> {
    let string = || serde_json::from_str::<String>(value).map_err(|_| WrongType);
    let numeric = value.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    let listed = |text: &str| {
        field.allowed.values.is_empty() || field.allowed.values.iter().any(|v| v == text)
    };
    match field.kind {
        FieldType::String => {
            let text = string()?;
            if field.hashed {
                let mut hash = Vec::new();
                contract.hash_key.as_ref().unwrap().hash(text.as_bytes(), &mut hash);
                return Ok(String::from_utf8(hash).unwrap());
            }
            let length = text.chars().count();
            let fits = field.allowed.length_min.is_none_or(|min| length >= min)
                && field.allowed.length_max.is_none_or(|max| length <= max);
            let known = field.name != "event_type"
                || contract.event_types.is_empty()
                || contract.event_types.contains(&text);
            if fits && known && listed(&text) { Ok(text) } else { Err(OutOfRange) }
        }
        FieldType::Boolean if value == "true" || value == "false" => Ok(value.into()),
        FieldType::Json if value.starts_with(['{', '[']) => Ok(value.into()),
        FieldType::Int | FieldType::Long if numeric && !value.contains(['.', 'e', 'E']) => {
            let number: i128 = value.parse().map_err(|_| OutOfRange)?;
            let (low, high) = if field.kind == FieldType::Int {
                (i32::MIN.into(), i32::MAX.into())
            } else {
                (i64::MIN.into(), i64::MAX.into())
            };
            let fits = number >= low
                && number <= high
                && exact(field, number)
                && listed(&number.to_string());
            if fits { Ok(number.to_string()) } else { Err(OutOfRange) }
        }
        FieldType::Double if numeric => {
            let number = value.parse::<f64>().unwrap() + 0.0;
            let bound = |bound| match bound {
                Bound::Double(bound) => bound,
                Bound::Exact(_) => unreachable!("bounds of doubles are doubles"),
            };
            let fits = field.allowed.minimum.is_none_or(|min| number >= bound(min))
                && field.allowed.maximum.is_none_or(|max| number <= bound(max));
            if fits && number.is_finite() { Ok(format!("{number:?}")) } else { Err(OutOfRange) }
        }
        FieldType::Decimal { precision, scale } if numeric => {
            let number = unscaled(value, precision.into(), scale.into()).ok_or(OutOfRange)?;
            if exact(field, number) { Ok(number.to_string()) } else { Err(OutOfRange) }
        }
        FieldType::Timestamp => {
            time(contract, record, field, &string()?).map(|us| us.to_string()).ok_or(BadTime)
        }
        FieldType::Date => {
            let text = string()?;
            let shape = text.len() == 10 && text.bytes().all(|b| b == b'-' || b.is_ascii_digit());
            let date = NaiveDate::parse_from_str(&text, "%Y-%m-%d")
                .ok()
                .filter(|_| shape)
                .ok_or(BadTime)?;
            Ok(date.signed_duration_since(NaiveDate::default()).num_days().to_string())
        }
        _ => Err(WrongType),
    }
}

fn exact(field: &Field, number: i128) -> bool {
    let bound = |bound| match bound {
        Bound::Exact(bound) => bound,
        Bound::Double(_) => unreachable!("bounds of exact columns are exact"),
    };
    field.allowed.minimum.is_none_or(|min| number >= bound(min))
        && field.allowed.maximum.is_none_or(|max| number <= bound(max))
}

/// By moving the point in a string of digits.
fn unscaled(value: &str, precision: usize, scale: i64) -> Option<i128> {
    let (sign, value) = value.strip_prefix('-').map_or((1, value), |rest| (-1, rest));
    let (mantissa, exponent) = value.split_once(['e', 'E']).unwrap_or((value, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.bytes().all(|b| b == b'0') {
        return Some(0);
    }
    let exponent: i64 = exponent.parse().ok().filter(|e: &i64| e.abs() < 10_000)?;
    let mut shift = exponent - fraction.len() as i64 + scale;
    let mut digits = digits.trim_start_matches('0').to_owned();
    while shift < 0 {
        digits = digits.strip_suffix('0')?.to_owned();
        shift += 1;
    }
    digits.push_str(&"0".repeat(shift as usize));
    if digits.len() > precision {
        return None;
    }
    digits.parse::<i128>().ok().map(|number| number * sign)
}

fn time(contract: &Contract, record: &Record<'_>, field: &Field, text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let shape = text.is_ascii()
        && matches!(bytes.get(10), Some(b'T' | b't'))
        && bytes.get(17..19) != Some(b"60");
    let time = DateTime::parse_from_rfc3339(text).ok().filter(|_| shape)?;
    let us = time.timestamp_micros();
    if field.name == "event_time" {
        let latest = record.timestamp_ms.map(|ms| ms * 1000 + contract.limits.skew_max_us);
        if us < contract.limits.event_time_min_us || latest.is_some_and(|latest| us > latest) {
            return None;
        }
    }
    Some(us)
}
