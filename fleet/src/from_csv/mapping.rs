//! The mapping file: what the user writes (TOML), and what it means for a file with these columns.

use std::collections::BTreeMap;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeZone};
use chrono_tz::Tz;
use serde::Deserialize;

use crate::data::Data;
use crate::stream::Stream;
use crate::text;

/// The file as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raw {
    stream: String,
    #[serde(default)]
    csv: RawCsv,
    #[serde(rename = "event")]
    events: Vec<RawEvent>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCsv {
    delimiter: Option<char>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEvent {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    when: BTreeMap<String, Vec<String>>,
    once_per: Option<String>,
    repeat: Option<String>,
    id: String,
    source: String,
    subject: String,
    site: Option<String>,
    time: RawTime,
    data: BTreeMap<String, RawMember>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTime {
    column: String,
    formats: Vec<String>,
    zone: String,
    at: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum RawMember {
    Template(String),
    Constant(Constant),
    Column(RawColumn),
    Time { time: RawTime },
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Constant {
    value: toml::Value,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawColumn {
    column: String,
    #[serde(default, rename = "as")]
    kind: As,
    #[serde(default)]
    map: BTreeMap<String, String>,
}

/// What a column's text becomes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum As {
    #[default]
    String,
    Number,
}

/// The mapping for a file with certain columns.
pub struct Mapping {
    /// Where the events belong.
    pub stream: Stream,
    /// What becomes of a row.
    pub events: Vec<Event>,
}

/// An event that a row becomes.
pub struct Event {
    /// The event type.
    pub kind: String,
    when: Vec<(usize, Vec<String>)>,
    /// Only the first row with this value makes the event.
    pub once_per: Option<usize>,
    repeat: Option<usize>,
    id: Template,
    source: Template,
    subject: Template,
    site: Option<Template>,
    time: Time,
    data: Vec<(String, Member)>,
}

enum Member {
    Template(Template),
    Json(Vec<u8>),
    Column { column: usize, kind: As, map: BTreeMap<String, String> },
    Time(Time),
}

/// Text with the values of columns in it.
struct Template(Vec<Piece>);

enum Piece {
    Text(String),
    Column(usize),
    Row,
    Repeat,
}

struct Time {
    column: usize,
    formats: Vec<String>,
    zone: Tz,
    at: NaiveTime,
}

/// A row, and which repetition of the event it is.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    /// Its values.
    pub values: &'a csv::StringRecord,
    /// Its number, 1 for the first behind the header.
    pub number: u64,
    /// From 1.
    pub repeat: u64,
}

impl Row<'_> {
    fn value(&self, column: usize) -> &str {
        self.values.get(column).unwrap_or_default()
    }
}

/// Reads the text of a mapping file.
pub fn read(text: &str) -> Result<Raw, String> {
    toml::from_str(text).map_err(|error| error.to_string())
}

impl Raw {
    /// What stands between columns.
    pub fn delimiter(&self) -> u8 {
        self.csv.delimiter.and_then(|c| u8::try_from(c).ok()).unwrap_or(b',')
    }

    /// The meaning for a file with these columns; all mistakes at once.
    pub fn resolve(self, columns: &csv::StringRecord) -> Result<Mapping, Vec<String>> {
        let mut names = Names { columns, wrong: Vec::new() };
        let stream: Option<Stream> = self.stream.parse().map_err(|e| names.wrong.push(e)).ok();
        let events: Vec<Event> = self.events.into_iter().map(|raw| names.event(raw)).collect();
        match (stream, names.wrong.is_empty()) {
            (Some(stream), true) => Ok(Mapping { stream, events }),
            _ => Err(names.wrong),
        }
    }
}

/// Finds columns by name, and collects what is wrong.
struct Names<'a> {
    columns: &'a csv::StringRecord,
    wrong: Vec<String>,
}

impl Names<'_> {
    fn column(&mut self, name: &str) -> usize {
        self.columns.iter().position(|column| column.trim() == name).unwrap_or_else(|| {
            let wrong = format!("the CSV file has no column {name:?}");
            if !self.wrong.contains(&wrong) {
                self.wrong.push(wrong);
            }
            0
        })
    }

    fn event(&mut self, raw: RawEvent) -> Event {
        Event {
            kind: raw.kind,
            when: raw.when.into_iter().map(|(name, of)| (self.column(&name), of)).collect(),
            once_per: raw.once_per.map(|name| self.column(&name)),
            repeat: raw.repeat.map(|name| self.column(&name)),
            id: self.template(&raw.id),
            source: self.template(&raw.source),
            subject: self.template(&raw.subject),
            site: raw.site.map(|text| self.template(&text)),
            time: self.time(raw.time),
            data: raw.data.into_iter().map(|(name, raw)| (name, self.member(raw))).collect(),
        }
    }

    fn member(&mut self, raw: RawMember) -> Member {
        match raw {
            RawMember::Template(text) => Member::Template(self.template(&text)),
            RawMember::Constant(Constant { value }) => {
                Member::Json(serde_json::to_vec(&value).unwrap_or_default())
            }
            RawMember::Column(RawColumn { column, kind, map }) => {
                Member::Column { column: self.column(&column), kind, map }
            }
            RawMember::Time { time } => Member::Time(self.time(time)),
        }
    }

    fn template(&mut self, text: &str) -> Template {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            pieces.push(Piece::Text(before.into()));
            let Some((name, behind)) = behind.split_once('}') else {
                self.wrong.push(format!("{text:?} has a brace that is not closed"));
                break;
            };
            pieces.push(match name {
                "row" => Piece::Row,
                "repeat" => Piece::Repeat,
                column => Piece::Column(self.column(column)),
            });
            rest = behind;
        }
        pieces.push(Piece::Text(rest.into()));
        Template(pieces)
    }

    fn time(&mut self, raw: RawTime) -> Time {
        let zone = raw.zone.parse().unwrap_or_else(|_| {
            self.wrong.push(format!("{:?} is not in the tz database", raw.zone));
            Tz::UTC
        });
        let at = raw.at.as_deref().unwrap_or("00:00:00");
        let at = at.parse().unwrap_or_else(|_| {
            self.wrong.push(format!("{at:?} is not a time of day such as 12:00:00"));
            NaiveTime::MIN
        });
        Time { column: self.column(&raw.column), formats: raw.formats, zone, at }
    }
}

