//! `weir register`.

use serde_json::{Value, json};
use weir_catalog::register::{Line, Registered, register, register_all};
use weir_contract::names::TableName;

use super::lake;
use crate::cli;
use crate::failure::Failure;
use crate::output::Column;
use crate::session::{Done, Session};

const COLUMNS: [Column; 3] =
    [Column::text("table"), Column::text("outcome"), Column::text("metadata")];

/// Puts tables into the catalog by their metadata files.
pub fn run(asked: &cli::Register, session: &mut Session) -> Result<Done, Failure> {
    let config = session.config()?;
    let lake = lake(&config, true)?;
    let lines = session.block_on(async {
        let lines = match (&asked.table, &asked.metadata) {
            (Some(table), Some(metadata)) => {
                let table: TableName = table.parse().map_err(|e: String| Failure::config(e))?;
                let done = register(&lake, &table, metadata, asked.replace).await;
                done.map(|registered| vec![Line { table, registered }])
            }
            _ => register_all(&lake, asked.dry_run).await,
        };
        lines.map_err(Failure::catalog)
    })?;
    let rows: Vec<Vec<Value>> = lines.iter().map(row).collect();
    session.output.table(&COLUMNS, &rows)?;
    if lines.is_empty() {
        session.output.say(format!("there is no table in {}", lake.warehouse))?;
    }
    session.output.result("tables", json!(lines));
    let mut places = Vec::new();
    for Line { table, registered } in &lines {
        let Registered::Ambiguous { why, candidates } = registered else { continue };
        places.push(format!("table {table}: {why}"));
        places.extend(candidates.iter().map(|c| format!("{} ({})", c.location, c.says)));
    }
    if places.is_empty() {
        return Ok(Done::Done);
    }
    let failure = Failure::config("of some tables it cannot be told which metadata file is theirs")
        .next("name one: weir register TABLE METADATA; then `weir verify`");
    Err(places.into_iter().fold(failure, Failure::at))
}

fn row(line: &Line) -> Vec<Value> {
    let (outcome, metadata) = match &line.registered {
        Registered::Done { location, replaced: None } => ("registered", Some(location)),
        Registered::Done { location, replaced: Some(_) } => ("replaced", Some(location)),
        Registered::Would { location } => ("would be registered", Some(location)),
        Registered::Kept { location } => ("in the catalog already", Some(location)),
        Registered::Ambiguous { .. } => ("ambiguous", None),
    };
    vec![json!(line.table.to_string()), json!(outcome), json!(metadata)]
}
