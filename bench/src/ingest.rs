//! The whole of ingest on a real Kafka, beside the parts of it, in one run.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir_tests::load::{self, Load};
use weir_tests::sample::Stream;
use weir_tests::stack::Kafka;

use crate::parts::Part;
use crate::usage::Usage;

#[derive(clap::Args)]
pub struct Args {
    /// Events in each topic.
    #[arg(long, default_value_t = 6_000_000)]
    records: u64,
    /// Partitions, one topic for each number.
    #[arg(long, default_value = "8", value_delimiter = ',')]
    partitions: Vec<i32>,
    /// Runs of each; the median is reported.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// The binary to measure; by default the one beside this program.
    #[arg(long)]
    weir: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<()> {
    let weir = match &args.weir {
        Some(weir) => weir.clone(),
        None => std::env::current_exe()?.with_file_name("weir"),
    };
    ensure!(weir.exists(), "{} is not there: cargo build --release --workspace", weir.display());
    let kafka = Kafka::start()?;
    let client = kafka.client()?;
    for partitions in &args.partitions {
        let topic = format!("bench-{partitions}");
        client.create_topic(&topic, *partitions, &[])?;
        let plan = Load {
            stream: Stream::Health,
            records: args.records,
            seed: 1,
            bad: 0.0,
            until_ms: chrono::Utc::now().timestamp_millis(),
            span_ms: 3_600_000,
        };
        let loaded = load::run(&client.producer()?, &topic, *partitions as usize, &plan)?;
        println!(
            "\n{} events of {} bytes on average, lz4, {partitions} partitions",
            loaded.records,
            loaded.bytes / loaded.records
        );
        measure(args, &weir, kafka.bootstrap(), &topic)?;
    }
    Ok(())
}

fn measure(args: &Args, weir: &Path, bootstrap: &str, topic: &str) -> Result<()> {
    println!("| what | CPU-s per million | events/s | peak RSS MiB | until first fetch |");
    println!("| --- | --- | --- | --- | --- |");
    let mut sum = 0.0;
    for part in [Part::Drain, Part::Decode, Part::Parquet] {
        let usage = median(args.runs, || part_alone(part, args.records, bootstrap, topic))?;
        sum += usage.cpu_per_million();
        line(&format!("{part:?} alone").to_lowercase(), &usage, "");
    }
    let mut first_fetch_ms = Vec::new();
    let usage = median(args.runs, || {
        let (usage, first_ms) = ingest(weir, args.records, bootstrap, topic)?;
        first_fetch_ms.push(first_ms);
        Ok(usage)
    })?;
    first_fetch_ms.sort_unstable();
    let first = format!("{:.2} s", first_fetch_ms[first_fetch_ms.len() / 2] as f64 / 1e3);
    line("weir ingest --until-latest", &usage, &first);
    let total = usage.cpu_per_million();
    println!("\nsum of the parts {sum:.2}; ingest {total:.2}, {:.2} times the sum", total / sum);
    Ok(())
}

fn line(what: &str, usage: &Usage, first: &str) {
    println!(
        "| {what} | {:.2} | {:.0} | {:.0} | {first} |",
        usage.cpu_per_million(),
        usage.per_second(),
        usage.rss_mib
    );
}

fn median(runs: usize, mut one: impl FnMut() -> Result<Usage>) -> Result<Usage> {
    let mut all = (0..runs.max(1)).map(|_| one()).collect::<Result<Vec<_>>>()?;
    all.sort_by(|a, b| a.cpu.total_cmp(&b.cpu));
    Ok(all[all.len() / 2])
}

fn part_alone(part: Part, records: u64, bootstrap: &str, topic: &str) -> Result<Usage> {
    let part = format!("{part:?}").to_lowercase();
    let output = Command::new(std::env::current_exe()?)
        .args(["part", &part, "--records", &records.to_string()])
        .args(["--bootstrap", bootstrap, "--topic", topic])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.trim())
        .with_context(|| format!("part {part} failed: {}", String::from_utf8_lossy(&output.stderr)))
}

/// One run of the binary into a fresh lake: what it used, and ms until the first records.
fn ingest(weir: &Path, records: u64, bootstrap: &str, topic: &str) -> Result<(Usage, i64)> {
    let folder = tempfile::tempdir()?;
    let contract = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contracts/vending.health.yaml");
    let config = folder.path().join("weir.toml");
    let text = format!(
        "warehouse = \"lake\"\n[catalog]\nuri = \"sqlite:///{}/catalog.db\"\n[kafka]\n\
         bootstrap_servers = \"{bootstrap}\"\ngroup_prefix = \"bench-{}\"\n\
         [streams.\"vending.health\"]\ntopic = \"{topic}\"\ncontract = \"{}\"\n",
        folder.path().display(),
        std::process::id(),
        contract.display()
    );
    std::fs::write(&config, text)?;
    let output = Command::new(weir)
        .args(["--log-format", "json", "--result-json", "--config"])
        .arg(&config)
        .args(["ingest", "--until-latest"])
        .output()?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let last = stdout.lines().last().unwrap_or_default();
    let result: Value = serde_json::from_str(last).with_context(|| {
        format!("weir ingest failed: {}", String::from_utf8_lossy(&output.stderr))
    })?;
    let stream = &result["streams"]["vending.health"];
    let rows = stream["rows"].as_u64().unwrap_or_default();
    ensure!(rows == records, "weir ingest took {rows} of {records} records: {last}");
    let process = &result["process"];
    let usage = Usage {
        cpu: process["cpu_seconds"].as_f64().context("no cpu_seconds in the result")?,
        wall: process["wall_seconds"].as_f64().context("no wall_seconds in the result")?,
        rss_mib: process["peak_rss_bytes"].as_f64().context("no peak_rss_bytes")? / 1048576.0,
        records,
    };
    Ok((usage, stream["first_fetch_ms"].as_i64().context("no first_fetch_ms")?))
}
