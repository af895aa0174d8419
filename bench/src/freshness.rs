//! How old an event is when a reader can first see it: from the producer's send to the commit that holds it, at
//! a steady rate, with maintenance of the same table beside.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use clap::ValueEnum;
use serde_json::Value;
use weir_catalog::{CatalogAt, Lake, LakeOptions};
use weir_contract::names::TableName;
use weir_tests::aws;
use weir_tests::running::Running;
use weir_tests::sample::{self, Rng, Stream};
use weir_tests::stack::{BUCKET, Fault, GlueServer, Kafka, Message, Producer, Tap, Versity};

#[derive(clap::Args)]
pub struct Args {
    /// Where the lake is, one after the other.
    #[arg(long, default_value = "sqlite,glue,slow-glue", value_delimiter = ',')]
    on: Vec<Place>,
    /// Flush intervals.
    #[arg(long, default_value = "1s,5s", value_delimiter = ',')]
    flush: Vec<String>,
    /// Events per second.
    #[arg(long, default_value_t = 20_000)]
    rate: u64,
    /// Seconds of events; those of the first tenth are not counted.
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// Partitions of the topic.
    #[arg(long, default_value_t = 8)]
    partitions: i32,
    /// Seconds between two runs of maintenance.
    #[arg(long, default_value_t = 15)]
    maintain_every: u64,
}

/// Where a lake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Place {
    /// A folder and SQLite.
    Sqlite,
    /// S3 by versitygw, and a Glue that enforces versions.
    Glue,
    /// The same, each answer 50 ms late, about what S3 and Glue take in their region.
    SlowGlue,
}

const SLOW: Duration = Duration::from_millis(50);
/// How often the table is looked at; visible is what a look has found.
const LOOK: Duration = Duration::from_millis(20);
/// How often events are sent.
const TICK: Duration = Duration::from_millis(5);
/// From so many seconds on there is something to compact.
const LONG_S: u64 = 60;
/// How long the last events may take.
const PATIENCE: Duration = Duration::from_secs(60);
const TABLE: &str = "raw.vending_health";

pub fn run(args: &Args) -> Result<()> {
    let kafka = Kafka::start()?;
    println!("{} events/s, {} partitions, {} s", args.rate, args.partitions, args.seconds);
    println!(
        "| lake | flush | p50 s | p99 s | greatest s | commits | CPU-s per million | RSS MiB | \
         maintenance: runs, files replaced, groups lost, CPU-s |"
    );
    println!("|{}", " --- |".repeat(9));
    for place in &args.on {
        for flush in &args.flush {
            one(args, &kafka, *place, flush)?;
        }
    }
    Ok(())
}

/// One lake and one interval; a line of the table.
fn one(args: &Args, kafka: &Kafka, place: Place, flush: &str) -> Result<()> {
    let lab = Lab::new(args, kafka, place, flush)?;
    let mut ingest = Running::start(&mut lab.weir(&["ingest"]))?;
    ingest.until("the first word of ingest", Running::has_spoken)?;
    let sent: Arc<Sent> = Arc::new(Sent::new(args.partitions));
    let watch = Watch::start(lab.lake()?, sent.clone());
    let upkeep = Upkeep::start(&lab, Duration::from_secs(args.maintain_every));
    sent.produce(&kafka.client()?.producer()?, &lab.topic, args)?;
    let mut ages = watch.end(args.rate * args.seconds)?;
    let upkeep = upkeep.end()?;
    let is_kept = upkeep.replaced > 0 || args.seconds < LONG_S;
    ensure!(upkeep.runs > 0 && is_kept, "maintenance did nothing in {} runs", upkeep.runs);
    ingest.signal("TERM")?;
    let ended = ingest.end(PATIENCE)?.expect(0)?;
    let process = &last_json(&ended.stdout)?["process"];
    let verified = lab.weir(&["verify"]).output()?;
    ensure!(verified.status.success(), "not clean: {}", String::from_utf8_lossy(&verified.stdout));
    ages.seen.drain(..ages.seen.len() / 10);
    ages.seen.sort_unstable();
    let seconds =
        |share: f64| ages.seen[((ages.seen.len() - 1) as f64 * share) as usize].as_secs_f64();
    println!(
        "| {place:?} | {flush} | {:.2} | {:.2} | {:.2} | {} | {:.2} | {:.0} | {}, {}, {}, {:.1} |",
        seconds(0.5),
        seconds(0.99),
        seconds(1.0),
        ages.commits,
        process["cpu_seconds"].as_f64().context("no cpu_seconds")? * 1e6
            / (args.rate * args.seconds) as f64,
        process["peak_rss_bytes"].as_f64().context("no peak_rss_bytes")? / 1048576.0,
        upkeep.runs,
        upkeep.replaced,
        upkeep.lost,
        upkeep.cpu,
    );
    Ok(())
}

