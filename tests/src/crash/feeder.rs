//! The producer of the crash suite, and its own list of what the broker acknowledged: good and bad
//! records, plain and in transactions that commit or abort, and a topic that the broker compacts.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use chrono::Utc;

use super::process::lock;
use crate::sample::{self, CLASSES, Rng, Stream};
use crate::stack::{Delivered, Kafka, Message, Producer};

/// A topic of the suite: its name, which is its stream's, and its partitions.
pub type Topic = (&'static str, i32);

/// Plain records, and transactions that commit or abort.
pub const TRANSACTIONS: Topic = ("vending.health", 6);
/// Records of few keys, compacted all the time.
pub const COMPACTED: Topic = ("vending.sales", 2);
/// Keys of the compacted topic.
const KEYS: u64 = 40;

/// What becomes of a record that the broker acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    /// It must be accepted, else rejected.
    pub accepted: bool,
    /// It must be there; the broker may have compacted it away otherwise.
    pub required: bool,
}

/// Partition and offset → what must become of it.
pub type List = BTreeMap<(i32, i64), Fate>;

/// What was fed, by topic.
#[derive(Debug, Default)]
pub struct Fed {
    /// Of [`TRANSACTIONS`].
    pub transactions: List,
    /// Of [`COMPACTED`].
    pub compacted: List,
}

/// Creates the topics.
pub fn create_topics(kafka: &Kafka) -> Result<()> {
    let client = kafka.client()?;
    client.create_topic(TRANSACTIONS.0, TRANSACTIONS.1, &[])?;
    let compaction = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "1000"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("min.compaction.lag.ms", "0"),
        ("delete.retention.ms", "100"),
    ];
    client.create_topic(COMPACTED.0, COMPACTED.1, &compaction)
}

/// Feeds the topics until it is told to stop.
pub struct Feeder {
    stop: Arc<AtomicBool>,
    /// Held while the broker is away: transactions do not outlive it.
    pub pause: Arc<Mutex<()>>,
    thread: JoinHandle<Result<Fed>>,
}

impl Feeder {
    /// Starts feeding.
    pub fn start(kafka: &Kafka, seed: u64) -> Result<Feeder> {
        let (stop, pause) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(())));
        let feed = Feed {
            plain: Line::new(Producer::tracking(kafka.bootstrap())?),
            transactions: Line::new(transactions(kafka)?),
            compacted: Line::new(Producer::tracking(kafka.bootstrap())?),
            rng: Rng::new(seed),
            sent: 0,
            fed: Fed::default(),
        };
        let (stopped, paused) = (stop.clone(), pause.clone());
        let thread = std::thread::spawn(move || feed.run(&stopped, &paused));
        Ok(Feeder { stop, pause, thread })
    }

    /// Stops; everything that was acknowledged and is visible to read_committed.
    pub fn finish(self) -> Result<Fed> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(fed) => fed,
            Err(_) => anyhow::bail!("the feeder panicked"),
        }
    }
}

/// A producer of the feeder's transactional id. Making one ends whatever transaction of that id the
/// broker still holds open.
pub fn transactions(kafka: &Kafka) -> Result<Producer> {
    Producer::transactional(kafka.bootstrap(), "weir-crash-feeder")
}

/// A producer and what it sent.
struct Line {
    producer: Producer,
    /// By tag.
    sent: Vec<Sent>,
}

#[derive(Clone, Copy)]
struct Sent {
    good: bool,
    key: Option<u64>,
    /// Without a value: compaction may take the tombstone too.
    tombstone: bool,
}

impl Line {
    fn new(producer: Producer) -> Line {
        Line { producer, sent: Vec::new() }
    }
}

struct Feed {
    plain: Line,
    transactions: Line,
    compacted: Line,
    rng: Rng,
    sent: u64,
    fed: Fed,
}

