//! The config as `weir config` shows it: every key, the value that counts, and where it was given.

use std::path::Path;

use weir_catalog::storage::S3_SCHEME;

use super::join;
use super::keys::{KEYS, Key};
use super::raw::{Raw, show_path};
use super::resolve::SQLITE;
use super::value::{Kind, Value, show_duration, show_size};

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path, as weir.toml writes it.
    pub key: String,
    /// The value in effect, paths absolute; none if the key is not set. A secret is a reference,
    /// never its value: nothing else is accepted in its place.
    pub value: Option<String>,
    /// `default`, `weir.toml:12`, a variable, a flag, or `unset`.
    pub origin: String,
}

/// Every key in the order of the reference, those with free names as often as they occur.
pub fn entries(raw: &Raw, folder: &Path) -> Vec<Entry> {
    let mut entries = Vec::new();
    for key in KEYS {
        let mut given = raw.all(key).peekable();
        if given.peek().is_none() && !key.path.contains('*') {
            let key = key.path.to_string();
            entries.push(Entry { key, value: None, origin: "unset".into() });
        }
        entries.extend(given.map(|(path, found)| Entry {
            key: show_path(path),
            value: Some(show(key, &found.value, folder)),
            origin: found.place.clone(),
        }));
    }
    entries
}

fn show(key: &Key, value: &Value, folder: &Path) -> String {
    match (value, key.kind) {
        (Value::Text(path), Kind::Path) if !path.starts_with(S3_SCHEME) => {
            join(folder, path).display().to_string()
        }
        (Value::Text(text), _) => match text.strip_prefix(SQLITE) {
            Some(path) => format!("{SQLITE}{}", join(folder, path).display()),
            None => text.clone(),
        },
        (Value::Duration(duration), _) => show_duration(*duration),
        (Value::Number(bytes), Kind::Size { .. }) => show_size(*bytes),
        (Value::Number(number), _) => number.to_string(),
    }
}
