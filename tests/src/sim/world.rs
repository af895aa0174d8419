//! The driver: processes, faults, time. One thread, one seed: every choice is the seed's.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll, Waker};

use weir_catalog::Lake;
use weir_catalog::evolve;
use weir_catalog::maintain::{Maintain, MaintainEvent, MaintainOptions};
use weir_contract::contract::{Contract, Division};
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
use super::faults::Faults;
use super::foreign;
use super::place::{Place, Where, Who};
use super::rng::Rng;

/// Processes that fight over the topic.
const PROCESSES: usize = 2;
/// Redrives, after them maintenances, and then changes of the partitioning, that may run at the same time.
const REDRIVES: usize = 2;
const EVOLVE: usize = REDRIVES + 2;
const SIDES: usize = EVOLVE + 1;
/// Steps that one of them goes on by at most when it is its turn.
const STEPS: u64 = 16;
/// Bytes that a maintenance may take.
const MAINTAIN_MEMORY: usize = 64 << 20;
/// More than the sweep wants between two looks at a file of nobody's, ms.
const DAY_MS: i64 = 25 * 60 * 60 * 1_000;
/// Turns of chaos, and twice as many with Parquet; then faults end and everything must come to rest.
const CHAOS_TURNS: usize = 2_500;
/// Turns of a quiet time, of a tenth of a second each.
const QUIET_TURNS: usize = 1_200;
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
    /// Each maintenance takes it for a day later than the one before: its sweep does not wait.
    Sweep,
}

/// How one simulation is run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Which guard is missing.
    pub careless: Careless,
    /// Real Parquet files; then redrives by a corrected contract, maintenance and changes of the partitioning
    /// run beside ingest and each other, and days pass.
    pub parquet: bool,
    /// Where the lake is.
    pub at: Where,
}

/// What a simulation did, if it went well.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Everything that was told, in order.
    pub trace: Vec<String>,
    /// How often each thing happened.
    pub counts: audit::Counts,
}

/// A redrive, a maintenance, or a change of the partitioning.
type Side = Pin<Box<dyn Future<Output = Result<(), String>>>>;
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
    faults: Faults,
    place: Place,
    contract: Arc<Contract>,
    options: Options,
    auditor: Rc<RefCell<Auditor>>,
    trace: Rc<RefCell<Vec<String>>>,
    processes: Vec<Process>,
    foreign: Option<Pin<Box<dyn Future<Output = ()>>>>,
    sides: [Option<Side>; SIDES],
    /// How wrong the clock of the last maintenance was.
    ahead_ms: i64,
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
    let faults = Faults::new(clock.clone(), rng.clone());
    let env = clock::env(&clock, &rng);
    let place = Place::new(options.at, disk, &faults, env, silence_is_yes);
    let mut world = World {
        rng,
        clock,
        broker,
        faults,
        place,
        contract: Arc::new(super::format::contract()),
        options,
        auditor,
        trace: Rc::default(),
        processes: (0..PROCESSES).map(|_| Process { task: None, wakes_ms: 0 }).collect(),
        foreign: None,
        sides: Default::default(),
        ahead_ms: 0,
        produced: 0,
    };
    let result = world.chaos().and_then(|()| world.quiet()).and_then(|()| world.rest());
    let (trace, mut counts) = (world.trace.take(), world.auditor.borrow().counts.clone());
    counts.add(&world.faults.counts());
    match result {
        Ok(()) => Ok(Outcome { trace, counts }),
        Err(why) => Err(Failure { why, trace }),
    }
}

impl World {
    fn chaos(&mut self) -> Result<(), String> {
        let turns = if self.options.parquet { 2 * CHAOS_TURNS } else { CHAOS_TURNS };
        for _ in 0..turns {
            self.clock.advance(self.rng.below(15) as i64);
            self.happen();
            self.poll_one()?;
        }
        Ok(())
    }

    /// In one world of some: nothing is produced and nobody dies for two minutes, so that who is idle says so.
    fn quiet(&mut self) -> Result<(), String> {
        let turns = if self.rng.one_in(20) { QUIET_TURNS } else { 0 };
        for _ in 0..turns {
            self.clock.advance(self.rng.below(200) as i64);
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
            (self.foreign, self.sides) = (None, Default::default());
            self.place.power_cut(&self.rng);
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
            let lake = self.lake(Who::Foreign);
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
            (0..SIDES).for_each(|index| self.begin_or_kill(index));
            if one_in(600) {
                // Another engine that takes longer than a day for one commit is not safe beside a sweep.
                self.foreign = None;
                self.clock.advance(DAY_MS);
                self.note("a day passes".into(), "a day passes");
            }
        }
    }

    fn begin_or_kill(&mut self, index: usize) {
        let (begin, kill, killed): (fn(&mut Self) -> Side, _, _) = match index {
            ..REDRIVES => (Self::redrive, 2_400, "redrive crash"),
            EVOLVE => (Self::evolve, 400, "evolve crash"),
            _ => (Self::maintain, 400, "maintain crash"),
        };
        if self.sides[index].is_none() {
            if self.rng.one_in(if index == EVOLVE { 200 } else { 20 }) {
                self.sides[index] = Some(begin(self));
            }
        } else if self.rng.one_in(kill) {
            self.sides[index] = None;
            self.note(killed.into(), killed);
        }
    }

