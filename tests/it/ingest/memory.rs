//! The memory budget: many partitions, large records, slow storage.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use weir_catalog::backend::{PointerBackend, SqlitePointer};
use weir_catalog::storage::{self, Disk, Entry, LocalDisk, Stat, SyncedStore};
use weir_catalog::{Lake, LakeOptions};
use weir_contract::names::TableName;
use weir_ingest::event::IngestEvent;
use weir_ingest::flush::FlushLimits;
use weir_ingest::kafka::{KafkaSettings, KafkaSource};
use weir_ingest::source::Source;
use weir_ingest::stream::{Report, Settings, Stream, Until};
use weir_tests::lab::{Lab, STREAM, repository};
use weir_tests::sample::{Rng, heartbeat};
use weir_tests::stack::{Kafka, Message};

use super::holds;

const MIB: usize = 1 << 20;
/// Large enough for records of a MiB, at the topic and in the contract.
const LARGE: [(&str, &str); 1] = [("max.message.bytes", "2000000")];

/// Writes a contract that takes records of a MiB, and a config that uses it.
fn take_large_records(lab: &Lab, more: &str) -> Result<()> {
    let contract = repository().join("contracts/vending.health.yaml");
    let text = std::fs::read_to_string(contract)?;
    let large = text
        .replace("weir.valueBytesMax, value: 64KiB", "weir.valueBytesMax, value: 2MiB")
        .replace("weir.extraBytesMax, value: 16KiB", "weir.extraBytesMax, value: 1MiB");
    ensure!(large != text, "the contract has other limits than this test knows");
    let path = lab.path().join("large.yaml");
    std::fs::write(&path, large)?;
    lab.write_config(more)?;
    let config = std::fs::read_to_string(lab.config())?;
    let from = repository().join("contracts/vending.health.yaml");
    let config = config.replace(&from.display().to_string(), &path.display().to_string());
    Ok(std::fs::write(lab.config(), config)?)
}

/// A heartbeat of almost a MiB: an unknown member that does not compress.
fn large(rng: &mut Rng, now_ms: i64) -> Vec<u8> {
    let mut value = heartbeat(0, rng, now_ms);
    value.pop();
    value.extend_from_slice(b",\"blob\":\"");
    while value.len() < MIB - 64 {
        value.extend_from_slice(format!("{:016x}", rng.next()).as_bytes());
    }
    value.extend_from_slice(b"\"}");
    value
}

/// Fills each `nth` partition of the lab's topic: `small` heartbeats to each, and `larges` large ones
/// in turn. Returns how many records Kafka then says that it holds.
fn fill(lab: &Lab, partitions: i32, nth: usize, small: u64, larges: usize) -> Result<i64> {
    let producer = lab.client()?.producer()?;
    let now_ms = chrono::Utc::now().timestamp_millis();
    let mut rng = Rng::new(11);
    let filled: Vec<i32> = (0..partitions).step_by(nth).collect();
    for i in 0..larges {
        let value = large(&mut rng, now_ms);
        let message = Message {
            partition: Some(filled[i * 37 % filled.len()]),
            value: Some(&value),
            timestamp_ms: Some(now_ms),
            ..Message::default()
        };
        producer.send(&lab.topic, &message)?;
    }
    for partition in &filled {
        for _ in 0..small {
            let value = heartbeat(0, &mut rng, now_ms);
            let message = Message {
                partition: Some(*partition),
                value: Some(&value),
                timestamp_ms: Some(now_ms),
                ..Message::default()
            };
            producer.send(&lab.topic, &message)?;
        }
    }
    producer.flush()?;
    let ends = lab.client()?.watermarks(&lab.topic)?;
    let held: i64 = ends.iter().map(|(low, high)| high - low).sum();
    let sent = filled.len() * small as usize;
    println!("{held} records are in Kafka, {} were sent", sent + larges);
    ensure!(held > sent as i64, "the broker has {held} records of {}", sent + larges);
    Ok(held)
}

#[test]
fn a_thousand_partitions_and_large_records_stay_in_the_budget() -> Result<()> {
    const MEMORY: usize = 48 * MIB;
    let lab = Lab::on(Kafka::shared(), "memory", 1024, &LARGE)?;
    take_large_records(&lab, "[ingest]\nmemory_max = \"48MiB\"\nflush.bytes_max = \"24MiB\"\n")?;
    // Twice the budget. Each fourth partition has records, and all are read: the first record of a
    // partition costs the broker more than all the rest.
    let held = fill(&lab, 1024, 4, 12, 96)?;
    let result = lab.ingest(&[])?;
    let peak = result["memory_peak"].as_u64().unwrap_or(0) as usize;
    ensure!(peak <= MEMORY, "{peak} bytes at a time, {MEMORY} are allowed: {result}");
    ensure!(peak > MEMORY / 4, "{peak}: nothing was counted");
    ensure!(result["rows"] == held && result["complete"] == true, "{held} are in Kafka: {result}");
    holds(&lab, held)
}

