//! `weir quickstart`: a broker in this process, a fleet, the real ingest, and what it brought.

mod contents;
mod fleet;
mod folder;
mod live;
mod screen;
mod summary;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use weir_contract::class::ErrorClass;
use weir_fleet::broker::Broker;
use weir_fleet::road::Sent;
use weir_fleet::stream::Stream;
use weir_ingest::event::IngestEvent;
use weir_ingest::resume::AcceptKind;

use super::stream_job::Ended;
use super::{ingest, seed};
use crate::cli;
use crate::failure::Failure;
use crate::session::{Done, Session};
use crate::shutdown;
use fleet::{Fleet, MACHINES};
use live::{Live, lock};
use screen::Screen;

/// Partitions of each topic.
const PARTITIONS: i32 = 2;
/// How long the last records may take into their tables.
const CATCH_UP: Duration = Duration::from_secs(60);

/// Runs the whole system for a while.
pub fn run(asked: &cli::Quickstart, session: &mut Session) -> Result<Done, Failure> {
    let runtime = session.runtime()?;
    let entered = runtime.enter();
    // First of all: whatever it is at, a signal lets it go on to an end in order.
    let stop = shutdown::listen()?;
    let folder = folder::prepare(asked)?;
    let plan = fleet::plan(asked)?;
    let broker =
        Broker::start(Stream::ALL.iter().map(|s| s.name()), PARTITIONS).map_err(Failure::fleet)?;
    contents::write(&folder, &broker.bootstrap(), &plan.world)?;
    session.use_files(folder.join(folder::CONFIG), folder.join(folder::LOG));
    let config = session.config()?;
    session.output.say(format!(
        "The whole of Weir in one process: a Kafka broker, {MACHINES} vending machines and their \
         stores{},\ningest, and the lake in {}\n\nThe reference tables of the fleet (weir seed)",
        match fleet::speed_up(asked) {
            1.0 => String::new(),
            times => format!(" at {times} times their speed"),
        },
        folder.display()
    ))?;
    seed::run(&cli::Seed::default(), session)?;
    session.output.say("")?;
    let live = Arc::new(Mutex::new(Live::default()));
    let fleet = fleet::start(plan, &folder, &broker.bootstrap(), &stop, &live)?;
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
