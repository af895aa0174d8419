//! Increments against the whole: the fleet's events come in pieces, out of order, late, twice and through
//! killed builds; a contract, the price of a product and the place of a machine are corrected backwards. The rows
//! that increments left must be those that a full refresh makes, and those of a replay into an empty lake.

mod few;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use datafusion::physical_plan::collect;
use datafusion_proto::bytes::{physical_plan_from_bytes, physical_plan_to_bytes};
use serde_json::Value;
use weir::cli::Selection;
use weir::models::{Ask, Models};
use weir_tests::lab::{self, Done, repository};
use weir_tests::sample::Rng;
use weir_tests::stack::{Kafka, Message};

const PARTITIONS: i32 = 3;
const CONFIG: &str = "weir.toml";
/// The config of the lake into which everything is read once more.
const REPLAY: &str = "again.toml";
/// Pieces in which the events come.
const STEPS: u64 = 5;
const CASH: &str = "          - {value: cash}\n";

/// Bytes of a stack on which plans are read.
const STACK: usize = 256 << 20;

/// When the fleet's time begins.
const START: &str = "2026-03-02T20:00:00Z";
const START_MS: i64 = 1_772_481_600_000;

/// A record that is still to be sent: its Kafka time, ms, and its value.
type Record = (i64, String);

/// A lake, the repository's models, and the events of a fleet.
struct World {
    folder: tempfile::TempDir,
    topics: String,
    rng: Rng,
    queues: BTreeMap<String, Vec<Record>>,
    /// Of each stream, how many records are its last piece.
    last: BTreeMap<String, usize>,
    /// Builds that were killed while they ran.
    killed: u64,
}

impl World {
    fn new(seed: u64, flags: &str) -> Result<World> {
        let folder = tempfile::Builder::new().prefix("weir-increments-").tempdir()?;
        let topics = folder.path().file_name().unwrap_or_default().display().to_string();
        let rng = Rng::new(seed);
        let (queues, last) = (BTreeMap::new(), BTreeMap::new());
        let world = World { folder, topics, rng, queues, last, killed: 0 };
        copy(&repository().join("transforms/sql"), &world.path().join("transforms/sql"))?;
        copy(&repository().join("contracts"), &world.path().join("contracts"))?;
        let seed = seed.to_string();
        let mut arguments = vec![
            "simulate",
            "--seed",
            &seed,
            "--to",
            "events",
            "--ref-dir",
            "ref",
            "--start",
            START,
        ];
        arguments.extend(flags.split_whitespace());
        world.weir(&arguments)?.expect(0)?;
        world.write_config()?;
        world.weir(&["seed"])?.expect(0)?;
        Ok(world)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Whether the contract of sales refuses cash.
    fn narrow(&self, narrow: bool) -> Result<()> {
        let text = std::fs::read_to_string(repository().join("contracts/vending.sales.yaml"))?;
        ensure!(text.contains(CASH), "the contract of sales does not know cash");
        let text = if narrow { text.replacen(CASH, "", 1) } else { text };
        Ok(std::fs::write(self.path().join("contracts/vending.sales.yaml"), text)?)
    }

    /// The config of another lake in the same folder, which reads the same topics.
    fn write_config_of_replay(&self) -> Result<()> {
        let text = std::fs::read_to_string(self.path().join("weir.toml"))?;
        let text = text.replace("warehouse = \"lake\"", "warehouse = \"again\"");
        let text = text.replace("sqlite:///catalog.db", "sqlite:///again.db");
        let group = format!("group_prefix = \"{}", self.topics);
        let text = text.replace(&group, &format!("{group}-again"));
        Ok(std::fs::write(self.path().join(REPLAY), text)?)
    }

    fn write_config(&self) -> Result<()> {
        let kafka = Kafka::shared();
        let mut text = format!(
            "warehouse = \"lake\"\ncatalog.uri = \"sqlite:///catalog.db\"\n\
             privacy.hash_key = \"file:key\"\ningest.memory_max = \"256MiB\"\n[kafka]\nbootstrap_servers = \"{}\"\ngroup_prefix = \"{}\"\n",
            kafka.bootstrap(),
            self.topics
        );
        for entry in std::fs::read_dir(self.path().join("contracts"))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let Some(name) = name.strip_suffix(".yaml") else { continue };
            text += &match name.strip_prefix("ref.") {
                Some(file) => format!("[references.\"{name}\"]\nfile = \"ref/{file}.csv\"\n"),
                None => {
                    let topic = format!("{}-{name}", self.topics);
                    kafka.client()?.create_topic(&topic, PARTITIONS, &[("retention.ms", "-1")])?;
                    format!("[streams.\"{name}\"]\ntopic = \"{topic}\"\n")
                }
            };
            text += &format!("contract = \"contracts/{name}.yaml\"\n");
        }
        std::fs::write(self.path().join("key"), "a key of the tests, for nothing else")?;
        Ok(std::fs::write(self.path().join("weir.toml"), text)?)
    }

