//! The driver: processes, faults, time. One thread, one seed: every choice is the seed's.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll, Waker};

use weir_catalog::Lake;
use weir_contract::contract::Contract;
use weir_contract::names::TableName;
use weir_contract::progress::{Progress, Steps, Verdict};
use weir_ingest::event::IngestEvent;
use weir_ingest::flush::FlushLimits;
use weir_ingest::redrive::{Redrive, RedriveEvent, Selection};
use weir_ingest::resume::{AcceptKind, Start};
use weir_ingest::stream::{IngestError, Report, Settings, Stream, Until};

use super::audit::{self, Auditor};
use super::broker::{Broker, Entry};
use super::clock::{self, SimClock};
use super::disk::SimDisk;
use super::foreign;
use super::pointer::SimPointer;
use super::rng::Rng;
use super::store;

/// Processes that fight over the topic.
const PROCESSES: usize = 2;
/// Redrives that may run at the same time.
const REDRIVES: usize = 2;
/// Turns of chaos; then faults end and everything must come to rest.
const CHAOS_TURNS: usize = 2_500;
/// Turns within which it must.
const REST_TURNS: usize = 60_000;

/// What is left out on purpose, so that the auditor must notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Careless {
    /// Nothing: the real thing.
    #[default]
    No,
    /// Steps are applied wherever the head is.
    HeadCheck,
    /// A fenced loop goes on without seeking to the head.
    Fence,
    /// A lost answer is taken for a yes.
    UnknownRule,
    /// Files are not synced.
    FileSync,
    /// Folders are not synced.
    FolderSync,
    /// Producers' clocks are further behind than coverage allows for.
    Clock,
}

/// How one simulation is run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Which guard is missing.
    pub careless: Careless,
    /// Real Parquet files, and redrives by a corrected contract that run beside ingest and each other.
    pub parquet: bool,
}

/// What a simulation did, if it went well.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Everything that was told, in order.
    pub trace: Vec<String>,
    /// How often each thing happened.
    pub counts: audit::Counts,
}

type Redriving = Pin<Box<dyn Future<Output = Result<(), String>>>>;
type Task = Pin<Box<dyn Future<Output = (Report, Result<(), IngestError>)>>>;

struct Process {
    task: Option<Task>,
    /// Not polled before.
    wakes_ms: i64,
}

/// One simulation.
pub struct World {
    rng: Rng,
    clock: SimClock,
    broker: Broker,
    disk: SimDisk,
    pointer: SimPointer,
    contract: Arc<Contract>,
    options: Options,
    auditor: Rc<RefCell<Auditor>>,
    trace: Rc<RefCell<Vec<String>>>,
    processes: Vec<Process>,
    foreign: Option<Pin<Box<dyn Future<Output = ()>>>>,
    redrives: [Option<Redriving>; REDRIVES],
    produced: u64,
}

/// What the auditor found, and what had been told until then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong.
    pub why: String,
    /// Everything that was told, in order.
    pub trace: Vec<String>,
}

/// Runs one seed.
pub fn run(seed: u64, options: Options) -> Result<Outcome, Failure> {
    let rng = Rng::new(seed);
    let clock = SimClock::new();
    let partitions = 1 + rng.below(4) as usize;
    let mut broker = Broker::new(clock.clone(), rng.clone(), partitions);
    broker.forgets_to_seek = options.careless == Careless::Fence;
    let disk = SimDisk::new(
        options.careless != Careless::FileSync,
        options.careless != Careless::FolderSync,
    );
    let auditor = Rc::new(RefCell::new(Auditor::default()));
    let silence_is_yes = options.careless == Careless::UnknownRule;
    let pointer = SimPointer::new(clock.clone(), rng.clone(), disk.clone(), silence_is_yes);
    let mut world = World {
        rng,
        clock,
        broker,
        disk,
        pointer,
        contract: Arc::new(super::format::contract()),
        options,
        auditor,
        trace: Rc::default(),
        processes: (0..PROCESSES).map(|_| Process { task: None, wakes_ms: 0 }).collect(),
        foreign: None,
        redrives: Default::default(),
        produced: 0,
    };
    let result = world.chaos().and_then(|()| world.rest());
    let (trace, counts) = (world.trace.take(), world.auditor.borrow().counts.clone());
    match result {
        Ok(()) => Ok(Outcome { trace, counts }),
        Err(why) => Err(Failure { why, trace }),
    }
}

impl World {
    fn chaos(&mut self) -> Result<(), String> {
        for _ in 0..CHAOS_TURNS {
            self.clock.advance(self.rng.below(15) as i64);
            self.happen();
            self.poll_one()?;
        }
        Ok(())
    }

