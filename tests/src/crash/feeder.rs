//! The producer of the crash suite, and its own list of what the broker acknowledged: good and bad
//! records, plain and in transactions that commit or abort.

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

/// Partition and offset → whether the record must be accepted.
pub type List = BTreeMap<(i32, i64), bool>;

/// Feeds one topic until it is told to stop.
pub struct Feeder {
    stop: Arc<AtomicBool>,
    /// Held while the broker is away: transactions do not outlive it.
    pub pause: Arc<Mutex<()>>,
    thread: JoinHandle<Result<List>>,
}

impl Feeder {
    /// Starts feeding `topic`.
    pub fn start(kafka: &Kafka, topic: &str, partitions: i32, seed: u64) -> Result<Feeder> {
        let (stop, pause) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(())));
        let feed = Feed {
            plain: Producer::tracking(kafka.bootstrap())?,
            transactions: Producer::transactional(kafka.bootstrap(), &format!("feeder-{seed}"))?,
            topic: topic.into(),
            partitions,
            rng: Rng::new(seed),
            sent: Vec::new(),
            list: List::new(),
        };
        let (stopped, paused) = (stop.clone(), pause.clone());
        let thread = std::thread::spawn(move || feed.run(&stopped, &paused));
        Ok(Feeder { stop, pause, thread })
    }

    /// Stops; the list of everything that was acknowledged and is visible to read_committed.
    pub fn finish(self) -> Result<List> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(list) => list,
            Err(_) => anyhow::bail!("the feeder panicked"),
        }
    }
}

struct Feed {
    plain: Producer,
    transactions: Producer,
    topic: String,
    partitions: i32,
    rng: Rng,
    /// Whether the record with that tag must be accepted.
    sent: Vec<bool>,
    list: List,
}

impl Feed {
    fn run(mut self, stop: &AtomicBool, pause: &Mutex<()>) -> Result<List> {
        let mut round = 0u64;
        while !stop.load(Ordering::Relaxed) {
            round += 1;
            {
                let _held = lock(pause);
                if round.is_multiple_of(10) {
                    self.transaction(round.is_multiple_of(20)).context("in a transaction")?;
                }
            }
            let count = 20 + self.rng.below(200);
            self.send(count, false)?;
            std::thread::sleep(Duration::from_millis(20));
            self.note();
        }
        self.plain.flush()?;
        self.note();
        Ok(self.list)
    }

    fn note(&mut self) {
        for Delivered { partition, offset, tag } in self.plain.delivered() {
            self.list.insert((partition, offset), self.sent[tag]);
        }
    }

    fn transaction(&mut self, commit: bool) -> Result<()> {
        self.transactions.begin()?;
        self.send(30, true)?;
        if !commit {
            self.transactions.abort()?;
            self.transactions.delivered();
            return Ok(());
        }
        self.transactions.commit()?;
        for Delivered { partition, offset, tag } in self.transactions.delivered() {
            self.list.insert((partition, offset), self.sent[tag]);
        }
        Ok(())
    }

    fn send(&mut self, count: u64, transactional: bool) -> Result<()> {
        for _ in 0..count {
            let now_ms = Utc::now().timestamp_millis();
            let i = self.sent.len() as u64;
            let bad = self.rng.below(20) == 0;
            let class = CLASSES[(i % CLASSES.len() as u64) as usize];
            let value = if bad {
                sample::bad(Stream::Health, class, i, &mut self.rng, now_ms)
            } else {
                Some(sample::heartbeat(i, &mut self.rng, now_ms))
            };
            let message = Message {
                partition: Some(self.rng.below(self.partitions as u64) as i32),
                value: value.as_deref(),
                timestamp_ms: Some(now_ms),
                tag: self.sent.len(),
                ..Message::default()
            };
            self.sent.push(!bad);
            let producer = if transactional { &self.transactions } else { &self.plain };
            producer.send(&self.topic, &message)?;
        }
        Ok(())
    }
}

/// Writes a list as CSV, `partition,offset,accepted`, for readers in other languages.
pub fn write_csv(list: &List, path: &Path) -> Result<()> {
    let mut text = String::from("partition,offset,accepted\n");
    for ((partition, offset), accepted) in list {
        text += &format!("{partition},{offset},{accepted}\n");
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