/// A topic, a lake and a config.
struct Lab {
    topic: String,
    folder: tempfile::TempDir,
    weir: PathBuf,
    cloud: Option<Cloud>,
}

/// What stands in for AWS.
struct Cloud {
    glue: GlueServer,
    s3: Tap,
    _versity: Versity,
}

impl Lab {
    fn new(args: &Args, kafka: &Kafka, place: Place, flush: &str) -> Result<Lab> {
        let weir = std::env::current_exe()?.with_file_name("weir");
        ensure!(weir.exists(), "{} is not there: cargo build --release", weir.display());
        let topic = format!("fresh-{place:?}-{flush}").to_lowercase();
        kafka.client()?.create_topic(&topic, args.partitions, &[])?;
        let cloud = match place {
            Place::Sqlite => None,
            Place::Glue => Some(Cloud::start(None)?),
            Place::SlowGlue => Some(Cloud::start(Some(SLOW))?),
        };
        let lab = Lab { topic, folder: tempfile::tempdir()?, weir, cloud };
        let contracts = weir_tests::lab::repository().join("contracts");
        let text = format!(
            "{}[kafka]\nbootstrap_servers = \"{}\"\ngroup_prefix = \"{topic}\"\n[ingest.flush]\n\
             interval = \"{flush}\"\n[maintain]\nage_min = \"10s\"\n[streams.\"vending.health\"]\n\
             topic = \"{topic}\"\ncontract = \"{}/vending.health.yaml\"\n",
            lab.where_it_is(),
            kafka.bootstrap(),
            contracts.display(),
            topic = lab.topic,
        );
        std::fs::write(lab.folder.path().join("weir.toml"), text)?;
        Ok(lab)
    }

    /// The config's keys of the lake.
    fn where_it_is(&self) -> String {
        let Some(cloud) = &self.cloud else {
            return "warehouse = \"lake\"\ncatalog.uri = \"sqlite:///catalog.db\"\n".into();
        };
        let secret = self.folder.path().join("secret");
        let _ = std::fs::write(&secret, "test\n");
        format!(
            "warehouse = \"s3://{BUCKET}/lake\"\ncatalog.uri = \"glue://\"\n[aws]\n\
             region = \"us-east-1\"\naccess_key_id = \"test\"\nsecret_access_key = \"file:{}\"\n\
             [s3]\nendpoint = \"{}\"\naddressing = \"path\"\n[glue]\nendpoint = \"{}\"\n",
            secret.display(),
            cloud.s3.endpoint(),
            cloud.glue.tap.endpoint(),
        )
    }

    /// The lake, as its reader sees it.
    fn lake(&self) -> Result<Lake> {
        let (folder, options) = (self.folder.path(), LakeOptions::default());
        Ok(match &self.cloud {
            None => {
                Lake::open_local(&folder.join("lake"), &folder.join("catalog.db"), "weir", options)?
            }
            Some(cloud) => Lake::open_s3(
                aws::s3_warehouse("lake")?,
                &aws::identity()?,
                &aws::s3_at(&cloud.s3.endpoint()),
                CatalogAt::Glue(aws::glue_at(&cloud.glue.tap.endpoint(), "")),
                options,
            )?,
        })
    }

    fn weir(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.weir);
        command.current_dir(self.folder.path()).args(["--result-json", "--output", "json"]);
        command.args(["--log-format", "json"]).args(arguments);
        command
    }
}

impl Cloud {
    fn start(slow: Option<Duration>) -> Result<Cloud> {
        let (glue, versity) = (GlueServer::start()?, Versity::start()?);
        let s3 = Tap::before(&versity.endpoint())?;
        if let Some(by) = slow {
            glue.tap.weather(move |_| Some(Fault::Slow(by)));
            s3.weather(move |_| Some(Fault::Slow(by)));
        }
        Ok(Cloud { glue, s3, _versity: versity })
    }
}

/// When each record was sent, by partition and offset.
struct Sent(Vec<Mutex<Vec<Instant>>>);

impl Sent {
    fn new(partitions: i32) -> Sent {
        Sent((0..partitions).map(|_| Mutex::default()).collect())
    }

