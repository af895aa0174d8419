//! The YAML beside the models: descriptions, tests of their rows, and unit tests.

use std::collections::BTreeSet;

use weir_contract::names::TableName;
use weir_contract::yaml::{
    Diagnostic, Entry, Keys, Kind, Node, Object, Position, Sink, Value as Yaml, load, quoted,
};

use super::settings::{Given as Told, Setting};
use super::{Column, FORMAT, Place, SourceFile};
use crate::template::{Names, render};

const TESTS_KEY: (&str, &str) = ("tests", "spell it `data_tests`");
const IN_CONFIG: &str = "write it under `config`";

const FILE: Keys = Keys {
    used: &["models", "unit_tests"],
    ignored: &["version"],
    refused: &[
        ("sources", "sources are the contracts that weir.toml names"),
        ("seeds", "reference tables are loaded by `weir seed` and described by their contracts"),
        ("macros", "there are no macros"),
        ("exposures", "say who reads a model with `config: {meta: {readers: [...]}}`"),
    ],
};
const MODEL: Keys = Keys {
    used: &["name", "description", "columns", "data_tests", "config"],
    ignored: &[],
    refused: &[TESTS_KEY, ("tags", IN_CONFIG), ("meta", IN_CONFIG), ("materialized", IN_CONFIG)],
};
const COLUMN: Keys = Keys {
    used: &["name", "description", "data_type", "data_tests"],
    ignored: &[],
    refused: &[TESTS_KEY],
};
const TEST: Keys = Keys {
    used: &["arguments", "config", "name"],
    ignored: &["description"],
    refused: &[
        ("values", "write it under `arguments`"),
        ("to", "write it under `arguments`"),
        ("field", "write it under `arguments`"),
        ("expression", "write it under `arguments`"),
        ("severity", IN_CONFIG),
        ("where", "not supported; use `expression`, or a SELECT in tests/"),
    ],
};
const NO_ARGUMENTS: Keys = Keys { used: &[], ignored: &[], refused: &[] };
const UNIQUE: Keys = Keys { used: &["columns"], ignored: &[], refused: &[] };
const ACCEPTED_VALUES: Keys = Keys {
    used: &["values"],
    ignored: &[],
    refused: &[("quote", "texts are quoted, numbers are not, as the YAML has them")],
};
const RELATIONSHIPS: Keys = Keys { used: &["to", "field"], ignored: &[], refused: &[] };
const EXPRESSION: Keys = Keys { used: &["expression"], ignored: &[], refused: &[] };
const TEST_CONFIG: Keys = Keys { used: &["severity"], ignored: &[], refused: &[] };
const UNIT: Keys = Keys {
    used: &["name", "model", "given", "expect"],
    ignored: &["description"],
    refused: &[("overrides", "not supported; a unit test says what comes in and what comes out")],
};
const GIVEN: Keys = Keys {
    used: &["input", "rows"],
    ignored: &[],
    refused: &[("format", "rows are mappings of columns to values"), ("fixture", "write the rows")],
};
const EXPECT: Keys = Keys { used: &["rows"], ignored: &[], refused: GIVEN.refused };

/// What failing rows do to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// They end it with exit code 1.
    Error,
    /// They are told.
    Warn,
}

/// What must hold of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestKind {
    /// The column is never null.
    NotNull(String),
    /// No two rows have the same values in these columns.
    Unique(Vec<String>),
    /// The column holds one of these SQL literals, or null.
    AcceptedValues(String, Vec<String>),
    /// Each value of the column stands in this column of that relation.
    Relationships {
        /// The column.
        column: String,
        /// The relation that it points to.
        to: TableName,
        /// The column there.
        field: String,
    },
    /// This SQL expression is not false for any row.
    Expression(String),
    /// This SELECT gives no rows.
    Singular(String),
}

