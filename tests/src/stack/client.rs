//! Topics, offsets and producers of a broker, for tests: blocking calls that return when what they
//! did can be seen by everybody.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::access_list;

/// Generous: a broker on a busy machine takes its time to make a topic of many partitions.
const TIMEOUT: Duration = Duration::from_secs(90);

/// An administrator of one broker.
pub struct Client {
    admin: AdminClient<DefaultClientContext>,
    bootstrap: String,
}

impl Client {
    /// Connects (lazily) to `bootstrap`, a `host:port` list.
    pub fn new(bootstrap: &str) -> Result<Client> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap);
        config.set("reconnect.backoff.ms", "20").set("reconnect.backoff.max.ms", "200");
        let admin = config.create().context("cannot make a Kafka client")?;
        Ok(Client { admin, bootstrap: bootstrap.into() })
    }

    /// Whether a broker answers and has joined its cluster.
    pub fn ready(&self, wait: Duration) -> bool {
        // A topic that does not exist: the answer is small whatever the cluster holds.
        self.admin
            .inner()
            .fetch_metadata(Some("weir-ready"), wait)
            .is_ok_and(|metadata| !metadata.brokers().is_empty())
    }

    /// Creates a topic (replication 1); returns when every partition has its leader.
    pub fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Result<()> {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for (key, value) in configs {
            topic = topic.set(key, value);
        }
        let results = block_on(self.admin.create_topics([&topic], &options()))?;
        topic_results(results).with_context(|| format!("cannot create topic {name}"))?;
        self.wait_for_partitions(name, partitions as usize)
    }

    /// Deletes a topic; returns when it is gone.
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        let results = block_on(self.admin.delete_topics(&[name], &options()))?;
        topic_results(results).with_context(|| format!("cannot delete topic {name}"))?;
        self.wait_for_partitions(name, 0)
    }

    /// Raises a topic's partitions to `total`.
    pub fn add_partitions(&self, name: &str, total: usize) -> Result<()> {
        let new = NewPartitions::new(name, total);
        let results = block_on(self.admin.create_partitions([&new], &options()))?;
        topic_results(results).with_context(|| format!("cannot add partitions to {name}"))?;
        self.wait_for_partitions(name, total)
    }

    /// Deletes the records of each (partition, offset) before that offset.
    pub fn delete_records(&self, name: &str, before: &[(i32, i64)]) -> Result<()> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in before {
            list.add_partition_offset(name, *partition, Offset::Offset(*offset))?;
        }
        let done = block_on(self.admin.delete_records(&list, &options()))?;
        for element in done.elements() {
            element.error().with_context(|| format!("cannot delete records of {name}"))?;
        }
        Ok(())
    }

    /// The offset after the last record or marker of each partition (read_uncommitted).
    pub fn end_offsets(&self, name: &str) -> Result<Vec<i64>> {
        Ok(self.watermarks(name)?.into_iter().map(|(_, high)| high).collect())
    }

    /// First and end offset of each partition (read_uncommitted).
    pub fn watermarks(&self, name: &str) -> Result<Vec<(i64, i64)>> {
        let client = self.admin.inner();
        let partitions = self.leaders(name)?;
        (0..partitions as i32)
            .map(|p| {
                client
                    .fetch_watermarks(name, p, TIMEOUT)
                    .with_context(|| format!("cannot ask for the offsets of {name}/{p}"))
            })
            .collect()
    }

    /// Lets a user of the broker read the topic.
    pub fn allow_reading(&self, user: &str, topic: &str) -> Result<()> {
        access_list::allow_reading(self.admin.inner().native_ptr(), user, topic)
    }

    /// A producer of this broker.
    pub fn producer(&self) -> Result<Producer> {
        Producer::new(&self.bootstrap)
    }

    fn wait_for_partitions(&self, name: &str, count: usize) -> Result<()> {
        let deadline = Instant::now() + TIMEOUT;
        while self.leaders(name)? != count {
            if Instant::now() > deadline {
                bail!("topic {name} has not {count} partitions with a leader after {TIMEOUT:?}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Partitions of a topic; 0 where it does not exist.
    pub fn partitions(&self, name: &str) -> Result<usize> {
        self.leaders(name)
    }

    /// Partitions that have a leader.
    fn leaders(&self, name: &str) -> Result<usize> {
        let metadata = self.admin.inner().fetch_metadata(Some(name), TIMEOUT)?;
        let topic = metadata.topics().first();
        let partitions = topic.map_or(&[][..], |topic| topic.partitions());
        Ok(partitions.iter().filter(|p| p.leader() >= 0).count())
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT))
}

fn topic_results(results: Vec<Result<String, (String, RDKafkaErrorCode)>>) -> Result<()> {
    for result in results {
        result.map_err(|(_, code)| KafkaError::AdminOp(code))?;
    }
    Ok(())
}

/// Waits for a future that another thread completes, as the admin client's does.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = TaskContext::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// A record to send.
#[derive(Debug, Clone, Copy, Default)]
pub struct Message<'a> {
    /// The partition; by the key's hash, or any, where there is none.
    pub partition: Option<i32>,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value; a tombstone where there is none.
    pub value: Option<&'a [u8]>,
    /// Kafka time, ms since 1970; now where there is none.
    pub timestamp_ms: Option<i64>,
    /// Headers.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
    /// Whatever the caller wants to know it by in [`Delivered`].
    pub tag: usize,
}

/// A record that the broker has acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Delivered {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// The caller's tag.
    pub tag: usize,
}