    /// Puts the events in the order in which they will come; of a `rough` road one in twenty very late, one in
    /// fifty twice.
    fn queue(&mut self, rough: bool) -> Result<()> {
        for entry in std::fs::read_dir(self.path().join("events"))? {
            let path = entry?.path();
            let stream = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let (mut queue, mut late, mut at) = (Vec::new(), Vec::new(), START_MS);
            for line in String::from_utf8_lossy(&std::fs::read(&path)?).lines() {
                let event = serde_json::from_str::<Value>(line).unwrap_or_default();
                let time = event["time"]
                    .as_str()
                    .and_then(|t| chrono::DateTime::parse_from_rfc3339(t).ok());
                at = time.map_or(at, |time| time.timestamp_millis().max(at));
                let record = (at + self.rng.below(600_000) as i64, line.to_string());
                if rough && self.rng.below(50) == 0 {
                    late.push((record.0 + 86_400_000, line.to_string()));
                }
                match self.rng.below(20) {
                    0 if rough => late.push((record.0 + 172_800_000, record.1)),
                    _ => queue.push(record),
                }
            }
            // What is late comes before the last piece, which is of the last hours alone.
            let last = queue.len() / STEPS as usize;
            let before = queue.len() - last;
            queue.splice(before..before, late);
            self.queues.insert(stream.clone(), queue);
            self.last.insert(stream, last);
        }
        Ok(())
    }

    /// A mart whose rows depend on all hours before, of which it says nothing.
    fn write_wrong_model(&self) -> Result<()> {
        let sql = "{{ config(materialized='incremental', incremental_strategy='microbatch', \
                   event_time='hour_at', batch_size='hour') }}\n\
                   select hour_at, sum(n) over (order by hour_at) as so_far from (\
                   select date_trunc('hour', event_time) as hour_at, count(*) as n\n\
                   from {{ ref('stg_vending_health') }} group by date_trunc('hour', event_time))\n";
        let marts = self.path().join("transforms/sql/marts");
        std::fs::write(marts.join("forgets_yesterday.sql"), sql)?;
        let note = "models: [{name: forgets_yesterday, config: {meta: {readers: [tests]}}}]\n";
        Ok(std::fs::write(marts.join("forgets_yesterday.yml"), note)?)
    }

    /// Sends the next piece of every stream, of any size, each record to any partition.
    fn send(&mut self, step: u64) -> Result<()> {
        let last = self.last.clone();
        self.send_some(|stream, queue, rng| {
            let left = queue.len() - last[stream];
            match STEPS - step {
                1 => queue.len(),
                2 => left,
                more => rng.below(2 * left as u64 / (more - 1) + 1) as usize,
            }
        })
    }

    /// Sends so many of every stream's records.
    fn send_some(&mut self, some: impl Fn(&str, &[Record], &mut Rng) -> usize) -> Result<()> {
        let producer = Kafka::shared().client()?.producer()?;
        for (stream, queue) in &mut self.queues {
            let topic = format!("{}-{stream}", self.topics);
            let count = some(stream, queue, &mut self.rng);
            for (at, value) in queue.drain(..count.min(queue.len())) {
                let partition = Some(self.rng.below(PARTITIONS as u64) as i32);
                let (value, timestamp_ms) = (Some(value.as_bytes()), Some(at));
                producer.send(
                    &topic,
                    &Message { partition, value, timestamp_ms, ..Message::default() },
                )?;
            }
        }
        producer.flush()
    }

    fn command(&self, config: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(lab::binary());
        command.current_dir(self.path()).args(["--config", config, "--log-format", "json"]);
        command.args(arguments);
        command
    }

    fn weir(&self, arguments: &[&str]) -> Result<Done> {
        Ok(lab::done(self.command(CONFIG, arguments).output()?))
    }

