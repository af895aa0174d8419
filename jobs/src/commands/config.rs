//! `weir config`.

use serde_json::{Value, json};

use crate::config::Entry;
use crate::failure::Failure;
use crate::output::Column;
use crate::session::{Done, Session};

const COLUMNS: [Column; 3] = [Column::text("key"), Column::text("value"), Column::text("origin")];

/// Shows every key; secrets are references and stay so.
pub fn run(session: &mut Session) -> Result<Done, Failure> {
    let row = |entry: Entry| vec![json!(entry.key), json!(entry.value), json!(entry.origin)];
    let rows: Vec<Vec<Value>> = session.entries()?.into_iter().map(row).collect();
    session.output.result("keys", rows.len());
    session.output.table(&COLUMNS, &rows)?;
    Ok(Done::Done)
}
