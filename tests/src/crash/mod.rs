//! The crash suite: the real binary against a real Kafka, killed, frozen and fought over, while a
//! producer writes down what the broker acknowledged. One third of the faults kill a process and start
//! it again at once, one third only after its partners took over, one third freeze it past the session's
//! end and wake it; the broker is restarted now and then. In the end everything that the producer's list
//! holds, and nothing else, must be in the tables.
//!
//! A [`Plan`] is one *lane*: a broker, three processes, a producer, one seed, and a [`place`] for the lake:
//! a folder, or S3 and Glue that fail all the while. [`campaign`] runs lanes side by side, because a fault is
//! mostly waiting, and lets the readers compare.

pub mod campaign;
mod feeder;
pub mod place;
mod process;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use weir_ingest::kafka::{KafkaSettings, KafkaSource};
use weir_ingest::source::Source;

use feeder::Feeder;
pub use feeder::{COMPACTED, Fate, Fed, List, TRANSACTIONS, write_csv};
use place::{Place, Storm, Where};
use process::{Ear, Heard, Weir, lock};

use crate::sample::Rng;
use crate::stack::{Kafka, KafkaOptions};

/// The processes of a lane, every one a victim: three, so that two are left to fight over a table while
/// one is down.
const MEMBERS: [&str; 3] = ["a", "b", "c"];
/// A member that is silent for this long loses its partitions.
const SESSION: Duration = Duration::from_secs(6);
/// Faults between two restarts of the broker.
const BROKER_EVERY: u64 = 15;
/// How long the broker has for the markers of a transaction that its producer was told is committed,
/// before it is killed: a single broker that is killed before them was seen to abort it after all, or
/// to leave it open, which would be its loss and not ours. Plain records are on their way meanwhile.
const MARKERS: Duration = Duration::from_secs(2);
/// How long a commit is waited for, to strike at it.
const COMMIT: Duration = Duration::from_secs(2);
/// How long the broker may take to end every transaction.
const TRANSACTIONS_END: Duration = Duration::from_secs(60);

/// What to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many faults.
    pub faults: usize,
    /// The seed of their order and instants.
    pub seed: u64,
    /// Where the lake is.
    pub at: Where,
    /// The binary.
    pub weir: PathBuf,
    /// Where the contracts are, and the lake, the configs and the logs go.
    pub folder: PathBuf,
}

/// What was done, and what came of it.
#[derive(Debug, Default, Clone, serde::Serialize)]
pub struct Report {
    /// Killed and started again at once.
    pub kills_at_once: u64,
    /// Killed, and started again after the partner took over.
    pub kills_after_takeover: u64,
    /// Frozen past the session's end, then woken.
    pub freezes: u64,
    /// Broker restarts.
    pub broker_restarts: u64,
    /// Commits under way at a kill, of unknown outcome to their writer, that had landed.
    pub unknown_landed: u64,
    /// The same, that had not.
    pub unknown_not_landed: u64,
    /// Faults of S3 and Glue, by their kind.
    pub storm: Storm,
    /// What the processes said.
    pub heard: Heard,
    /// Records that were produced to be accepted.
    pub accepted: u64,
    /// Records that were produced to be rejected.
    pub rejected: u64,
    /// Seconds that it took.
    pub seconds: u64,
}

/// What the readers shall compare: the lake as it was left, and the producer's list.
pub struct Outcome {
    /// The report.
    pub report: Report,
    /// The lake, calm now.
    pub place: Arc<Place>,
    /// A config that opens it.
    pub config: PathBuf,
    /// The producer's lists.
    pub fed: Fed,
    /// The broker, still running.
    pub kafka: Kafka,
}

