//! Commit after commit to one table: time and size over commits, flat once the cap of snapshots is met.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use weir_catalog::commit::{Change, Committed, Decision, commit};
use weir_catalog::scan::plan;
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
}

pub fn run(args: &Args) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    println!("| cap | commits | p50 ms | p99 ms | metadata KiB | manifests |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for cap in &args.caps {
        runtime.block_on(one(*cap, args.commits))?;
    }
    Ok(())
}

async fn one(cap: usize, commits: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = LakeOptions { snapshots_max: cap, ..LakeOptions::default() };
    let mut feed = Feed::open(folder.path(), options, cap as u64).await?;
    let mut times = Vec::new();
    let window = (commits / 10).max(1);
    for number in 0..commits as i64 {
        times.push(feed.commit(EVENTS).await?);
        if times.len() == window {
            report(&feed.lake, &feed.base, cap, number + 1, &mut times).await?;
        }
    }
    Ok(())
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
        Ok(Feed { lake, base, decoder, rng: sample::Rng::new(seed), source, done: (0, 0) })
    }

    /// One commit of so many events; how long it took, their decoding and encoding apart.
    pub async fn commit(&mut self, events: i64) -> Result<Duration> {
        let (number, from) = self.done;
        let now_ms = 1_780_000_000_000 + number * 5_000;
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

async fn report(
    lake: &Lake,
    base: &Base,
    cap: usize,
    commits: i64,
    times: &mut Vec<Duration>,
) -> Result<()> {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let path = base.loaded.location.trim_start_matches("file://");
    let size = std::fs::metadata(path).with_context(|| format!("cannot look at {path}"))?.len();
    let manifests = match plan::snapshot(base, None)? {
        Some(snapshot) => plan::manifests(lake, base, &snapshot).await?.len(),
        None => 0,
    };
    println!(
        "| {cap} | {commits} | {:.1} | {:.1} | {} | {manifests} |",
        at(0.5),
        at(0.99),
        size / 1024
    );
    times.clear();
    Ok(())
}
