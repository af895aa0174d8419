//! `weir lineage`.

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
        session.output.line(&mermaid(&models, &names))?;
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

/// The models, what they read, and what reads them, as a flowchart.
fn mermaid(models: &Models, names: &[String]) -> String {
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
