//! `weir show`, and the session over a lake in which models are known.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use weir_catalog::Lake;
use weir_catalog::session::{SessionOptions, over};
use weir_transforms::engine::{Engine, Rows};

use super::Models;
use crate::cli;
use crate::commands::lake;
use crate::failure::Failure;
use crate::rows::{objects, shown};
use crate::session::{Done, Session};

/// Shows some rows of a model.
pub fn run(asked: &cli::Show, session: &mut Session) -> Result<Done, Failure> {
    let config = session.config()?;
    let lake = lake(&config, false)?;
    let rows = session.block_on(async {
        let models = Models::load(&config, Some(&lake), asked.vars.as_deref()).await?;
        let name = models.named(&asked.model)?;
        let relation = &models.project.models[&name].relation;
        let engine = engine(&models, &lake).await?;
        let rows = engine.rows(&format!("select * from {relation}"), asked.limit).await;
        rows.map_err(|e| Failure::catalog(e).at(&models.project.models[&name].path))
    })?;
    session.output.result("rows", rows.count());
    if session.output.is_json() {
        for row in rows.batches.iter().map(objects).collect::<Result<Vec<_>, _>>()?.concat() {
            session.output.object(&row)?;
        }
        return Ok(Done::Done);
    }
    session.output.say(pretty(rows)?)?;
    Ok(Done::Done)
}

/// A session over the lake with the models as names.
pub async fn engine(models: &Models, lake: &Lake) -> Result<Engine, Failure> {
    let context = over(lake, &SessionOptions::default()).map_err(Failure::catalog)?;
    let inputs = models.inputs.iter();
    let inputs: BTreeMap<_, _> =
        inputs.map(|input| (input.name.clone(), input.provider.clone())).collect();
    Engine::open(context, &models.project, &models.compiled, inputs).await.map_err(Failure::catalog)
}

/// The rows as a table for people.
pub fn pretty(rows: Rows) -> Result<String, Failure> {
    let batches = match rows.batches.is_empty() {
        true => vec![RecordBatch::new_empty(rows.schema)],
        false => rows.batches,
    };
    Ok(pretty_format_batches(&batches).map_err(shown)?.to_string())
}