    /// What may happen in one turn.
    fn happen(&mut self) {
        let rng = self.rng.clone();
        let one_in = |times| rng.one_in(times);
        if one_in(4) {
            self.produce();
        }
        if one_in(10) {
            self.broker.rebalance();
        }
        if one_in(300) {
            let index = self.rng.below(PROCESSES as u64) as usize;
            if self.processes[index].task.take().is_some() {
                self.note(format!("crash {index}"), "crash");
                self.processes[index].wakes_ms = self.now() + self.rng.below(4_000) as i64;
            }
        }
        if one_in(400) {
            let index = self.rng.below(PROCESSES as u64) as usize;
            let nap_ms = 6_500 + self.rng.below(4_000) as i64;
            self.processes[index].wakes_ms = self.now() + nap_ms;
            self.note(format!("freeze {index}"), "freeze");
            // The world goes on without it until its session is over.
            self.clock.advance(self.rng.below(nap_ms as u64) as i64);
        }
        if one_in(1_200) {
            self.processes.iter_mut().for_each(|process| process.task = None);
            (self.foreign, self.redrives) = (None, Default::default());
            self.disk.crash(&self.rng);
            self.note("power cut".into(), "power cut");
        }
        if one_in(800) {
            self.broker.forget(&self.rng);
            self.note("retention".into(), "retention");
        }
        if one_in(600) {
            self.broker.reset_one();
            self.note("client reset".into(), "client reset");
        }
        if one_in(60) && self.foreign.is_none() {
            let lake = self.lake();
            let context = foreign::Context {
                lake,
                table: table(),
                rng: self.rng.clone(),
                parquet: self.options.parquet,
                auditor: self.auditor.clone(),
                trace: self.trace.clone(),
            };
            self.foreign = Some(Box::pin(foreign::act(context)));
        }
        if self.options.parquet {
            (0..REDRIVES).for_each(|index| self.redrive_or_kill(index));
        }
    }

    fn redrive_or_kill(&mut self, index: usize) {
        if self.redrives[index].is_none() {
            if self.rng.one_in(20) {
                self.redrives[index] = Some(self.redrive());
            }
        } else if self.rng.one_in(2_400) {
            self.redrives[index] = None;
            self.note("redrive crash".into(), "redrive crash");
        }
    }

    /// Everything that is rejected, by the corrected contract.
    fn redrive(&self) -> Redriving {
        let (lake, auditor, trace) = (self.lake(), self.auditor.clone(), self.trace.clone());
        Box::pin(async move {
            let redrive = Redrive {
                lake: &lake,
                table: table(),
                contract: Arc::new(super::format::corrected()),
                selection: Selection::default(),
                dry_run: false,
                shutdown: Arc::new(AtomicBool::new(false)),
                listen: &mut |event: &RedriveEvent| {
                    trace.borrow_mut().push(format!("redrive {event}"));
                    auditor.borrow_mut().hear_redrive(event);
                },
            };
            redrive.run().await.1.map_err(|e| e.to_string())
        })
    }

    /// Faults end; one process after another must bring the table to the topic's end.
    fn rest(&mut self) -> Result<(), String> {
        self.pointer.heal();
        self.disk.heal();
        (self.foreign, self.redrives) = (None, Default::default());
        for process in &mut self.processes {
            process.task = None;
            process.wakes_ms = 0;
        }
        self.trace.borrow_mut().push("rest".into());
        let mut last = self.process(Until::Latest);
        for turn in 0..REST_TURNS {
            self.clock.advance(5);
            if turn % 50 == 0 {
                self.broker.rebalance();
            }
            if let Poll::Ready((report, result)) = poll(&mut last) {
                result.map_err(|e| format!("the last run stopped: {e}"))?;
                self.trace.borrow_mut().push(format!("end {report:?}"));
                self.redrive_the_rest()?;
                return self.audit();
            }
        }
        Err(format!("the table did not reach the topic's end within {REST_TURNS} turns"))
    }

    fn redrive_the_rest(&mut self) -> Result<(), String> {
        if !self.options.parquet {
            return Ok(());
        }
        // Once while hardly an answer comes from the catalog, however that ends; then to its end.
        self.pointer.trouble(true);
        let result = self.redrive_alone()?;
        self.trace.borrow_mut().push(format!("redrive in trouble ended: {result:?}"));
        self.pointer.trouble(false);
        self.redrive_alone()?.map_err(|e| format!("the last redrive stopped: {e}"))
    }

    fn redrive_alone(&mut self) -> Result<Result<(), String>, String> {
        let mut redrive = self.redrive();
        for _ in 0..REST_TURNS {
            self.clock.advance(5);
            if let Poll::Ready(result) = poll(&mut redrive) {
                return Ok(result);
            }
        }
        Err(format!("the last redrive did not end within {REST_TURNS} turns"))
    }

    fn audit(&mut self) -> Result<(), String> {
        let lake = self.lake();
        let mut check = Box::pin(audit::check(
            lake,
            table(),
            self.broker.clone(),
            self.pointer.clone(),
            self.auditor.clone(),
        ));
        loop {
            self.clock.advance(1);
            if let Poll::Ready(result) = poll(&mut check) {
                return result;
            }
        }
    }

