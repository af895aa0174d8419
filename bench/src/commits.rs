//! Commit after commit to one table: time and size over commits, flat once the cap of snapshots is met; also
//! with maintenance in between, as the days of the table go by.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use weir_catalog::commit::{Change, Committed, Decision, commit};
use weir_catalog::env::{Clock, SystemClock};
use weir_catalog::maintain::{Maintain, MaintainOptions};
use weir_catalog::scan::plan;
use weir_catalog::sought::{self, Sought};
use weir_catalog::{Base, Lake, LakeOptions};
use weir_contract::contract;
use weir_contract::decode::{Decoder, Record};
use weir_contract::names::{SourceId, TableName};
use weir_contract::progress::{Progress, Step, Steps, Verdict};
use weir_tests::sample;

/// Events in a commit.
const EVENTS: i64 = 200;

#[derive(clap::Args)]
pub struct Args {
    /// Commits to each table.
    #[arg(long, default_value_t = 10_000)]
    commits: usize,
    /// Caps of snapshots, one table each.
    #[arg(long, default_value = "200,500,1000", value_delimiter = ',')]
    caps: Vec<usize>,
    /// Run maintenance after every so many commits, of which there is one a minute then; 0: never.
    #[arg(long, default_value_t = 0)]
    maintain_every: usize,
}

/// Virtual time between two commits, ms: with maintenance in between, else.
const MINUTE_MS: i64 = 60_000;
const PAUSE_MS: i64 = 5_000;
/// When the first commit is, ms since 1970.
const BEGIN_MS: i64 = 1_780_000_000_000;

pub fn run(args: &Args) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    println!(
        "| cap | commits | p50 ms | p99 ms | planning ms | maintenance ms | metadata KiB | manifests \
         | live files | files | MiB |"
    );
    println!("|{}", " --- |".repeat(11));
    for cap in &args.caps {
        runtime.block_on(one(*cap, args))?;
    }
    Ok(())
}

async fn one(cap: usize, args: &Args) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = LakeOptions { snapshots_max: cap, ..LakeOptions::default() };
    let mut feed = Feed::open(folder.path(), options, cap as u64).await?;
    if args.maintain_every > 0 {
        feed.step_ms = MINUTE_MS;
        feed.lake.env.clock = feed.clock.clone();
    }
    let mut times = Times::default();
    let window = (args.commits / 10).max(1);
    for number in 1..=args.commits {
        times.commits.push(feed.commit(EVENTS).await?);
        if args.maintain_every > 0 && number % args.maintain_every == 0 {
            times.maintenance = times.maintenance.max(feed.maintain().await?);
        }
        if number % window == 0 {
            report(&feed, cap, number, &mut times).await?;
        }
    }
    Ok(())
}

/// What a window of commits took.
#[derive(Default)]
struct Times {
    commits: Vec<Duration>,
    /// The longest run.
    maintenance: Duration,
}

/// Time that goes on with the commits; waiting takes real time.
#[derive(Debug)]
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        SystemClock.sleep(time)
    }
}

/// A lake in a folder, and what is committed to its one table, always the same by seed.
pub struct Feed {
    pub lake: Lake,
    pub base: Base,
    decoder: Decoder,
    rng: sample::Rng,
    source: SourceId,
    /// Commits and events so far.
    done: (i64, i64),
    clock: Arc<Ticking>,
    step_ms: i64,
}

impl Feed {
    /// A lake with an empty table.
    pub async fn open(folder: &Path, options: LakeOptions, seed: u64) -> Result<Feed> {
        let catalog = folder.join("catalog.db");
        let lake = Lake::open_local(&folder.join("lake"), &catalog, "weir", options)?;
        let text = include_str!("../../contracts/vending.health.yaml");
        let Ok(contract) = contract::parse("vending.health.yaml", text) else {
            bail!("contracts/vending.health.yaml is broken");
        };
        let contract = Arc::new(contract);
        let stream = "vending.health";
        let source =
            SourceId { cluster: "bench".into(), topic: stream.into(), topic_id: "1".into() };
        let base = lake.ensure_raw(&contract, &TableName::raw(stream)).await?;
        let decoder = Decoder::new(contract, &source.short());
        let (rng, clock) = (sample::Rng::new(seed), Arc::new(Ticking(BEGIN_MS.into())));
        Ok(Feed { lake, base, decoder, rng, source, done: (0, 0), clock, step_ms: PAUSE_MS })
    }

