//! A folder of models: what its files say, taken together, with every mistake in them.
//!
//! `project.yml` gives variables and settings of folders; `staging/` and `marts/` hold models, one
//! SELECT per file, and YAML files that describe and test them; `tests/` holds SELECTs that must
//! give no rows.

mod config;
mod described;
mod settings;
#[cfg(test)]
pub mod testing;

use std::collections::{BTreeMap, BTreeSet};

use minijinja::Value;
use weir_contract::names::{NAMESPACE_MART, NAMESPACE_STAGING, TableName};
use weir_contract::yaml::{Diagnostic, Format, Position, nearest};

use crate::graph::Graph;
use crate::lint::{self, Rules};
use crate::template::{Names, Rendered, render};
use config::ProjectFile;
pub use config::variables;
use described::Note;
pub use described::{DataTest, Given, Row, Severity, TestKind, UnitTest};
pub use settings::{Freshness, MATERIALIZED, Materialized, OnSchemaChange, Settings, Strategy};

/// The file of the project's own settings.
pub const PROJECT_FILE: &str = "project.yml";
/// The variable that says how late events may come, in minutes, and what it is where it is not given.
const LATENESS: &str = "lateness_minutes";
const LATENESS_DEFAULT: i64 = 5;
const LATENESS_MAX: i64 = 30 * 24 * 60;
/// Folder → namespace of its models.
const FOLDERS: [(&str, &str); 2] = [("staging", NAMESPACE_STAGING), ("marts", NAMESPACE_MART)];
const TESTS: &str = "tests";

const FORMAT: Format =
    Format { noun: "description of models", begins: "models:", docs: "docs/models.md" };

/// A file below the folder of models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path from there, its parts parted by `/`.
    pub path: String,
    /// What it holds.
    pub text: String,
}

/// One model.
#[derive(Debug, Clone)]
pub struct Model {
    /// Its name: that of its file.
    pub name: String,
    /// Its file.
    pub path: String,
    /// What it makes: `staging.<name>` or `mart.<name>`.
    pub relation: TableName,
    /// Its SQL. The lines are those of the file.
    pub sql: String,
    /// Its SQL where only what is new is read: with `is_incremental()` true. None if it is never run so.
    pub increment: Option<String>,
    /// Models that it reads.
    pub refs: BTreeSet<String>,
    /// Sources that it reads.
    pub sources: BTreeSet<TableName>,
    /// How it is built, and by whom it is owned and read.
    pub settings: Settings,
    /// Where its `config()` stands in its file.
    pub config_at: Position,
    /// What it is.
    pub description: String,
    /// Its columns, as far as they are described.
    pub columns: Vec<Column>,
}

/// A described column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds, and in which unit.
    pub description: String,
    /// Its type by Iceberg's name, where the description promises one.
    pub data_type: Option<String>,
    /// Where that stands.
    pub at: Place,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: String,
    /// Line and column.
    pub at: Position,
}

impl Place {
    /// A mistake at this place.
    pub fn says(&self, message: impl Into<String>) -> Diagnostic {
        let Position { line, column } = self.at;
        Diagnostic { file: self.file.clone(), line, column, message: message.into() }
    }
}

/// A folder of models that has no mistake of its own.
#[derive(Debug, Clone, Default)]
pub struct Project {
    /// Models by name.
    pub models: BTreeMap<String, Model>,
    /// What must hold of the rows.
    pub data_tests: Vec<DataTest>,
    /// Which rows must come of which.
    pub unit_tests: Vec<UnitTest>,
    /// How much later than it happens an event may reach Kafka and be in time, µs.
    pub lateness_us: i64,
}

impl Model {
    /// Whether there is a table of its rows.
    pub fn is_stored(&self) -> bool {
        self.settings.materialized != Materialized::View
    }
}