impl Event {
    /// How many of this event the row makes.
    pub fn count(&self, row: Row<'_>) -> u64 {
        let fits = |(column, of): &(usize, Vec<String>)| {
            of.iter().any(|value| value == row.value(*column).trim())
        };
        if !self.when.iter().all(fits) {
            return 0;
        }
        // What is no number is for the contract to see, once.
        self.repeat.map_or(1, |column| row.value(column).trim().parse().unwrap_or(1).min(1000))
    }

    /// The record's key: the subject.
    pub fn key(&self, row: Row<'_>, out: &mut Vec<u8>) {
        self.subject.write(row, out);
    }

    /// Writes the event.
    pub fn write(&self, row: Row<'_>, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"specversion\":\"1.0\"");
        let mut data = Data(out);
        let mut member = |data: &mut Data<'_>, name: &str, template: &Template| {
            scratch.clear();
            template.write(row, scratch);
            data.string(name, &String::from_utf8_lossy(scratch));
        };
        member(&mut data, "id", &self.id);
        member(&mut data, "source", &self.source);
        data.string("type", &self.kind);
        member(&mut data, "subject", &self.subject);
        self.time.write("time", row, &mut data);
        if let Some(site) = &self.site {
            member(&mut data, "siteid", site);
        }
        data.json("data", b"{");
        for (name, what) in &self.data {
            match what {
                Member::Template(template) => member(&mut data, name, template),
                Member::Json(json) => {
                    data.json(name, json);
                }
                Member::Column { column, kind, map } => {
                    let value = row.value(*column).trim();
                    let value = map.get(value).map_or(value, String::as_str);
                    column_member(name, value, *kind, &mut data);
                }
                Member::Time(time) => time.write(name, row, &mut data),
            }
        }
        out.extend_from_slice(b"}}");
    }
}

/// A blank value is an absent member; what is no number stays the text that it is, for the contract to
/// refuse.
fn column_member(name: &str, value: &str, kind: As, data: &mut Data<'_>) {
    if value.is_empty() {
        return;
    }
    match kind {
        As::Number if serde_json::from_str::<serde_json::Number>(value).is_ok() => {
            data.json(name, value.as_bytes())
        }
        As::Number | As::String => data.string(name, value),
    };
}

impl Template {
    fn write(&self, row: Row<'_>, out: &mut Vec<u8>) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Column(column) => {
                    out.extend_from_slice(row.value(*column).trim().as_bytes())
                }
                Piece::Row => text::number(out, row.number),
                Piece::Repeat => text::number(out, row.repeat),
            }
        }
    }
}

impl Time {
    /// In UTC where it can be read, else as it stands.
    fn write(&self, name: &str, row: Row<'_>, data: &mut Data<'_>) {
        let value = row.value(self.column).trim();
        if value.is_empty() {
            return;
        }
        let local = self.formats.iter().find_map(|format| {
            let date = || NaiveDate::parse_from_str(value, format).ok();
            NaiveDateTime::parse_from_str(value, format)
                .ok()
                .or_else(|| date().map(|date| date.and_time(self.at)))
        });
        match local.and_then(|local| self.zone.from_local_datetime(&local).earliest()) {
            Some(time) => data.time(name, time.timestamp_millis()),
            None => data.string(name, value),
        };
    }
}
