//! `logicalType` and `physicalType` → the column's type.

use super::model::FieldType;
use super::value;
use crate::yaml::{Object, Position, Sink, nearest, quoted};

/// The type of the column, reported where it has none, and where its logical type stands.
pub(super) fn read(object: &Object<'_>, sink: &mut Sink<'_>) -> (Option<FieldType>, Position) {
    const LOGICAL: [&str; 8] =
        ["string", "boolean", "integer", "number", "timestamp", "date", "object", "array"];
    let hint = format!("it is one of {}", LOGICAL.join(", "));
    let Some((logical, at)) = object.require_string("logicalType", &hint, sink) else {
        return (None, object.at);
    };
    for (key, owner) in [("items", "array"), ("properties", "object")] {
        if let (Some(node), true) = (object.get(key), logical != owner) {
            let message = format!("`{key}` of {} belongs to `logicalType: {owner}`", object.what);
            sink.push(node.at, message);
        }
    }
    let physical = object.string("physicalType", sink);
    let kind = match logical {
        "string" => fixed(object, physical, "string", FieldType::String, sink),
        "boolean" => fixed(object, physical, "boolean", FieldType::Boolean, sink),
        "timestamp" => fixed(object, physical, "timestamptz", FieldType::Timestamp, sink),
        "date" => fixed(object, physical, "date", FieldType::Date, sink),
        "object" | "array" => fixed(object, physical, "string", FieldType::Json, sink),
        "integer" => match physical {
            Some(("int", _)) => Some(FieldType::Int),
            Some(("long", _)) => Some(FieldType::Long),
            Some((other, at)) => unknown_physical(object, other, at, "int or long", sink),
            None => Some(FieldType::Long),
        },
        "number" => number_type(object, physical, sink),
        _ => {
            let advice = match (logical, nearest(logical, LOGICAL.into_iter())) {
                ("time", _) => "use `logicalType: string`".to_owned(),
                ("map", _) => "use `logicalType: object`, which is kept verbatim".to_owned(),
                ("vector", _) => "use `logicalType: array`, which is kept verbatim".to_owned(),
                (_, Some(nearest)) => format!("did you mean `{nearest}`?"),
                (_, None) => hint,
            };
            let what = &object.what;
            let logical = quoted(logical);
            sink.push(at, format!("logicalType {logical} of {what} is not supported; {advice}"));
            None
        }
    };
    (kind, at)
}

/// A logical type with one physical type, which may be left out.
fn fixed(
    object: &Object<'_>,
    physical: Option<(&str, Position)>,
    only: &str,
    kind: FieldType,
    sink: &mut Sink<'_>,
) -> Option<FieldType> {
    match physical {
        Some((text, at)) if text != only => {
            unknown_physical(object, text, at, &format!("{only}, or nothing"), sink)
        }
        _ => Some(kind),
    }
}

fn unknown_physical(
    object: &Object<'_>,
    text: &str,
    at: Position,
    wanted: &str,
    sink: &mut Sink<'_>,
) -> Option<FieldType> {
    let (text, what) = (quoted(text), &object.what);
    sink.push(at, format!("physicalType {text} of {what} does not fit; write {wanted}"));
    None
}

fn number_type(
    object: &Object<'_>,
    physical: Option<(&str, Position)>,
    sink: &mut Sink<'_>,
) -> Option<FieldType> {
    let wanted = "double, or decimal(precision,scale) for what must be exact, such as money";
    let Some((text, at)) = physical else {
        if object.get("physicalType").is_none() {
            object.require("physicalType", &format!("a number is {wanted}"), sink);
        }
        return None;
    };
    if text == "double" {
        return Some(FieldType::Double);
    }
    let Some((precision, scale)) = value::decimal_type(text) else {
        return unknown_physical(object, text, at, wanted, sink);
    };
    let kind = match (u8::try_from(precision), u8::try_from(scale)) {
        (Ok(precision @ 1..=38), Ok(scale)) if scale <= precision => {
            Some(FieldType::Decimal { precision, scale })
        }
        _ => None,
    };
    if kind.is_none() {
        let advice = "the precision is 1 to 38 and the scale at most the precision";
        sink.push(at, format!("physicalType {} of {}: {advice}", quoted(text), object.what));
    }
    kind
}
