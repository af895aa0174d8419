//! A model's file → its SQL: the part of dbt's Jinja that says what a model reads and how it is
//! built. What is not supported is an error with its line, never guessed at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::value::{Kwargs, Rest};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};
use weir_contract::names::TableName;
use weir_contract::yaml::{Diagnostic, nearest};

/// Steps that a template may take: a loop that never ends is an error, not a hung process.
const FUEL: u64 = 1_000_000;
const KNOWN: &str = "known are config, ref, source, this, var and is_incremental, and Jinja's if, for \
                     and set";

/// What a template may name.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// Model → its relation.
    pub models: BTreeMap<String, TableName>,
    /// Sources: raw tables and histories of reference tables.
    pub sources: BTreeSet<TableName>,
    /// Values of `var()`.
    pub vars: BTreeMap<String, Value>,
    /// What `is_incremental()` says.
    pub incremental: bool,
}

/// What became of a template.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The SQL. Its lines are those of the file.
    pub sql: String,
    /// Models that it names.
    pub refs: BTreeSet<String>,
    /// Sources that it names.
    pub sources: BTreeSet<TableName>,
    /// What `config()` was given, in order.
    pub settings: Vec<(String, Value)>,
}

/// Renders the file `path` with this `text`, the model's own relation being `this`.
///
/// # Errors
/// The first thing that is not as it must be.
pub fn render(
    path: &str,
    text: &str,
    this: &TableName,
    names: &Names,
) -> Result<Rendered, Box<Diagnostic>> {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let environment = environment(this, names, &seen);
    let sql = environment.render_named_str(path, text, ()).map_err(|e| diagnostic(path, text, &e));
    let sql = sql?;
    let Seen { refs, sources, settings } = std::mem::take(&mut *lock(&seen));
    Ok(Rendered { sql, refs, sources, settings })
}

#[derive(Default)]
struct Seen {
    refs: BTreeSet<String>,
    sources: BTreeSet<TableName>,
    settings: Vec<(String, Value)>,
}

fn environment(this: &TableName, names: &Names, seen: &Arc<Mutex<Seen>>) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_debug(true);
    environment.add_global("this", this.to_string());
    let incremental = names.incremental;
    environment.add_function("is_incremental", move || incremental);
    let (models, into) = (names.models.clone(), seen.clone());
    environment.add_function("ref", move |name: &str, more: Rest<Value>| {
        if !more.is_empty() {
            return Err(wrong("ref() takes the name of one model of this project"));
        }
        let Some(relation) = models.get(name) else {
            return Err(unknown("model", name, models.keys().map(String::as_str)));
        };
        lock(&into).refs.insert(name.into());
        Ok(relation.to_string())
    });
    let (sources, into) = (names.sources.clone(), seen.clone());
    environment.add_function("source", move |namespace: &str, name: &str| {
        let table = TableName { namespace: namespace.into(), name: name.into() };
        if !sources.contains(&table) {
            let known: Vec<String> = sources.iter().map(ToString::to_string).collect();
            let known = known.iter().map(String::as_str);
            return Err(unknown("source", &table.to_string(), known));
        }
        lock(&into).sources.insert(table.clone());
        Ok(table.to_string())
    });
    let vars = names.vars.clone();
    environment.add_function("var", move |name: &str, default: Option<Value>| {
        let value = vars.get(name).cloned().or(default);
        value.ok_or_else(|| unknown("var", name, vars.keys().map(String::as_str)))
    });
    let into = seen.clone();
    environment.add_function("config", move |settings: Kwargs| {
        for key in settings.args() {
            let value: Value = settings.get(key)?;
            lock(&into).settings.push((key.to_string(), value));
        }
        Ok(String::new())
    });
    environment
}

fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

fn unknown<'k>(what: &str, name: &str, known: impl Iterator<Item = &'k str> + Clone) -> Error {
    let advice = match nearest(name, known.clone()) {
        Some(nearest) => format!("did you mean {nearest:?}?"),
        None if known.clone().next().is_none() => format!("there is no {what} at all"),
        None => format!("there are {}", known.collect::<Vec<_>>().join(", ")),
    };
    wrong(format!("there is no {what} {name:?}; {advice}"))
}

