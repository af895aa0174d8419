//! `weir ls` and `weir compile`.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use weir_catalog::Lake;
use weir_catalog::session::inputs::Source;
use weir_contract::class::ErrorClass;
use weir_transforms::compile::iceberg_type;
use weir_transforms::data_test;
use weir_transforms::inputs::inputs;

use crate::cli;
use crate::failure::Failure;
use crate::models::{Models, made};
use crate::output::Column;
use crate::session::{Done, Session};

const COLUMNS: [Column; 5] = [
    Column::text("model"),
    Column::text("relation"),
    Column::text("path"),
    Column::text("reads"),
    Column::text("tags"),
];

/// Lists models.
pub fn list(asked: &cli::Ls, session: &mut Session) -> Result<Done, Failure> {
    let config = session.config()?;
    let lake = made(&config)?;
    let vars = asked.selection.vars.as_deref();
    let models = session.block_on(Models::load(&config, lake.as_ref(), vars))?;
    let chosen = models.chosen(&asked.selection)?;
    let mut rows: Vec<Vec<Value>> = Vec::new();
    for model in models.project.models.values().filter(|m| chosen.contains(&m.name)) {
        let sources = model.sources.iter().map(ToString::to_string);
        let reads: Vec<String> = model.refs.iter().cloned().chain(sources).collect();
        let tags: Vec<&str> = model.settings.tags.iter().map(String::as_str).collect();
        let list = |of: Vec<String>| match session.output.is_json() {
            true => json!(of),
            false => json!(of.join(" ")),
        };
        rows.push(vec![
            json!(model.name),
            json!(model.relation.to_string()),
            json!(model.path),
            list(reads),
            list(tags.into_iter().map(str::to_string).collect()),
        ]);
    }
    session.output.result("models", rows.len());
    session.output.table(&COLUMNS, &rows)?;
    Ok(Done::Done)
}

/// Plans every model, and writes the SQL of those that were asked for.
pub fn compile(asked: &cli::Compile, session: &mut Session) -> Result<Done, Failure> {
    let config = session.config()?;
    let lake = made(&config)?;
    let vars = asked.selection.vars.as_deref();
    let models = session.block_on(Models::load(&config, lake.as_ref(), vars))?;
    let chosen = models.chosen(&asked.selection)?;
    for name in &chosen {
        let (model, compiled) = (&models.project.models[name], &models.compiled[name]);
        models.write(&format!("compiled/{}", model.path), compiled.sql.trim())?;
        let column = |field: &arrow::datatypes::FieldRef| {
            let kind = iceberg_type(field.data_type()).unwrap_or_default();
            json!({"name": field.name(), "type": kind})
        };
        let columns: Vec<Value> = compiled.schema.fields().iter().map(column).collect();
        session.output.object(&json!({
            "model": name,
            "relation": model.relation.to_string(),
            "columns": columns,
        }))?;
    }
    for test in &models.project.data_tests {
        if test.models.iter().any(|model| chosen.contains(model)) {
            let sql = data_test::sql(&models.project, test);
            models.write(&format!("compiled/tests/{}.sql", test.name), &sql)?;
        }
    }
    if let Some(lake) = &lake {
        let mut unportable = session.block_on(unportable(&models, &chosen, lake))?;
        for table in &unportable {
            session.output.say(format!(
                "{table} can be read by this process only for now: other engines have deleted rows from its \
                 files, or its columns had other names; an engine that writes the files anew (OPTIMIZE in \
                 Athena and Trino, rewrite_data_files in Spark) ends that"
            ))?;
        }
        for table in promoted(&models, &chosen) {
            session.output.say(format!(
                "{table} can be read by this process only: it has columns that came later than rows of it, whose \
                 values are looked for in _extra"
            ))?;
            unportable.push(table);
        }
        session.output.result("unportable", unportable);
    }
    session.output.result("models", chosen.len());
    session.output.say(format!(
        "{} of {} models compile; their SQL is in {}",
        chosen.len(),
        models.project.models.len(),
        models.target("compiled").display()
    ))?;
    Ok(Done::Done)
}

/// Tables of streams some of whose values stand in `_extra`, and that the models read.
fn promoted(models: &Models, chosen: &BTreeSet<String>) -> Vec<String> {
    let read = |source: &&Source| {
        let reads = |name: &String| {
            let inputs = inputs(&models.project, &models.project.models[name]);
            inputs.sources.contains_key(&source.name)
        };
        !source.functions().is_empty() && chosen.iter().any(reads)
    };
    models.sources.iter().filter(read).map(|source| source.table.to_string()).collect()
}

/// Tables whose scan, as they are now, could not be sent to another process.
async fn unportable(
    models: &Models,
    chosen: &BTreeSet<String>,
    lake: &Lake,
) -> Result<Vec<String>, Failure> {
    let engine = models.runner(lake).engine().await.map_err(Failure::catalog)?;
    let mut found = BTreeSet::new();
    for name in chosen {
        match engine.unportable(&models.compiled[name].sql).await {
            Ok(tables) => found.extend(tables.iter().map(ToString::to_string)),
            // What reads a table that has not been built has no plan over files yet.
            Err(error) if error.class() == ErrorClass::BadConfig => {}
            Err(error) => return Err(Failure::catalog(error)),
        }
    }
    Ok(found.into_iter().collect())
}