/// A disk whose writes take long.
#[derive(Debug)]
struct SlowDisk;

/// What the disk manages in a second.
const BYTES_PER_SECOND: u64 = 6 << 20;
/// What each sync takes on top.
const SYNC: Duration = Duration::from_millis(40);

impl Disk for SlowDisk {
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        std::thread::sleep(Duration::from_micros(
            bytes.len() as u64 * 1_000_000 / BYTES_PER_SECOND,
        ));
        LocalDisk.write(path, bytes)
    }
    fn fsync(&self, path: &Path) -> io::Result<()> {
        std::thread::sleep(SYNC);
        LocalDisk.fsync(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        LocalDisk.rename(from, to)
    }
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        LocalDisk.rename_new(from, to)
    }
    fn fsync_dir(&self, path: &Path) -> io::Result<()> {
        LocalDisk.fsync_dir(path)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        LocalDisk.create_dir(path)
    }
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        LocalDisk.read(path)
    }
    fn read_range(&self, path: &Path, range: Range<u64>) -> io::Result<Vec<u8>> {
        LocalDisk.read_range(path, range)
    }
    fn stat(&self, path: &Path) -> io::Result<Stat> {
        LocalDisk.stat(path)
    }
    fn delete(&self, path: &Path) -> io::Result<()> {
        LocalDisk.delete(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        LocalDisk.list(path)
    }
}

/// The lab's lake on a slow disk.
fn slow_lake(lab: &Lab) -> Result<Lake> {
    let (warehouse, catalog) = (lab.path().join("lake"), lab.path().join("catalog.db"));
    let mut lake = Lake::open_local(&warehouse, &catalog, "weir", LakeOptions::default())?;
    lake.store = Arc::new(SyncedStore::new(Arc::new(SlowDisk), lake.warehouse.to_string()));
    lake.io = storage::file_io(lake.store.clone(), lake.warehouse.clone());
    let pointer = SqlitePointer::open(&catalog, "weir", true)?;
    lake.backend = Arc::new(PointerBackend::new(pointer, lake.io.clone(), lake.env.clone()));
    Ok(lake)
}

/// The loop of the binary, in this process.
fn run(lab: &Lab, lake: Lake, memory: usize) -> Result<Report> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let text = std::fs::read_to_string(lab.path().join("large.yaml"))?;
    let contract = weir_contract::contract::parse("large.yaml", &text);
    let Ok(contract) = contract else { bail!("{contract:?}") };
    let settings = Settings {
        flush: FlushLimits { bytes_max: memory / 2, ..FlushLimits::default() },
        memory_max: memory,
        source_memory: memory / 4,
        until: Until::Latest,
        ..Settings::default()
    };
    let mut source = KafkaSource::open(KafkaSettings {
        bootstrap: lab.kafka.bootstrap().into(),
        topic: lab.topic.clone(),
        group: lab.topic.clone(),
        instance: None,
        memory: settings.source_memory,
        properties: Default::default(),
    })?;
    let mut listen = |_: &IngestEvent| {};
    runtime.block_on(async {
        let stream = Stream {
            lake: Arc::new(lake),
            source: &mut source,
            contract: Arc::new(contract),
            news: None,
            table: TableName::raw(STREAM),
            settings,
            spawn: Arc::new(|work| {
                let task = tokio::spawn(work);
                Box::pin(async move {
                    task.await
                        .unwrap_or_else(|e| Err(weir_catalog::CatalogError::bug(e.to_string())))
                })
            }),
            shutdown: Arc::default(),
            listen: &mut listen,
        };
        let (report, result) = stream.run().await;
        source.close().await;
        result?;
        Ok(report)
    })
}

#[test]
fn slow_storage_holds_reading_back() -> Result<()> {
    const MEMORY: usize = 32 * MIB;
    let lab = Lab::on(Kafka::shared(), "memory-slow", 4, &LARGE)?;
    take_large_records(&lab, "")?;
    let held = fill(&lab, 4, 1, 5_000, 40)?;
    let report = run(&lab, slow_lake(&lab)?, MEMORY)?;
    let peak = report.memory_peak;
    ensure!(peak <= MEMORY, "{peak} bytes at a time, {MEMORY} are allowed: {report:?}");
    // There was more than there is room for, and the room was used: reading had to wait for the disk.
    ensure!(report.bytes as usize > MEMORY && peak > MEMORY / 2, "{report:?}");
    ensure!((report.rows + report.rejected) as i64 == held, "{report:?}");
    holds(&lab, held)
}
