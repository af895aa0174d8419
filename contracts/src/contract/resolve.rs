//! The checks that need all columns, and the fields that come out.

use std::collections::BTreeMap;

use crate::names::column;

use super::column::Column;
use super::limits::Settings;
use super::model::{Field, FieldType, Kind, Limits, Path, Policy, Requirement};
use crate::yaml::{Position, Sink, nearest, quoted};

/// Columns that rows are sorted by, at most.
const SORTED_MAX: usize = 4;

/// What the columns come to.
pub(super) struct Resolved {
    /// If every column could be read.
    pub fields: Option<Vec<Field>>,
    pub event_types: Vec<String>,
    pub dropped: Vec<Path>,
    pub kind: Kind,
}

/// The checks that need all columns, and the fields if every column could be read.
pub(super) fn resolve(
    columns: &[Column<'_>],
    settings: &Settings,
    sink: &mut Sink<'_>,
) -> Resolved {
    check_names(columns, sink);
    check_paths(columns, &settings.limits, sink);
    let (event_types, kind) = if settings.reference {
        (Vec::new(), Kind::Reference { key: check_reference(columns, sink) })
    } else {
        check_event_time(columns, sink);
        check_kept(columns, settings, sink);
        check_sorted(columns, settings, sink);
        (read_event_types(columns, sink), Kind::Stream)
    };
    let stored = columns.iter().filter(|column| column.policy != Policy::Drop);
    let fields = stored.map(|column| {
        let required = match (column.required == Some(true), column.required_for.as_slice()) {
            (true, _) => Requirement::Always,
            (false, []) => Requirement::Never,
            (false, names) => Requirement::For(resolve_types(names, &event_types, sink)),
        };
        Some(Field {
            name: column.name?.0.into(),
            path: column.path.clone()?.0,
            kind: column.kind?,
            required,
            allowed: column.allowed.clone(),
            hashed: column.policy == Policy::Hash,
            description: column.description.trim_end().into(),
        })
    });
    // All of them, so that every unknown event type is reported.
    let fields: Vec<Option<Field>> = fields.collect();
    let dropped = columns.iter().filter(|column| column.policy == Policy::Drop);
    let dropped = dropped.filter_map(|column| Some(column.path.clone()?.0)).collect();
    Resolved { fields: fields.into_iter().collect(), event_types, dropped, kind }
}

fn find<'c, 'n>(columns: &'c [Column<'n>], name: &str) -> Option<&'c Column<'n>> {
    columns.iter().find(|c| c.name.is_some_and(|(n, _)| n == name))
}

