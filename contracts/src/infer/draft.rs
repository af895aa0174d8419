//! What was seen → YAML that `weir contracts check` accepts, with comments on what it rests on.

use std::fmt::Write;

use super::Observer;
use super::seen::{Guess, Seen};
use crate::contract::{FieldType, Path, is_name};
use crate::names::column;

/// An object with more members than that is kept whole.
const OBJECT_MEMBERS_MAX: usize = 64;
/// Each value of a closed list occurs so often on average, or the list is a coincidence.
const ENUM_REPEATS_MIN: usize = 10;

/// Members of a CloudEvent that need no column.
const ENVELOPE: [&str; 3] = ["specversion", "datacontenttype", "dataschema"];
/// Members of a CloudEvent, and their columns.
const COLUMNS: [(&str, &str); 7] = [
    ("id", column::EVENT_ID),
    ("source", "event_source"),
    ("type", column::EVENT_TYPE),
    ("time", column::EVENT_TIME),
    ("receivedat", "received_at"),
    ("siteid", "site_id"),
    ("traceid", "trace_id"),
];
const MONEY: [&str; 8] = ["price", "amount", "cost", "fee", "tax", "balance", "total", "revenue"];
const PERSONAL: [&str; 14] = [
    "mail",
    "phone",
    "mobile",
    "address",
    "birth",
    "card",
    "iban",
    "loyalty",
    "customer",
    "user",
    "first_name",
    "last_name",
    "passport",
    "cashier",
];

/// A column of the draft.
struct Column<'a> {
    name: String,
    path: &'a Path,
    seen: &'a Seen,
    guess: Guess,
}

impl Observer {
    /// A contract for records like those that were seen in `topic`: YAML that passes its own check.
    /// Its comments say what was seen; the values of what may be personal are not repeated.
    pub fn draft(&self, topic: &str) -> String {
        let mut out = String::new();
        self.head(topic, &mut out);
        let mut columns = self.columns();
        let event_time = self.event_time(&columns);
        for (place, column) in columns.iter_mut().enumerate() {
            if Some(place) == event_time {
                column.name = column::EVENT_TIME.into();
            } else if column.name == column::EVENT_TIME {
                column.name = "event_time_text".into();
            }
        }
        unique(&mut columns);
        if event_time.is_none() {
            line(
                &mut out,
                6,
                "# No member holds a time with a zone. Every contract has this column:",
            );
            line(&mut out, 6, "# as it stands here, every record would be rejected.");
            line(&mut out, 6, "- name: event_time");
            line(&mut out, 8, "logicalType: timestamp");
            line(&mut out, 8, "required: true");
            let free = |member: &&str| self.seen(None, member).is_none();
            let member = ["time", "event_time", "eventtime"].into_iter().find(free);
            let member = member.unwrap_or("event_time_of_no_record");
            let path = format!("customProperties: [{{property: weir.path, value: {member}}}]");
            line(&mut out, 8, &path);
        }
        for column in &columns {
            self.column(column, &mut out);
        }
        self.tail(&mut out);
        out
    }

    fn head(&self, topic: &str, out: &mut String) {
        let shown = comment(topic);
        line(
            out,
            0,
            &format!(
                "# Drafted by `weir contracts infer` from {} records of {shown}.",
                self.records
            ),
        );
        line(
            out,
            0,
            "# Correct it and describe the columns: it knows what was seen, not what may come.",
        );
        if self.objects() < self.records {
            line(
                out,
                0,
                &format!(
                    "# Passed over: {} records without a value, {} that are no JSON object, {} with a \
                     member twice.",
                    self.tombstones, self.strangers, self.twins
                ),
            );
        }
        let id = stream_id(topic);
        for text in ["apiVersion: v3.2.0", "kind: DataContract"] {
            line(out, 0, text);
        }
        line(out, 0, &format!("id: {id}"));
        for text in ["version: 0.1.0", "status: draft", "schema:", "  - name: event"] {
            line(out, 0, text);
        }
        line(out, 4, "logicalType: object");
        line(out, 4, "properties:");
    }

