//! `weir query`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;
use serde_json::{Map, Value};
use weir_catalog::session::{At, Session as Sql};
use weir_contract::class::ErrorClass;

use super::lake;
use crate::cli;
use crate::failure::Failure;
use crate::output::Output;
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
        let sql = Sql::open(&lake, at).await.map_err(Failure::catalog)?;
        if session.output.is_json() {
            return stream(&sql, &asked.sql, at, &mut session.output).await;
        }
        let answer = sql.sql(&asked.sql).await.map_err(Failure::catalog)?;
        for table in answer.tables.iter().filter(|_| at != At::Current) {
            tracing::info!(table = %table.table, snapshot_id = table.snapshot, "read {table}");
        }
        let batches = match answer.batches.is_empty() {
            true => vec![RecordBatch::new_empty(answer.schema)],
            false => answer.batches,
        };
        let table = pretty_format_batches(&batches).map_err(shown)?;
        session.output.line(&table.to_string())?;
        Ok(Done::Done)
    })
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
        let columns = columns(&batch)?;
        for row in 0..batch.num_rows() {
            let members: Map<String, Value> = columns
                .iter()
                .map(|(name, column, formatter)| (name.clone(), value(column, formatter, row)))
                .collect();
            output.line(&Value::Object(members).to_string())?;
        }
    }
}

type Shown<'a> = (String, ArrayRef, ArrayFormatter<'a>);

fn columns(batch: &RecordBatch) -> Result<Vec<Shown<'_>>, Failure> {
    let fields = batch.schema();
    let columns = fields.fields().iter().zip(batch.columns()).map(|(field, column)| {
        let formatter = ArrayFormatter::try_new(column.as_ref(), &FORMAT).map_err(shown)?;
        Ok((field.name().clone(), Arc::clone(column), formatter))
    });
    columns.collect()
}

const FORMAT: FormatOptions<'static> = FormatOptions::new();

/// Booleans and numbers as JSON's own, everything else as text.
fn value(column: &ArrayRef, formatter: &ArrayFormatter<'_>, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    let text = formatter.value(row).to_string();
    match column.data_type() {
        DataType::Boolean => Value::Bool(text == "true"),
        kind if kind.is_integer() || kind.is_floating() => {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        }
        _ => Value::String(text),
    }
}

fn shown(error: arrow::error::ArrowError) -> Failure {
    Failure::new(ErrorClass::Bug, format!("the result cannot be shown: {error}"))
}
