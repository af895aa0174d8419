//! `weir ingest`: one thread for each stream, each with a Kafka client and a loop of its own.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::{Map, Value, json};
use weir_contract::class::ErrorClass;
use weir_contract::contract::Contract;
use weir_ingest::flush::FlushLimits;
use weir_ingest::kafka::KafkaSource;
use weir_ingest::stream::{Settings, Until};

use super::contract_file::ContractFile;
use super::stream_job::{Ended, Job};
use super::{kafka_settings, lake, selected};
use crate::cli;
use crate::commands::contracts;
use crate::config::{Config, Stream};
use crate::failure::Failure;
use crate::session::{Done, Session};
use crate::shutdown;

/// The least memory with which a stream makes progress.
const STREAM_MEMORY_MIN: usize = 16 << 20;

/// How long after the first signal the process ends, whatever is still under way: a call to a broker
/// that does not answer is not waited for, the batch is abandoned whole.
const GIVE_UP_AFTER: Duration = Duration::from_secs(9);

/// Ingests the selected streams.
pub fn run(asked: &cli::Ingest, session: &mut Session) -> Result<Done, Failure> {
    let config = session.config()?;
    let runtime = session.runtime()?;
    // Signals are heard, and timers made, on the runtime.
    let entered = runtime.enter();
    let shutdown = shutdown::listen()?;
    let jobs = jobs(asked, &config, &shutdown)?;
    let bounded = asked.until_latest || asked.duration.is_some();
    shutdown::give_up(&shutdown, GIVE_UP_AFTER, if bounded { 75 } else { 0 });
    let threads: Vec<_> = jobs.into_iter().map(|job| job.start(runtime.handle())).collect();
    let ended = threads.into_iter().map(|thread| thread.join()).collect::<Result<Vec<_>, _>>();
    drop(entered);
    // A commit that the streams no longer wait for is not waited for here either.
    runtime.shutdown_background();
    let Ok(ended) = ended else { return Err(Failure::bug("a stream's thread panicked")) };
    tell(asked, session, ended)
}

/// A job for each selected stream, ready to run.
pub fn jobs(
    asked: &cli::Ingest,
    config: &Config,
    shutdown: &Arc<AtomicBool>,
) -> Result<Vec<Job>, Failure> {
    let streams = selected(config, &asked.streams)?;
    let files: Vec<_> = streams.iter().map(|(_, stream)| stream.contract.clone()).collect();
    let contracts = contracts::load(&files, config.hash_key.as_ref())?;
    let memory = config.ingest.memory_max as usize / streams.len().max(1);
    if memory < STREAM_MEMORY_MIN {
        return Err(Failure::config(format!(
            "ingest.memory_max leaves {} MiB to each of {} streams, which need 16 MiB",
            memory >> 20,
            streams.len()
        ))
        .next("raise ingest.memory_max, or spread the streams over several processes"));
    }
    let lake = Arc::new(lake(config, true)?);
    let job = |((name, stream), contract): ((String, Stream), Arc<Contract>)| {
        let settings = settings(asked, config, memory);
        let kafka = kafka_settings(config, &name, &stream.topic, settings.source_memory)?;
        Ok(Job {
            lake: lake.clone(),
            contract,
            news: ContractFile::new(stream.contract, config.hash_key.clone()),
            source: KafkaSource::open(kafka).map_err(|e| Failure::new(e.class, e.message))?,
            settings,
            shutdown: shutdown.clone(),
            name,
            listen: Box::new(|_| {}),
        })
    };
    streams.into_iter().zip(contracts).map(job).collect()
}

fn settings(asked: &cli::Ingest, config: &Config, memory: usize) -> Settings {
    let flush = &config.ingest.flush;
    Settings {
        flush: FlushLimits {
            interval: flush.interval,
            rows_max: flush.rows_max,
            bytes_max: flush.bytes_max as usize,
        },
        memory_max: memory,
        source_memory: memory / 4,
        start: config.ingest.start,
        accept: asked.accept.clone(),
        until: match (asked.until_latest, asked.duration) {
            (true, _) => Until::Latest,
            (false, Some(time)) => Until::For(time),
            (false, None) => Until::Forever,
        },
        ..Settings::default()
    }
}

fn tell(asked: &cli::Ingest, session: &mut Session, ended: Vec<Ended>) -> Result<Done, Failure> {
    let mut results = Map::new();
    let mut failures = Vec::new();
    let (mut idle, mut complete) = (true, true);
    for Ended { name, report, result } in ended {
        idle &= report.commits == 0 && result.is_ok();
        complete &= report.complete;
        session.output.say(format!(
            "{name}: {} rows and {} rejected records in {} commits{}",
            report.rows,
            report.rejected,
            report.commits,
            if result.is_err() { ", then stopped" } else { "" }
        ))?;
        let mut object = serde_json::to_value(&report).unwrap_or(Value::Null);
        if let Err(error) = &result {
            object["error"] = json!({"error_class": error.class.name(), "message": error.message});
        }
        results.insert(name.clone(), object);
        if let Err(error) = result {
            failures.push((name, error));
        }
    }
    session.output.result("streams", results);
    failures.sort_by_key(|(_, error)| error.class.exit_code());
    let Some((_, worst)) = failures.first() else {
        if asked.until_latest && !complete {
            let what = "a signal ended the run before it had reached the ends";
            return Err(Failure::new(ErrorClass::Retry, what));
        }
        return Ok(if asked.exit_99_when_idle && idle { Done::Idle } else { Done::Done });
    };
    let failure = Failure::new(worst.class, &worst.message);
    Err(failures.iter().fold(failure, |failure, (name, error)| match error == worst {
        true => failure.at(format!("stream {name}")),
        false => failure.at(format!("stream {name}: {error}")),
    }))
}
