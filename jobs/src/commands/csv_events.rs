//! `weir simulate --from-csv`: the rows of a CSV file as events, into Kafka or files.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};
use weir_fleet::from_csv::{Report, Source};

use super::{contracts, event_sink};
use crate::cli;
use crate::failure::Failure;
use crate::output::Column;
use crate::session::{Done, Session};

const REFUSED: [Column; 5] = [
    Column::text("class"),
    Column::text("field"),
    Column::number("events"),
    Column::number("first_row"),
    Column::text("message"),
];

/// Sends the events of the file.
pub fn run(
    asked: &cli::Simulate,
    file: &Path,
    mapping: &Path,
    stop: &AtomicBool,
    session: &mut Session,
) -> Result<Done, Failure> {
    let source = Source::open(file, mapping).map_err(Failure::fleet)?;
    let contract = asked.contract.as_deref().map(contracts::one).transpose()?;
    let (mut sink, _) = event_sink::open(asked, &[source.stream()], session)?;
    let now = chrono::Utc::now().timestamp_millis();
    let report = source.send(&mut *sink, now, contract, stop).map_err(Failure::fleet)?;
    tell(asked, &report, session)
}

fn tell(asked: &cli::Simulate, report: &Report, session: &mut Session) -> Result<Done, Failure> {
    let events = report.events.values().sum::<u64>();
    let refused: Vec<Vec<Value>> = report
        .refused
        .iter()
        .map(|((class, field), r)| {
            vec![json!(class), json!(field), json!(r.events), json!(r.row), json!(r.message)]
        })
        .collect();
    let output = &mut session.output;
    if !event_sink::to_stdout(asked) {
        output.say(format!(
            "{} rows made {events} events; {} rows were of no use",
            report.rows, report.unused
        ))?;
        if asked.contract.is_some() && refused.is_empty() {
            output.say("the contract will accept all of them")?;
        } else if !refused.is_empty() {
            output.say("the contract will refuse these, which become rejected rows:")?;
            output.table(&REFUSED, &refused)?;
        }
    }
    output.result("rows", report.rows);
    output.result("unused", report.unused);
    output.result("events", events);
    output.result("refused", report.refused.values().map(|r| r.events).sum::<u64>());
    Ok(Done::Done)
}