    fn poll_one(&mut self) -> Result<(), String> {
        let others = if self.options.parquet { 1 + REDRIVES } else { 1 };
        let index = self.rng.below((PROCESSES + others) as u64) as usize;
        if index > PROCESSES {
            let redrive = &mut self.redrives[index - PROCESSES - 1];
            if let Some(task) = redrive
                && let Poll::Ready(result) = poll(task)
            {
                *redrive = None;
                self.trace.borrow_mut().push(format!("redrive ended: {result:?}"));
            }
            return Ok(());
        }
        if index == PROCESSES {
            if let Some(task) = &mut self.foreign
                && poll(task).is_ready()
            {
                self.foreign = None;
            }
            return Ok(());
        }
        if self.processes[index].wakes_ms > self.now() {
            return Ok(());
        }
        if self.processes[index].task.is_none() {
            self.processes[index].task = Some(self.process(Until::Forever));
        }
        let Some(task) = &mut self.processes[index].task else { return Ok(()) };
        if let Poll::Ready((_, result)) = poll(task) {
            self.processes[index].task = None;
            self.processes[index].wakes_ms = self.now() + 500;
            if let Err(error) = result {
                self.note(format!("stopped {index}: {error}"), "stopped");
            }
        }
        Ok(())
    }

    fn process(&self, until: Until) -> Task {
        let lake = self.lake();
        let broker = self.broker.clone();
        let contract = self.contract.clone();
        let (auditor, trace) = (self.auditor.clone(), self.trace.clone());
        let settings = Settings {
            flush: FlushLimits {
                interval: std::time::Duration::from_millis(200 + self.rng.below(800)),
                rows_max: 20 + self.rng.below(200) as usize,
                bytes_max: 1 << 20,
            },
            memory_max: 64 << 20,
            source_memory: 1 << 20,
            start: Start::Earliest,
            accept: vec![AcceptKind::LostOffsets],
            until,
            threaded: false,
            advance: match self.options.careless {
                Careless::HeadCheck => advance_anywhere,
                _ => Progress::advance_since,
            },
        };
        Box::pin(async move {
            let mut source = broker.join();
            let name = source.id();
            let mut listen = move |event: &IngestEvent| {
                trace.borrow_mut().push(format!("{name} {event}"));
                auditor.borrow_mut().hear(event);
            };
            let stream = Stream {
                lake,
                source: &mut source,
                contract,
                news: None,
                table: table(),
                settings,
                spawn: Arc::new(|work| work),
                shutdown: Arc::new(AtomicBool::new(false)),
                listen: &mut listen,
            };
            stream.run().await
        })
    }

    fn lake(&self) -> Arc<Lake> {
        store::lake(
            &self.disk,
            &self.pointer,
            clock::env(&self.clock, &self.rng),
            &self.rng,
            self.options.parquet,
        )
    }

    /// A few records, good and bad, and offsets without one.
    fn produce(&mut self) {
        let mut topic = self.broker.lock();
        let partition = self.rng.below(topic.logs.len() as u64) as usize;
        let late_ms = match self.options.careless {
            Careless::Clock => 120_000,
            _ => 9_000,
        };
        for _ in 0..self.rng.below(12) {
            let offset = topic.logs[partition].entries.len();
            self.produced += 1;
            let entry = match self.rng.below(20) {
                0 => Entry::Absent,
                1 => Entry::Record(format!("bad {partition} {offset}").into_bytes()),
                2 if self.options.parquet => Entry::Record(super::format::odd_event(offset as i64)),
                _ => Entry::Record(super::format::event(partition as i32, offset as i64)),
            };
            topic.logs[partition].entries.push(entry);
            let time_ms = self.now() - self.rng.below(late_ms) as i64;
            topic.logs[partition].times_ms.push(time_ms);
        }
    }

    fn note(&self, told: String, what: &'static str) {
        self.trace.borrow_mut().push(told);
        self.auditor.borrow_mut().counts.many(what, 1);
    }

    fn now(&self) -> i64 {
        self.clock.now()
    }
}

/// The table of the simulation.
pub fn table() -> TableName {
    TableName::raw("vending.health")
}

fn poll<F: Future + ?Sized>(task: &mut Pin<Box<F>>) -> Poll<F::Output> {
    task.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// `Progress::advance_since` without its check: the steps are moved to wherever the head is.
fn advance_anywhere(progress: &Progress, _: &Progress, commit_id: &str, steps: &Steps) -> Verdict {
    let mut moved = steps.clone();
    for (source, partitions) in &mut moved {
        for (partition, step) in partitions {
            let head = progress.sources.get(source).and_then(|known| known.get(partition));
            if let Some(head) = head {
                let length = step.until - step.from;
                (step.from, step.until) = (head.until, head.until + length);
            }
        }
    }
    progress.advance(commit_id, &moved)
}