    /// Builds, killed on the way some times.
    fn build(&mut self, kills: u64) -> Result<Done> {
        let run = ["--output", "human", "run", "--select", "+config.materialized:incremental"];
        for _ in 0..kills {
            let mut build = self.command(CONFIG, &run);
            let mut child = build.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
            std::thread::sleep(Duration::from_millis(300 + self.rng.below(4_000)));
            self.killed += u64::from(child.try_wait()?.is_none());
            child.kill()?;
            child.wait()?;
        }
        self.weir(&run)?.expect(0)
    }

    /// Builds the same in this process, from so many rows at once; the files that it opens.
    fn build_in_parts(&self, full: bool, part_rows: u64) -> Result<u64> {
        let config = weir::config::load(&self.path().join("weir.toml"), Vec::new())?;
        let lake = weir::lake::open(&config, false)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let models = Models::load(&config, Some(&lake), None).await?;
            let select = vec!["+config.materialized:incremental".to_string()];
            let chosen = models.chosen(&Selection { select, ..Selection::default() })?;
            let mut runner = models.runner(&lake);
            runner.part_rows = part_rows;
            let order = models.project.graph().order().unwrap_or_default();
            for model in order.iter().filter(|name| chosen.contains(*name)) {
                let model = &models.project.models[model];
                if model.is_stored() {
                    runner.build(model, &Ask { full, between: None }).await?;
                }
            }
            Ok(runner.counter.reads().files)
        })
    }

    /// Every row of every incremental model of a lake, sorted.
    fn rows(&self, config: &str) -> Result<BTreeMap<String, Vec<String>>> {
        let listed =
            self.weir(&["ls", "--select", "config.materialized:incremental"])?.expect(0)?;
        let mut all = BTreeMap::new();
        for line in listed.stdout.lines() {
            let model: Value = serde_json::from_str(line)?;
            let relation = model["relation"].as_str().context("a model without a relation")?;
            all.insert(
                relation.to_string(),
                self.query(config, &format!("SELECT * FROM {relation}"))?,
            );
        }
        Ok(all)
    }

    /// The rows of a query, sorted.
    fn query(&self, config: &str, sql: &str) -> Result<Vec<String>> {
        let done = lab::done(self.command(config, &["query", sql]).output()?).expect(0)?;
        let mut rows: Vec<String> = done.stdout.lines().map(str::to_string).collect();
        rows.sort_unstable();
        Ok(rows)
    }

    /// The one number of a query.
    fn number(&self, sql: &str) -> Result<i64> {
        let rows = self.query(CONFIG, sql)?;
        let row: Value = serde_json::from_str(rows.first().context("no row")?)?;
        row["n"].as_i64().with_context(|| format!("{sql}: {row}"))
    }

    /// Reads every topic into an empty lake, and builds there; the rows.
    fn replayed(&self) -> Result<BTreeMap<String, Vec<String>>> {
        self.write_config_of_replay()?;
        for arguments in [
            &["seed"][..],
            &["ingest", "--until-latest"],
            &["run", "--select", "+config.materialized:incremental"],
        ] {
            lab::done(self.command(REPLAY, arguments).output()?).expect(0)?;
        }
        self.rows(REPLAY)
    }

    /// Replaces a text in a reference table and loads it.
    fn correct(&self, file: &str, edit: impl Fn(&str) -> String) -> Result<()> {
        let path = self.path().join("ref").join(file);
        let (before, after) =
            (std::fs::read_to_string(&path)?, edit(&std::fs::read_to_string(&path)?));
        ensure!(before != after, "nothing was corrected in {file}");
        std::fs::write(&path, after)?;
        self.weir(&["seed"])?.expect(0).map(drop)
    }
}

/// A folder and all in it, build outputs aside.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let (path, to) = {
            let entry = entry?;
            (entry.path(), to.join(entry.file_name()))
        };
        match path.is_dir() {
            true if path.ends_with("target") || path.ends_with("src") || path.ends_with("fuzz") => {
            }
            true => copy(&path, &to)?,
            false => std::fs::copy(&path, &to).map(drop)?,
        }
    }
    Ok(())
}

