//! `weir tag`.

use serde_json::json;
use weir_catalog::look::as_of::show_time;
use weir_catalog::look::which::Which;
use weir_catalog::tag::{tag, untag};
use weir_contract::names::TableName;

use super::lake;
use crate::cli;
use crate::failure::Failure;
use crate::session::{Done, Session};

/// Sets a tag, or takes it away.
pub fn run(asked: &cli::Tag, session: &mut Session) -> Result<Done, Failure> {
    let table: TableName = asked.table.parse().map_err(|e: String| Failure::config(e))?;
    let config = session.config()?;
    let lake = lake(&config, false)?;
    let which = match (asked.snapshot, asked.as_of) {
        (Some(id), _) => Which::Snapshot(id),
        (None, Some(time)) => Which::Time(time.timestamp_millis()),
        (None, None) => Which::Current,
    };
    let done = session.block_on(async {
        let done = match asked.delete {
            true => untag(&lake, &table, &asked.name).await,
            false => tag(&lake, &table, &asked.name, &which).await,
        };
        done.map_err(Failure::catalog)
    })?;
    session.output.object(&json!(done))?;
    let (id, at) = (done.found.snapshot, show_time(done.found.committed_at_ms));
    session.output.say(match (asked.delete, done.changed) {
        (true, _) => format!("{table}: {} no longer keeps snapshot {id} of {at}", done.tag),
        (false, true) => format!("{table}: {} keeps snapshot {id} of {at}", done.tag),
        (false, false) => format!("{table}: {} keeps snapshot {id} of {at} already", done.tag),
    })?;
    session.output.result("tag", json!(done));
    Ok(Done::Done)
}
