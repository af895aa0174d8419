//! A whole contract file → [`Contract`].

use crate::names::TableName;

use super::column::{self, Column};
use super::custom::custom_properties;
use super::keep::{Keep, Promises};
use super::keys;
use super::limits::{self, Settings};
use super::model::Contract;
use super::resolve::resolve;
use super::rules;
use super::value;
use crate::yaml::{self, Diagnostic, Format, Node, Object, Position, Sink, quoted};

/// The one version of the standard that is read.
const API_VERSION: &str = "v3.2.0";
/// What messages call the file.
pub(super) const FORMAT: Format =
    Format { noun: "contract", begins: "apiVersion: v3.2.0", docs: "docs/contracts.md" };

/// Reads a contract: Open Data Contract Standard 3.2.0, the subset of `docs/contracts.md`.
///
/// `file` only names the file in diagnostics.
///
/// # Errors
/// Every mistake of the file in the order of its lines. Where the text is not YAML, that place and
/// what the loader found before it.
pub fn parse(file: &str, text: &str) -> Result<Contract, Vec<Diagnostic>> {
    let mut sink = Sink::new(&FORMAT, file);
    let contract = yaml::load(text, &mut sink).and_then(|root| read(&root, &mut sink));
    match contract {
        Some(contract) if sink.is_empty() => Ok(contract),
        _ => {
            if sink.is_empty() {
                sink.push(Position::START, "the contract cannot be read, and Weir cannot say why");
            }
            Err(sink.into_sorted())
        }
    }
}

fn read(root: &Node, sink: &mut Sink<'_>) -> Option<Contract> {
    let object = Object::new("the contract", root, sink)?;
    object.check_keys(&keys::CONTRACT, sink);
    check_standard(&object, sink);
    for key in ["name", "status"] {
        object.string(key, sink);
    }
    let settings = limits::read(&object, sink);
    let (keep, latency_max_s) = read_promises(&object, &settings, sink);
    let id = read_id(&object, settings.reference, sink);
    let hint = "it is MAJOR.MINOR.PATCH, for example 1.0.0";
    let version = object.require("version", hint, sink).and_then(|node| {
        yaml::text(node, "`version` of the contract", sink, |text| {
            let valid = value::is_version(text);
            if valid { Ok(text.to_owned()) } else { Err("MAJOR.MINOR.PATCH is needed".into()) }
        })
    });
    let description = read_description(&object, sink);
    let schema = read_schema(&object, id, settings.reference, sink)?;
    let resolved = resolve(&schema.columns, &settings, sink);
    let fields = resolved.fields?;
    let rules = schema.quality.map(|node| rules::read(node, &fields, sink)).unwrap_or_default();
    Some(Contract {
        id: id?.into(),
        version: version?,
        description: description.into(),
        fields,
        event_types: resolved.event_types,
        limits: settings.limits,
        keep_value: settings.keep_value,
        kind: resolved.kind,
        rules,
        dropped: resolved.dropped,
        key_policy: settings.key_policy,
        sorted_by: settings.sorted_by.into_iter().map(|(name, _)| name).collect(),
        partitioned_by: settings.partitioned_by,
        topic: settings.topic,
        keep,
        latency_max_s,
        hash_key: None,
    })
}

/// How long rows are kept, rejected ones, where nothing else is said, as long as the others; and how long a
/// record may take into the lake.
fn read_promises(
    object: &Object<'_>,
    settings: &Settings,
    sink: &mut Sink<'_>,
) -> (Keep, Option<i64>) {
    let Promises { rows_days, latency_s } = Promises::read(object, sink);
    if settings.reference
        && rows_days.is_some()
        && let Some(node) = object.get("slaProperties")
    {
        sink.push(
            node.at,
            "`retention` is for streams; what a reference table said is its history",
        );
    }
    (Keep { rows_days, rejects_days: settings.rejects_days.or(rows_days) }, latency_s)
}

