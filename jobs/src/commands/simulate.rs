//! `weir simulate`: the events of a fleet into Kafka or files.

use std::fs;
use std::io::BufWriter;
use std::sync::atomic::AtomicBool;

use serde_json::{Map, Value, json};
use weir_fleet::error::FleetError;
use weir_fleet::malformed;
use weir_fleet::road::{Hazards, Sent};
use weir_fleet::run::{self, Progress, Settings};
use weir_fleet::stream::Stream;
use weir_fleet::truth::Truth;
use weir_fleet::world::tables;

use super::{csv_events, event_sink};
use crate::cli::{self, Speed};
use crate::failure::Failure;
use crate::output::Column;
use crate::session::{Done, Session};
use crate::shutdown;

/// Files begin on this Monday morning, so that two runs can be compared: 2026-03-02T08:00:00Z.
const FILES_START: i64 = 1_772_438_400_000;
const HOUR: i64 = 3_600_000;

const COLUMNS: [Column; 2] = [Column::text("stream"), Column::number("records")];

/// Simulates, or turns a CSV file into events.
pub fn run(asked: &cli::Simulate, session: &mut Session) -> Result<Done, Failure> {
    let runtime = session.runtime()?;
    let _entered = runtime.enter();
    let stop = shutdown::listen()?;
    match (&asked.from_csv, &asked.mapping) {
        (Some(file), Some(mapping)) => csv_events::run(asked, file, mapping, &stop, session),
        _ => fleet(asked, &stop, session),
    }
}

fn fleet(asked: &cli::Simulate, stop: &AtomicBool, session: &mut Session) -> Result<Done, Failure> {
    let settings = settings(asked)?;
    let world = run::world(&settings).map_err(Failure::fleet)?;
    if let Some(folder) = &asked.ref_dir {
        let written = fs::create_dir_all(folder).and_then(|()| tables::write(&world, folder));
        written.map_err(|error| Failure::fleet(FleetError::file(folder, "written", &error)))?;
        session.output.say(format!("reference tables: {}", folder.display()))?;
    }
    if asked.to.is_none() && !asked.kafka {
        return Ok(Done::Done);
    }
    let (mut sink, sent) = event_sink::open(asked, &settings.hazards.streams, session)?;
    let settings = Settings { hazards: Hazards { streams: sent, ..settings.hazards }, ..settings };
    let truth = match &asked.truth {
        None => Truth::none(),
        Some(path) => {
            let file = fs::File::create(path)
                .map_err(|error| Failure::fleet(FleetError::file(path, "written", &error)))?;
            Truth::to(Box::new(BufWriter::new(file)))
        }
    };
    let output = &mut session.output;
    let quiet = event_sink::to_stdout(asked);
    let mut listen = |progress: &Progress<'_>| {
        let time = chrono::DateTime::from_timestamp_millis(progress.now).unwrap_or_default();
        let line = format!("{} events, {}", progress.sent.records, time.format("%F %T"));
        // Whether somebody reads it is seen at the end.
        let _ = if quiet { Ok(()) } else { output.say(line) };
    };
    let sent = run::simulate(&settings, &world, &mut *sink, truth, stop, &mut listen)
        .map_err(Failure::fleet)?;
    tell(asked, &sent, session)
}

fn settings(asked: &cli::Simulate) -> Result<Settings, Failure> {
    let duration = match (asked.duration, asked.kafka) {
        (Some(time), _) => Some(i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 4)),
        (None, true) => None,
        (None, false) => Some(HOUR),
    };
    let speed_up = match (asked.speed_up, asked.kafka) {
        (Some(Speed::Times(speed)), _) => Some(speed),
        (Some(Speed::Max), _) | (None, false) => None,
        (None, true) => Some(1.0),
    };
    let start = match (asked.start, asked.kafka) {
        (Some(start), _) => start.timestamp_millis(),
        (None, false) => FILES_START,
        (None, true) => run::start(duration, speed_up, chrono::Utc::now().timestamp_millis())
            .map_err(Failure::fleet)?,
    };
    let streams = match asked.streams.is_empty() {
        true => Stream::ALL.to_vec(),
        false => asked.streams.clone(),
    };
    Ok(Settings {
        seed: asked.seed,
        machines: asked.machines,
        sites: asked.sites,
        start,
        duration,
        rate: asked.rate,
        speed_up,
        trouble: asked.trouble,
        skewed: asked.skewed,
        hazards: Hazards {
            streams,
            malformed: malformed::shares(&asked.malformed),
            duplicates: asked.duplicates,
            reordered: asked.reordered,
        },
    })
}

fn tell(asked: &cli::Simulate, sent: &Sent, session: &mut Session) -> Result<Done, Failure> {
    let streams = Stream::ALL.iter().zip(sent.streams).filter(|(_, records)| *records > 0);
    let rows: Vec<Vec<Value>> =
        streams.map(|(stream, records)| vec![json!(stream.name()), json!(records)]).collect();
    let malformed: Map<String, Value> =
        sent.malformed.iter().map(|(kind, n)| (kind.name().to_string(), json!(n))).collect();
    let rejects = sent.malformed.values().sum::<u64>();
    let output = &mut session.output;
    if !event_sink::to_stdout(asked) {
        output.table(&COLUMNS, &rows)?;
        output.say(format!(
            "{} records, {} bytes; among them {rejects} malformed, {} duplicates, {} out of order",
            sent.records, sent.bytes, sent.duplicates, sent.reordered
        ))?;
    }
    output.result("records", sent.records);
    output.result("bytes", sent.bytes);
    output.result("duplicates", sent.duplicates);
    output.result("reordered", sent.reordered);
    output.result("malformed", malformed);
    Ok(Done::Done)
}
