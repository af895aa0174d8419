//! `logicalTypeOptions` and `enum` → what a column's values may be.

use super::keys;
use super::model::{Allowed, Bound, FieldType};
use super::value;
use crate::yaml::{self, Keys, Node, Object, Sink, Value, quoted};

fn options(kind: FieldType) -> &'static Keys {
    match kind {
        FieldType::String => &keys::OPTIONS_STRING,
        FieldType::Boolean => &keys::OPTIONS_NONE,
        FieldType::Int | FieldType::Long | FieldType::Double | FieldType::Decimal { .. } => {
            &keys::OPTIONS_NUMBER
        }
        FieldType::Timestamp => &keys::OPTIONS_TIMESTAMP,
        FieldType::Date => &keys::OPTIONS_DATE,
        FieldType::Json => &keys::OPTIONS_JSON,
    }
}

/// What the values of the column, which is of type `kind`, may be.
pub(super) fn read(object: &Object<'_>, kind: FieldType, sink: &mut Sink<'_>) -> Allowed {
    let mut allowed = Allowed::default();
    if let Some(node) = object.get("logicalTypeOptions") {
        let what = format!("`logicalTypeOptions` of {}", object.what);
        if let Some(object) = Object::new(what, node, sink) {
            object.check_keys(options(kind), sink);
            if kind == FieldType::String {
                read_lengths(&object, &mut allowed, sink);
            } else if std::ptr::eq(options(kind), &keys::OPTIONS_NUMBER) {
                read_bounds(&object, kind, &mut allowed, sink);
            }
        }
    }
    if let Some(node) = object.get("enum") {
        allowed.values = read_enum(object, node, kind, &allowed, sink);
    }
    allowed
}

fn read_lengths(object: &Object<'_>, allowed: &mut Allowed, sink: &mut Sink<'_>) {
    let mut length = |key: &str| {
        let node = object.get(key)?;
        let what = format!("`{key}` in {}", object.what);
        yaml::number(node, &what, sink, |text| {
            text.parse::<usize>().map_err(|_| "a length is a whole number from 0".to_owned())
        })
    };
    allowed.length_min = length("minLength");
    allowed.length_max = length("maxLength");
    if let (Some(min), Some(max), Some(node)) =
        (allowed.length_min, allowed.length_max, object.get("minLength"))
        && min > max
    {
        sink.push(node.at, format!("minLength {min} is greater than maxLength {max}"));
    }
}

fn read_bounds(object: &Object<'_>, kind: FieldType, allowed: &mut Allowed, sink: &mut Sink<'_>) {
    let mut read = |key: &str| {
        let node = object.get(key)?;
        let what = format!("`{key}` in {}", object.what);
        yaml::number(node, &what, sink, |text| bound(text, kind))
    };
    allowed.minimum = read("minimum");
    allowed.maximum = read("maximum");
    let crossed = match (allowed.minimum, allowed.maximum) {
        (Some(Bound::Exact(min)), Some(Bound::Exact(max))) => min > max,
        (Some(Bound::Double(min)), Some(Bound::Double(max))) => min > max,
        _ => false,
    };
    if crossed && let Some(node) = object.get("minimum") {
        sink.push(node.at, format!("minimum is greater than maximum in {}", object.what));
    }
}

/// A bound in the units of a column of type `kind`.
fn bound(text: &str, kind: FieldType) -> Result<Bound, String> {
    match kind {
        FieldType::Double => value::double(text).map(Bound::Double),
        FieldType::Decimal { precision, scale } => {
            value::decimal(text, precision, scale).map(Bound::Exact)
        }
        _ => {
            let number = value::integer(text)?;
            let (least, greatest, name) = match kind {
                FieldType::Int => (i128::from(i32::MIN), i128::from(i32::MAX), "int"),
                _ => (i128::from(i64::MIN), i128::from(i64::MAX), "long"),
            };
            if (least..=greatest).contains(&number) {
                Ok(Bound::Exact(number))
            } else {
                Err(format!("it lies outside {least} to {greatest}, the range of {name}"))
            }
        }
    }
}

fn read_enum(
    object: &Object<'_>,
    node: &Node,
    kind: FieldType,
    bounds: &Allowed,
    sink: &mut Sink<'_>,
) -> Vec<String> {
    let mut values = Vec::new();
    let what = format!("`enum` of {}", object.what);
    if !matches!(kind, FieldType::String | FieldType::Int | FieldType::Long) {
        sink.push(node.at, format!("{what}: only strings and integers can have one"));
        return values;
    }
    let Some(items) = yaml::list(node, &what, sink) else { return values };
    if items.is_empty() {
        sink.push(node.at, format!("{what} is empty, so no value would be allowed"));
    }
    for item in items {
        if let Value::Scalar { text, .. } = &item.value {
            let advice = format!("an entry is a mapping: write `- value: {text}`");
            sink.push(item.at, format!("{what}: {advice}"));
            continue;
        }
        let Some(entry) = Object::new(format!("an entry of {what}"), item, sink) else { continue };
        entry.check_keys(&keys::ENUM_ENTRY, sink);
        let Some(node) = entry.require("value", "it is the allowed value", sink) else { continue };
        let Some(value) = enum_value(node, kind, &what, bounds, sink) else { continue };
        if values.contains(&value) {
            sink.push(node.at, format!("{what} has the value {} twice", quoted(&value)));
        } else {
            values.push(value);
        }
    }
    values
}

/// One allowed value as text, inside the column's own bounds.
fn enum_value(
    node: &Node,
    kind: FieldType,
    what: &str,
    bounds: &Allowed,
    sink: &mut Sink<'_>,
) -> Option<String> {
    let what = format!("a value in {what}");
    if kind == FieldType::String {
        let (text, at) = yaml::string(node, &what, sink)?;
        let length = text.chars().count();
        let fits = bounds.length_min.is_none_or(|min| length >= min)
            && bounds.length_max.is_none_or(|max| length <= max);
        if !fits {
            let advice = "its length lies outside minLength and maxLength";
            sink.push(at, format!("{what} is {}: {advice}", quoted(text)));
        }
        return Some(text.to_owned());
    }
    let bound = yaml::number(node, &what, sink, |text| bound(text, kind))?;
    let Bound::Exact(number) = bound else { return None };
    let inside = |limit: Option<Bound>, ok: fn(i128, i128) -> bool| match limit {
        Some(Bound::Exact(limit)) => ok(number, limit),
        _ => true,
    };
    if !inside(bounds.minimum, |n, min| n >= min) || !inside(bounds.maximum, |n, max| n <= max) {
        sink.push(node.at, format!("{what} is {number}: it lies outside minimum and maximum"));
    }
    Some(number.to_string())
}