fn diagnostic(path: &str, text: &str, error: &Error) -> Box<Diagnostic> {
    let kind = error.kind().to_string();
    let detail = error.detail().unwrap_or(&kind);
    let message = match error.kind() {
        ErrorKind::InvalidOperation => detail.to_string(),
        ErrorKind::OutOfFuel => "the template does not come to an end".to_string(),
        ErrorKind::UndefinedError | ErrorKind::UnknownFunction | ErrorKind::UnknownMethod => {
            format!("{detail}; {KNOWN}")
        }
        ErrorKind::SyntaxError if detail.contains("unknown statement") => {
            format!("{detail}: macros, includes and the like are not supported; {KNOWN}")
        }
        _ => format!("{kind}: {detail}"),
    };
    let line = error.line().unwrap_or(1);
    let column = error.range().map_or(1, |range| {
        let before = text.get(..range.start).unwrap_or_default();
        before.rsplit('\n').next().unwrap_or_default().chars().count() + 1
    });
    Box::new(Diagnostic { file: path.into(), line, column, message })
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    // What was seen is whole after every change.
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let model = ("stg_vends".to_string(), "staging.stg_vends".parse().unwrap());
        let vars = [("lateness_minutes".to_string(), Value::from(5))];
        Names {
            models: [model].into(),
            sources: ["raw.vending_sales".parse().unwrap()].into(),
            vars: vars.into(),
            incremental: false,
        }
    }

    fn of(text: &str) -> Result<Rendered, String> {
        let this = "mart.fct_vends".parse().unwrap();
        render("marts/fct_vends.sql", text, &this, &names()).map_err(|d| d.to_string())
    }

    #[test]
    fn a_model_says_what_it_reads_and_how_it_is_built() {
        let text = "{{ config(materialized='view', tags=['sales', 'daily']) }}\n\
                    {% set minutes = var('lateness_minutes') %}\n\
                    select a, {{ minutes }} as m, {{ var('other', 7) }} as o -- {# a note #}\n\
                    from {{ ref('stg_vends') }} join {{ source('raw', 'vending_sales') }} using (a)\n\
                    {% if is_incremental() %} where a > (select max(a) from {{ this }}) {% endif %}";
        let rendered = of(text).unwrap();
        let lines: Vec<&str> = rendered.sql.lines().map(str::trim_end).collect();
        assert_eq!(lines[2], "select a, 5 as m, 7 as o --");
        assert_eq!(lines[3], "from staging.stg_vends join raw.vending_sales using (a)");
        assert_eq!(rendered.sql.matches('\n').count(), text.matches('\n').count());
        assert_eq!(rendered.refs, ["stg_vends".to_string()].into());
        assert_eq!(rendered.sources, ["raw.vending_sales".parse().unwrap()].into());
        assert_eq!(rendered.settings[0], ("materialized".to_string(), Value::from("view")));
        assert_eq!(rendered.settings[1].1.len(), Some(2));
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (text, place, says) in [
            ("select 1\nfrom {{ ref('stg_vend') }}", ":2:", "did you mean \"stg_vends\"?"),
            ("{{ ref('a', 'b') }}", ":1:", "one model of this project"),
            ("\n{{ source('raw', 'x') }}", ":2:", "there is no source \"raw.x\"; there are raw.v"),
            ("{{ var('nope') }}", ":1:", "there is no var \"nope\""),
            ("{{ env_var('HOME') }}", ":1:", "known are config, ref"),
            ("{{ nope }}", ":1:", "known are config, ref"),
            ("{{ dbt_utils.star() }}", ":1:", "known are config, ref"),
            ("a\n{% macro x() %}{% endmacro %}", ":2:", "macros, includes and the like are not"),
            ("{% if %}", ":1:", "syntax error"),
            ("{{ config('view') }}", ":1:", ""),
            (
                "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
                ":1:",
                "does not come to an end",
            ),
        ] {
            let error = of(text).unwrap_err();
            assert!(error.starts_with(&format!("marts/fct_vends.sql{place}")), "{error}");
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
