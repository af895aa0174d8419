//! Settings of a model: from the folders' defaults, the YAML beside it and its own `config()`, the
//! last word being the nearest to the SQL.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::value::ValueKind;
use weir_contract::yaml::{Diagnostic, Kind, Node, Position, Value as Yaml, nearest, quoted};

use super::{Place, SourceFile};

/// All keys that may be set.
const KEYS: [&str; 5] = ["materialized", "tags", "unique_key", "dedup", "meta"];

/// What becomes of a model's rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Materialized {
    /// Nothing: it is its SELECT wherever it is named.
    #[default]
    View,
    /// A table, whose rows each build makes anew.
    Table,
}

/// How a model is built, and by whom it is owned and read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// What becomes of its rows.
    pub materialized: Materialized,
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

/// What a model's `config()` gives, at the place of that word.
pub(super) fn header(file: &SourceFile, given: Vec<(String, minijinja::Value)>) -> Vec<Setting> {
    let line = file.text.lines().position(|line| line.contains("config")).unwrap_or(0);
    let place = Place { file: file.path.clone(), at: Position { line: line + 1, column: 1 } };
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
                self.materialized = match value {
                    Given::Text(text) if text == "view" => Materialized::View,
                    Given::Text(text) if text == "table" => Materialized::Table,
                    Given::Text(text) => {
                        let text = quoted(text);
                        return Err(format!("`materialized` is \"view\" or \"table\", not {text}"));
                    }
                    _ => return Err("`materialized` is \"view\" or \"table\"".into()),
                };
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
            _ => Err(format!("unknown setting {}{}", quoted(key), advice(key))),
        }
    }

    fn meta(&mut self, value: &Given) -> Result<(), String> {
        let Given::Map(members) = value else {
            return Err("`meta` is a mapping, such as {owner: sales, readers: [report]}".into());
        };
        for (key, value) in members {
            match (key.as_str(), value.texts()) {
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

fn advice(key: &str) -> String {
    match nearest(key, KEYS.into_iter()) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => format!("; known are {}", KEYS.join(", ")),
    }
}
