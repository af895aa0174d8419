//! `weir tables` and `weir snapshots`.

use serde_json::{Value, json};
use weir_catalog::Lake;
use weir_catalog::look::engines::reads;
use weir_catalog::look::which::{Which, find};
use weir_catalog::look::{self, as_of::show_time, no_table};
use weir_contract::names::TableName;

use super::lake;
use crate::cli;
use crate::failure::Failure;
use crate::lake::database_prefix;
use crate::output::Column;
use crate::session::{Done, Session};

const TABLES: [Column; 7] = [
    Column::text("table"),
    Column::number("rows"),
    Column::number("rejected"),
    Column::number("files"),
    Column::number("bytes"),
    Column::number("snapshots"),
    Column::text("last_commit"),
];

const SNAPSHOTS: [Column; 8] = [
    Column::number("snapshot"),
    Column::text("committed_at"),
    Column::text("operation"),
    Column::text("by"),
    Column::number("added"),
    Column::number("removed"),
    Column::number("total"),
    Column::text("tags"),
];

/// Lists the tables.
pub fn tables(session: &mut Session) -> Result<Done, Failure> {
    let config = session.config()?;
    let lake = lake(&config, false)?;
    let tables = session.block_on(async { look::tables(&lake).await.map_err(Failure::catalog) })?;
    let rows: Vec<Vec<Value>> = tables
        .iter()
        .map(|table| {
            vec![
                json!(table.name.to_string()),
                json!(table.rows),
                json!(table.rejected),
                json!(table.files),
                json!(table.bytes),
                json!(table.snapshots),
                json!(table.last_commit_ms.map(show_time)),
            ]
        })
        .collect();
    session.output.result("tables", rows.len());
    session.output.table(&TABLES, &rows)?;
    Ok(Done::Done)
}

/// Lists the snapshots of a table that still stand, oldest first.
pub fn snapshots(asked: &cli::Snapshots, session: &mut Session) -> Result<Done, Failure> {
    let name: TableName = asked.table.parse().map_err(|e: String| Failure::config(e))?;
    let config = session.config()?;
    let lake = lake(&config, false)?;
    if let Some(time) = asked.as_of {
        let prefix = database_prefix(&config);
        return as_of(&lake, &name, time.timestamp_millis(), prefix, session);
    }
    let lines = session
        .block_on(async { look::snapshots(&lake, &name).await.map_err(Failure::catalog) })?;
    let rows: Vec<Vec<Value>> = lines
        .iter()
        .map(|line| {
            vec![
                json!(line.id.to_string()),
                json!(show_time(line.committed_at_ms)),
                json!(line.operation),
                json!(line.stage.clone().unwrap_or_else(|| "another engine".into())),
                json!(line.added),
                json!(line.removed),
                json!(line.total),
                json!(line.tags.join(" ")),
            ]
        })
        .collect();
    session.output.result("snapshots", rows.len());
    session.output.table(&SNAPSHOTS, &rows)?;
    Ok(Done::Done)
}

/// Names the snapshot that was the table's state at a time, and how other engines read it.
fn as_of(
    lake: &Lake,
    name: &TableName,
    ms: i64,
    prefix: &str,
    session: &mut Session,
) -> Result<Done, Failure> {
    let found = session.block_on(async {
        let base = lake.table(name).await.map_err(Failure::catalog)?;
        let base = base.ok_or_else(|| Failure::catalog(no_table(name)))?;
        find(&base, &Which::Time(ms)).map_err(Failure::catalog)
    })?;
    let reads = reads(name, prefix, found.snapshot);
    let mut object = json!(found);
    object["table"] = json!(name.to_string());
    object["as_of"] = json!(show_time(ms));
    object["committed_at"] = json!(show_time(found.committed_at_ms));
    object["sql"] = json!(reads);
    session.output.object(&object)?;
    let off = found.off_by_ms.unwrap_or_default();
    let tags = if found.tags.is_empty() { "no tag".into() } else { found.tags.join(" ") };
    let later = match found.later_expired {
        true => "; later ones up to that time have expired",
        false => "",
    };
    session.output.say(format!(
        "{name} at {}: snapshot {} of {}, {}.{:03} s before{later}\n  tags    {tags}\n  Athena  \
         {}\n  Trino   {}\n  Spark   {}\n  here    {}",
        show_time(ms),
        found.snapshot,
        show_time(found.committed_at_ms),
        off / 1000,
        off % 1000,
        reads.athena,
        reads.trino,
        reads.spark,
        reads.weir
    ))?;
    session.output.result("snapshot", found.snapshot.to_string());
    Ok(Done::Done)
}
