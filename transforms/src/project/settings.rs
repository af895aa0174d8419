//! Settings of a model: from the folders' defaults, the YAML beside it and its own `config()`, the
//! last word being the nearest to the SQL.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::value::ValueKind;
use weir_contract::yaml::{Diagnostic, Kind, Node, Position, Value as Yaml, nearest, quoted};

use super::Place;
use crate::windows::BatchSize;

/// All keys that may be set.
const KEYS: [&str; 10] = [
    "materialized",
    "incremental_strategy",
    "event_time",
    "batch_size",
    "lookback",
    "on_schema_change",
    "tags",
    "unique_key",
    "dedup",
    "meta",
];
/// Batches before its own of which a batch may be made.
const LOOKBACK_MAX: i64 = 1_000;

/// What becomes of a model's rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Materialized {
    /// Nothing: it is its SELECT wherever it is named.
    #[default]
    View,
    /// A table, whose rows each build makes anew.
    Table,
    /// A table to which each build brings what is new in its inputs.
    Incremental,
}

/// How a build brings what is new to the table of an incremental model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Each new record gives rows of its own, which are added.
    Append,
    /// New records only tell which windows of time they touch; these are made anew from all records.
    Microbatch,
    /// Rows that are made of new records take the place of those with the same key.
    Merge,
}

/// What becomes of the rows of an incremental model when its SQL is another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnSchemaChange {
    /// All are made anew.
    #[default]
    Refresh,
    /// Nothing; new columns are not added.
    Ignore,
    /// The build fails.
    Fail,
    /// Nothing; new columns are added, and null in them.
    AppendNewColumns,
    /// The same, and columns that the SQL no longer has go.
    SyncAllColumns,
}

/// How a model is built, and by whom it is owned and read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// What becomes of its rows.
    pub materialized: Materialized,
    /// If it is incremental: how.
    pub strategy: Option<Strategy>,
    /// The column by whose time its rows lie in a window; a time, or a date.
    pub event_time: Option<String>,
    /// The windows.
    pub batch_size: Option<BatchSize>,
    /// Windows before its own of whose records the rows of a window are made, too.
    pub lookback: u32,
    /// What a change of its SQL means for the rows that are there.
    pub on_schema_change: OnSchemaChange,
    /// Words by which it can be selected.
    pub tags: BTreeSet<String>,
    /// Columns of which no two of its rows have the same values.
    pub unique_key: Vec<String>,
    /// Columns by which records are one event; of those only the first counts.
    pub dedup: Vec<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Who reads it: reports, people, rules.
    pub readers: Vec<String>,
    /// How old that may be up to which its rows are complete.
    pub freshness: Freshness,
}

/// Ages from which on a table is stale, seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Freshness {
    /// That is told.
    pub warn_after_s: Option<i64>,
    /// It is an error.
    pub error_after_s: Option<i64>,
}

/// One setting as it was given.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Setting {
    pub key: String,
    pub value: Given,
    pub place: Place,
}

/// What a setting was given, in YAML or in a `config()`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Given {
    Text(String),
    List(Vec<Given>),
    Map(BTreeMap<String, Given>),
    Whole(i64),
    /// Something else, in words.
    Other(String),
}

impl Given {
    /// A value of YAML.
    pub fn of(node: &Node) -> Given {
        match (&node.value, node.kind()) {
            (Yaml::Scalar { text, .. }, Some(Kind::String)) => Given::Text(text.clone()),
            (Yaml::List(items), _) => Given::List(items.iter().map(Given::of).collect()),
            (Yaml::Map(entries), _) => {
                Given::Map(entries.iter().map(|e| (e.key.clone(), Given::of(&e.value))).collect())
            }
            (Yaml::Scalar { text, .. }, Some(Kind::Integer)) if text.parse::<i64>().is_ok() => {
                Given::Whole(text.parse().unwrap_or_default())
            }
            (_, kind) => Given::Other(kind.map_or("nothing", Kind::words).to_string()),
        }
    }

