//! `weir quickstart`: a broker in this process, a fleet, the real ingest, and what it brought.

mod folder;
mod live;
mod summary;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use weir_contract::class::ErrorClass;
use weir_fleet::broker::Broker;
use weir_fleet::error::FleetError;
use weir_fleet::malformed;
use weir_fleet::road::{Hazards, Sent};
use weir_fleet::run::{self, Settings};
use weir_fleet::sink::kafka::Kafka;
use weir_fleet::stream::Stream;
use weir_fleet::truth::Truth;
use weir_fleet::world::World;
use weir_ingest::event::IngestEvent;
use weir_ingest::resume::AcceptKind;

use super::ingest;
use super::stream_job::Ended;
use crate::cli;
use crate::failure::Failure;
use crate::session::{Done, Session};
use crate::shutdown;
use live::{Live, Screen, lock};

/// Partitions of each topic.
const PARTITIONS: i32 = 2;
/// Seconds of the fleet's time in one of ours: a run of half a minute shows half an hour.
const SPEED_UP: f64 = 60.0;
/// Vending machines and sites. With a heartbeat a minute, sped up, about 600 events a second: a
/// partition of the broker holds a minute of that.
const MACHINES: u32 = 500;
const SITES: u32 = 50;
/// Of all records: enough to meet every kind of mistake in half a minute.
const MALFORMED: f64 = 0.01;
/// How long the last records may take into their tables.
const CATCH_UP: Duration = Duration::from_secs(60);

/// Runs the whole system for a while.
pub fn run(asked: &cli::Quickstart, session: &mut Session) -> Result<Done, Failure> {
    let folder = folder::prepare(asked)?;
    let broker =
        Broker::start(Stream::ALL.iter().map(|s| s.name()), PARTITIONS).map_err(Failure::fleet)?;
    folder::write(&folder, &broker.bootstrap())?;
    session.use_files(folder.join(folder::CONFIG), folder.join(folder::LOG));
    let config = session.config()?;
    session.output.say(format!(
        "The whole of Weir in one process: a Kafka broker, {MACHINES} vending machines and their stores \
         at {SPEED_UP} times their speed, ingest, and the lake in {}\n",
        folder.display()
    ))?;
    let runtime = session.runtime()?;
    let entered = runtime.enter();
    let stop = shutdown::listen()?;
    let live = Arc::new(Mutex::new(Live::default()));
    let fleet = fleet(asked, &folder, &broker.bootstrap(), &stop, &live)?;
    // The fleet stops first; ingest goes on until it has everything.
    let end = Arc::new(AtomicBool::new(false));
    let all = cli::Ingest { accept: AcceptKind::ALL.to_vec(), ..cli::Ingest::default() };
    let mut threads = Vec::new();
    let run = format!("quickstart-{}", chrono::Utc::now().timestamp_millis());
    for mut job in ingest::jobs(&all, &config, &end)? {
        job.source = job.source.with_topic_id(&run);
        let live = live.clone();
        job.listen = Box::new(move |event: &IngestEvent| lock(&live).hear(event));
        threads.push(job.start(runtime.handle()));
    }
    let watched = watch(&live, fleet, &threads);
    end.store(true, Ordering::Relaxed);
    let ended = threads.into_iter().map(JoinHandle::join).collect::<Result<Vec<_>, _>>();
    drop(entered);
    let Ok(ended) = ended else { return Err(Failure::bug("a stream's thread panicked")) };
    let sent = watched?;
    check(&sent, &lock(&live), ended)?;
    drop(broker);
    summary::tell(session, &config, &folder, &sent, &lock(&live))?;
    Ok(Done::Done)
}

type Fleet = JoinHandle<Result<Sent, FleetError>>;