    /// A contract is applied that divides the table by months, or again by days.
    fn evolve(&mut self) -> Side {
        let (lake, auditor) = (self.lake(Who::Weir), self.auditor.clone());
        let by = if self.rng.one_in(2) { Division::Month } else { Division::Day };
        let contract = Contract { partitioned_by: Some(by), ..super::format::contract() };
        Box::pin(async move {
            let done = evolve::apply(&lake, &contract).await.map_err(|e| e.to_string())?;
            let what = if done.steps.is_empty() { "divided already" } else { "divided otherwise" };
            auditor.borrow_mut().counts.many(what, 1);
            Ok(())
        })
    }

    /// Everything that is rejected, by the corrected contract.
    fn redrive(&mut self) -> Side {
        let (lake, auditor, trace) =
            (self.lake(Who::Weir), self.auditor.clone(), self.trace.clone());
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

    /// All of maintenance, however young a file is.
    fn maintain(&mut self) -> Side {
        let mut env = clock::env(&self.clock, &self.rng);
        if self.options.careless == Careless::Sweep {
            self.ahead_ms += DAY_MS;
            env.clock = Arc::new(clock::Ahead(self.clock.clone(), self.ahead_ms));
        }
        let lake = self.place.lake(env, self.options.parquet, Who::Weir);
        let (auditor, trace) = (self.auditor.clone(), self.trace.clone());
        let age_min = std::time::Duration::ZERO;
        Box::pin(async move {
            let mut listen = |event: &MaintainEvent| {
                trace.borrow_mut().push(format!("maintain {event}"));
                auditor.borrow_mut().hear_maintain(event);
            };
            let maintain = Maintain {
                lake: &lake,
                table: table(),
                options: MaintainOptions { memory_bytes: MAINTAIN_MEMORY, age_min },
                dry_run: false,
                until_ms: None,
                shutdown: Arc::new(AtomicBool::new(false)),
                listen: &mut listen,
            };
            let (report, result) = maintain.run().await;
            auditor.borrow_mut().maintained(&report);
            result.map_err(|e| e.to_string())
        })
    }

    /// Faults end; one process after another must bring the table to the topic's end.
    fn rest(&mut self) -> Result<(), String> {
        self.faults.heal();
        (self.foreign, self.sides) = (None, Default::default());
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
                self.maintain_the_rest()?;
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
        self.faults.trouble(true);
        let result = self.alone(Self::redrive)?;
        self.trace.borrow_mut().push(format!("redrive in trouble ended: {result:?}"));
        self.faults.trouble(false);
        self.alone(Self::redrive)?.map_err(|e| format!("the last redrive stopped: {e}"))
    }

    /// The same; then what is of nobody's is seen, and a day later swept away.
    fn maintain_the_rest(&mut self) -> Result<(), String> {
        if !self.options.parquet {
            return Ok(());
        }
        self.faults.trouble(true);
        let result = self.alone(Self::maintain)?;
        self.trace.borrow_mut().push(format!("maintenance in trouble ended: {result:?}"));
        self.faults.trouble(false);
        for _ in 0..2 {
            let done = self.alone(Self::maintain)?;
            done.map_err(|e| format!("the last maintenance stopped: {e}"))?;
            self.clock.advance(DAY_MS);
        }
        Ok(())
    }

    /// Runs a redrive or a maintenance to its end, with nothing beside it.
    fn alone(&mut self, begin: impl Fn(&mut Self) -> Side) -> Result<Result<(), String>, String> {
        let mut side = begin(self);
        for _ in 0..REST_TURNS {
            self.clock.advance(5);
            if let Poll::Ready(result) = poll(&mut side) {
                return Ok(result);
            }
        }
        Err(format!("a last redrive or maintenance did not end within {REST_TURNS} turns"))
    }

    fn audit(&mut self) -> Result<(), String> {
        let lake = self.lake(Who::Weir);
        let mut check = Box::pin(audit::check(
            lake,
            table(),
            self.broker.clone(),
            self.place.pointer.clone(),
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
        let others = if self.options.parquet { 1 + SIDES } else { 1 };
        let index = self.rng.below((PROCESSES + others) as u64) as usize;
        if index > PROCESSES {
            let index = index - PROCESSES - 1;
            // They have much to read: it must not take the whole time that there is.
            for _ in 0..=self.rng.below(STEPS) {
                if let Some(task) = &mut self.sides[index]
                    && let Poll::Ready(result) = poll(task)
                {
                    self.sides[index] = None;
                    let what = match index {
                        ..REDRIVES => "redrive",
                        EVOLVE => "evolve",
                        _ => "maintain",
                    };
                    self.trace.borrow_mut().push(format!("{what} ended: {result:?}"));
                }
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
        let lake = self.lake(Who::Weir);
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

    fn lake(&self, who: Who) -> Arc<Lake> {
        self.place.lake(clock::env(&self.clock, &self.rng), self.options.parquet, who)
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