/// A test of the rows of a model, or of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataTest {
    /// Its name.
    pub name: String,
    /// The models whose rows it looks at. The first is the one that it stands with.
    pub models: BTreeSet<String>,
    /// What must hold.
    pub kind: TestKind,
    /// What it means if it does not.
    pub severity: Severity,
    /// Where it is written.
    pub place: Place,
}

/// A row of a unit test: columns and the text of their values, none for null.
pub type Row = Vec<(String, Option<String>)>;

/// The rows of one input of a unit test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The model or source, as SQL names it.
    pub input: TableName,
    /// Its rows; columns that are not named are null.
    pub rows: Vec<Row>,
    /// Where it is written.
    pub place: Place,
}

/// Which rows must come of which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitTest {
    /// Its name.
    pub name: String,
    /// The model.
    pub model: String,
    /// The rows of its inputs.
    pub given: Vec<Given>,
    /// The rows that it must give, in any order; columns that are not named may hold anything.
    pub expect: Vec<Row>,
    /// Where it is written.
    pub place: Place,
}

/// What a file says of one model.
#[derive(Debug, Default)]
pub(super) struct Note {
    pub model: String,
    pub place: Place,
    pub description: String,
    pub columns: Vec<Column>,
    pub config: Vec<Setting>,
    pub data_tests: Vec<DataTest>,
    pub unit_tests: Vec<UnitTest>,
}

impl Default for Place {
    fn default() -> Place {
        Place { file: String::new(), at: Position::START }
    }
}

/// Reads one file; mistakes are added to `mistakes`.
pub(super) fn read(file: &SourceFile, names: &Names, mistakes: &mut Vec<Diagnostic>) -> Vec<Note> {
    let mut sink = Sink::new(&FORMAT, &file.path);
    let root = load(&file.text, &mut sink);
    let mut reader = Reader { file: &file.path, names, notes: Vec::new() };
    if let Some(object) = root.as_ref().and_then(|r| Object::new("the file", r, &mut sink)) {
        object.check_keys(&FILE, &mut sink);
        for node in object.list("models", &mut sink).unwrap_or_default() {
            reader.model(node, &mut sink);
        }
        for node in object.list("unit_tests", &mut sink).unwrap_or_default() {
            reader.unit_test(node, &mut sink);
        }
    }
    mistakes.extend(sink.into_sorted());
    reader.notes
}

struct Reader<'r> {
    file: &'r str,
    names: &'r Names,
    notes: Vec<Note>,
}