    /// The columns, in the order in which their members were met.
    fn columns(&self) -> Vec<Column<'_>> {
        let members = self.members.iter().filter(|(path, _)| self.is_column(path));
        let columns = members.map(|(path, seen)| {
            let mut name = name(path);
            let guess = seen.guess(MONEY.iter().any(|word| name.contains(word)));
            if name == column::EVENT_TYPE && guess.kind != FieldType::String {
                name = "type".into();
            }
            Column { name, path, seen, guess }
        });
        columns.collect()
    }

    /// Can the member be a column of its own, and shall it?
    fn is_column(&self, path: &Path) -> bool {
        match &path.object {
            None => {
                spelt(path)
                    && !ENVELOPE.contains(&path.member.as_str())
                    && !self.is_divided(&path.member)
            }
            Some(object) => spelt(path) && self.is_divided(object),
        }
    }

    /// Is the object taken apart into columns?
    fn is_divided(&self, object: &str) -> bool {
        let Some(whole) = self.seen(None, object) else { return false };
        let inside = |path: &Path| path.object.as_deref() == Some(object);
        let members: Vec<&Path> =
            self.members.iter().map(|(path, _)| path).filter(|path| inside(path)).collect();
        whole.objects > 0
            && whole.objects == whole.filled()
            && (1..=OBJECT_MEMBERS_MAX).contains(&members.len())
            && members.iter().any(|path| spelt(path))
    }

    /// The column that is the event's time: `time`, else one that every record fills.
    fn event_time(&self, columns: &[Column<'_>]) -> Option<usize> {
        let always = |column: &&Column<'_>| {
            column.guess.kind == FieldType::Timestamp && column.seen.filled() == self.objects()
        };
        let place = |column: &Column<'_>| columns.iter().position(|c| c.path == column.path);
        let named = columns
            .iter()
            .find(|column| column.name == column::EVENT_TIME && column.seen.times() > 0);
        let timely = |column: &&Column<'_>| column.name.contains("time");
        let found = named
            .or_else(|| columns.iter().filter(always).find(timely))
            .or_else(|| columns.iter().find(always));
        found.and_then(place)
    }

    fn column(&self, column: &Column<'_>, out: &mut String) {
        let Column { name, path, seen, guess } = column;
        let event_time = name == column::EVENT_TIME;
        let kind = if event_time { FieldType::Timestamp } else { guess.kind };
        let personal = PERSONAL.iter().any(|word| name.contains(word));
        self.remarks(column, kind, personal, out);
        line(out, 6, &format!("- name: {name}"));
        let (logical, physical) = match kind {
            FieldType::String => ("string", None),
            FieldType::Boolean => ("boolean", None),
            FieldType::Int | FieldType::Long => ("integer", Some("long".to_owned())),
            FieldType::Double => ("number", Some("double".to_owned())),
            FieldType::Decimal { precision, scale } => {
                ("number", Some(format!("decimal({precision},{scale})")))
            }
            FieldType::Timestamp => ("timestamp", None),
            FieldType::Date => ("date", None),
            FieldType::Json if guess.object => ("object", None),
            FieldType::Json => ("array", None),
        };
        line(out, 8, &format!("logicalType: {logical}"));
        if let Some(physical) = physical {
            line(out, 8, &format!("physicalType: {physical}"));
        }
        let required = event_time || (self.objects() > 0 && seen.filled() == self.objects());
        if required {
            line(out, 8, "required: true");
        }
        let types = self.event_types();
        if name == column::EVENT_TYPE && !types.is_empty() {
            line(out, 8, "enum:");
            for (name, count) in &types {
                line(out, 10, &format!("- value: {} # {count} records", quoted(name)));
            }
        }
        let needed: Vec<String> = types
            .iter()
            .enumerate()
            .filter(|(number, (_, count))| seen.by_type.get(number) == Some(count))
            .map(|(_, (name, _))| quoted(name))
            .collect();
        let default = path.object.as_deref() == Some("data") && path.member == *name;
        let needed = if required { Vec::new() } else { needed };
        if !default || !needed.is_empty() {
            line(out, 8, "customProperties:");
        }
        if !default {
            let path = quoted(&path.to_string());
            line(out, 10, &format!("- {{property: weir.path, value: {path}}}"));
        }
        if !needed.is_empty() {
            let needed = needed.join(", ");
            line(out, 10, &format!("- {{property: weir.requiredFor, value: [{needed}]}}"));
        }
    }

    /// The comments above a column.
    fn remarks(&self, column: &Column<'_>, kind: FieldType, personal: bool, out: &mut String) {
        let Column { path, seen, guess, .. } = column;
        let (filled, records) = (seen.filled(), self.objects());
        let mut remark = match filled == records {
            true => format!("# {}: in all {records} records", comment(&path.to_string())),
            false => format!(
                "# {}: in {filled} of {records} records, null in {}",
                comment(&path.to_string()),
                seen.nulls
            ),
        };
        if let Some(range) = seen.range(kind).filter(|_| !personal) {
            let _ = write!(remark, "; {range}");
        }
        line(out, 6, &remark);
        let misfits = match kind {
            FieldType::Timestamp => filled - seen.times(),
            _ => guess.misfits,
        };
        if misfits > 0 {
            line(
                out,
                6,
                &format!(
                    "# {misfits} values are of another type: their records would be rejected."
                ),
            );
        }
        if column.name == column::EVENT_TIME && seen.early > 0 {
            let early = seen.early;
            line(
                out,
                6,
                &format!(
                    "# {early} lie before 2020: their records would be rejected (weir.eventTimeMin)."
                ),
            );
        }
        if personal {
            line(
                out,
                6,
                "# May be personal data: decide with weir.policy whether to keep, hash or drop it.",
            );
            return;
        }
        let values = seen.values.as_ref().filter(|values| {
            kind == FieldType::String && (1..=filled / ENUM_REPEATS_MIN).contains(&values.len())
        });
        if let (Some(values), true) = (values, column.name != column::EVENT_TYPE) {
            let values =
                values.iter().map(|(value, count)| format!("{} ({count})", comment(value)));
            let values: Vec<String> = values.collect();
            line(out, 6, &format!("# enum? {}", values.join(", ")));
        }
    }

    /// What no column was made of.
    fn tail(&self, out: &mut String) {
        let lost = |path: &Path| match &path.object {
            None => !spelt(path) && !self.is_divided(&path.member),
            Some(object) => self.is_divided(object) && !spelt(path),
        };
        let lost: Vec<String> = self
            .members
            .iter()
            .filter(|(path, _)| lost(path))
            .map(|(path, _)| comment(&path.to_string()))
            .collect();
        if !lost.is_empty() {
            let lost = lost.join(", ");
            line(out, 0, &format!("# No path can name these members, they stay in _extra: {lost}"));
        }
        if self.beyond > 0 {
            line(
                out,
                0,
                &format!(
                    "# {} more occurrences of further members were not looked at.",
                    self.beyond
                ),
            );
        }
    }

    /// The event types, if every record has one of a few.
    fn event_types(&self) -> Vec<(String, usize)> {
        let text = |seen: &Seen| seen.guess(false).kind == FieldType::String;
        if !self.seen(None, "type").is_some_and(text) {
            return Vec::new();
        }
        let types = self.types.clone().unwrap_or_default();
        let counted = types.iter().map(|(_, count)| count).sum::<usize>();
        if self.typed == self.objects() && counted == self.typed { types } else { Vec::new() }
    }
}