fn check_names(columns: &[Column<'_>], sink: &mut Sink<'_>) {
    let mut seen: BTreeMap<&str, Position> = BTreeMap::new();
    for (name, at) in columns.iter().filter_map(|c| c.name) {
        match seen.get(name) {
            Some(first) => {
                let message =
                    format!("a second column {}; first in line {}", quoted(name), first.line);
                sink.push(at, message);
            }
            None => {
                seen.insert(name, at);
            }
        }
    }
}

fn check_paths(columns: &[Column<'_>], limits: &Limits, sink: &mut Sink<'_>) {
    let mut seen: BTreeMap<&Path, Position> = BTreeMap::new();
    for column in columns {
        let Some((path, at)) = &column.path else { continue };
        // A default path follows the name: a second column of that name was reported already.
        let by_default = column.name.is_some_and(|(_, name_at)| name_at == *at);
        match seen.get(path) {
            Some(_) if by_default && names_twice(columns, column) => {}
            Some(first) => {
                let message =
                    format!("path `{path}` is taken by the column in line {}", first.line);
                sink.push(*at, message);
            }
            None => {
                seen.insert(path, *at);
            }
        }
        if path.object.is_some() && limits.depth_max < 2 {
            sink.push(*at, format!("path `{path}` is 2 levels deep; `weir.depthMax` allows 1"));
        }
    }
    // A member cannot be both a column and the object that others stand in.
    for (whole, at) in seen.iter().filter(|(path, _)| path.object.is_none()) {
        let inside = |path: &Path| path.object.as_ref() == Some(&whole.member);
        if let Some((path, other)) = seen.iter().find(|(path, _)| inside(path)) {
            let message = format!(
                "path `{whole}` takes an object whole, of which `{path}` is a member (line {})",
                other.line
            );
            sink.push(*at, message);
        }
    }
}

fn names_twice(columns: &[Column<'_>], column: &Column<'_>) -> bool {
    let same = |c: &&Column<'_>| c.name.map(|n| n.0) == column.name.map(|n| n.0);
    columns.iter().filter(same).count() > 1
}

fn check_event_time(columns: &[Column<'_>], sink: &mut Sink<'_>) {
    let name = column::EVENT_TIME;
    let Some(column) = find(columns, name) else {
        // Without any column, that was reported.
        let Some(at) = columns.first().map(|c| c.at) else { return };
        let advice = "every stream has it: a required timestamp, by which the table is partitioned";
        sink.push(at, format!("there is no column `{name}`; {advice}"));
        return;
    };
    if column.kind.is_some_and(|kind| kind != FieldType::Timestamp) {
        sink.push(column.kind_at, format!("column `{name}` must be of `logicalType: timestamp`"));
    }
    if column.required == Some(false) {
        sink.push(column.at, format!("column `{name}` must say `required: true`"));
    }
}

/// The bytes of a record hold what some policy keeps out.
fn check_kept(columns: &[Column<'_>], settings: &Settings, sink: &mut Sink<'_>) {
    let protected = columns.iter().find(|column| column.policy != Policy::Keep);
    if let (Some(column), Some(at), true) = (protected, settings.keep_value_at, settings.keep_value)
    {
        let name = quoted(column.name.map_or("", |(name, _)| name));
        let message = format!(
            "`weir.keepValue` keeps the records' bytes, and with them {name}, which is hashed or dropped"
        );
        sink.push(at, message);
    }
}

/// What rows are sorted by must be stored, and be of a type that has an order.
fn check_sorted(columns: &[Column<'_>], settings: &Settings, sink: &mut Sink<'_>) {
    let sorted = &settings.sorted_by;
    for (place, (name, at)) in sorted.iter().enumerate() {
        let column = find(columns, name).filter(|column| column.policy != Policy::Drop);
        let twice = sorted[..place].iter().any(|(earlier, _)| earlier == name);
        let wrong = match column.map(|column| column.kind) {
            _ if place == SORTED_MAX => format!("has more than {SORTED_MAX} columns"),
            _ if twice => format!("names {} twice", quoted(name)),
            _ if name == column::EVENT_TIME => format!("ends with `{name}` by itself"),
            None => format!("names {}, which is no column that is stored", quoted(name)),
            Some(Some(FieldType::Double | FieldType::Json)) => {
                format!("names {}, whose type no table is sorted by", quoted(name))
            }
            Some(_) => continue,
        };
        sink.push(*at, format!("`weir.sortedBy` {wrong}"));
    }
}

/// The columns of a reference table's validity and business key; positions of the key's columns.
fn check_reference(columns: &[Column<'_>], sink: &mut Sink<'_>) -> Vec<usize> {
    // Without any column, that was reported.
    let Some(first) = columns.first() else { return Vec::new() };
    for (name, required) in [(column::VALID_FROM, true), (column::VALID_TO, false)] {
        let must = if required { "a required timestamp" } else { "a timestamp, not required" };
        let Some(column) = find(columns, name) else {
            let message =
                format!("there is no column `{name}`; every reference table has it: {must}");
            sink.push(first.at, message);
            continue;
        };
        let fits = column.kind.is_none_or(|kind| kind == FieldType::Timestamp)
            && column.required.is_none_or(|r| r == required);
        if !fits {
            sink.push(column.at, format!("column `{name}` of a reference table must be {must}"));
        }
    }
    let mut key: Vec<usize> = (0..columns.len()).filter(|c| columns[*c].key.is_some()).collect();
    key.sort_by_key(|c| (columns[*c].key, *c));
    if key.is_empty() {
        let advice = "mark the columns of the business key with `primaryKey: true`";
        sink.push(first.at, format!("the reference table has no key; {advice}"));
    }
    for column in key.iter().map(|c| &columns[*c]) {
        let name = quoted(column.name.map_or("", |(name, _)| name)).replace('"', "`");
        if column.required == Some(false) {
            sink.push(column.at, format!("column {name} of the key must say `required: true`"));
        }
        if matches!(column.kind, Some(FieldType::Double | FieldType::Json)) {
            let advice = "whether two of its values are the same is no clear question";
            sink.push(column.kind_at, format!("column {name} cannot be part of the key: {advice}"));
        }
    }
    key
}

/// The values of the column `event_type`, sorted.
fn read_event_types(columns: &[Column<'_>], sink: &mut Sink<'_>) -> Vec<String> {
    let name = column::EVENT_TYPE;
    let asked = columns.iter().find_map(|c| c.required_for.first().map(|(_, at)| *at));
    let Some(column) = find(columns, name) else {
        if let Some(at) = asked {
            sink.push(at, format!("`weir.requiredFor` needs a column `{name}` with an `enum`"));
        }
        return Vec::new();
    };
    if column.kind.is_some_and(|kind| kind != FieldType::String) {
        sink.push(column.kind_at, format!("column `{name}` must be of `logicalType: string`"));
        return Vec::new();
    }
    if asked.is_some() && column.required == Some(false) {
        let advice = "other columns are required for some types (`weir.requiredFor`)";
        sink.push(column.at, format!("column `{name}` must say `required: true`: {advice}"));
    }
    let mut types = column.allowed.values.clone();
    if let (Some(at), true) = (asked, types.is_empty()) {
        sink.push(at, format!("`weir.requiredFor` needs an `enum` at the column `{name}`"));
    }
    types.sort_unstable();
    types
}

/// Indexes of `names` in `event_types`, sorted.
fn resolve_types(
    names: &[(&str, Position)],
    event_types: &[String],
    sink: &mut Sink<'_>,
) -> Vec<usize> {
    let mut indexes = Vec::new();
    // Without event types the whole property has been reported.
    for (name, at) in names.iter().filter(|_| !event_types.is_empty()) {
        match event_types.binary_search_by(|t| t.as_str().cmp(name)) {
            Ok(index) => indexes.push(index),
            Err(_) => {
                let nearest = nearest(name, event_types.iter().map(String::as_str));
                let advice = match nearest {
                    Some(nearest) => format!("; did you mean `{nearest}`?"),
                    None => format!(", which the enum of `{}` must list", column::EVENT_TYPE),
                };
                sink.push(*at, format!("unknown event type {}{advice}", quoted(name)));
            }
        }
    }
    indexes.sort_unstable();
    indexes
}
