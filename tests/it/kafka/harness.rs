//! A topic, and a member that reads it and checks what every reader may rely on.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use weir_ingest::kafka::{KafkaBatch, KafkaSettings, KafkaSource};
use weir_ingest::source::{Event, Records, Source, SourceError};
use weir_tests::stack::{Client, Kafka, Message, Producer};

pub const PATIENCE: Duration = Duration::from_secs(60);

/// The source's futures block; they are ready when they return.
pub fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the source's futures do not wait"),
    }
}

/// A topic of its own for one test.
pub struct Topic {
    pub name: String,
    pub bootstrap: String,
    pub client: Client,
}

impl Topic {
    pub fn new(partitions: i32, configs: &[(&str, &str)]) -> Topic {
        Topic::on(Kafka::shared(), partitions, configs)
    }

    pub fn on(kafka: &Kafka, partitions: i32, configs: &[(&str, &str)]) -> Topic {
        let name = format!("weir-it-{}", uuid::Uuid::new_v4());
        let client = kafka.client().unwrap();
        client.create_topic(&name, partitions, configs).unwrap();
        Topic { name, bootstrap: kafka.bootstrap().into(), client }
    }

    pub fn settings(&self) -> KafkaSettings {
        self.settings_with(&[])
    }

    /// With further properties, which win over ours.
    pub fn settings_with(&self, more: &[(&str, &str)]) -> KafkaSettings {
        // Tests do not wait for what production may take its time for.
        let ours = [
            ("session.timeout.ms", "6000"),
            ("heartbeat.interval.ms", "300"),
            ("topic.metadata.refresh.interval.ms", "500"),
            ("fetch.wait.max.ms", "50"),
        ];
        let all =
            ours.iter().chain(more).map(|(name, value)| (name.to_string(), value.to_string()));
        KafkaSettings {
            bootstrap: self.bootstrap.clone(),
            topic: self.name.clone(),
            group: format!("{}-group", self.name),
            instance: None,
            memory: 32 << 20,
            properties: all.collect::<BTreeMap<_, _>>().into(),
        }
    }

    pub fn member(&self) -> Member {
        Member::new(KafkaSource::open(self.settings()).unwrap())
    }

    pub fn producer(&self) -> Producer {
        Producer::tracking(&self.bootstrap).unwrap()
    }

    /// Sends `count` records to a partition; their values are their place in it, from `from` on.
    pub fn fill(&self, producer: &Producer, partition: i32, from: i64, count: i64) {
        for number in from..from + count {
            self.send(producer, partition, number);
        }
        producer.flush().unwrap();
    }

    pub fn send(&self, producer: &Producer, partition: i32, number: i64) {
        let value = number.to_be_bytes();
        let message =
            Message { partition: Some(partition), value: Some(&value), ..Message::default() };
        producer.send(&self.name, &message).unwrap();
    }
}

/// One record as a test wants to see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub partition: i32,
    pub offset: i64,
    pub time: Option<i64>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Seen {
    /// The number that [`Topic::send`] wrote.
    pub fn number(&self) -> i64 {
        i64::from_be_bytes(self.value.clone().unwrap().try_into().unwrap())
    }
}

/// A member that starts where `heads` say, and reads.
pub struct Member {
    pub source: KafkaSource,
    /// The next offset of each partition: where it starts; moved by what is read.
    pub heads: BTreeMap<i32, i64>,
    pub held: BTreeSet<i32>,
    pub ends: BTreeMap<i32, i64>,
    pub seen: Vec<Seen>,
    pub resets: Vec<String>,
    pub out_of_range: Vec<(i32, i64)>,
    /// Whether the group has said anything yet.
    pub joined: bool,
    /// Members with partitions, when last heard of.
    pub members: Option<usize>,
}

impl Member {
    pub fn new(source: KafkaSource) -> Member {
        Member {
            source,
            heads: BTreeMap::new(),
            held: BTreeSet::new(),
            ends: BTreeMap::new(),
            seen: Vec::new(),
            resets: Vec::new(),
            out_of_range: Vec::new(),
            joined: false,
            members: None,
        }
    }

    pub fn next(&mut self, wait: Duration) -> Result<Event<KafkaBatch>, SourceError> {
        now(self.source.next(wait, true))
    }

    /// One event, answered as ingest would.
    pub fn step(&mut self) {
        let event = self.next(Duration::from_millis(100)).unwrap();
        self.answer(event);
    }

    pub fn answer(&mut self, event: Event<KafkaBatch>) {
        match event {
            Event::Records(batch) => self.take(&batch),
            Event::End { partition, offset } => {
                assert!(
                    self.held.contains(&partition),
                    "the end of {partition}, which is not ours"
                );
                let head = self.heads.entry(partition).or_default();
                assert!(offset >= *head, "the end {offset} lies before the head {head}");
                *head = offset;
                self.ends.insert(partition, offset);
            }
            Event::Assigned(partitions) => {
                self.joined = true;
                let offsets: Vec<(i32, i64)> = partitions
                    .iter()
                    .map(|p| (*p, self.heads.get(p).copied().unwrap_or(0)))
                    .collect();
                now(self.source.start(&offsets)).unwrap();
                for partition in partitions {
                    assert!(self.held.insert(partition), "{partition} was assigned twice");
                    self.ends.remove(&partition);
                }
            }
            Event::Revoked { partitions, .. } => {
                for partition in partitions {
                    assert!(self.held.remove(&partition), "{partition} was not ours to lose");
                }
                now(self.source.release()).unwrap();
            }
            Event::OutOfRange { partition, position } => {
                self.out_of_range.push((partition, position));
            }
            Event::Reset(reason) => {
                self.held.clear();
                self.ends.clear();
                self.resets.push(reason);
            }
            Event::Members(members) => self.members = Some(members),
            Event::Idle => {}
        }
    }

    fn take(&mut self, batch: &KafkaBatch) {
        assert!(batch.len() > 0);
        let before = self.seen.len();
        batch.for_each(&mut |record| {
            assert!(self.held.contains(&record.partition), "{record:?} is of no partition of ours");
            let head = self.heads.entry(record.partition).or_default();
            assert!(record.offset >= *head, "{record:?} comes again; the head is {head}");
            *head = record.offset + 1;
            self.seen.push(Seen {
                partition: record.partition,
                offset: record.offset,
                time: record.timestamp_ms,
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                headers: record
                    .headers
                    .iter()
                    .map(|(name, value)| (name.to_string(), value.map(<[u8]>::to_vec)))
                    .collect(),
            });
        });
        assert_eq!(batch.len(), self.seen.len() - before);
    }

    pub fn until(&mut self, what: &str, mut done: impl FnMut(&Member) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(
                Instant::now() < deadline,
                "never: {what}; held {:?}, heads {:?}, ends {:?}",
                self.held,
                self.heads,
                self.ends
            );
            self.step();
        }
    }

    /// Reads until every partition has been read to `offsets`.
    pub fn until_ends(&mut self, offsets: &[i64]) {
        let all = |m: &Member| {
            let mut offsets = offsets.iter().enumerate();
            offsets.all(|(p, offset)| m.ends.get(&(p as i32)) == Some(offset))
        };
        self.until(&format!("the ends are {offsets:?}"), all);
    }

    /// Reads for a while.
    pub fn for_a(&mut self, while_: Duration) {
        let deadline = Instant::now() + while_;
        while Instant::now() < deadline {
            self.step();
        }
    }

    pub fn offsets(&self, partition: i32) -> Vec<i64> {
        self.seen.iter().filter(|s| s.partition == partition).map(|s| s.offset).collect()
    }
}
