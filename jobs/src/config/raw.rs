//! From text to checked values, key by key: the file, over it the environment, over it the flags.
//! Every mistake is collected with its place; nothing stops at the first.

use std::collections::BTreeMap;
use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{self, Default, ENV_PREFIX, KEYS};
use super::value::{Given, Value};

/// Tables whose entries have names of the user's choice and keys of their own.
const NAMED: [&str; 2] = ["streams", "references"];

/// Something wrong with the config, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// `weir.toml:12`, `WEIR__LOG__LEVEL` or `--set log.level`.
    pub place: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Mistake {
    /// Sorts mistakes as they stand in the file; variables and flags follow.
    fn order(&self) -> (bool, usize, &str) {
        let line = self.place.rsplit_once(':').and_then(|(_, line)| line.parse().ok());
        (line.is_none(), line.unwrap_or(0), &self.place)
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// All that a config is made of, already read.
#[derive(Debug, Clone, std::default::Default)]
pub struct Inputs {
    /// How the file is called in messages.
    pub file_name: String,
    /// The file's text.
    pub file: String,
    /// Environment variables; those without the prefix `WEIR__` are passed over.
    pub env: Vec<(String, String)>,
    /// Flags as (how the user wrote it, key, value).
    pub flags: Vec<(String, String, String)>,
}

/// A checked value and its place.
#[derive(Debug, Clone)]
pub struct Found {
    /// The value.
    pub value: Value,
    /// Where it was given; the last layer wins.
    pub place: String,
}

/// Every value that was given or has a default, by its path.
#[derive(Debug, std::default::Default)]
pub struct Raw {
    values: BTreeMap<Vec<String>, Found>,
    /// Streams and references that occur, even if empty, and where.
    named: BTreeMap<[String; 2], String>,
    mistakes: Vec<Mistake>,
}

impl Raw {
    /// Reads all layers.
    pub fn collect(inputs: &Inputs) -> Raw {
        let mut raw = Raw::default();
        raw.defaults();
        let broken = raw.file(inputs);
        for (name, text) in &inputs.env {
            raw.variable(name, text);
        }
        for (flag, key, text) in &inputs.flags {
            raw.flag(flag, key, text);
        }
        if !broken {
            raw.required(&inputs.file_name);
        }
        raw
    }

    /// The value at a path, if it was given and right.
    pub fn get(&self, path: &[&str]) -> Option<&Found> {
        let path: Vec<String> = path.iter().map(ToString::to_string).collect();
        self.values.get(&path)
    }

    /// Is everything right so far?
    pub fn is_right(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// The streams that occur, and where.
    pub fn streams(&self) -> impl Iterator<Item = (&str, &str)> {
        self.named("streams")
    }

    /// The names under `[front."<name>"]` that occur, and where.
    pub fn named<'a>(&'a self, front: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let named = self.named.iter().filter(move |([first, _], _)| first == front);
        named.map(|([_, name], place)| (name.as_str(), place.as_str()))
    }

    /// The values under `prefix.*`.
    pub fn under<'a>(&'a self, prefix: &'a [&str]) -> impl Iterator<Item = (&'a str, &'a Found)> {
        self.values.iter().filter_map(move |(path, found)| {
            let (last, front) = path.split_last()?;
            (front == prefix).then_some((last.as_str(), found))
        })
    }

    /// The values of one key: several where its path holds a free name.
    pub fn all(&self, key: &keys::Key) -> impl Iterator<Item = (&[String], &Found)> {
        let values = self.values.iter().filter(move |(path, _)| key.matches(path));
        values.map(|(path, found)| (path.as_slice(), found))
    }

    /// All mistakes, in the order of the file.
    pub fn into_mistakes(mut self) -> Vec<Mistake> {
        self.mistakes.sort_by(|a, b| a.order().cmp(&b.order()));
        self.mistakes
    }

    /// Notes a mistake.
    pub fn mistake(&mut self, place: impl Into<String>, message: impl Into<String>) {
        self.mistakes.push(Mistake { place: place.into(), message: message.into() });
    }

    fn defaults(&mut self) {
        for key in KEYS {
            if let Default::Text(text) = key.default {
                let path = key.path.split('.').map(Into::into).collect();
                self.set(path, &Given::Untyped(text.into()), "default".into());
            }
        }
    }

    /// Reads the file; true if its syntax is broken, so that absent keys mean nothing.
    fn file(&mut self, inputs: &Inputs) -> bool {
        let line = |offset: usize| {
            let before = inputs.file.as_bytes().iter().take(offset);
            let number = 1 + before.filter(|byte| **byte == b'\n').count();
            format!("{}:{number}", inputs.file_name)
        };
        let (root, errors) = DeTable::parse_recoverable(&inputs.file);
        for error in &errors {
            let place = error.span().map_or(inputs.file_name.clone(), |span| line(span.start));
            let message = error.message().lines().collect::<Vec<_>>().join("; ");
            if self.mistakes.last().is_none_or(|last| last.place != place) {
                self.mistake(place, message);
            }
        }
        // After a syntax error the parser's guesses would only add noise.
        if errors.is_empty() {
            self.table(&mut Vec::new(), root.get_ref(), &line);
        }
        !errors.is_empty()
    }

    fn table(
        &mut self,
        path: &mut Vec<String>,
        table: &DeTable<'_>,
        line: &dyn Fn(usize) -> String,
    ) {
        for (name, value) in table {
            path.push(name.get_ref().to_string());
            self.entry(path, value, line(name.span().start), line);
            path.pop();
        }
    }

    fn entry(
        &mut self,
        path: &mut Vec<String>,
        value: &Spanned<DeValue<'_>>,
        place: String,
        line: &dyn Fn(usize) -> String,
    ) {
        let is_key = keys::find(path).is_some();
        match value.get_ref() {
            DeValue::Table(table) if !is_key && KEYS.iter().any(|key| key.leads(path)) => {
                // A table inside is a mistake of its own: the stream's name lacks its quotes.
                if !table.values().any(|value| value.get_ref().is_table()) {
                    self.stream(path, &place);
                }
                self.table(path, table, line);
            }
            _ if !is_key && KEYS.iter().any(|key| key.leads(path)) => {
                let message = format!("`{}` is a table, not a value", show_path(path));
                self.mistake(place, message);
            }
            DeValue::Table(inner) if path.len() > 2 && unquoted(path).is_some() => {
                let front = unquoted(path).unwrap_or_default();
                let rest = &path[front.len()..];
                let mut name = rest.join(".");
                if front == ["kafka", "properties"]
                    && let Some((member, _)) = inner.iter().next()
                {
                    name = format!("{name}.{}", member.get_ref());
                }
                let message = format!(
                    "unknown key `{}`; a name with dots is quoted: {}.{name:?}",
                    show_path(path),
                    front.join(".")
                );
                self.mistake(place, message);
            }
            _ if !is_key => {
                let hint = nearest(path).map(|near| format!("; did you mean `{near}`?"));
                let message =
                    format!("unknown key `{}`{}", show_path(path), hint.unwrap_or_default());
                self.mistake(place, message);
            }
            value => self.set(path.clone(), &given(value), place),
        }
    }

    fn stream(&mut self, path: &[String], place: &str) {
        if let [first, name] = path
            && NAMED.contains(&first.as_str())
        {
            let path = [first.clone(), name.clone()];
            self.named.entry(path).or_insert_with(|| place.into());
        }
    }

    fn variable(&mut self, name: &str, text: &str) {
        let Some(rest) = name.strip_prefix(ENV_PREFIX) else { return };
        let path: Vec<String> = rest.to_lowercase().split("__").map(Into::into).collect();
        match keys::find(&path) {
            Some(key) if key.env && key.env_name().as_deref() == Some(name) => {
                self.set(path, &Given::Untyped(text.into()), name.into());
            }
            Some(key) => self.mistake(
                name,
                format!("`{}` cannot be set by a variable; use weir.toml or --set", key.path),
            ),
            None => {
                let near = nearest(&path)
                    .and_then(|near| KEYS.iter().find(|key| key.path == near)?.env_name());
                let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                self.mistake(name, format!("no key has this variable{hint}"));
            }
        }
    }

    fn flag(&mut self, flag: &str, key: &str, text: &str) {
        let Some(path) = parse_path(key) else {
            return self.mistake(flag, format!("{key:?} is not a key such as log.level"));
        };
        if keys::find(&path).is_none() {
            let hint = nearest(&path).map(|near| format!("; did you mean `{near}`?"));
            let message = format!("unknown key `{key}`{}", hint.unwrap_or_default());
            return self.mistake(flag, message);
        }
        if path.len() > 2 {
            self.stream(&path[..2], flag);
        }
        self.set(path, &Given::Untyped(text.into()), flag.into());
    }

    fn set(&mut self, path: Vec<String>, given: &Given, place: String) {
        let Some(key) = keys::find(&path) else { return };
        match key.kind.check(given) {
            Ok(value) => {
                self.values.insert(path, Found { value, place });
            }
            Err(message) => {
                // A wrong value stands for itself: the key is not also reported as absent.
                let message = format!("`{}`: {message}", show_path(&path));
                self.mistake(place, message);
                self.values.remove(&path);
            }
        }
    }

    fn required(&mut self, file_name: &str) {
        let prefix = |path: &str| format!("`{path}`: ");
        let mut absent = Vec::new();
        for key in KEYS.iter().filter(|key| key.default == Default::Required) {
            let names: Vec<(Vec<String>, String)> = match key.path.split_once(".*.") {
                None => {
                    vec![(key.path.split('.').map(Into::into).collect(), file_name.to_string())]
                }
                Some((front, last)) => self
                    .named(front)
                    .map(|(name, place)| {
                        (vec![front.into(), name.into(), last.into()], place.into())
                    })
                    .collect(),
            };
            for (path, place) in names {
                let shown = show_path(&path);
                let wrong = |m: &Mistake| m.message.starts_with(&prefix(&shown));
                if !self.values.contains_key(&path) && !self.mistakes.iter().any(wrong) {
                    let message = format!("`{shown}` is absent; it is {}", key.kind);
                    absent.push(Mistake { place, message });
                }
            }
        }
        self.mistakes.extend(absent);
    }
}

fn given(value: &DeValue<'_>) -> Given {
    match value {
        DeValue::String(text) => Given::Text(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Given::Integer(number.as_str().into()),
        DeValue::Integer(_) => Given::Other("a number that is not decimal"),
        DeValue::Float(_) => Given::Other("a float"),
        DeValue::Boolean(_) => Given::Other("a boolean"),
        DeValue::Datetime(_) => Given::Other("a time"),
        DeValue::Array(_) => Given::Other("an array"),
        DeValue::Table(_) => Given::Other("a table"),
    }
}

/// A path as TOML writes it: names that hold more than letters, digits, `_` and `-` are quoted.
pub fn show_path(path: &[String]) -> String {
    let bare = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    let parts: Vec<String> =
        path.iter().map(|n| if bare(n) { n.clone() } else { format!("{n:?}") }).collect();
    parts.join(".")
}

/// The table of free names that `path` goes too deep into, where a name's quotes were forgotten.
fn unquoted(path: &[String]) -> Option<&'static [&'static str]> {
    const FREE: [&[&str]; 3] = [&["streams"], &["references"], &["kafka", "properties"]];
    FREE.into_iter().find(|front| path.len() > front.len() && path[..front.len()] == **front)
}

/// Splits `streams."vending.health".topic` at the dots outside of quotes.
fn parse_path(key: &str) -> Option<Vec<String>> {
    let mut path = vec![String::new()];
    let mut quoted = false;
    for c in key.chars() {
        match c {
            '"' => quoted = !quoted,
            '.' if !quoted => path.push(String::new()),
            c => path.last_mut()?.push(c),
        }
    }
    (!quoted && path.iter().all(|name| !name.is_empty())).then_some(path)
}

/// The known key that an unknown one most resembles.
fn nearest(path: &[String]) -> Option<&'static str> {
    let text = path.join(".");
    let last = path.last()?;
    let moved = KEYS.iter().find(|key| key.path.rsplit('.').next() == Some(last));
    let close = KEYS
        .iter()
        .map(|key| (strsim::damerau_levenshtein(&text, key.path), key))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= 1 + text.len() / 4);
    close.map(|(_, key)| key).or(moved).map(|key| key.path)
}