    /// One commit of so many events; how long it took, their decoding and encoding apart.
    pub async fn commit(&mut self, events: i64) -> Result<Duration> {
        let (number, from) = self.done;
        let now_ms = BEGIN_MS + number * self.step_ms;
        self.clock.0.store(now_ms, Ordering::Relaxed);
        for offset in from..from + events {
            let value = sample::heartbeat(offset as u64, &mut self.rng, now_ms);
            self.decoder.push(&Record {
                partition: 0,
                offset,
                timestamp_ms: Some(now_ms),
                key: None,
                value: Some(&value),
                headers: &[],
            });
        }
        let chunk = self.decoder.finish(now_ms * 1000);
        let day = chunk.days.first().copied().flatten();
        let mut encoder = self.lake.format.encoder(&self.base.schema()?, day)?;
        encoder.write(&chunk.batch)?;
        let added = vec![self.lake.put_data_file(&self.base, encoder.finish()?).await?];
        let step = Step { until: from + events, rows: events, ..Step::at(from) };
        let steps = Steps::from([(self.source.to_string(), BTreeMap::from([(0, step)]))]);
        let change =
            Change { commit_id: format!("c{number}"), stage: "ingest", added, ..Change::default() };
        let begun = Instant::now();
        self.base = commit_once(&self.lake, self.base.clone(), &change, &steps).await?;
        self.done = (number + 1, from + events);
        Ok(begun.elapsed())
    }

    /// All of maintenance, however young a file is; how long it took. The table's files are as old as the
    /// commits' time has it, so that the sweep comes to those of nobody's.
    async fn maintain(&mut self) -> Result<Duration> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(self.clock.now_ms() as u64);
        for path in files_below(self.base.metadata().location())? {
            let file = File::open(path)?;
            if file.metadata()?.modified()? > now {
                file.set_modified(now)?;
            }
        }
        let begun = Instant::now();
        let maintain = Maintain {
            lake: &self.lake,
            table: self.base.name.clone(),
            options: MaintainOptions { age_min: Duration::ZERO, ..MaintainOptions::default() },
            dry_run: false,
            until_ms: None,
            shutdown: Arc::default(),
            listen: &mut |_| {},
        };
        maintain.run().await.1?;
        let now = self.lake.table(&self.base.name).await?;
        self.base = now.context("the table is gone")?;
        Ok(begun.elapsed())
    }
}

async fn commit_once(lake: &Lake, base: Base, change: &Change, steps: &Steps) -> Result<Base> {
    let mut decide =
        |_: &Base, progress: &Progress| match progress.advance(&change.commit_id, steps) {
            Verdict::Apply(next) => Decision::Advance(next),
            other => Decision::Decline(format!("{other:?}")),
        };
    match commit(lake, base, change, &mut decide).await? {
        Committed::Done(receipt) => Ok(receipt.base),
        Committed::Declined(why) => bail!("a commit was declined: {why}"),
    }
}

async fn report(feed: &Feed, cap: usize, commits: usize, times: &mut Times) -> Result<()> {
    let Feed { lake, base, .. } = feed;
    times.commits.sort();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let at = |share: f64| {
        milliseconds(times.commits[((times.commits.len() - 1) as f64 * share) as usize])
    };
    let begun = Instant::now();
    let live = sought::files(lake, base, &Sought::ALL).await?.len();
    let planning = milliseconds(begun.elapsed());
    let path = base.loaded.location.trim_start_matches("file://");
    let size = std::fs::metadata(path).with_context(|| format!("cannot look at {path}"))?.len();
    let manifests = match plan::snapshot(base, None)? {
        Some(snapshot) => plan::manifests(lake, base, &snapshot).await?.len(),
        None => 0,
    };
    let files = files_below(base.metadata().location())?;
    let mut bytes = 0;
    for path in &files {
        bytes += std::fs::metadata(path)?.len();
    }
    println!(
        "| {cap} | {commits} | {:.1} | {:.1} | {planning:.1} | {:.0} | {} | {manifests} | {live} | \
         {} | {} |",
        at(0.5),
        at(0.99),
        milliseconds(times.maintenance),
        size / 1024,
        files.len(),
        bytes >> 20,
    );
    *times = Times::default();
    Ok(())
}

/// The files below a table's location.
fn files_below(location: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(location.trim_start_matches("file://"))];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    Ok(found)
}