    fn of_template(value: &minijinja::Value) -> Given {
        let items = || value.try_iter().into_iter().flatten();
        match value.kind() {
            ValueKind::String => Given::Text(value.to_string()),
            ValueKind::Seq => Given::List(items().map(|v| Given::of_template(&v)).collect()),
            ValueKind::Map => Given::Map(
                items()
                    .filter_map(|key| {
                        let of = value.get_item(&key).ok()?;
                        Some((key.to_string(), Given::of_template(&of)))
                    })
                    .collect(),
            ),
            ValueKind::Number if value.is_integer() => {
                i64::try_from(value.clone()).map_or(Given::Other("a number".into()), Given::Whole)
            }
            other => Given::Other(other.to_string()),
        }
    }

    /// One text, or several.
    fn texts(&self) -> Option<Vec<String>> {
        match self {
            Given::Text(text) => Some(vec![text.clone()]),
            Given::List(items) => items
                .iter()
                .map(|item| match item {
                    Given::Text(text) => Some(text.clone()),
                    _ => None,
                })
                .collect(),
            _ => None,
        }
    }
}

/// Where the word `config(` stands; the file's beginning if it does not.
pub(super) fn config_at(text: &str) -> Position {
    let found =
        text.lines().enumerate().find_map(|(line, text)| Some((line, text.find("config(")?)));
    found.map_or(Position::START, |(line, column)| Position { line: line + 1, column: column + 1 })
}

/// What a model's `config()` gives, at the place of that word.
pub(super) fn header(place: &Place, given: Vec<(String, minijinja::Value)>) -> Vec<Setting> {
    given
        .into_iter()
        .map(|(key, value)| Setting {
            key,
            value: Given::of_template(&value),
            place: place.clone(),
        })
        .collect()
}

impl Settings {
    /// Takes what is given; tags are added to those that are there.
    pub(super) fn apply(&mut self, given: &[Setting], mistakes: &mut Vec<Diagnostic>) {
        for setting in given {
            if let Err(message) = self.set(&setting.key, &setting.value) {
                mistakes.push(setting.place.says(message));
            }
        }
    }

    fn set(&mut self, key: &str, value: &Given) -> Result<(), String> {
        let texts = || value.texts().ok_or_else(|| format!("`{key}` is a text or a list of texts"));
        match key {
            "materialized" => {
                self.materialized = one_of(key, value, &MATERIALIZED)?;
                Ok(())
            }
            "incremental_strategy" => {
                self.strategy = Some(one_of(key, value, &STRATEGIES)?);
                Ok(())
            }
            "event_time" => match value {
                Given::Text(column) => {
                    self.event_time = Some(column.clone());
                    Ok(())
                }
                _ => Err("`event_time` is the name of a column".into()),
            },
            "batch_size" => {
                self.batch_size = Some(one_of(key, value, &BATCH_SIZES)?);
                Ok(())
            }
            "lookback" => match value {
                Given::Whole(n @ 0..=LOOKBACK_MAX) => {
                    self.lookback = u32::try_from(*n).unwrap_or_default();
                    Ok(())
                }
                _ => Err(format!("`lookback` is a number of batches from 0 to {LOOKBACK_MAX}")),
            },
            "on_schema_change" => {
                self.on_schema_change = one_of(key, value, &ON_SCHEMA_CHANGE)?;
                Ok(())
            }
            "tags" => {
                self.tags.extend(texts()?);
                Ok(())
            }
            "unique_key" => {
                self.unique_key = texts()?;
                Ok(())
            }
            "dedup" => {
                self.dedup = texts()?;
                Ok(())
            }
            "meta" => self.meta(value),
            "freshness" => {
                Err("write `freshness` under `meta`; dbt means another thing by it here".into())
            }
            _ => Err(format!("unknown setting {}{}", quoted(key), advice(key))),
        }
    }

