//! The memory budget: many partitions, large records, slow storage.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
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

/// Fills the lab's topic: `small` heartbeats to each partition, and `larges` large ones in turn.
fn fill(lab: &mut Lab, partitions: i32, small: u64, larges: i32) -> Result<i64> {
    let producer = lab.client()?.producer()?;
    let now_ms = chrono::Utc::now().timestamp_millis();
    let mut rng = Rng::new(11);
    for i in 0..larges {
        let value = large(&mut rng, now_ms);
        let message = Message {
            partition: Some(i * 37 % partitions),
            value: Some(&value),
            timestamp_ms: Some(now_ms),
            ..Message::default()
        };
        producer.send(&lab.topic, &message)?;
    }
    for partition in 0..partitions {
        for _ in 0..small {
            let value = heartbeat(0, &mut rng, now_ms);
            let message = Message {
                partition: Some(partition),
                value: Some(&value),
                timestamp_ms: Some(now_ms),
                ..Message::default()
            };
            producer.send(&lab.topic, &message)?;
        }
    }
    producer.flush()?;
    Ok(i64::from(larges) + i64::from(partitions) * small as i64)
}

#[test]
fn a_thousand_partitions_and_large_records_stay_in_the_budget() -> Result<()> {
    const MEMORY: usize = 64 * MIB;
    let mut lab = Lab::on(Kafka::shared(), "memory", 1024, &LARGE)?;
    take_large_records(&lab, "[ingest]\nmemory_max = \"64MiB\"\nflush.bytes_max = \"32MiB\"\n")?;
    // Three times the budget.
    let sent = fill(&mut lab, 1024, 3, 192)?;
    let result = lab.ingest(&[])?;
    let peak = result["memory_peak"].as_u64().unwrap_or(0) as usize;
    ensure!(peak <= MEMORY, "{peak} bytes at a time, {MEMORY} are allowed: {result}");
    ensure!(peak > MEMORY / 4, "{peak}: nothing was counted");
    ensure!(result["rows"] == sent && result["complete"] == true, "{result}");
    holds(&lab, sent)
}

/// A disk whose writes take long.
#[derive(Debug, Default)]
struct SlowDisk {
    written: AtomicU64,
}

/// What the disk manages in a second.
const BYTES_PER_SECOND: u64 = 12 << 20;
/// What each sync takes on top.
const SYNC: Duration = Duration::from_millis(40);

impl Disk for SlowDisk {
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
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
fn slow_lake(lab: &Lab, disk: Arc<SlowDisk>) -> Result<Lake> {
    let (warehouse, catalog) = (lab.path().join("lake"), lab.path().join("catalog.db"));
    let mut lake = Lake::open_local(&warehouse, &catalog, "weir", LakeOptions::default())?;
    lake.store = Arc::new(SyncedStore::new(disk, &lake.warehouse));
    lake.io = storage::file_io(lake.store.clone());
    let pointer = SqlitePointer::open(&catalog, "weir", true)?;
    lake.backend = Arc::new(PointerBackend::new(pointer, lake.io.clone(), lake.env.clone()));
    Ok(lake)
}

/// The loop of the binary, in this process.
fn run(lab: &Lab, lake: Lake, memory: usize) -> Result<Report> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let text = std::fs::read_to_string(lab.path().join("large.yaml"))?;
    let contract = weir_contract::contract::parse("large.yaml", &text);
    let Ok(contract) = contract else { anyhow::bail!("{contract:?}") };
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
    let mut lab = Lab::on(Kafka::shared(), "memory-slow", 4, &LARGE)?;
    take_large_records(&lab, "")?;
    let sent = fill(&mut lab, 4, 5_000, 48)?;
    let disk = Arc::new(SlowDisk::default());
    let report = run(&lab, slow_lake(&lab, disk.clone())?, MEMORY)?;
    let peak = report.memory_peak;
    ensure!(peak <= MEMORY, "{peak} bytes at a time, {MEMORY} are allowed: {report:?}");
    // More went through the disk than there was room for: reading had to wait for it.
    let written = disk.written.load(Ordering::Relaxed) as usize;
    ensure!(written > MEMORY && peak > MEMORY / 2, "{written}, {report:?}");
    ensure!((report.rows + report.rejected) as i64 == sent, "{report:?}");
    holds(&lab, sent)
}
