//! One entry of `properties` → one column.

use crate::names::column as names;

use super::allowed;
use super::custom::custom_properties;
use super::keys;
use super::model::{Allowed, FieldType, Path, Policy};
use super::types;
use super::value;
use crate::yaml::{self, Node, Object, Position, Sink, Value, quoted};

/// A column as far as it could be read; the contract as a whole decides the rest.
pub(super) struct Column<'n> {
    pub at: Position,
    /// The name, also where it is badly spelt, so that other checks can find the column.
    pub name: Option<(&'n str, Position)>,
    pub path: Option<(Path, Position)>,
    pub kind: Option<FieldType>,
    /// Where the logical type stands.
    pub kind_at: Position,
    /// `None` where it could not be read.
    pub required: Option<bool>,
    /// The event types of `weir.requiredFor`.
    pub required_for: Vec<(&'n str, Position)>,
    pub allowed: Allowed,
    pub policy: Policy,
    /// Its place in the business key, if it is a part of it.
    pub key: Option<u64>,
    pub description: &'n str,
}

/// The tag of a column that holds personal data.
const PERSONAL: &str = "personal";

/// Reads the entry at `index` of the list; `reference` says that the contract is one of a
/// reference table.
pub(super) fn read<'n>(
    node: &'n Node,
    index: usize,
    reference: bool,
    sink: &mut Sink<'_>,
) -> Option<Column<'n>> {
    let unnamed = format!("column {}", index + 1);
    let mut object = Object::new(unnamed, node, sink)?;
    let hint = "it is the column's name in lower snake case";
    let name = object.require_string("name", hint, sink);
    if let Some((name, at)) = name {
        object.what = format!("column {}", quoted(name).replace('"', "`"));
        check_name(name, at, sink);
    }
    object.check_keys(&keys::COLUMN, sink);
    let (kind, kind_at) = types::read(&object, sink);
    let required = match object.get("required") {
        Some(_) => object.boolean("required", sink),
        None => Some(false),
    };
    let mut column = Column {
        at: object.at,
        name,
        path: name.and_then(|(name, at)| Some((path(&format!("data.{name}")).ok()?, at))),
        kind,
        kind_at,
        required,
        required_for: Vec::new(),
        allowed: Allowed::default(),
        policy: Policy::Keep,
        key: if reference { key(&object, index, sink) } else { None },
        description: object.string("description", sink).map_or("", |(text, _)| text),
    };
    check_promises(&object, name, sink);
    let mut policy_given = false;
    let known = if reference { &[] } else { keys::WEIR_COLUMN };
    for (property, node) in custom_properties(&object, known, sink) {
        let what = format!("`{property}` of {}", object.what);
        match property {
            "weir.path" => {
                column.path = yaml::text(node, &what, sink, path).map(|path| (path, node.at));
            }
            "weir.policy" => {
                policy_given = true;
                column.policy = yaml::text(node, &what, sink, value::policy).unwrap_or_default();
            }
            _ => {
                column.required_for = event_types(node, &what, sink);
                if let (Some(true), Some((_, at))) = (required, column.required_for.first()) {
                    let message = format!("{what}: the column is required in every event already");
                    sink.push(*at, message);
                }
            }
        }
    }
    if let Some(kind) = kind {
        column.allowed = allowed::read(&object, kind, sink);
    }
    check_policy(&object, &column, policy_given || reference, sink);
    Some(column)
}