/// Rows that only one of both has.
fn differences(left: &[String], right: &[String]) -> Vec<String> {
    let count = |rows: &[String]| {
        let mut counted = BTreeMap::<String, i64>::new();
        rows.iter().for_each(|row| *counted.entry(row.clone()).or_default() += 1);
        counted
    };
    let mut all = count(left);
    for (row, n) in count(right) {
        *all.entry(row).or_default() -= n;
    }
    all.into_iter().filter(|(_, n)| *n != 0).map(|(row, n)| format!("{n:+} {row}")).collect()
}

#[test]
fn increments_leave_the_rows_of_a_full_refresh() -> Result<()> {
    let seed =
        std::env::var("WEIR_INCREMENTS_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(11);
    println!("repeat: WEIR_INCREMENTS_SEED={seed} tests/run --only increments::");
    let flags = "--machines 12 --sites 5 --for 30h --trouble 3 --malformed 0.01 --duplicates 0.01";
    let mut world = World::new(seed, flags)?;
    world.narrow(true)?;
    world.queue(true)?;
    world.write_wrong_model()?;
    world.weir(&["seed"])?.expect(0)?;
    if std::env::var_os("WEIR_TEST_KEEP").is_some() {
        world.folder.disable_cleanup(true);
        println!("kept: {}", world.path().display());
    }
    for step in 0..STEPS {
        world.send(step)?;
        world.weir(&["ingest", "--until-latest"])?.expect(0)?;
        match step {
            // We had paid another price for a product all along.
            1 => world.correct("products.csv", |csv| csv.replacen(",0.88,", ",0.8877,", 1))?,
            // Cash was refused by mistake.
            2 => {
                let sold =
                    "SELECT count(*) AS n FROM raw.vending_sales WHERE payment_method = 'cash'";
                ensure!(world.number(sold)? == 0, "cash was not refused");
                world.narrow(false)?;
                world.weir(&["redrive", "--stream", "vending.sales"])?.expect(0)?;
                ensure!(world.number(sold)? > 0, "nothing was redriven");
            }
            // A machine has stood elsewhere since yesterday evening.
            3 => world.correct("machines.csv", moved)?,
            _ => {}
        }
        if step == STEPS - 2 {
            // What is late by two days has come: several days are made anew, each by itself.
            world.build_in_parts(false, 1)?;
            continue;
        }
        let kills = 1 + world.rng.below(2);
        let done = world.build(kills)?;
        ensure!(
            step == 0 || done.stdout.contains(" of "),
            "no increment in step {step}: {done:#?}"
        );
    }
    let idle = world.build(0)?;
    ensure!(idle.stdout.contains("PASS=0"), "a second build did something: {idle:#?}");
    ensure!(world.killed > 1, "only {} builds were killed", world.killed);
    corrections_are_in_the_marts(&world)?;
    let increments = world.rows(CONFIG)?;
    let verified = world.weir(&["verify"])?.expect(0)?;
    ensure!(verified.stdout.contains("mart.trades_1m"), "{verified:#?}");
    let at_once = world.build_in_parts(true, u64::MAX)?;
    let whole = world.rows(CONFIG)?;
    let by_day = world.build_in_parts(true, 1)?;
    ensure!(by_day > at_once, "{by_day} files were opened in parts, {at_once} at once");
    let in_parts = world.rows(CONFIG)?;
    let replayed = world.replayed()?;
    ensure!(increments.len() == whole.len() && whole.len() >= 15, "{} models", whole.len());
    for (relation, rows) in &whole {
        let found = differences(&increments[relation], rows);
        println!("{relation}: {} rows, {} differences", rows.len(), found.len());
        if relation == "mart.forgets_yesterday" {
            ensure!(!found.is_empty(), "the comparison does not see a wrong model");
            continue;
        }
        ensure!(!rows.is_empty(), "{relation} has no rows: nothing was compared");
        let parts = differences(&in_parts[relation], rows);
        ensure!(parts.is_empty(), "{relation}: + of a refresh in parts\n{}", parts.join("\n"));
        let again = differences(&replayed[relation], rows);
        ensure!(again.is_empty(), "{relation}: + of a replay, - of the lake\n{}", again.join("\n"));
        let shown = found.iter().take(10).cloned().collect::<Vec<_>>().join("\n");
        ensure!(found.is_empty(), "{relation}: + of increments, - of the full refresh\n{shown}");
    }
    Ok(())
}

/// What was corrected backwards is in the rows that increments left.
fn corrections_are_in_the_marts(world: &World) -> Result<()> {
    let machines = std::fs::read_to_string(world.path().join("ref/machines.csv"))?;
    let moved =
        machines.lines().nth(1).and_then(|row| row.split(',').next()).context("a machine")?;
    for (what, least, sql) in [
        ("price", 1, "SELECT count(*) AS n FROM mart.fct_vends WHERE unit_cost = 0.8877".into()),
        (
            "cash",
            1,
            "SELECT count(*) AS n FROM mart.fct_vends WHERE payment_method = 'cash'".into(),
        ),
        (
            "the place",
            2,
            format!(
                "SELECT count(DISTINCT site_id) AS n FROM mart.machine_health_hourly WHERE machine_id = '{moved}'"
            ),
        ),
    ] {
        let found = world.number(&sql)?;
        ensure!(found >= least, "{what}: {sql} gives {found}");
    }
    Ok(())
}

#[test]
fn every_plan_can_be_sent_to_other_processes() -> Result<()> {
    let mut world = World::new(7, "--machines 12 --sites 5 --for 16h --trouble 6")?;
    world.queue(false)?;
    world.send_some(|_, queue, _| queue.len())?;
    world.weir(&["ingest", "--until-latest"])?.expect(0)?;
    let built = world.weir(&["--output", "human", "run", "--threads", "3"])?.expect(0)?;
    ensure!(built.stdout.contains("ERROR=0 SKIP=0"), "{built:#?}");
    // What the descriptions promise holds of every model's rows.
    let tested = world.weir(&["--output", "human", "test", "--data"])?.expect(0)?;
    ensure!(tested.stdout.contains("WARN=0 ERROR=0 SKIP=0"), "{tested:#?}");
    // Unoptimised, DataFusion's reading of plans takes a deep stack.
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(STACK);
        let work = || plans_survive(world.path());
        builder.spawn_scoped(scope, work)?.join().map_err(|_| anyhow::anyhow!("a panic"))?
    })
}