impl Project {
    /// What `files` say. `sources` are the tables that models may read; `vars` stand above those of
    /// the project.
    ///
    /// # Errors
    /// Every mistake of every file, sorted by place.
    pub fn read(
        files: &[SourceFile],
        sources: &BTreeSet<TableName>,
        vars: &BTreeMap<String, Value>,
    ) -> Result<Project, Vec<Diagnostic>> {
        let mut reading = Reading::default();
        let project_file = files.iter().find(|file| file.path == PROJECT_FILE);
        let own = project_file.map(|f| config::read(f, &mut reading.mistakes)).unwrap_or_default();
        let mut names = Names { sources: sources.clone(), ..Names::default() };
        names.vars = own.vars.clone().into_iter().chain(vars.clone()).collect();
        match lateness_us(names.vars.get(LATENESS)) {
            Some(us) => reading.project.lateness_us = us,
            None => reading.mistakes.push(top(
                PROJECT_FILE,
                format!(
                    "the variable `{LATENESS}` is a number of minutes from 0 to {LATENESS_MAX}"
                ),
            )),
        }
        let models = reading.sort(files, &mut names.models);
        let paths: Vec<&str> = models.iter().map(|file| file.path.as_str()).collect();
        reading.mistakes.extend(own.without_models(&paths));
        for file in files.iter().filter(|file| is_yaml(&file.path) && file.path != PROJECT_FILE) {
            reading.notes.extend(described::read(file, &names, &mut reading.mistakes));
        }
        for file in models {
            reading.model(file, &names, &own);
        }
        for file in files.iter().filter(|file| in_folder(&file.path, TESTS) && is_sql(&file.path)) {
            reading.singular(file, &names);
        }
        reading.finish()
    }

    /// What depends on what.
    pub fn graph(&self) -> Graph {
        Graph::new(self.models.values().map(|m| (m.name.clone(), m.refs.clone())).collect())
    }
}

fn lateness_us(given: Option<&Value>) -> Option<i64> {
    let minutes = given.map_or(Ok(LATENESS_DEFAULT), |value| i64::try_from(value.clone())).ok()?;
    (0..=LATENESS_MAX).contains(&minutes).then_some(minutes * 60_000_000)
}

#[derive(Default)]
struct Reading {
    notes: Vec<Note>,
    project: Project,
    mistakes: Vec<Diagnostic>,
}