/// What a policy leaves to be said of the column, and that a personal one has a policy.
fn check_policy(object: &Object<'_>, column: &Column<'_>, given: bool, sink: &mut Sink<'_>) {
    let personal =
        |node: &Node| matches!(&node.value, Value::Scalar { text, .. } if text == PERSONAL);
    if let Some(Value::List(tags)) = object.get("tags").map(|node| &node.value)
        && let (Some(tag), false) = (tags.iter().find(|tag| personal(tag)), given)
    {
        let advice = "say with `weir.policy` whether the lake may hold it: keep, hash or drop";
        sink.push(tag.at, format!("{} is tagged `{PERSONAL}`; {advice}", object.what));
    }
    if column.policy == Policy::Keep {
        return;
    }
    let name = column.name.map_or("", |(name, _)| name);
    if names::IDENTITY.contains(&name) {
        let advice = "Weir itself needs the value; only `keep` is possible";
        sink.push(object.at, format!("`weir.policy` of {}: {advice}", object.what));
    }
    if column.policy == Policy::Hash && column.kind.is_some_and(|kind| kind != FieldType::String) {
        let advice = "only strings are hashed; use `drop`, or `logicalType: string`";
        sink.push(column.kind_at, format!("`weir.policy` of {}: {advice}", object.what));
    }
    for key in ["enum", "logicalTypeOptions"] {
        if let Some(node) = object.get(key) {
            let advice = "a value that is hashed or dropped is not checked; remove it";
            sink.push(node.at, format!("`{key}` of {}: {advice}", object.what));
        }
    }
    let required = column.required == Some(true) || !column.required_for.is_empty();
    if column.policy == Policy::Drop && required {
        let advice = "what is dropped need not be there; remove `required` and `weir.requiredFor`";
        sink.push(object.at, format!("{}: {advice}", object.what));
    }
}

/// The column's place in the business key.
fn key(object: &Object<'_>, index: usize, sink: &mut Sink<'_>) -> Option<u64> {
    let position = object.get("primaryKeyPosition").and_then(|node| {
        let what = format!("`primaryKeyPosition` of {}", object.what);
        yaml::number(node, &what, sink, |text| {
            let position = text.parse::<u64>().ok().filter(|position| *position > 0);
            position.ok_or_else(|| "a position is a whole number from 1".to_owned())
        })
    });
    let part = object.boolean("primaryKey", sink) == Some(true);
    part.then(|| position.unwrap_or(index as u64 + 1))
}

fn check_name(name: &str, at: Position, sink: &mut Sink<'_>) {
    if name.starts_with('_') {
        let advice = "names with a leading underscore are reserved for Weir's own columns";
        sink.push(at, format!("column name {}: {advice}", quoted(name)));
    } else if !value::is_name(name) {
        let advice = format!(
            "a name begins with a lower case letter and has only lower case letters, digits and \
             underscores, at most {} of them",
            value::NAME_MAX
        );
        sink.push(at, format!("column name {}: {advice}", quoted(name)));
    }
}

/// Keys that Weir can honour in one way only.
fn check_promises(object: &Object<'_>, name: Option<(&str, Position)>, sink: &mut Sink<'_>) {
    if object.boolean("unique", sink) == Some(true)
        && let Some(node) = object.get("unique")
    {
        let advice = "every record is kept, so uniqueness is not enforced; remove it";
        sink.push(node.at, format!("`unique` of {}: {advice}", object.what));
    }
    if let Some((physical, at)) = object.string("physicalName", sink)
        && let Some((name, _)) = name
        && physical != name
    {
        let advice = "a column is named as its `name` says; remove it";
        sink.push(at, format!("`physicalName` of {}: {advice}", object.what));
    }
}

/// `member` or `object.member`.
fn path(text: &str) -> Result<Path, String> {
    let valid = |s: &str| {
        !s.is_empty() && s.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'))
    };
    let segments: Vec<&str> = text.split('.').collect();
    if !segments.iter().all(|s| valid(s)) {
        let advice = "members are printable ASCII without blanks, quotes and backslashes";
        return Err(format!("a path is `member` or `object.member`; {advice}"));
    }
    match segments.as_slice() {
        [member] => Ok(Path { object: None, member: (*member).into() }),
        [object, member] => Ok(Path { object: Some((*object).into()), member: (*member).into() }),
        _ => Err("a path has at most two segments, `object.member`".into()),
    }
}

fn event_types<'n>(node: &'n Node, what: &str, sink: &mut Sink<'_>) -> Vec<(&'n str, Position)> {
    let mut types: Vec<(&str, Position)> = Vec::new();
    let Some(items) = yaml::list(node, what, sink) else { return types };
    if items.is_empty() {
        sink.push(node.at, format!("{what} is empty; list event types or remove it"));
    }
    for item in items {
        let Some((name, at)) = yaml::string(item, &format!("an event type in {what}"), sink) else {
            continue;
        };
        if types.iter().any(|(other, _)| *other == name) {
            sink.push(at, format!("{what} names {} twice", quoted(name)));
        } else {
            types.push((name, at));
        }
    }
    types
}