/// Every model's plan gives the same rows after it was bytes of DataFusion's protobuf.
pub fn plans_survive(folder: &Path) -> Result<()> {
    let config = weir::config::load(&folder.join("weir.toml"), Vec::new())?;
    let lake = weir::lake::open(&config, false)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let models = Models::load(&config, Some(&lake), None).await?;
        let engine = models.runner(&lake).engine().await?;
        let (mut empty, mut broken) = (Vec::new(), Vec::new());
        for (name, compiled) in &models.compiled {
            ensure!(engine.unportable(&compiled.sql).await?.is_empty(), "{name} is not portable");
            let frame = engine.frame(&compiled.sql).await?;
            let task = Arc::new(frame.task_ctx());
            let plan = frame.create_physical_plan().await?;
            let back = physical_plan_to_bytes(plan.clone())
                .and_then(|bytes| physical_plan_from_bytes(&bytes, &task));
            let back = match back {
                Ok(back) => back,
                Err(error) => {
                    let text = error.to_string();
                    broken.push(format!("{name}: {}", text.rsplit(": ").next().unwrap_or(&text)));
                    continue;
                }
            };
            let before = rows_of(collect(plan, task.clone()).await?)?;
            let after = rows_of(collect(back, task).await?)?;
            if before != after {
                broken.push(format!("{name}: {:?}", differences(&before, &after)));
            }
            if before.is_empty() {
                empty.push(name);
            }
        }
        ensure!(broken.is_empty(), "{}", broken.join("\n"));
        println!("{} plans survive, of which {} give no rows", models.compiled.len(), empty.len());
        ensure!(3 * empty.len() < models.compiled.len(), "without rows: {empty:?}");
        Ok(())
    })
}

fn rows_of(batches: Vec<RecordBatch>) -> Result<Vec<String>> {
    let text = pretty_format_batches(&batches)?.to_string();
    let mut rows: Vec<String> = text.lines().skip(3).map(str::to_string).collect();
    rows.sort_unstable();
    Ok(rows)
}

/// The first machine of the file at the site of the last, from a time within the events on.
fn moved(csv: &str) -> String {
    let lines: Vec<&str> = csv.lines().collect();
    let (Some(first), Some(last)) = (lines.get(1), lines.last()) else { return csv.to_string() };
    let mut row: Vec<&str> = first.split(',').collect();
    let from = last.split(',').nth(12).unwrap_or_default();
    row[12] = from;
    let end = row.len();
    row[end - 2] = "2026-03-03T19:30:00Z";
    format!("{csv}{}\n", row.join(","))
}