impl Reading {
    /// The files of models; `names` gets what they make. Files that are nothing are mistakes.
    fn sort<'f>(
        &mut self,
        files: &'f [SourceFile],
        names: &mut BTreeMap<String, TableName>,
    ) -> Vec<&'f SourceFile> {
        let mut models: Vec<&SourceFile> = Vec::new();
        for file in files {
            let mut say = |message: String| self.mistakes.push(top(&file.path, message));
            let folder = FOLDERS.iter().find(|(folder, _)| in_folder(&file.path, folder));
            let Some((_, namespace)) = folder.filter(|_| is_sql(&file.path)) else {
                if is_sql(&file.path) && !in_folder(&file.path, TESTS) {
                    say("models stand in staging/ or marts/, tests of their rows in tests/".into());
                }
                continue;
            };
            let name = stem(&file.path);
            match format!("{namespace}.{name}").parse::<TableName>() {
                Err(why) => say(format!("the file's name is the model's: {why}")),
                Ok(_) if names.contains_key(name) => {
                    let first = models.iter().find(|f| stem(&f.path) == name);
                    let first = first.map(|f| f.path.clone()).unwrap_or_default();
                    say(format!("there is another model {name:?}, {first}; names are unique"));
                }
                Ok(relation) => {
                    names.insert(name.into(), relation);
                    models.push(file);
                }
            }
        }
        models
    }

    fn model(&mut self, file: &SourceFile, names: &Names, own: &ProjectFile) {
        let name = stem(&file.path);
        let Some(relation) = names.models.get(name).cloned() else { return };
        let rendered = match render(&file.path, &file.text, &relation, names) {
            Ok(rendered) => rendered,
            Err(mistake) => return self.mistakes.push(*mistake),
        };
        let Rendered { sql, mut refs, mut sources, settings: header } = rendered;
        let position = self.notes.iter().position(|note| note.model == name);
        let note = position.map(|at| self.notes.swap_remove(at));
        let (mut settings, mut mistakes) = (Settings::default(), Vec::new());
        own.apply(&file.path, &mut settings, &mut mistakes);
        if let Some(note) = &note {
            settings.apply(&note.config, &mut mistakes);
        }
        let config_at = settings::config_at(&file.text);
        let header = settings::header(&Place { file: file.path.clone(), at: config_at }, header);
        settings.apply(&header, &mut mistakes);
        if relation.namespace == NAMESPACE_MART && settings.readers.is_empty() {
            let message = "nobody is said to read this mart; name its readers in the YAML beside it, \
                           config: {meta: {readers: [...]}}, or remove it";
            mistakes.push(top(&file.path, message.to_string()));
        }
        if let Some(message) = settings.lacks() {
            mistakes.push(Place { file: file.path.clone(), at: config_at }.says(message));
        }
        let rules = Rules {
            named_columns: relation.namespace == NAMESPACE_MART,
            unique_key: &settings.unique_key,
        };
        let place = |at| Place { file: file.path.clone(), at };
        mistakes.extend(lint::lint(&sql, rules).into_iter().map(|(at, m)| place(at).says(m)));
        let mut increment = None;
        if matches!(settings.strategy, Some(Strategy::Append | Strategy::Merge)) {
            let names = Names { incremental: true, ..names.clone() };
            match render(&file.path, &file.text, &relation, &names) {
                Err(mistake) => mistakes.push(*mistake),
                Ok(rendered) => {
                    refs.extend(rendered.refs);
                    sources.extend(rendered.sources);
                    if rendered.sql != sql {
                        let found = lint::lint(&rendered.sql, rules).into_iter();
                        mistakes.extend(found.map(|(at, m)| place(at).says(m)));
                    }
                    increment = Some(rendered.sql);
                }
            }
        }
        self.mistakes.extend(mistakes);
        let note = note.unwrap_or_default();
        self.project.data_tests.extend(note.data_tests);
        self.project.unit_tests.extend(note.unit_tests);
        let model = Model {
            name: name.into(),
            path: file.path.clone(),
            relation,
            sql,
            increment,
            refs,
            sources,
            settings,
            config_at,
            description: note.description,
            columns: note.columns,
        };
        self.project.models.insert(name.into(), model);
    }

    fn singular(&mut self, file: &SourceFile, names: &Names) {
        let name = stem(&file.path).to_string();
        let this = TableName { namespace: TESTS.into(), name: name.clone() };
        let rendered = match render(&file.path, &file.text, &this, names) {
            Ok(rendered) => rendered,
            Err(mistake) => return self.mistakes.push(*mistake),
        };
        if let Some((key, _)) = rendered.settings.first() {
            let message = format!("a test of rows takes no config(), here with `{key}`");
            self.mistakes.push(top(&file.path, message));
        }
        let rules = Rules { named_columns: false, unique_key: &[] };
        let place = Place { file: file.path.clone(), at: Position::START };
        let found = lint::lint(&rendered.sql, rules);
        let found = found.into_iter().map(|(at, m)| Place { at, ..place.clone() }.says(m));
        self.mistakes.extend(found);
        self.project.data_tests.push(DataTest {
            name,
            models: rendered.refs,
            kind: TestKind::Singular(rendered.sql),
            severity: Severity::Error,
            place,
        });
    }

    fn finish(mut self) -> Result<Project, Vec<Diagnostic>> {
        for note in &self.notes {
            let known = self.project.models.keys().map(String::as_str);
            let near = nearest(&note.model, known);
            let advice = near.map(|n| format!("; did you mean {n:?}?")).unwrap_or_default();
            let message = format!("there is no model {:?}{advice}", note.model);
            self.mistakes.push(note.place.says(message));
        }
        if let (Err(circle), true) = (self.project.graph().order(), self.mistakes.is_empty()) {
            let path = circle.first().map(|name| self.project.models[name].path.clone());
            let circle: Vec<&str> = circle.iter().chain(circle.first()).map(|s| &**s).collect();
            let message = format!("models read each other in a circle: {}", circle.join(" reads "));
            self.mistakes.push(top(&path.unwrap_or_default(), message));
        }
        if self.mistakes.is_empty() {
            return Ok(self.project);
        }
        self.mistakes.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        Err(self.mistakes)
    }
}

