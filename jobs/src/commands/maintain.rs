//! `weir maintain`: one table after another.

use serde_json::{Map, Value, json};
use weir_catalog::maintain::{Maintain, MaintainEvent, Report};
use weir_contract::names::TableName;

use super::{lake, tables};
use crate::cli;
use crate::failure::Failure;
use crate::session::{Done, Session};
use crate::shutdown;

/// Maintains tables. One that cannot be is told at the end; the others are maintained all the same.
pub fn run(asked: &cli::Maintain, session: &mut Session) -> Result<Done, Failure> {
    let config = session.config()?;
    let lake = lake(&config, false)?;
    let runtime = session.runtime()?;
    // Signals are heard, and timers made, on the runtime.
    let _entered = runtime.enter();
    let shutdown = shutdown::listen()?;
    let time_max_ms = asked.time_max.map(|t| i64::try_from(t.as_millis()).unwrap_or(i64::MAX));
    let until_ms = time_max_ms.map(|ms| lake.env.clock.now_ms().saturating_add(ms));
    let (mut results, mut idle, mut failure) = (Map::new(), true, None);
    for table in runtime.block_on(tables(&lake, &asked.tables))? {
        let maintain = Maintain {
            lake: &lake,
            table: table.clone(),
            options: config.maintain.clone(),
            dry_run: asked.dry_run,
            until_ms,
            shutdown: shutdown.clone(),
            listen: &mut |event| log(&table, event),
        };
        let (report, result) = runtime.block_on(maintain.run());
        idle = idle && report.is_idle();
        tell(&table, &report, asked.dry_run, session)?;
        results.insert(table.to_string(), serde_json::to_value(&report).unwrap_or(Value::Null));
        if let Err(error) = result {
            let failed = Failure::catalog(error).at(format!("table {table}"));
            session.output.say(format!("{table}: {failed}"))?;
            failure = failure.or(Some(failed));
        }
        if report.stopped {
            session.output.say("stopped before everything was done; the next run goes on")?;
            break;
        }
    }
    session.output.result("tables", results);
    session.output.result("dry_run", asked.dry_run);
    match failure {
        Some(failure) => Err(failure),
        None if asked.exit_99_when_idle && idle => Ok(Done::Idle),
        None => Ok(Done::Done),
    }
}

fn tell(
    table: &TableName,
    report: &Report,
    dry: bool,
    session: &mut Session,
) -> Result<(), Failure> {
    let mut object = json!({ "table": table.to_string(), "dry_run": dry });
    if let (Value::Object(all), Ok(Value::Object(of))) = (&mut object, serde_json::to_value(report))
    {
        all.extend(of);
    }
    session.output.object(&object)?;
    for line in lines(report, dry) {
        session.output.say(format!("{table}: {line}"))?;
    }
    Ok(())
}

/// The report for people.
fn lines(report: &Report, dry: bool) -> Vec<String> {
    let Report { compaction, manifests, sweep, .. } = report;
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    let (files, before) = (compaction.inputs, mib(compaction.input_bytes));
    let mut lines = Vec::new();
    lines.push(match (files, dry) {
        (0, _) => format!("nothing to compact among {} files", compaction.files),
        (_, true) => {
            format!("{files} of {} files ({before}) would be compacted", compaction.files)
        }
        (_, false) => format!(
            "{files} files ({before}) became {} ({}), {} rows, in {} commits",
            compaction.outputs,
            mib(compaction.output_bytes),
            compaction.rows,
            compaction.commits
        ),
    });
    let left = [
        (compaction.lost, "groups left to others, who changed them meanwhile"),
        (compaction.young, "files left because they are young"),
        (compaction.with_deletes, "files left because another engine deleted rows of them"),
        (compaction.other_spec, "files left because they are partitioned in another way"),
    ];
    lines.extend(left.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
    if manifests.before != manifests.after {
        let would = if dry { "would become" } else { "became" };
        lines.push(format!("{} manifests {would} {}", manifests.before, manifests.after));
    }
    let swept = if dry { "would be deleted" } else { "deleted" };
    lines.push(match &sweep.left {
        Some(why) => format!("not swept: {why}"),
        None => format!(
            "{} files of nobody's ({}) {swept}, {} wait",
            sweep.files,
            mib(sweep.bytes),
            sweep.waiting
        ),
    });
    if sweep.failed > 0 {
        lines.push(format!("{} files could not be deleted; the log says why", sweep.failed));
    }
    lines
}

/// One event as one line: its text for people, and whole as JSON for machines.
fn log(table: &TableName, event: &MaintainEvent) {
    let detail = serde_json::to_string(event).unwrap_or_default();
    match event {
        MaintainEvent::Lost { .. } => tracing::warn!(%table, detail, "{event}"),
        _ => tracing::info!(%table, detail, "{event}"),
    }
}
