//! `weir query`.

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;
use weir_catalog::session::{Answer, At, Session as Sql};

use super::{lake, sql};
use crate::cli;
use crate::failure::Failure;
use crate::output::Output;
use crate::rows::{objects, shown};
use crate::session::{Done, Session};

/// Runs one query; which snapshots it read goes to stderr, by the log.
pub fn run(asked: &cli::Query, session: &mut Session) -> Result<Done, Failure> {
    let config = session.config()?;
    let lake = lake(&config, false)?;
    let at = match (asked.snapshot, asked.as_of) {
        (Some(id), _) => At::Snapshot(id),
        (None, Some(time)) => At::Time(time.timestamp_millis()),
        (None, None) => At::Current,
    };
    let runtime = session.runtime()?;
    runtime.block_on(async {
        let sql = sql(&config, &lake, at).await?;
        if session.output.is_json() {
            return stream(&sql, &asked.sql, at, &mut session.output).await;
        }
        let answer = sql.sql(&asked.sql).await.map_err(Failure::catalog)?;
        for table in answer.tables.iter().filter(|_| at != At::Current) {
            tracing::info!(table = %table.table, snapshot_id = table.snapshot, "read {table}");
        }
        session.output.line(&pretty(answer)?)?;
        Ok(Done::Done)
    })
}

/// The rows as a table for people.
pub fn pretty(answer: Answer) -> Result<String, Failure> {
    let batches = match answer.batches.is_empty() {
        true => vec![RecordBatch::new_empty(answer.schema)],
        false => answer.batches,
    };
    Ok(pretty_format_batches(&batches).map_err(shown)?.to_string())
}

/// One JSON object per row, as rows come.
async fn stream(sql: &Sql, text: &str, at: At, output: &mut Output) -> Result<Done, Failure> {
    let mut running = sql.stream(text).await.map_err(Failure::catalog)?;
    for table in running.tables.iter().filter(|_| at != At::Current) {
        tracing::info!(table = %table.table, snapshot_id = table.snapshot, "read {table}");
    }
    loop {
        let next = running.batches.try_next().await;
        let next = next.map_err(|e| Failure::catalog(sql.explain_error(e)))?;
        let Some(batch) = next else { return Ok(Done::Done) };
        for row in objects(&batch)? {
            output.line(&row.to_string())?;
        }
    }
}