/// Runs the plan. An error says what went wrong and where the logs are.
pub fn run(plan: &Plan) -> Result<Outcome> {
    let begun = Instant::now();
    std::fs::create_dir_all(&plan.folder)?;
    let kafka = Kafka::start_own(&KafkaOptions { light: true, ..KafkaOptions::default() })?;
    feeder::create_topics(&kafka)?;
    let feeder = Feeder::start(&kafka, plan.seed)?;
    let place = Arc::new(Place::new(plan.at, &plan.folder, plan.seed)?);
    let ear = Arc::new(Mutex::new(Ear::default()));
    let mut processes = Vec::new();
    for name in MEMBERS {
        let config = write_config(plan, &place, &kafka, name)?;
        let mut weir = Weir::new(name, &plan.weir, &config, &ear);
        weir.start()?;
        processes.push(weir);
    }
    let mut crash = Crash {
        rng: Rng::new(plan.seed ^ 0xc0ffee),
        report: Report::default(),
        place: place.clone(),
        processes,
    };
    std::thread::sleep(Duration::from_secs(3));
    for fault in 0..plan.faults {
        crash.fault(fault).with_context(|| format!("at fault {fault} of seed {}", plan.seed))?;
        // Not in all lanes at the same time.
        if (fault as u64 + plan.seed) % BROKER_EVERY == BROKER_EVERY - 1 {
            let _held = lock(&feeder.pause);
            std::thread::sleep(MARKERS);
            kafka.restart()?;
            crash.report.broker_restarts += 1;
        }
        crash.check()?;
    }
    let fed = feeder.finish()?;
    await_transactions(&kafka)?;
    crash.report.storm = place.calm();
    std::thread::sleep(Duration::from_secs(2));
    crash.check()?;
    for process in &mut crash.processes {
        process.stop()?;
    }
    let config = write_config(plan, &place, &kafka, "last")?;
    let report = finish(crash.report, &fed, &lock(&ear).heard, begun);
    Ok(Outcome { report, place, config, fed, kafka })
}

