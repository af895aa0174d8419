//! The parts of ingest, each alone: draining Kafka, decoding, writing Parquet.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::ValueEnum;
use weir_catalog::{Lake, LakeOptions};
use weir_contract::contract::{self, Contract};
use weir_contract::decode::{Chunk, Decoder, Record};
use weir_contract::names::TableName;
use weir_ingest::kafka::{KafkaSettings, KafkaSource};
use weir_ingest::source::{Event, Records, Source};
use weir_tests::sample;

use crate::usage::{Meter, Usage};

/// Distinct events of the parts that need no Kafka.
const DISTINCT: u64 = 300_000;
/// Rows of a chunk and of a file, as in ingest.
const CHUNK_ROWS: usize = 8_192;
const FILE_ROWS: usize = 150_000;

#[derive(clap::Args)]
pub struct Args {
    /// Which part.
    #[arg(value_enum)]
    part: Part,
    /// How many records.
    #[arg(long)]
    records: u64,
    /// The broker, for draining.
    #[arg(long, default_value = "")]
    bootstrap: String,
    /// The topic, for draining.
    #[arg(long, default_value = "")]
    topic: String,
}

/// A part of ingest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Fetch the records and throw them away.
    Drain,
    /// Decode events from memory.
    Decode,
    /// Encode decoded chunks as Parquet, in memory.
    Parquet,
}

pub fn run(args: &Args) -> Result<()> {
    let usage = match args.part {
        Part::Drain => drain(args)?,
        Part::Decode => decode(args.records)?,
        Part::Parquet => parquet(args.records)?,
    };
    println!("{}", serde_json::to_string(&usage)?);
    Ok(())
}

fn drain(args: &Args) -> Result<Usage> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut source = KafkaSource::open(KafkaSettings {
            bootstrap: args.bootstrap.clone(),
            topic: args.topic.clone(),
            group: format!("weir-bench-drain-{}", std::process::id()),
            instance: None,
            memory: 40 << 20,
            properties: Default::default(),
        })?;
        source.identity().await?;
        let meter = Meter::start()?;
        let mut records = 0;
        while records < args.records {
            match source.next(Duration::from_millis(50), true).await? {
                Event::Records(batch) => {
                    batch.for_each(&mut |record| {
                        black_box(record.value);
                    });
                    records += batch.len() as u64;
                }
                Event::Assigned(partitions) => {
                    let starts: Vec<_> = partitions.into_iter().map(|p| (p, 0)).collect();
                    source.start(&starts).await?;
                }
                _ => {}
            }
        }
        meter.stop(records)
    })
}

fn health() -> Result<Arc<Contract>> {
    let text = include_str!("../../contracts/vending.health.yaml");
    match contract::parse("vending.health.yaml", text) {
        Ok(contract) => Ok(Arc::new(contract)),
        Err(mistakes) => bail!("contracts/vending.health.yaml is broken: {mistakes:?}"),
    }
}

fn events() -> Vec<Vec<u8>> {
    let mut rng = sample::Rng::new(1);
    (0..DISTINCT).map(|i| sample::heartbeat(i, &mut rng, 1_780_000_000_000 + i as i64)).collect()
}

fn push(decoder: &mut Decoder, offset: u64, value: &[u8]) {
    decoder.push(&Record {
        partition: (offset % 8) as i32,
        offset: offset as i64,
        timestamp_ms: Some(1_780_000_000_000 + (offset % DISTINCT) as i64),
        key: None,
        value: Some(value),
        headers: &[],
    });
}

fn decode(records: u64) -> Result<Usage> {
    let events = events();
    let mut decoder = Decoder::new(health()?, "bench");
    let meter = Meter::start()?;
    for offset in 0..records {
        push(&mut decoder, offset, &events[(offset % DISTINCT) as usize]);
        if decoder.rows() == CHUNK_ROWS {
            black_box(decoder.finish(0));
        }
    }
    black_box(decoder.finish(0));
    meter.stop(records)
}

fn parquet(records: u64) -> Result<Usage> {
    let mut decoder = Decoder::new(health()?, "bench");
    let mut chunks: Vec<Chunk> = Vec::new();
    for (offset, value) in events().iter().enumerate() {
        push(&mut decoder, offset as u64, value);
        if decoder.rows() == CHUNK_ROWS {
            chunks.push(decoder.finish(0));
        }
    }
    if let Some(bad) = chunks.iter().find(|chunk| chunk.rejected > 0) {
        bail!("{} sample events were rejected", bad.rejected);
    }
    let folder = tempfile::tempdir()?;
    let options = LakeOptions::default();
    let lake = Lake::open_local(
        &folder.path().join("lake"),
        &folder.path().join("c.db"),
        "weir",
        options,
    )?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let table = TableName::raw("vending.health");
    let contract = health()?;
    let schema = runtime.block_on(lake.ensure_raw(&contract, &table))?.schema()?;
    let meter = Meter::start()?;
    let mut written = 0u64;
    'files: loop {
        let mut encoder = lake.format.encoder(&schema, Some(20_600))?;
        let mut rows = 0;
        for chunk in chunks.iter().cycle() {
            encoder.write(&chunk.batch)?;
            rows += chunk.batch.num_rows();
            written += chunk.batch.num_rows() as u64;
            if written >= records {
                black_box(encoder.finish()?);
                break 'files;
            }
            if rows >= FILE_ROWS {
                black_box(encoder.finish()?);
                break;
            }
        }
    }
    meter.stop(written)
}