/// Can a contract's path name the member?
fn spelt(path: &Path) -> bool {
    let valid = |s: &str| {
        !s.is_empty()
            && s.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b'.'))
    };
    valid(&path.member) && path.object.as_deref().is_none_or(valid)
}

/// A column's name for a member.
fn name(path: &Path) -> String {
    let known = COLUMNS.iter().find(|(member, _)| path.object.is_none() && *member == path.member);
    if let Some((_, name)) = known {
        return (*name).into();
    }
    let object = path.object.as_deref().filter(|object| *object != "data");
    let text = object.map_or(path.member.clone(), |object| format!("{object}_{}", path.member));
    let mut name = String::new();
    let mut lower = false;
    for character in text.chars() {
        if character.is_ascii_uppercase() && lower {
            name.push('_');
        }
        lower = character.is_ascii_lowercase() || character.is_ascii_digit();
        name.push(if character.is_ascii_alphanumeric() {
            character.to_ascii_lowercase()
        } else {
            '_'
        });
    }
    let name: String = name.trim_matches('_').chars().take(100).collect();
    if is_name(&name) { name } else { format!("c_{name}") }
}

/// Numbers the columns of one name.
fn unique(columns: &mut [Column<'_>]) {
    for place in 1..columns.len() {
        let base = columns[place].name.clone();
        let mut number = 1;
        while columns[..place].iter().any(|column| column.name == columns[place].name) {
            number += 1;
            columns[place].name = format!("{base}_{number}");
        }
    }
}

/// A contract's id for a topic.
fn stream_id(topic: &str) -> String {
    let word = |word: &str| {
        let valid = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-');
        let word: String =
            word.to_ascii_lowercase().chars().map(|c| if valid(c) { c } else { '_' }).collect();
        if word.starts_with(|c: char| c.is_ascii_lowercase()) { word } else { format!("s{word}") }
    };
    let id = topic.split('.').map(word).collect::<Vec<_>>().join(".");
    let id = if id.starts_with("ref.") { format!("stream.{id}") } else { id };
    let id: String = id.chars().take(crate::contract::NAME_MAX).collect();
    id.trim_end_matches('.').to_owned()
}

/// A YAML string.
fn quoted(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        && !["true", "false", "null"].contains(&text);
    if plain { text.to_owned() } else { format!("\"{}\"", escaped(text)) }
}

/// With escapes of YAML for all that is not printable ASCII.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            ' '..='~' => out.push(character),
            _ => {
                let _ = write!(out, "\\U{:08x}", u32::from(character));
            }
        }
    }
    out
}

/// A text for a comment: on one line, and cut.
fn comment(text: &str) -> String {
    let shown: String = text.chars().take(60).collect();
    escaped(&shown)
}

fn line(out: &mut String, indent: usize, text: &str) {
    out.extend(std::iter::repeat_n(' ', indent));
    out.push_str(text);
    out.push('\n');
}
