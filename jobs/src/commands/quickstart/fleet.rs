//! The fleet of a quickstart.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use weir_fleet::error::FleetError;
use weir_fleet::malformed;
use weir_fleet::road::{Hazards, Sent};
use weir_fleet::run::{self, Settings};
use weir_fleet::sink::kafka::Kafka;
use weir_fleet::stream::Stream;
use weir_fleet::truth::Truth;
use weir_fleet::world::World;

use super::folder::TRUTH;
use super::live::{Live, lock};
use crate::cli;
use crate::failure::Failure;

/// Seconds of the fleet's time in one of ours: a run of half a minute shows half an hour.
/// Without an end the fleet lives at the wall's speed, or its events would lie in the future.
const SPEED_UP: f64 = 60.0;
/// Events a second without an end: heartbeats come more often then.
const RATE: f64 = 200.0;
/// Vending machines and sites. With a heartbeat a minute, sped up, about 600 events a second: a
/// partition of the broker holds a minute of that.
pub const MACHINES: u32 = 500;
const SITES: u32 = 50;
/// Of all records: enough to meet every kind of mistake in half a minute.
const MALFORMED: f64 = 0.01;

/// Lives on a thread of its own, and ends with what it has sent.
pub type Fleet = JoinHandle<Result<Sent, FleetError>>;

/// How the fleet lives, and where.
pub struct Plan {
    settings: Settings,
    pub world: World,
}

/// Plans for the time that was asked, from now on.
pub fn plan(asked: &cli::Quickstart) -> Result<Plan, Failure> {
    let settings = settings(asked)?;
    let world = run::world(&settings).map_err(Failure::fleet)?;
    Ok(Plan { settings, world })
}

/// Starts the fleet: for the time that was asked, or until `stop` is set.
pub fn start(
    plan: Plan,
    folder: &Path,
    bootstrap: &str,
    stop: &Arc<AtomicBool>,
    live: &Arc<Mutex<Live>>,
) -> Result<Fleet, Failure> {
    let topics = Stream::ALL.iter().map(|stream| (*stream, stream.name().to_string())).collect();
    let sink = Kafka::open(bootstrap, &topics, &[], Box::new(|| Err("none".into())))
        .map_err(Failure::fleet)?;
    let truth = folder.join(TRUTH);
    let truth = std::fs::File::create(&truth)
        .map_err(|error| Failure::fleet(FleetError::file(&truth, "written", &error)))?;
    let (stop, live) = (stop.clone(), live.clone());
    Ok(std::thread::spawn(move || live_on(&plan, sink, truth, &stop, &live)))
}

/// Seconds of the fleet's time in one of ours.
pub fn speed_up(asked: &cli::Quickstart) -> f64 {
    if asked.keep_running { 1.0 } else { SPEED_UP }
}

fn settings(asked: &cli::Quickstart) -> Result<Settings, Failure> {
    let speed_up = Some(speed_up(asked));
    let (duration, rate) = match asked.keep_running {
        true => (None, Some(RATE)),
        false => (Some((asked.duration.as_secs_f64() * SPEED_UP * 1000.0) as i64), None),
    };
    let now = chrono::Utc::now().timestamp_millis();
    let start = run::start(duration, speed_up, now).map_err(Failure::fleet)?;
    let malformed =
        malformed::shares(&[malformed::share(&MALFORMED.to_string()).map_err(Failure::bug)?]);
    let hazards =
        Hazards { streams: Stream::ALL.to_vec(), malformed, duplicates: 0.001, reordered: 0.002 };
    Ok(Settings {
        seed: asked.seed,
        machines: MACHINES,
        sites: SITES,
        start,
        duration,
        rate,
        speed_up,
        // More than in life: half an hour shall see some of everything.
        trouble: 20.0,
        skewed: 0.02,
        hazards,
    })
}

fn live_on(
    plan: &Plan,
    mut sink: Kafka,
    truth: std::fs::File,
    stop: &AtomicBool,
    live: &Mutex<Live>,
) -> Result<Sent, FleetError> {
    let truth = Truth::to(Box::new(std::io::BufWriter::new(truth)));
    run::simulate(&plan.settings, &plan.world, &mut sink, truth, stop, &mut |progress| {
        lock(live).sent(progress.sent.records, progress.now);
    })
}