fn fleet(
    asked: &cli::Quickstart,
    folder: &std::path::Path,
    bootstrap: &str,
    stop: &Arc<AtomicBool>,
    live: &Arc<Mutex<Live>>,
) -> Result<Fleet, Failure> {
    let duration = match asked.keep_running {
        true => None,
        false => Some((asked.duration.as_secs_f64() * SPEED_UP * 1000.0) as i64),
    };
    let settings = settings(asked.seed, duration)?;
    let world = run::world(&settings).map_err(Failure::fleet)?;
    let topics = Stream::ALL.iter().map(|stream| (*stream, stream.name().to_string())).collect();
    let sink = Kafka::open(bootstrap, &topics, &[]).map_err(Failure::fleet)?;
    let truth = folder.join(folder::TRUTH);
    let truth = std::fs::File::create(&truth)
        .map_err(|error| Failure::fleet(FleetError::file(&truth, "written", &error)))?;
    let (stop, live) = (stop.clone(), live.clone());
    Ok(std::thread::spawn(move || live_on(&settings, &world, sink, truth, &stop, &live)))
}

fn settings(seed: u64, duration: Option<i64>) -> Result<Settings, Failure> {
    let now = chrono::Utc::now().timestamp_millis();
    let start = run::start(duration, Some(SPEED_UP), now).map_err(Failure::fleet)?;
    let malformed =
        malformed::shares(&[malformed::share(&MALFORMED.to_string()).map_err(Failure::bug)?]);
    let hazards =
        Hazards { streams: Stream::ALL.to_vec(), malformed, duplicates: 0.001, reordered: 0.002 };
    Ok(Settings {
        seed,
        machines: MACHINES,
        sites: SITES,
        start,
        duration,
        rate: None,
        speed_up: Some(SPEED_UP),
        // More than in life: half an hour shall see some of everything.
        trouble: 20.0,
        skewed: 0.02,
        hazards,
    })
}

fn live_on(
    settings: &Settings,
    world: &World,
    mut sink: Kafka,
    truth: std::fs::File,
    stop: &AtomicBool,
    live: &Mutex<Live>,
) -> Result<Sent, FleetError> {
    let truth = Truth::to(Box::new(std::io::BufWriter::new(truth)));
    run::simulate(settings, world, &mut sink, truth, stop, &mut |progress| {
        lock(live).sent(progress.sent.records, progress.now);
    })
}

/// Shows the figures until the fleet has stopped and everything is in the lake, or a stream ended.
fn watch(live: &Mutex<Live>, fleet: Fleet, streams: &[JoinHandle<Ended>]) -> Result<Sent, Failure> {
    let mut screen = Screen::new();
    let broken = || streams.iter().any(JoinHandle::is_finished);
    while !fleet.is_finished() && !broken() {
        screen.show(&lock(live));
        std::thread::sleep(Duration::from_millis(50));
    }
    if !fleet.is_finished() {
        // A stream ended by itself: its error is told by whoever joins it.
        return Ok(Sent::default());
    }
    let Ok(sent) = fleet.join() else { return Err(Failure::bug("the fleet's thread panicked")) };
    let sent = sent.map_err(Failure::fleet)?;
    let begun = Instant::now();
    let now_ms = lock(live).world_ms;
    lock(live).sent(sent.records, now_ms);
    while lock(live).lag() > 0 && !broken() && begun.elapsed() < CATCH_UP {
        screen.show(&lock(live));
        std::thread::sleep(Duration::from_millis(50));
    }
    screen.end(&lock(live));
    Ok(sent)
}

/// Fails where a stream ended by itself or something that was sent is not in the lake.
fn check(sent: &Sent, live: &Live, ended: Vec<Ended>) -> Result<(), Failure> {
    for Ended { name, result, .. } in ended {
        if let Err(error) = result {
            return Err(Failure::new(error.class, error.message).at(format!("stream {name}")));
        }
    }
    if live.in_lake() == sent.records {
        return Ok(());
    }
    let what =
        format!("{} records were sent, and {} rows are in the lake", sent.records, live.in_lake());
    Err(Failure::new(ErrorClass::BadData, what).next(
        "the broker in this process keeps 5 MiB of a partition: a slow disk may be too far behind",
    ))
}
