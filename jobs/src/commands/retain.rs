//! `weir retain`: one stream after another.

use serde_json::{Map, Value, json};
use weir_catalog::retain::{Report, Retain};
use weir_contract::contract::Keep;
use weir_contract::names::TableName;

use super::{contracts, lake, selected};
use crate::cli;
use crate::failure::Failure;
use crate::session::{Done, Session};
use crate::shutdown;

/// Deletes what is past its retention.
pub fn run(asked: &cli::Retain, session: &mut Session) -> Result<Done, Failure> {
    let config = session.config()?;
    let lake = lake(&config, false)?;
    let streams = selected(&config, &asked.streams)?;
    // All contracts first: a mistake in one of them shall not leave the work half done.
    let files: Vec<_> = streams.iter().map(|(_, stream)| stream.contract.clone()).collect();
    let contracts = contracts::of_streams(&files)?;
    let runtime = session.runtime()?;
    // Signals are heard, and timers made, on the runtime.
    let _entered = runtime.enter();
    let shutdown = shutdown::listen()?;
    let (mut results, mut gone, mut failure) = (Map::new(), 0, None);
    for ((name, _), contract) in streams.into_iter().zip(contracts) {
        let table = TableName::raw(&name);
        if contract.keep == Keep::default() {
            session.output.say(format!("{name}: kept for ever, its contract has no retention"))?;
            continue;
        }
        let known = runtime.block_on(lake.table(&table)).map_err(Failure::catalog)?;
        if known.is_none() && asked.streams.is_empty() {
            session.output.say(format!("{name}: no table yet"))?;
            continue;
        }
        let retain = Retain {
            lake: &lake,
            table: table.clone(),
            contract: &contract,
            dry_run: asked.dry_run,
            shutdown: shutdown.clone(),
        };
        let (report, result) = runtime.block_on(retain.run());
        gone += report.files;
        tell(&name, &report, asked.dry_run, session)?;
        results.insert(name.clone(), serde_json::to_value(&report).unwrap_or(Value::Null));
        if let Err(error) = result {
            failure = Some(Failure::catalog(error).at(format!("stream {name}")));
            break;
        }
        if report.stopped {
            session.output.say("stopped before everything was done; the next run goes on")?;
            break;
        }
    }
    session.output.result("streams", results);
    session.output.result("dry_run", asked.dry_run);
    match failure {
        Some(failure) => Err(failure),
        None if asked.exit_99_when_idle && gone == 0 => Ok(Done::Idle),
        None => Ok(Done::Done),
    }
}

fn tell(name: &str, report: &Report, dry: bool, session: &mut Session) -> Result<(), Failure> {
    let mut object = json!({ "stream": name, "dry_run": dry });
    if let (Value::Object(all), Ok(Value::Object(of))) = (&mut object, serde_json::to_value(report))
    {
        all.extend(of);
    }
    session.output.object(&object)?;
    let deleted = if dry { "would be deleted" } else { "deleted" };
    session.output.say(format!(
        "{name}: {} rows and {} rejected ones of {} files {deleted}",
        report.rows, report.rejected, report.files
    ))?;
    match report.other_spec {
        0 => Ok(()),
        n => session.output.say(format!(
            "{name}: {n} files left, which another engine wrote under another partitioning; rows past their time in \
             them are deleted by hand: DELETE FROM the table WHERE event_time < ..., then `weir verify --acknowledge`"
        )),
    }
}