    fn of(&self, partition: i32) -> MutexGuard<'_, Vec<Instant>> {
        self.0[partition as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends heartbeats of now at the rate asked for; fails where the machine cannot keep it up.
    fn produce(&self, producer: &Producer, topic: &str, args: &Args) -> Result<()> {
        let (mut rng, mut value, begun) = (Rng::new(1), Vec::with_capacity(1024), Instant::now());
        let (mut done, all) = (0, args.rate * args.seconds);
        while done < all {
            let due = (begun.elapsed().as_secs_f64() * args.rate as f64) as u64;
            let now_ms = chrono::Utc::now().timestamp_millis();
            for i in done..due.min(all) {
                value.clear();
                let machine = Stream::Health.write(&mut value, i, &mut rng, now_ms);
                let partition = (machine % self.0.len() as u64) as i32;
                self.of(partition).push(Instant::now());
                producer.send(
                    topic,
                    &Message {
                        partition: Some(partition),
                        key: Some(&sample::key(machine)),
                        value: Some(&value),
                        timestamp_ms: Some(now_ms),
                        ..Message::default()
                    },
                )?;
            }
            done = due.min(all);
            thread::sleep(TICK);
        }
        producer.flush()?;
        let took = begun.elapsed().as_secs_f64();
        ensure!(took < args.seconds as f64 * 1.05 + 1.0, "the producer took {took:.0} s");
        Ok(())
    }
}

/// The ages at which records were first seen, in the order of the commits.
#[derive(Default)]
struct Ages {
    seen: Vec<Duration>,
    commits: usize,
}

/// A reader that looks at the table again and again.
struct Watch {
    expected: Arc<Mutex<Option<u64>>>,
    thread: JoinHandle<Result<Ages>>,
}

impl Watch {
    fn start(lake: Lake, sent: Arc<Sent>) -> Watch {
        let expected: Arc<Mutex<Option<u64>>> = Arc::default();
        let told = expected.clone();
        let thread = thread::spawn(move || watch(&lake, &sent, &told));
        Watch { expected, thread }
    }

    /// Waits until so many records were seen.
    fn end(self, records: u64) -> Result<Ages> {
        *self.expected.lock().unwrap_or_else(PoisonError::into_inner) = Some(records);
        self.thread.join().map_err(|_| anyhow!("the reader panicked"))?
    }
}

fn watch(lake: &Lake, sent: &Sent, expected: &Mutex<Option<u64>>) -> Result<Ages> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let table: TableName = TABLE.parse().map_err(anyhow::Error::msg)?;
    let mut ages = Ages::default();
    let mut seen = vec![0; sent.0.len()];
    let mut waiting: Option<Instant> = None;
    loop {
        let base = runtime.block_on(lake.table(&table))?;
        let now = Instant::now();
        let progress = base.map(|base| base.progress()).transpose()?.unwrap_or_default();
        let before = ages.seen.len();
        for (partition, at) in progress.sources.values().flatten() {
            let (sent, from) = (sent.of(*partition), &mut seen[*partition as usize]);
            let until = at.until as usize;
            ages.seen.extend(sent[*from..until].iter().map(|sent| now - *sent));
            *from = until;
        }
        ages.commits += usize::from(ages.seen.len() > before);
        if let Some(records) = *expected.lock().unwrap_or_else(PoisonError::into_inner) {
            if ages.seen.len() as u64 == records {
                return Ok(ages);
            }
            let begun = *waiting.get_or_insert(now);
            let found = ages.seen.len();
            ensure!(begun.elapsed() < PATIENCE, "only {found} of {records} records came");
        }
        thread::sleep(LOOK);
    }
}

/// Maintenance again and again.
struct Upkeep {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Result<Kept>>,
}

/// What maintenance did.
#[derive(Default)]
struct Kept {
    runs: u32,
    replaced: u64,
    lost: u64,
    cpu: f64,
}

impl Upkeep {
    fn start(lab: &Lab, every: Duration) -> Upkeep {
        let over = Arc::new(AtomicBool::new(false));
        let (told, mut command) = (over.clone(), lab.weir(&["maintain", TABLE]));
        let thread = thread::spawn(move || {
            let (mut kept, mut last) = (Kept::default(), Instant::now());
            while !told.load(Ordering::Relaxed) {
                if last.elapsed() < every {
                    thread::sleep(Duration::from_millis(50));
                    continue;
                }
                last = Instant::now();
                kept.add(&mut command)?;
            }
            Ok(kept)
        });
        Upkeep { over, thread }
    }

    fn end(self) -> Result<Kept> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("maintenance panicked"))?
    }
}

impl Kept {
    fn add(&mut self, command: &mut Command) -> Result<()> {
        let done = command.output()?;
        let stdout = String::from_utf8_lossy(&done.stdout);
        ensure!(done.status.success(), "weir maintain failed: {stdout}");
        let result = last_json(&stdout)?;
        let compaction = &result["tables"][TABLE]["compaction"];
        self.runs += 1;
        self.replaced += compaction["inputs"].as_u64().context("no inputs in the report")?;
        self.lost += compaction["lost"].as_u64().context("no lost in the report")?;
        self.cpu += result["process"]["cpu_seconds"].as_f64().context("no cpu_seconds")?;
        Ok(())
    }
}

fn last_json(stdout: &str) -> Result<Value> {
    let last = stdout.lines().last().unwrap_or_default();
    serde_json::from_str(last).with_context(|| format!("no result in {last:?}"))
}