    /// What the settings together lack, or have too much.
    pub(super) fn lacks(&self) -> Option<&'static str> {
        use Strategy::{Merge, Microbatch};
        let windows = self.event_time.is_some() || self.batch_size.is_some() || self.lookback > 0;
        match (self.materialized, self.strategy) {
            (Materialized::Incremental, None) => Some(
                "an incremental model says how: `incremental_strategy` is \"append\", \
                      \"microbatch\" or \"merge\"",
            ),
            (Materialized::Incremental, Some(Microbatch))
                if self.event_time.is_none() || self.batch_size.is_none() =>
            {
                Some(
                    "a microbatch model names the column of time of its rows, `event_time`, and the \
                      windows, `batch_size`: \"hour\", \"day\" or \"month\"",
                )
            }
            (Materialized::Incremental, Some(Merge)) if self.unique_key.is_empty() => Some(
                "a merge model names the columns by which its rows are told apart: `unique_key`",
            ),
            (Materialized::Incremental, Some(strategy)) if strategy != Microbatch && windows => {
                Some("`event_time`, `batch_size` and `lookback` are of microbatch models")
            }
            _ => None,
        }
    }

    fn meta(&mut self, value: &Given) -> Result<(), String> {
        let Given::Map(members) = value else {
            return Err("`meta` is a mapping, such as {owner: sales, readers: [report]}".into());
        };
        for (key, value) in members {
            match (key.as_str(), value.texts()) {
                ("freshness", _) => self.freshness = freshness(value)?,
                ("owner", Some(texts)) if texts.len() == 1 => self.owner = texts.into_iter().next(),
                ("readers", Some(texts)) => self.readers = texts,
                ("owner", _) => return Err("`meta.owner` is a text".into()),
                ("readers", _) => return Err("`meta.readers` is a list of texts".into()),
                // The rest is for people and other tools.
                _ => {}
            }
        }
        Ok(())
    }
}

/// What a model can be, by dbt's names.
pub const MATERIALIZED: [(&str, Materialized); 3] = [
    ("view", Materialized::View),
    ("table", Materialized::Table),
    ("incremental", Materialized::Incremental),
];
const STRATEGIES: [(&str, Strategy); 3] = [
    ("append", Strategy::Append),
    ("microbatch", Strategy::Microbatch),
    ("merge", Strategy::Merge),
];
const BATCH_SIZES: [(&str, BatchSize); 3] =
    [("hour", BatchSize::Hour), ("day", BatchSize::Day), ("month", BatchSize::Month)];
const ON_SCHEMA_CHANGE: [(&str, OnSchemaChange); 4] = [
    ("ignore", OnSchemaChange::Ignore),
    ("fail", OnSchemaChange::Fail),
    ("append_new_columns", OnSchemaChange::AppendNewColumns),
    ("sync_all_columns", OnSchemaChange::SyncAllColumns),
];

const PERIODS: [(&str, i64); 3] = [("minute", 60), ("hour", 3_600), ("day", 86_400)];

fn freshness(value: &Given) -> Result<Freshness, String> {
    const HOW: &str = "`meta.freshness` is a mapping, such as {warn_after: {count: 1, period: hour}, \
                       error_after: {count: 1, period: day}}";
    let (Given::Map(members), mut read) = (value, Freshness::default()) else {
        return Err(HOW.into());
    };
    for (key, value) in members {
        let age = match value {
            Given::Map(age) if age.len() == 2 => age,
            _ => return Err(HOW.into()),
        };
        let count = match age.get("count") {
            Some(Given::Whole(n)) if (1..=1_000).contains(n) => *n,
            _ => return Err(format!("`count` of `{key}` is a number from 1 to 1000; {HOW}")),
        };
        let period = one_of("period", age.get("period").unwrap_or(value), &PERIODS)?;
        match key.as_str() {
            "warn_after" => read.warn_after_s = Some(count * period),
            "error_after" => read.error_after_s = Some(count * period),
            _ => return Err(HOW.into()),
        }
    }
    Ok(read)
}

/// The one of `known` that a setting names.
fn one_of<T: Copy>(key: &str, value: &Given, known: &[(&str, T)]) -> Result<T, String> {
    let text = match value {
        Given::Text(text) => text.as_str(),
        _ => "",
    };
    let found = known.iter().find(|(name, _)| *name == text).map(|(_, one)| *one);
    found.ok_or_else(|| {
        let names: Vec<String> = known.iter().map(|(name, _)| quoted(name)).collect();
        let not = if text.is_empty() { String::new() } else { format!(", not {}", quoted(text)) };
        let (last, rest) =
            names.split_last().map_or((String::new(), &[][..]), |(l, r)| (l.clone(), r));
        format!("`{key}` is {} or {last}{not}", rest.join(", "))
    })
}

fn advice(key: &str) -> String {
    match nearest(key, KEYS.into_iter()) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => format!("; known are {}", KEYS.join(", ")),
    }
}