/// A mistake of a whole file.
fn top(file: &str, message: String) -> Diagnostic {
    Place { file: file.into(), at: Position::START }.says(message)
}

fn in_folder(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

fn is_sql(path: &str) -> bool {
    path.ends_with(".sql")
}

fn is_yaml(path: &str) -> bool {
    path.ends_with(".yml") || path.ends_with(".yaml")
}

/// The name of a file without its folder and ending.
fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

#[cfg(test)]
mod tests {
    use super::testing::{NOTE, mistakes, project};

    #[test]
    fn files_become_models_with_what_is_said_of_them() {
        let project = project(&[
            ("project.yml", "name: shop\nvars: {n: 3}\nmodels:\n  staging: {+tags: [clean]}\n"),
            ("staging/a.sql", "select {{ var('n') }} as n from {{ source('raw', 'x') }}"),
            ("marts/b.sql", "{{ config(tags=['top']) }} select n from {{ ref('a') }}"),
            ("marts/_marts.yml", NOTE),
            ("tests/none.sql", "select n from {{ ref('b') }} where n < 0"),
        ]);
        let (a, b) = (&project.models["a"], &project.models["b"]);
        assert_eq!(a.relation.to_string(), "staging.a");
        assert_eq!(a.sql, "select 3 as n from raw.x");
        assert_eq!(a.settings.tags, ["clean".to_string()].into());
        assert_eq!(
            (b.relation.to_string(), b.sql.trim()),
            ("mart.b".into(), "select n from staging.a")
        );
        assert_eq!(b.settings.owner.as_deref(), Some("sales"));
        assert_eq!(b.description, "Numbers.");
        let names: Vec<&str> = project.data_tests.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(names, ["not_null_b_n", "unique_b_n", "expression_b_3", "none"]);
        assert_eq!(project.unit_tests.len(), 1);
    }

    #[test]
    fn every_mistake_has_its_place() {
        for (files, says) in [
            (&[("a.sql", "select 1 as n")][..], "a.sql:1:1: models stand in"),
            (&[("staging/A b.sql", "select 1 as n")], "staging/A b.sql:1:1: the file's name"),
            (
                &[("staging/a.sql", "select 1 as n"), ("staging/x/a.sql", "select 1 as n")],
                "staging/x/a.sql:1:1: there is another model \"a\", staging/a.sql",
            ),
            (&[("marts/b.sql", "select 1 as n")], "marts/b.sql:1:1: nobody is said to read"),
            (&[("staging/a.sql", "select n\nfrom {{ ref('b') }}")], "staging/a.sql:2:"),
            (
                &[
                    ("staging/a.sql", "select n from {{ ref('b') }}"),
                    ("staging/b.sql", "select n from {{ ref('a') }}"),
                ],
                "staging/a.sql:1:1: models read each other in a circle: a reads b reads a",
            ),
            (
                &[("staging/a.sql", "{{ config(materialised='view') }}\nselect 1 as n")],
                "staging/a.sql:1:4: unknown setting \"materialised\"; did you mean `materialized`?",
            ),
            (
                &[("staging/a.sql", "select 1 as n"), ("staging/m.yml", "models:\n  - name: aa\n")],
                "staging/m.yml:2:11: there is no model \"aa\"",
            ),
            (
                &[("staging/a.sql", "select 1 as n"), ("project.yml", "vars: {n: [1]}\nnmae: x\n")],
                "project.yml:2:1: unknown key \"nmae\"",
            ),
            (&[("tests/t.sql", "select now() as n")], "tests/t.sql:1:8: `now` reads the clock"),
            (
                &[
                    ("staging/a.sql", "select 1 as n"),
                    ("project.yml", "models:\n  shop: {+tags: [x]}\n"),
                ],
                "project.yml:2:3: no model stands in a folder \"shop\"; folders are `staging` and",
            ),
            (
                &[
                    ("staging/a.sql", "select 1 as n"),
                    ("project.yml", "models:\n  staging: {b: {+tags: [x]}}\n"),
                ],
                "project.yml:2:13: no model stands in a folder \"staging/b\"",
            ),
            (
                &[("staging/a.sql", "select 1 as n"), ("project.yml", "models: {+tags: [x]}\n")],
                "project.yml:1:10: settings of all models: say them of staging and of marts",
            ),
            (
                &[("staging/a.sql", "select 1 as n"), ("project.yml", "models: {staging: [x]}\n")],
                "project.yml:1:10: a folder has settings",
            ),
        ] {
            let found = mistakes(files);
            assert!(found.iter().any(|m| m.starts_with(says)), "{says}: {found:#?}");
        }
    }

    #[test]
    fn what_is_not_supported_in_descriptions_is_refused_with_its_place() {
        let test = |test: &str| {
            format!("models: [{{name: a, columns: [{{name: n, data_tests: [{test}]}}]}}]\n")
        };
        for (note, says) in [
            ("sources: []\n".to_string(), "1:1: `sources` in the file: sources are the contracts"),
            ("macros: []\n".into(), "1:1: `macros` in the file: there are no macros"),
            ("seeds: []\n".into(), "1:1: `seeds` in the file: reference tables are loaded by"),
            ("exposures: []\n".into(), "1:1: `exposures` in the file: say who reads"),
            ("models: [{name: a, tests: [unique]}]\n".into(), "1:20: `tests` in a model: spell it"),
            (
                "models: [{name: a, tags: [x]}]\n".into(),
                "1:20: `tags` in a model: write it under `config`",
            ),
            ("models: [{name: a}, {name: a}]\n".into(), "model \"a\" is described twice"),
            (test("nonull"), "unknown test \"nonull\"; there are not_null"),
            (test("not_null: {where: n > 1}"), "`where` in test `not_null`: not supported"),
            (
                test("not_null: {severity: warn}"),
                "`severity` in test `not_null`: write it under `config`",
            ),
            (
                test("not_null: {config: {severity: info}}"),
                "`severity` is error or warn, not \"info\"",
            ),
            (test("not_null: {config: {limit: 3}}"), "unknown key \"limit\" in `config` of a test"),
            (
                test("not_null: {arguments: {x: 1}}"),
                "unknown key \"x\" in `arguments` of `not_null`",
            ),
            (
                test("unique: {arguments: {columns: [n]}}"),
                "unknown key \"columns\" in `arguments` of `unique`",
            ),
            (
                test("accepted_values: {values: [1]}"),
                "`values` in test `accepted_values`: write it under",
            ),
            (
                test("accepted_values: {arguments: {values: [1], quote: false}}"),
                "`quote` in `arguments` of `accepted_values`: texts are quoted",
            ),
            (test("accepted_values"), "`values` is missing; write {accepted_values:"),
            (
                test("relationships: {arguments: {to: ref('a'), fields: n}}"),
                "unknown key \"fields\" in `arguments` of `relationships`; did you mean `field`?",
            ),
            (
                test("expression: {arguments: {expression: n > 0, column: n}}"),
                "unknown key \"column\" in `arguments` of `expression`",
            ),
            (
                "models: [{name: a, data_tests: [not_null]}]\n".into(),
                "`not_null` stands with a column",
            ),
            (
                "unit_tests: [{name: t, model: a, expect: {rows: []}, overrides: {}}]\n".into(),
                "`overrides` in a unit test: not supported",
            ),
            (
                "unit_tests: [{name: t, model: a, expect: {rows: [], format: csv}}]\n".into(),
                "`format` in `expect` of t: rows are mappings",
            ),
        ] {
            let found = mistakes(&[("staging/a.sql", "select 1 as n"), ("staging/m.yml", &note)]);
            let placed = |m: &&String| m.starts_with("staging/m.yml:1:") && m.contains(says);
            assert!(found.iter().any(|m| placed(&m)), "{note}{says}: {found:#?}");
        }
    }
}