/// Waits until every transaction has its marker: only then can a reader see what came after it. A
/// broker that was killed while it ended a transaction may leave it open until its producer is back.
fn await_transactions(kafka: &Kafka) -> Result<()> {
    drop(feeder::transactions(kafka)?);
    let (topic, partitions) = TRANSACTIONS;
    let mut source = KafkaSource::open(KafkaSettings {
        bootstrap: kafka.bootstrap().into(),
        topic: topic.into(),
        group: "crash-suite".into(),
        instance: None,
        memory: 4 << 20,
        properties: Default::default(),
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let partitions: Vec<i32> = (0..partitions).collect();
    let begun = Instant::now();
    loop {
        let marks = runtime.block_on(source.watermarks(&partitions))?;
        if marks.iter().all(|mark| mark.stable == mark.high) {
            return Ok(());
        }
        ensure!(
            begun.elapsed() < TRANSACTIONS_END,
            "a transaction is still open after {TRANSACTIONS_END:?}: {marks:?}"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Brings the tables to the topics' ends, by one last run.
pub fn settle(plan: &Plan, outcome: &Outcome) -> Result<()> {
    let output = std::process::Command::new(&plan.weir)
        .args(["--log-format", "json", "--config"])
        .arg(&outcome.config)
        .args(["ingest", "--until-latest"])
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the last run failed: {said}");
    Ok(())
}

fn finish(mut report: Report, fed: &Fed, heard: &Heard, begun: Instant) -> Report {
    report.heard = heard.clone();
    for fate in fed.transactions.values().chain(fed.compacted.values()) {
        if fate.accepted {
            report.accepted += 1;
        } else {
            report.rejected += 1;
        }
    }
    report.seconds = begun.elapsed().as_secs();
    report
}

impl Report {
    /// Adds what another lane did.
    pub fn add(&mut self, other: &Report) {
        self.kills_at_once += other.kills_at_once;
        self.kills_after_takeover += other.kills_after_takeover;
        self.freezes += other.freezes;
        self.broker_restarts += other.broker_restarts;
        self.unknown_landed += other.unknown_landed;
        self.unknown_not_landed += other.unknown_not_landed;
        for (what, times) in &other.storm {
            *self.storm.entry(what).or_default() += times;
        }
        self.heard.add(&other.heard);
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.seconds = self.seconds.max(other.seconds);
    }

    /// Fails if one of the things that the lanes are about never happened.
    pub fn check(&self, at: Where) -> Result<()> {
        let always = [
            ("conflicts", self.heard.conflicts),
            ("offsets without a record", self.heard.absent),
            ("accepted records", self.accepted),
            ("rejected records", self.rejected),
        ];
        let on_disk = [
            ("takeovers", self.heard.takeovers),
            ("abandoned batches", self.heard.abandoned),
            ("fenced batches", self.heard.fenced),
            ("unknown outcomes that landed", self.unknown_landed),
            ("unknown outcomes that did not land", self.unknown_not_landed),
            ("broker restarts", self.broker_restarts),
        ];
        let on_aws = [("answers that never came", self.heard.unknowns)];
        let (more, never) = match at {
            Where::Disk => (&on_disk[..], Vec::new()),
            Where::Aws => (&on_aws[..], place::never(&self.storm)),
        };
        let counts = always.iter().chain(more).filter(|(_, count)| *count == 0);
        let never: Vec<_> = counts.map(|(what, _)| *what).chain(never).collect();
        ensure!(
            never.is_empty(),
            "no {never:?} in the whole run: it proves nothing about them: {self:?}"
        );
        Ok(())
    }
}

struct Crash {
    rng: Rng,
    report: Report,
    place: Arc<Place>,
    processes: Vec<Weir>,
}

impl Crash {
    fn fault(&mut self, number: usize) -> Result<()> {
        let victim = self.rng.below(MEMBERS.len() as u64) as usize;
        std::thread::sleep(Duration::from_millis(200 + self.rng.below(800)));
        // A third of the faults strike while a commit is under way, a third when one has just landed
        // and its writer hardly knows.
        match self.rng.below(3) {
            0 => {}
            1 => {
                self.processes[victim].await_commit(COMMIT);
                std::thread::sleep(Duration::from_millis(self.rng.below(12)));
            }
            _ => {
                if let Some((stream, _)) = self.processes[victim].await_commit(COMMIT) {
                    self.await_landing(&stream)?;
                }
            }
        }
        match number % 3 {
            0 => {
                self.kill(victim)?;
                self.report.kills_at_once += 1;
            }
            1 => {
                self.kill(victim)?;
                std::thread::sleep(SESSION + Duration::from_secs(2));
                self.report.kills_after_takeover += 1;
            }
            _ => {
                self.processes[victim].freeze(true)?;
                std::thread::sleep(SESSION + Duration::from_secs(2));
                self.processes[victim].freeze(false)?;
                self.report.freezes += 1;
                return Ok(());
            }
        }
        self.processes[victim].start()
    }

    /// Waits until the catalog has another metadata file for the table than now.
    fn await_landing(&self, stream: &str) -> Result<()> {
        let (before, begun) = (self.place.pointer(stream)?, Instant::now());
        while self.place.pointer(stream)? == before && begun.elapsed() < COMMIT {
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    fn kill(&mut self, victim: usize) -> Result<()> {
        for (table, commit_id) in self.processes[victim].kill()? {
            if landed(&self.place, &table, &commit_id)? {
                self.report.unknown_landed += 1;
            } else {
                self.report.unknown_not_landed += 1;
            }
        }
        Ok(())
    }

    fn check(&mut self) -> Result<()> {
        self.processes.iter_mut().try_for_each(Weir::check)
    }
}

/// Whether the table holds the commit: it is among the last sixteen.
fn landed(place: &Place, stream: &str, commit_id: &str) -> Result<bool> {
    let Some(base) = place.table(stream)? else { return Ok(false) };
    Ok(base.progress()?.commits.iter().any(|commit| commit == commit_id))
}

fn write_config(plan: &Plan, place: &Place, kafka: &Kafka, name: &str) -> Result<PathBuf> {
    let path = plan.folder.join(format!("{name}.toml"));
    let mut text = format!(
        r#"{lake}
[kafka]
bootstrap_servers = "{bootstrap}"
instance = "{name}"

[kafka.properties]
"session.timeout.ms" = "{session}"
"heartbeat.interval.ms" = "500"

[ingest.flush]
interval = "{flush}ms"
"#,
        lake = place.config(),
        bootstrap = kafka.bootstrap(),
        session = SESSION.as_millis(),
        flush = match plan.at {
            Where::Disk => 300,
            // moto answers slowly.
            Where::Aws => 1_000,
        },
    );
    for (stream, _) in [TRANSACTIONS, COMPACTED] {
        text += &format!(
            "\n[streams.\"{stream}\"]\ntopic = \"{stream}\"\ncontract = \"{stream}.yaml\"\n"
        );
    }
    std::fs::write(&path, text)?;
    Ok(path)
}
