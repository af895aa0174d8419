//! `weir redrive`: one stream after another.

use serde_json::{Map, Value, json};
use weir_contract::names::TableName;
use weir_ingest::redrive::{Redrive, RedriveEvent, Report, Selection};

use super::{contracts, lake, selected};
use crate::cli;
use crate::failure::Failure;
use crate::output::Column;
use crate::session::{Done, Session};
use crate::shutdown;

const COLUMNS: [Column; 4] = [
    Column::text("stream"),
    Column::text("outcome"),
    Column::text("class"),
    Column::number("rows"),
];

/// Puts rejected rows through today's contracts.
pub fn run(asked: &cli::Redrive, session: &mut Session) -> Result<Done, Failure> {
    let config = session.config()?;
    let lake = lake(&config, false)?;
    let streams = selected(&config, &asked.filter.streams)?;
    // All contracts first: a mistake in one of them shall not leave the work half done.
    let files: Vec<_> = streams.iter().map(|(_, stream)| stream.contract.clone()).collect();
    let contracts = contracts::load(&files, config.hash_key.as_ref())?;
    let runtime = session.runtime()?;
    // Signals are heard, and timers made, on the runtime.
    let _entered = runtime.enter();
    let shutdown = shutdown::listen()?;
    let (mut results, mut accepted, mut failure) = (Map::new(), 0, None);
    for ((name, _), contract) in streams.into_iter().zip(contracts) {
        let table = TableName::raw(&name);
        let known = runtime.block_on(lake.table(&table)).map_err(Failure::catalog)?;
        if known.is_none() && asked.filter.streams.is_empty() {
            session.output.say(format!("{name}: no table yet"))?;
            continue;
        }
        let redrive = Redrive {
            lake: &lake,
            table: table.clone(),
            contract,
            selection: selection(&asked.filter),
            dry_run: asked.dry_run,
            shutdown: shutdown.clone(),
            listen: &mut |event| log(&name, &table, event),
        };
        let (report, result) = runtime.block_on(redrive.run());
        accepted += report.accepted();
        tell(&name, &report, asked.dry_run, session)?;
        results.insert(name.clone(), serde_json::to_value(&report).unwrap_or(Value::Null));
        if let Err(error) = result {
            failure = Some(Failure::catalog(error).at(format!("stream {name}")));
            break;
        }
    }
    session.output.result("streams", results);
    session.output.result("dry_run", asked.dry_run);
    match failure {
        Some(failure) => Err(failure),
        None if asked.exit_99_when_idle && accepted == 0 => Ok(Done::Idle),
        None => Ok(Done::Done),
    }
}

fn selection(filter: &cli::Filter) -> Selection {
    Selection {
        classes: filter.classes.iter().copied().collect(),
        partition: filter.partition,
        offsets: filter.offsets.clone().unwrap_or(Selection::default().offsets),
    }
}

fn tell(name: &str, report: &Report, dry: bool, session: &mut Session) -> Result<(), Failure> {
    let (accepted, of) = (report.accepted(), report.selected);
    session.output.say(match (dry, report.rev) {
        (true, _) => format!("{name}: {accepted} of {of} rejected rows would be accepted"),
        (false, None) => format!("{name}: none of {of} rejected rows is accepted by the contract"),
        (false, Some(rev)) => format!(
            "{name}: {accepted} of {of} rejected rows are accepted now, in {} commits up to \
             revision {rev}",
            report.commits
        ),
    })?;
    let row = |outcome: &str, (class, rows): (&String, &u64)| {
        vec![json!(name), json!(outcome), json!(class), json!(rows)]
    };
    let accepted = report.accepted.iter().map(|of| row("accepted", of));
    let rows: Vec<_> = accepted.chain(report.refused.iter().map(|of| row("refused", of))).collect();
    if rows.is_empty() { Ok(()) } else { session.output.table(&COLUMNS, &rows) }
}

/// One event as one line: its text for people, and whole as JSON for machines.
fn log(stream: &str, table: &TableName, event: &RedriveEvent) {
    let detail = serde_json::to_string(event).unwrap_or_default();
    match event {
        RedriveEvent::Lost { .. } => tracing::warn!(stream, %table, detail, "{event}"),
        _ => tracing::info!(stream, %table, detail, "{event}"),
    }
}
