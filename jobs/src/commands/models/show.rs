//! `weir show`.

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use weir_transforms::engine::Rows;

use crate::cli;
use crate::failure::Failure;
use crate::lake::open as lake;
use crate::models::Models;
use crate::models::screen::{PROGRESS, watched};
use crate::rows::{objects, shown};
use crate::session::{Done, Session};

/// Shows some rows of a model.
pub fn run(asked: &cli::Show, session: &mut Session) -> Result<Done, Failure> {
    let config = session.config()?;
    let lake = lake(&config, false)?;
    let rows = session.block_on(async {
        let models = Models::load(&config, Some(&lake), asked.vars.as_deref()).await?;
        let name = models.named(&asked.model)?;
        let engine = models.runner(&lake).engine().await.map_err(Failure::catalog)?;
        let rows = engine.rows(&models.compiled[&name].sql, asked.limit);
        let rows = watched(PROGRESS, rows, || {
            tracing::info!(model = %name, "still reading");
            Ok(())
        });
        rows.await?.map_err(|e| Failure::catalog(e).at(&models.project.models[&name].path))
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

/// The rows as a table for people.
pub fn pretty(rows: Rows) -> Result<String, Failure> {
    let batches = match rows.batches.is_empty() {
        true => vec![RecordBatch::new_empty(rows.schema)],
        false => rows.batches,
    };
    Ok(pretty_format_batches(&batches).map_err(shown)?.to_string())
}