fn check_standard(object: &Object<'_>, sink: &mut Sink<'_>) {
    let hint = format!("write `apiVersion: {API_VERSION}`");
    if let Some((version, at)) = object.require_string("apiVersion", &hint, sink)
        && version != API_VERSION
    {
        let version = quoted(version);
        sink.push(at, format!("apiVersion {version} is not supported; Weir reads {API_VERSION}"));
    }
    if let Some((kind, at)) = object.require_string("kind", "write `kind: DataContract`", sink)
        && kind != "DataContract"
    {
        sink.push(at, format!("kind {} is not supported; write DataContract", quoted(kind)));
    }
}

/// The id, which is the stream's name and makes the table's.
fn read_id<'n>(object: &Object<'n>, reference: bool, sink: &mut Sink<'_>) -> Option<&'n str> {
    let hint = "it is the stream's name, for example vending.health";
    let (id, at) = object.require_string("id", hint, sink)?;
    let valid = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase())
            && part.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
    };
    if id.len() > value::NAME_MAX || !id.split('.').all(valid) {
        let advice = format!(
            "an id is words of lower case letters, digits, `_` and `-` with dots between, each \
             beginning with a letter, at most {} characters in all",
            value::NAME_MAX
        );
        sink.push(at, format!("id {}: {advice}", quoted(id)));
        return None;
    }
    let advice = match (reference, id.starts_with("ref.")) {
        (true, false) => "the id of a reference table begins with `ref.`, as its table does",
        (false, true) => "`ref.` is for reference tables, which say `weir.reference: true`",
        _ => return Some(id),
    };
    sink.push(at, format!("id {}: {advice}", quoted(id)));
    Some(id)
}

fn read_description<'n>(object: &Object<'n>, sink: &mut Sink<'_>) -> &'n str {
    let Some(node) = object.get("description") else { return "" };
    let Some(description) = Object::new("`description` of the contract", node, sink) else {
        return "";
    };
    description.check_keys(&keys::DESCRIPTION, sink);
    custom_properties(&description, &[], sink);
    description.string("purpose", sink).map_or("", |(text, _)| text.trim_end())
}

/// The one schema object.
struct Schema<'n> {
    columns: Vec<Column<'n>>,
    quality: Option<&'n Node>,
}

fn read_schema<'n>(
    contract: &Object<'n>,
    id: Option<&str>,
    reference: bool,
    sink: &mut Sink<'_>,
) -> Option<Schema<'n>> {
    let hint = "it lists the one object whose `properties` are the columns";
    let node = contract.require("schema", hint, sink)?;
    let items = yaml::list(node, "`schema` of the contract", sink)?;
    let Some(first) = items.first() else {
        sink.push(node.at, format!("`schema` of the contract is empty; {hint}"));
        return None;
    };
    if let Some(second) = items.get(1) {
        sink.push(
            second.at,
            "a second object in `schema`; a stream has one, so split the contract",
        );
    }
    let object = Object::new("the schema", first, sink)?;
    object.check_keys(&keys::SCHEMA, sink);
    object.require_string("name", "it names the kind of event", sink);
    let hint = "write `logicalType: object`";
    if let Some((kind, at)) = object.require_string("logicalType", hint, sink)
        && kind != "object"
    {
        sink.push(at, format!("logicalType {} of the schema; {hint}", quoted(kind)));
    }
    object.string("description", sink);
    custom_properties(&object, &[], sink);
    if let Some((physical, at)) = object.string("physicalName", sink)
        && let Some(table) = id.map(if reference { TableName::reference } else { TableName::raw })
        && physical != table.to_string()
        && physical != table.name
    {
        let physical = quoted(physical);
        sink.push(
            at,
            format!("physicalName {physical} of the schema: Weir writes {table}; remove it"),
        );
    }
    let node = object.require("properties", "it lists the columns", sink)?;
    let items = yaml::list(node, "`properties` of the schema", sink)?;
    if items.is_empty() {
        sink.push(node.at, "`properties` of the schema is empty; it lists the columns");
    }
    let read = |(i, item)| column::read(item, i, reference, sink);
    let columns = items.iter().enumerate().filter_map(read).collect();
    Some(Schema { columns, quality: object.get("quality") })
}