/// An idempotent producer: lz4, large batches, every record acknowledged.
pub struct Producer {
    inner: BaseProducer<Reports>,
}

#[derive(Default)]
struct Reports {
    tracking: bool,
    state: Mutex<ReportState>,
}

#[derive(Default)]
struct ReportState {
    delivered: Vec<Delivered>,
    failed: Option<String>,
}

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, tag: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(message) if self.tracking => state.delivered.push(Delivered {
                partition: message.partition(),
                offset: message.offset(),
                tag,
            }),
            Ok(_) => {}
            Err((error, _)) => {
                state.failed.get_or_insert_with(|| error.to_string());
            }
        }
    }
}

impl Producer {
    /// A producer that only counts failures.
    pub fn new(bootstrap: &str) -> Result<Producer> {
        Producer::with(bootstrap, false, &[])
    }

    /// A producer that keeps what was delivered where, for [`Producer::delivered`].
    pub fn tracking(bootstrap: &str) -> Result<Producer> {
        Producer::with(bootstrap, true, &[])
    }

    /// A tracking producer of transactions: [`Producer::begin`], then commit or abort.
    pub fn transactional(bootstrap: &str, id: &str) -> Result<Producer> {
        let producer = Producer::with(bootstrap, true, &[("transactional.id", id)])?;
        producer.inner.init_transactions(TIMEOUT).context("cannot start transactions")?;
        Ok(producer)
    }

    /// A producer with further librdkafka properties, which win over ours.
    pub fn with(bootstrap: &str, tracking: bool, more: &[(&str, &str)]) -> Result<Producer> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("enable.idempotence", "true")
            .set("compression.type", "lz4")
            .set("linger.ms", "20")
            .set("batch.num.messages", "10000")
            .set("queue.buffering.max.messages", "200000")
            .set("queue.buffering.max.kbytes", "262144")
            .set("message.max.bytes", "4000000")
            .set("reconnect.backoff.ms", "20")
            .set("reconnect.backoff.max.ms", "500");
        for (key, value) in more {
            config.set(*key, *value);
        }
        let reports = Reports { tracking, ..Reports::default() };
        let inner = config.create_with_context(reports).context("cannot make a producer")?;
        Ok(Producer { inner })
    }

    /// Takes a record for sending; waits while the queue is full.
    pub fn send(&self, topic: &str, message: &Message<'_>) -> Result<()> {
        let mut record = BaseRecord::<[u8], [u8], usize>::with_opaque_to(topic, message.tag);
        record.partition = message.partition;
        record.key = message.key;
        record.payload = message.value;
        record.timestamp = message.timestamp_ms;
        if !message.headers.is_empty() {
            let mut headers = OwnedHeaders::new_with_capacity(message.headers.len());
            for (key, value) in message.headers {
                headers = headers.insert(Header { key, value: *value });
            }
            record.headers = Some(headers);
        }
        loop {
            match self.inner.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.inner.poll(Duration::from_millis(10));
                }
                Err((error, _)) => return Err(error).context(format!("cannot send to {topic}")),
            }
        }
    }

    /// Waits until everything sent is acknowledged.
    pub fn flush(&self) -> Result<()> {
        self.inner.flush(Duration::from_secs(120)).context("records are not acknowledged")?;
        match self.state().failed.take() {
            Some(error) => Err(anyhow!("a record was not delivered: {error}")),
            None => Ok(()),
        }
    }

    /// What was delivered since the last call, in the order of acknowledgement.
    pub fn delivered(&self) -> Vec<Delivered> {
        std::mem::take(&mut self.state().delivered)
    }

    /// Begins a transaction.
    pub fn begin(&self) -> Result<()> {
        Ok(self.inner.begin_transaction()?)
    }

    /// Commits the transaction: its records, and a marker in each partition that has some.
    pub fn commit(&self) -> Result<()> {
        self.flush()?;
        Ok(self.inner.commit_transaction(TIMEOUT)?)
    }

    /// Aborts the transaction; its records (flushed first) and markers still take offsets.
    pub fn abort(&self) -> Result<()> {
        self.flush()?;
        Ok(self.inner.abort_transaction(TIMEOUT)?)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, ReportState> {
        self.inner.context().state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
