//! `project.yml`: variables, and settings that hold for whole folders.

use std::collections::BTreeMap;

use minijinja::Value;
use weir_contract::yaml::{
    Diagnostic, Entry, Format, Keys, Kind, Node, Object, Sink, Value as Yaml, load, quoted,
};

use super::settings::{Given, Setting, Settings};
use super::{Place, SourceFile};

const FORMAT: Format = Format { noun: "project", begins: "name: ", docs: "docs/models.md" };
const KEYS: Keys = Keys {
    used: &["vars", "models"],
    ignored: &["name", "version", "config-version"],
    refused: &[
        ("profile", "where the lake is stands in weir.toml"),
        ("model-paths", "models stand in staging/ and marts/ beside this file"),
        ("seeds", "reference tables are loaded by `weir seed` from weir.toml"),
        ("on-run-start", "there are no hooks"),
        ("on-run-end", "there are no hooks"),
    ],
};

/// What the file says.
#[derive(Debug, Default)]
pub(super) struct ProjectFile {
    /// Values of `var()`.
    pub vars: BTreeMap<String, Value>,
    /// Outer folders first.
    folders: Vec<Folder>,
}

/// What holds in a folder.
#[derive(Debug)]
struct Folder {
    /// Such as `marts` or `marts/sales`.
    path: String,
    settings: Vec<Setting>,
    place: Place,
}

impl ProjectFile {
    /// Gives a model of this path the settings of its folders.
    pub fn apply(&self, path: &str, settings: &mut Settings, mistakes: &mut Vec<Diagnostic>) {
        for folder in self.folders.iter().filter(|folder| super::in_folder(path, &folder.path)) {
            settings.apply(&folder.settings, mistakes);
        }
    }

    /// Folders in which none of these models stands: their settings would hold of nothing.
    pub fn without_models(&self, models: &[&str]) -> Vec<Diagnostic> {
        let is_idle = |folder: &&Folder| {
            let known = super::FOLDERS.iter().any(|(known, _)| *known == folder.path);
            !known && !models.iter().any(|path| super::in_folder(path, &folder.path))
        };
        let says = |folder: &Folder| {
            folder.place.says(format!(
                "no model stands in a folder {}; folders are `staging` and `marts`, and those in them (the \
                 name of the project is not one of them here)",
                quoted(&folder.path)
            ))
        };
        self.folders.iter().filter(is_idle).map(says).collect()
    }
}

/// Reads the file; mistakes are added to `mistakes`.
pub(super) fn read(file: &SourceFile, mistakes: &mut Vec<Diagnostic>) -> ProjectFile {
    let mut sink = Sink::new(&FORMAT, &file.path);
    let mut read = ProjectFile::default();
    let root = load(&file.text, &mut sink);
    if let Some(object) = root.as_ref().and_then(|r| Object::new("the project", r, &mut sink)) {
        object.check_keys(&KEYS, &mut sink);
        if let Some(Yaml::Map(entries)) = object.get("vars").map(|node| &node.value) {
            read_vars(entries, &mut read.vars, &mut sink);
        }
        if let Some(node) = object.get("models") {
            let Yaml::Map(entries) = &node.value else {
                sink.push(
                    node.at,
                    "`models` maps folders to settings, such as {staging: {+tags: [x]}}",
                );
                mistakes.extend(sink.into_sorted());
                return read;
            };
            for entry in entries {
                folder(&entry.key, entry, file, &mut read.folders, &mut sink);
            }
        }
    }
    mistakes.extend(sink.into_sorted());
    read
}

/// The mapping of a `--vars`.
///
/// # Errors
/// What is wrong with it.
pub fn variables(text: &str) -> Result<BTreeMap<String, Value>, String> {
    let mut sink = Sink::new(&FORMAT, "--vars");
    let mut vars = BTreeMap::new();
    match load(text, &mut sink).map(|root| root.value) {
        Some(Yaml::Map(entries)) => read_vars(&entries, &mut vars, &mut sink),
        Some(_) => return Err("write a mapping, such as '{currency: EUR}'".into()),
        None => {}
    }
    match sink.into_sorted().into_iter().next() {
        Some(mistake) => Err(mistake.message),
        None => Ok(vars),
    }
}

fn read_vars(entries: &[Entry], vars: &mut BTreeMap<String, Value>, sink: &mut Sink<'_>) {
    for entry in entries {
        if let Some(value) = value(&entry.value, sink) {
            vars.insert(entry.key.clone(), value);
        }
    }
}

/// Keys with a plus are settings, others are folders in this one.
fn folder(
    path: &str,
    entry: &Entry,
    file: &SourceFile,
    found: &mut Vec<Folder>,
    sink: &mut Sink<'_>,
) {
    if path.starts_with('+') {
        return sink.push(entry.at, "settings of all models: say them of staging and of marts");
    }
    let Yaml::Map(entries) = &entry.value.value else {
        return sink.push(entry.at, "a folder has settings, such as {+tags: [x]}, or folders");
    };
    let at = |entry: &Entry| Place { file: file.path.clone(), at: entry.at };
    let (settings, inner): (Vec<_>, Vec<_>) =
        entries.iter().partition(|entry| entry.key.starts_with('+'));
    let settings = settings.into_iter().map(|entry| Setting {
        key: entry.key.trim_start_matches('+').to_string(),
        value: Given::of(&entry.value),
        place: at(entry),
    });
    found.push(Folder { path: path.to_string(), settings: settings.collect(), place: at(entry) });
    for entry in inner {
        folder(&format!("{path}/{}", entry.key), entry, file, found, sink);
    }
}

/// A variable's value: text, number, boolean, or a list of such.
fn value(node: &Node, sink: &mut Sink<'_>) -> Option<Value> {
    match (&node.value, node.kind()?) {
        (_, Kind::Boolean(value)) => Some(value.into()),
        (Yaml::Scalar { text, .. }, Kind::Integer) => {
            text.parse::<i64>().map(Value::from).ok().or_else(|| Some(text.clone().into()))
        }
        (Yaml::Scalar { text, .. }, Kind::String | Kind::Number) => Some(text.clone().into()),
        (Yaml::List(items), _) => {
            let items: Vec<Value> = items.iter().filter_map(|item| value(item, sink)).collect();
            Some(items.into())
        }
        (_, kind) => {
            let what = kind.words();
            sink.push(
                node.at,
                format!("a variable is a text, number, boolean or list, not {what}"),
            );
            None
        }
    }
}
