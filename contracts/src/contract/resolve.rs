//! The checks that need all columns, and the fields that come out.

use std::collections::BTreeMap;

use crate::names::column;

use super::column::Column;
use super::diagnostic::{Position, Sink, quoted};
use super::model::{Field, FieldType, Limits, Path, Requirement};
use super::value;

/// The checks that need all columns, and the fields if every column could be read.
pub(super) fn resolve(
    columns: &[Column<'_>],
    limits: &Limits,
    sink: &mut Sink<'_>,
) -> (Option<Vec<Field>>, Vec<String>) {
    check_names(columns, sink);
    check_paths(columns, limits, sink);
    check_event_time(columns, sink);
    let event_types = read_event_types(columns, sink);
    let fields = columns.iter().map(|column| {
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
            description: column.description.trim_end().into(),
        })
    });
    // All of them, so that every unknown event type is reported.
    let fields: Vec<Option<Field>> = fields.collect();
    (fields.into_iter().collect(), event_types)
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
        let advice = "every stream has it: a required timestamp, by whose day the table is divided";
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
                let nearest = value::nearest(name, event_types.iter().map(String::as_str));
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