impl Feed {
    fn run(mut self, stop: &AtomicBool, pause: &Mutex<()>) -> Result<Fed> {
        let mut round = 0u64;
        let mut keys = BTreeMap::new();
        while !stop.load(Ordering::Relaxed) {
            round += 1;
            {
                let _held = lock(pause);
                if round.is_multiple_of(10) {
                    self.transaction(round.is_multiple_of(20)).context("in a transaction")?;
                }
            }
            for _ in 0..20 + self.rng.below(100) {
                send(&mut self.plain, TRANSACTIONS, None, &mut self.sent, &mut self.rng)?;
            }
            for _ in 0..self.rng.below(20) {
                let key = Some(self.rng.below(KEYS));
                send(&mut self.compacted, COMPACTED, key, &mut self.sent, &mut self.rng)?;
            }
            std::thread::sleep(Duration::from_millis(40));
            self.note(&mut keys);
        }
        self.plain.producer.flush()?;
        self.compacted.producer.flush()?;
        self.note(&mut keys);
        for (record, tombstone) in keys.into_values() {
            if let Some(fate) = self.fed.compacted.get_mut(&record) {
                fate.required = !tombstone;
            }
        }
        Ok(self.fed)
    }

    /// Takes what was acknowledged into the list. `keys` holds the last record of each key, the one
    /// that compaction must leave, and whether it is a tombstone.
    fn note(&mut self, keys: &mut BTreeMap<u64, ((i32, i64), bool)>) {
        acknowledged(&self.plain, &mut self.fed.transactions);
        for Delivered { partition, offset, tag } in self.compacted.producer.delivered() {
            let Sent { good, key, tombstone } = self.compacted.sent[tag];
            let record = (partition, offset);
            self.fed.compacted.insert(record, Fate { accepted: good, required: false });
            let Some(key) = key else { continue };
            let last = keys.entry(key).or_insert((record, tombstone));
            *last = (*last).max((record, tombstone));
        }
    }

    fn transaction(&mut self, commit: bool) -> Result<()> {
        self.transactions.producer.begin()?;
        for _ in 0..30 {
            send(&mut self.transactions, TRANSACTIONS, None, &mut self.sent, &mut self.rng)?;
        }
        if commit {
            self.transactions.producer.commit()?;
            acknowledged(&self.transactions, &mut self.fed.transactions);
        } else {
            self.transactions.producer.abort()?;
            self.transactions.producer.delivered();
        }
        Ok(())
    }
}

fn acknowledged(line: &Line, list: &mut List) {
    for Delivered { partition, offset, tag } in line.producer.delivered() {
        let fate = Fate { accepted: line.sent[tag].good, required: true };
        list.insert((partition, offset), fate);
    }
}

/// Sends one event, each twentieth or so broken; with a key, its partition follows from it.
fn send(
    line: &mut Line,
    topic: Topic,
    key: Option<u64>,
    sent: &mut u64,
    rng: &mut Rng,
) -> Result<()> {
    let now_ms = Utc::now().timestamp_millis();
    let i = *sent;
    *sent += 1;
    let stream = Stream::by_name(topic.0).context("a topic without sample events")?;
    let bad = rng.below(20) == 0;
    let value = if bad {
        sample::bad(stream, CLASSES[(i % CLASSES.len() as u64) as usize], i, rng, now_ms)
    } else {
        let mut value = Vec::with_capacity(640);
        stream.write(&mut value, i, rng, now_ms);
        Some(value)
    };
    let partition = key.unwrap_or_else(|| rng.below(topic.1 as u64)) % topic.1 as u64;
    let name = key.map(sample::key);
    let message = Message {
        partition: Some(partition as i32),
        key: name.as_ref().map(|name| &name[..]),
        value: value.as_deref(),
        timestamp_ms: Some(now_ms),
        tag: line.sent.len(),
        ..Message::default()
    };
    line.sent.push(Sent { good: !bad, key, tombstone: value.is_none() });
    line.producer.send(topic.0, &message)
}

/// Writes a list as CSV, `partition,offset,accepted,required`, for readers in other languages.
pub fn write_csv(list: &List, path: &Path) -> Result<()> {
    let mut text = String::from("partition,offset,accepted,required\n");
    for ((partition, offset), Fate { accepted, required }) in list {
        text += &format!("{partition},{offset},{accepted},{required}\n");
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