impl Reader<'_> {
    fn place(&self, at: Position) -> Place {
        Place { file: self.file.to_string(), at }
    }

    /// The note of a model, made where it is not there yet.
    fn note(&mut self, model: &str, at: Position) -> &mut Note {
        let found = self.notes.iter().position(|note| note.model == model);
        let index = found.unwrap_or_else(|| {
            let (model, place) = (model.to_string(), self.place(at));
            self.notes.push(Note { model, place, ..Note::default() });
            self.notes.len() - 1
        });
        &mut self.notes[index]
    }

    fn model(&mut self, node: &Node, sink: &mut Sink<'_>) {
        let Some(object) = Object::new("a model", node, sink) else { return };
        object.check_keys(&MODEL, sink);
        let Some((name, at)) = object.require_string("name", "it is the model's", sink) else {
            return;
        };
        if self.notes.iter().any(|note| note.model == name) {
            sink.push(at, format!("model {name:?} is described twice"));
        }
        let description = object.string("description", sink).map(|(text, _)| text.to_string());
        let (mut columns, mut tests) = (Vec::new(), Vec::new());
        for node in object.list("columns", sink).unwrap_or_default() {
            self.column(name, node, &mut columns, &mut tests, sink);
        }
        for node in object.list("data_tests", sink).unwrap_or_default() {
            tests.extend(self.test(name, None, node, tests.len(), sink));
        }
        let config = match object.get("config") {
            Some(Node { value: Yaml::Map(entries), .. }) => self.settings(entries),
            Some(node) => {
                sink.push(node.at, "`config` is a mapping");
                Vec::new()
            }
            None => Vec::new(),
        };
        let note = self.note(name, at);
        note.description = description.unwrap_or_default().trim().to_string();
        (note.columns, note.config, note.data_tests) = (columns, config, tests);
    }

    fn settings(&self, entries: &[Entry]) -> Vec<Setting> {
        let setting = |entry: &Entry| Setting {
            key: entry.key.clone(),
            value: Told::of(&entry.value),
            place: self.place(entry.at),
        };
        entries.iter().map(setting).collect()
    }

    fn column(
        &mut self,
        model: &str,
        node: &Node,
        columns: &mut Vec<Column>,
        tests: &mut Vec<DataTest>,
        sink: &mut Sink<'_>,
    ) {
        let Some(object) = Object::new(format!("a column of {model}"), node, sink) else { return };
        object.check_keys(&COLUMN, sink);
        let Some((name, at)) = object.require_string("name", "it is the column's", sink) else {
            return;
        };
        let text = |key, sink: &mut Sink<'_>| object.string(key, sink).map(|(t, _)| t.to_string());
        columns.push(Column {
            name: name.to_string(),
            description: text("description", sink).unwrap_or_default().trim().to_string(),
            data_type: text("data_type", sink),
            at: self.place(at),
        });
        for node in object.list("data_tests", sink).unwrap_or_default() {
            tests.extend(self.test(model, Some(name), node, tests.len(), sink));
        }
    }

    /// `not_null`, or `{accepted_values: {arguments: {values: [...]}}}`.
    fn test(
        &self,
        model: &str,
        column: Option<&str>,
        node: &Node,
        number: usize,
        sink: &mut Sink<'_>,
    ) -> Option<DataTest> {
        let (kind, at, object) = match &node.value {
            Yaml::Scalar { text, .. } => (text.as_str(), node.at, None),
            Yaml::Map(entries) if entries.len() == 1 => {
                let entry = entries.first()?;
                let object = Object::new(format!("test `{}`", entry.key), &entry.value, sink)?;
                object.check_keys(&TEST, sink);
                (entry.key.as_str(), entry.at, Some(object))
            }
            _ => {
                sink.push(node.at, "a test is a word such as not_null, or {name of the test: ...}");
                return None;
            }
        };
        let arguments = object.as_ref().and_then(|o| o.get("arguments"));
        let arguments = match arguments {
            Some(node) => Some(Object::new(format!("`arguments` of `{kind}`"), node, sink)?),
            None => None,
        };
        let test = self.kind(kind, at, column, arguments.as_ref(), sink)?;
        let severity = self.severity(object.as_ref(), sink);
        let named = object.as_ref().and_then(|o| o.string("name", sink));
        let (test, mut models) = test;
        models.insert(model.to_string());
        let name = named.map_or_else(|| default_name(&test, model, number), |(n, _)| n.to_string());
        Some(DataTest { name, models, kind: test, severity, place: self.place(at) })
    }

    fn severity(&self, object: Option<&Object<'_>>, sink: &mut Sink<'_>) -> Severity {
        let Some(node) = object.and_then(|o| o.get("config")) else { return Severity::Error };
        let Some(config) = Object::new("`config` of a test", node, sink) else {
            return Severity::Error;
        };
        config.check_keys(&TEST_CONFIG, sink);
        match config.string("severity", sink) {
            Some(("warn", _)) => Severity::Warn,
            Some(("error", _)) | None => Severity::Error,
            Some((other, at)) => {
                sink.push(at, format!("`severity` is error or warn, not {}", quoted(other)));
                Severity::Error
            }
        }
    }

    fn kind(
        &self,
        kind: &str,
        at: Position,
        column: Option<&str>,
        arguments: Option<&Object<'_>>,
        sink: &mut Sink<'_>,
    ) -> Option<(TestKind, BTreeSet<String>)> {
        if let Some(arguments) = arguments {
            arguments.check_keys(arguments_of(kind, column), sink);
        }
        let alone = BTreeSet::new();
        let of_column = |sink: &mut Sink<'_>| {
            if column.is_none() {
                sink.push(at, format!("`{kind}` stands with a column"));
            }
            column.map(str::to_string)
        };
        match kind {
            "not_null" => Some((TestKind::NotNull(of_column(sink)?), alone)),
            "unique" => {
                let columns = match (column, arguments) {
                    (Some(column), _) => vec![column.to_string()],
                    (None, arguments) => self.columns(at, arguments, sink)?,
                };
                Some((TestKind::Unique(columns), alone))
            }
            "accepted_values" => {
                let column = of_column(sink)?;
                let hint = "write {accepted_values: {arguments: {values: [...]}}}";
                let values = required(arguments, "values", at, hint, sink)?;
                let Yaml::List(values) = &values.value else {
                    sink.push(values.at, "`values` is a list");
                    return None;
                };
                let values = values.iter().filter_map(|v| literal(v, sink)).collect();
                Some((TestKind::AcceptedValues(column, values), alone))
            }
            "relationships" => {
                let column = of_column(sink)?;
                let hint = "write {relationships: {arguments: {to: ref('x'), field: id}}}";
                let to = required(arguments, "to", at, hint, sink)?;
                let (to, models) = self.relation(to, sink)?;
                let (field, _) = arguments?.require_string("field", hint, sink)?;
                Some((TestKind::Relationships { column, to, field: field.into() }, models))
            }
            "expression" => {
                let hint = "write {expression: {arguments: {expression: a >= 0}}}";
                required(arguments, "expression", at, hint, sink)?;
                let (text, _) = arguments?.string("expression", sink)?;
                Some((TestKind::Expression(text.to_string()), alone))
            }
            _ => {
                let known = "not_null, unique, accepted_values, relationships and expression";
                let message = format!("unknown test {}; there are {known}", quoted(kind));
                sink.push(at, message);
                None
            }
        }
    }

    fn columns(
        &self,
        at: Position,
        arguments: Option<&Object<'_>>,
        sink: &mut Sink<'_>,
    ) -> Option<Vec<String>> {
        let hint = "write {unique: {arguments: {columns: [a, b]}}}, or set it with one column";
        required(arguments, "columns", at, hint, sink)?;
        let nodes = arguments?.list("columns", sink)?;
        let text = |node: &Node| match &node.value {
            Yaml::Scalar { text, .. } => Some(text.clone()),
            _ => None,
        };
        let columns: Vec<String> = nodes.iter().filter_map(text).collect();
        if columns.len() != nodes.len() || columns.is_empty() {
            sink.push(at, "`columns` is a list of names");
            return None;
        }
        Some(columns)
    }

    /// `ref('a')` or `source('raw', 'b')`, and the model that it names.
    fn relation(&self, node: &Node, sink: &mut Sink<'_>) -> Option<(TableName, BTreeSet<String>)> {
        let Yaml::Scalar { text, .. } = &node.value else {
            sink.push(node.at, "write ref('model') or source('namespace', 'table')");
            return None;
        };
        let this = TableName { namespace: String::new(), name: String::new() };
        match render(self.file, &format!("{{{{ {text} }}}}"), &this, self.names) {
            Ok(rendered) => match rendered.sql.parse() {
                Ok(relation) => return Some((relation, rendered.refs)),
                Err(_) => sink.push(node.at, "write ref('model') or source('namespace', 'table')"),
            },
            Err(mistake) => sink.push(node.at, mistake.message),
        }
        None
    }

    fn unit_test(&mut self, node: &Node, sink: &mut Sink<'_>) {
        let Some(object) = Object::new("a unit test", node, sink) else { return };
        object.check_keys(&UNIT, sink);
        let name = object.require_string("name", "it is the test's", sink);
        let model = object.require_string("model", "it is the model under test", sink);
        let expect = object.require("expect", "write {rows: [...]}", sink);
        let (Some((name, at)), Some((model, model_at)), Some(expect)) = (name, model, expect)
        else {
            return;
        };
        let mut given = Vec::new();
        for node in object.list("given", sink).unwrap_or_default() {
            let Some(object) = Object::new(format!("an input of {name}"), node, sink) else {
                continue;
            };
            object.check_keys(&GIVEN, sink);
            let hint = "write ref('model') or source('namespace', 'table')";
            let Some(input) = object.require("input", hint, sink) else { continue };
            let Some((input, _)) = self.relation(input, sink) else { continue };
            given.push(Given { input, rows: rows(&object, sink), place: self.place(object.at) });
        }
        let Some(expect) = Object::new(format!("`expect` of {name}"), expect, sink) else { return };
        expect.check_keys(&EXPECT, sink);
        let expect = rows(&expect, sink);
        let (name, place) = (name.to_string(), self.place(at));
        let test = UnitTest { name, model: model.to_string(), given, expect, place };
        self.note(model, model_at).unit_tests.push(test);
    }
}

