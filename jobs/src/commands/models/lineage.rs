//! `weir lineage`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::json;
use weir_transforms::lineage::columns;

use crate::cli;
use crate::failure::Failure;
use crate::models::{Models, made};
use crate::session::{Done, Session};

/// Tells from which columns those of models come.
pub fn run(asked: &cli::Lineage, session: &mut Session) -> Result<Done, Failure> {
    let config = session.config()?;
    let lake = made(&config)?;
    let vars = asked.vars.as_deref();
    let models = session.block_on(Models::load(&config, lake.as_ref(), vars))?;
    let names = match asked.models.is_empty() {
        true => models.compiled.keys().cloned().collect(),
        false => asked.models.iter().map(|n| models.named(n)).collect::<Result<Vec<_>, _>>()?,
    };
    if asked.mermaid {
        session.output.line(&match asked.models.is_empty() {
            true => drawn(&models, &names),
            false => columns_drawn(&models, &names),
        })?;
        return Ok(Done::Done);
    }
    for name in &names {
        let relation = models.project.models[name].relation.to_string();
        session.output.say(&relation)?;
        for (column, origins) in columns(&models.compiled[name].plan) {
            session.output.object(&json!({
                "model": name, "relation": relation, "column": column, "from": origins,
            }))?;
            let from: Vec<String> =
                origins.iter().map(|o| format!("{}.{}", o.table, o.column)).collect();
            session.output.say(format!("  {column}  <- {}", from.join(", ")))?;
        }
    }
    session.output.result("models", names.len());
    Ok(Done::Done)
}

/// The models and what they read, as a flowchart.
fn drawn(models: &Models, names: &[String]) -> String {
    let mut text = "flowchart LR".to_string();
    for name in names {
        let model = &models.project.models[name];
        let relation = &model.relation;
        // Writing to memory cannot fail.
        let _ = write!(text, "\n  {name}[\"{relation}\"]");
        for parent in &model.refs {
            let of = &models.project.models[parent].relation;
            let _ = write!(text, "\n  {parent}[\"{of}\"] --> {name}");
        }
        for source in &model.sources {
            let id = source.to_string().replace('.', "__");
            let _ = write!(text, "\n  {id}[(\"{source}\")] --> {name}");
        }
    }
    text
}

/// The columns of the models and those that they come from, in boxes of their tables, as a flowchart.
fn columns_drawn(models: &Models, names: &[String]) -> String {
    let (mut tables, mut arrows) = (BTreeMap::<String, BTreeSet<String>>::new(), BTreeSet::new());
    let id = |table: &str, column: &str| format!("{}__{column}", table.replace('.', "__"));
    for name in names {
        let relation = models.project.models[name].relation.to_string();
        for (column, origins) in columns(&models.compiled[name].plan) {
            for origin in origins {
                tables.entry(origin.table.clone()).or_default().insert(origin.column.clone());
                let (from, to) = (id(&origin.table, &origin.column), id(&relation, &column));
                arrows.insert(format!("\n  {from} --> {to}"));
            }
            tables.entry(relation.clone()).or_default().insert(column);
        }
    }
    let mut text = "flowchart LR".to_string();
    for (table, columns) in &tables {
        let _ = write!(text, "\n  subgraph {}[\"{table}\"]", table.replace('.', "__"));
        for column in columns {
            let _ = write!(text, "\n    {}[\"{column}\"]", id(table, column));
        }
        text += "\n  end";
    }
    text.extend(arrows);
    text
}