/// What a test can be given.
fn arguments_of(kind: &str, column: Option<&str>) -> &'static Keys {
    match kind {
        "unique" if column.is_none() => &UNIQUE,
        "accepted_values" => &ACCEPTED_VALUES,
        "relationships" => &RELATIONSHIPS,
        "expression" => &EXPRESSION,
        _ => &NO_ARGUMENTS,
    }
}

fn required<'n>(
    arguments: Option<&Object<'n>>,
    key: &str,
    at: Position,
    hint: &str,
    sink: &mut Sink<'_>,
) -> Option<&'n Node> {
    let found = arguments.and_then(|a| a.get(key));
    if found.is_none() {
        sink.push(at, format!("`{key}` is missing; {hint}"));
    }
    found
}

fn rows(object: &Object<'_>, sink: &mut Sink<'_>) -> Vec<Row> {
    let Some(_) = object.require("rows", "it is a list of mappings; [] for none", sink) else {
        return Vec::new();
    };
    let mut rows = Vec::new();
    for node in object.list("rows", sink).unwrap_or_default() {
        let Yaml::Map(entries) = &node.value else {
            sink.push(node.at, "a row is a mapping of columns to values");
            continue;
        };
        let mut row = Row::new();
        for entry in entries {
            match (&entry.value.value, entry.value.kind()) {
                (_, Some(Kind::Null)) => row.push((entry.key.clone(), None)),
                (Yaml::Scalar { text, .. }, Some(_)) => {
                    row.push((entry.key.clone(), Some(text.clone())));
                }
                (_, kind) => {
                    let what = kind.map_or("nothing", Kind::words);
                    let message = format!("`{}` is {what}; write its value as text", entry.key);
                    sink.push(entry.value.at, message);
                }
            }
        }
        rows.push(row);
    }
    rows
}

/// The SQL literal of a scalar.
fn literal(node: &Node, sink: &mut Sink<'_>) -> Option<String> {
    match (&node.value, node.kind()?) {
        (Yaml::Scalar { text, .. }, Kind::Integer | Kind::Number | Kind::Boolean(_)) => {
            Some(text.clone())
        }
        (Yaml::Scalar { text, .. }, Kind::String) => {
            Some(format!("'{}'", text.replace('\'', "''")))
        }
        (_, kind) => {
            sink.push(
                node.at,
                format!("a value is a text, number or boolean, not {}", kind.words()),
            );
            None
        }
    }
}

/// As dbt names tests.
fn default_name(test: &TestKind, model: &str, number: usize) -> String {
    match test {
        TestKind::NotNull(column) => format!("not_null_{model}_{column}"),
        TestKind::Unique(columns) => format!("unique_{model}_{}", columns.join("_")),
        TestKind::AcceptedValues(column, _) => format!("accepted_values_{model}_{column}"),
        TestKind::Relationships { column, .. } => format!("relationships_{model}_{column}"),
        TestKind::Expression(_) => format!("expression_{model}_{}", number + 1),
        TestKind::Singular(_) => model.to_string(),
    }
}
