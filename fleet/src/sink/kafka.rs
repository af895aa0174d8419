//! An idempotent Kafka producer: lz4, keyed by who speaks, every record acknowledged and counted.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::types::RDKafkaRespErr;
use weir_contract::class::ErrorClass;

use super::{Record, Sink};
use crate::error::FleetError;
use crate::stream::Stream;

/// How long the brokers may take to answer at the start.
const ANSWER: Duration = Duration::from_secs(10);
/// How long a record may be on its way, and so how long the end can take.
const DELIVERY: Duration = Duration::from_secs(60);
/// What a user needs who may not write.
const WRITE: &str = "; allow WRITE and DESCRIBE on the topic";
/// Reports are taken after so many records.
const POLL_EVERY: u32 = 1000;

/// Sends records to topics.
pub struct Kafka {
    producer: BaseProducer<Reports>,
    /// Per stream: its topic, empty where it has none.
    topics: Vec<String>,
    sent: u64,
    since_poll: u32,
}

/// Gives a token for OAUTHBEARER: its text, whom it is for, until when it is valid (ms since 1970); or
/// why there is none.
pub type Tokens = Box<dyn Fn() -> Result<(String, String, i64), String> + Send + Sync>;

struct Reports {
    tokens: Tokens,
    acknowledged: AtomicU64,
    failed: Mutex<Option<KafkaError>>,
}

impl ClientContext for Reports {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let (token, principal_name, lifetime_ms) = (self.tokens)()?;
        Ok(OAuthToken { token, principal_name, lifetime_ms })
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        match result {
            Ok(_) => {
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Err((error, _)) => {
                let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.get_or_insert_with(|| error.clone());
            }
        }
    }
}

impl Kafka {
    /// Connects to `host:port`, looks whether the topics are there, and is ready. `properties` are
    /// librdkafka's, and win over ours; `tokens` is asked where their mechanism is OAUTHBEARER.
    pub fn open(
        bootstrap: &str,
        topics: &BTreeMap<Stream, String>,
        properties: &[(String, String)],
        tokens: Tokens,
    ) -> Result<Kafka, FleetError> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("client.id", "weir-fleet")
            .set("enable.idempotence", "true")
            .set("compression.type", "lz4")
            // Where Java's client would put the key too.
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "20")
            .set("batch.num.messages", "10000")
            .set("queue.buffering.max.messages", "200000")
            .set("queue.buffering.max.kbytes", "131072")
            .set("message.timeout.ms", DELIVERY.as_millis().to_string())
            .set("log.connection.close", "false");
        let tls = |name: &str, value: &str| {
            name == "security.protocol" && value.to_ascii_uppercase().ends_with("SSL")
        };
        if properties.iter().any(|(name, value)| tls(name, value)) {
            // The system's authorities, where no others are given.
            config.set("ssl.ca.location", "probe");
        }
        for (name, value) in properties {
            config.set(name, value);
        }
        let reports = Reports { tokens, acknowledged: AtomicU64::new(0), failed: Mutex::new(None) };
        let producer: BaseProducer<Reports> =
            config.create_with_context(reports).map_err(|error| wrong(&error))?;
        // A token is asked for, if one is needed, before the first connection.
        producer.poll(Duration::ZERO);
        let mut names = vec![String::new(); Stream::ALL.len()];
        for (stream, topic) in topics {
            look(&producer, bootstrap, topic)?;
            names[*stream as usize] = topic.clone();
        }
        Ok(Kafka { producer, topics: names, sent: 0, since_poll: 0 })
    }

    /// Records that the brokers have acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.producer.context().acknowledged.load(Ordering::Relaxed)
    }

    fn poll(&mut self, time: Duration) -> Result<(), FleetError> {
        self.since_poll = 0;
        self.producer.poll(time);
        let mut failed =
            self.producer.context().failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.take().map_or(Ok(()), |error| {
            if matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::InvalidTimestamp)) {
                return Err(FleetError::config(
                    "the broker refuses the time of a record (message.timestamp.before.max.ms and \
                     message.timestamp.after.max.ms of the topic): choose another start or duration",
                ));
            }
            let sum = format!("; of {} sent, {} are acknowledged", self.sent, self.acknowledged());
            Err(self.failure("a record was not delivered", &error, &sum))
        })
    }

    /// A failure to send, with what is behind it: whatever a producer says after its end, the end was the cause.
    fn failure(&self, what: &str, error: &KafkaError, more: &str) -> FleetError {
        use RDKafkaErrorCode::{ClusterAuthorizationFailed, TopicAuthorizationFailed};
        let (code, why) = match self.producer.client().fatal_error() {
            Some((code, text)) => (Some(code), format!("{error}: {text}")),
            None => (error.rdkafka_error_code(), error.to_string()),
        };
        let (class, advice) = match code {
            Some(TopicAuthorizationFailed | ClusterAuthorizationFailed) => {
                (ErrorClass::Denied, WRITE)
            }
            _ => (ErrorClass::Retry, ""),
        };
        FleetError::new(class, format!("{what}: {why}{more}{advice}"))
    }
}

/// Properties that make no producer. librdkafka's text repeats values, which may be secrets.
fn wrong(error: &KafkaError) -> FleetError {
    FleetError::config(match error {
        KafkaError::ClientConfig(_, _, name, _) => {
            format!("the Kafka property {name} cannot be set; correct kafka.properties")
        }
        KafkaError::ClientCreation(why) => {
            format!("a Kafka client cannot be made: {why}; correct kafka.properties")
        }
        _ => "a Kafka client cannot be made; correct kafka.properties".to_string(),
    })
}

/// Is the topic there?
fn look(producer: &BaseProducer<Reports>, broker: &str, topic: &str) -> Result<(), FleetError> {
    let metadata = producer.client().fetch_metadata(Some(topic), ANSWER).map_err(|error| {
        let cause =
            error.rdkafka_error_code().map_or_else(String::new, |code| format!(" ({code})"));
        FleetError::new(
            ErrorClass::Retry,
            format!(
                "no Kafka broker answers at {broker}{cause}; is it running, and is the address, \
                 kafka.bootstrap_servers, right?"
            ),
        )
    })?;
    let found = metadata.topics().first();
    match found.map(|found| (found.error(), found.partitions().len())) {
        Some((None, 1..)) => Ok(()),
        Some((Some(error), _)) if denied(error) => {
            let message = format!("topic {topic} of {broker} is denied to this user{WRITE}");
            Err(FleetError::new(ErrorClass::Denied, message))
        }
        _ => Err(FleetError::config(format!(
            "topic {topic} does not exist at {broker}; create it (`weir topics --create`), or \
             correct the stream's topic"
        ))),
    }
}

fn denied(error: RDKafkaRespErr) -> bool {
    RDKafkaErrorCode::from(error) == RDKafkaErrorCode::TopicAuthorizationFailed
}

impl Sink for Kafka {
    fn put(&mut self, record: &Record<'_>) -> Result<(), FleetError> {
        let topic = &self.topics[record.stream as usize];
        let mut message =
            BaseRecord::<[u8], [u8]>::to(topic).key(record.key).timestamp(record.time_ms);
        message.payload = record.value;
        loop {
            match self.producer.send(message) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    message = back;
                    self.producer.poll(Duration::from_millis(10));
                }
                Err((error, _)) => {
                    return Err(self.failure(
                        &format!("a record cannot be sent to {topic}"),
                        &error,
                        "",
                    ));
                }
            }
        }
        self.sent += 1;
        self.since_poll += 1;
        if self.since_poll == POLL_EVERY { self.poll(Duration::ZERO) } else { Ok(()) }
    }

    fn idle(&mut self) -> Result<(), FleetError> {
        self.poll(Duration::ZERO)
    }

    fn finish(&mut self) -> Result<(), FleetError> {
        let give_up = Instant::now() + DELIVERY + ANSWER;
        while self.producer.in_flight_count() > 0 && Instant::now() < give_up {
            self.poll(Duration::from_millis(50))?;
        }
        self.poll(Duration::ZERO)?;
        let acknowledged = self.acknowledged();
        if acknowledged == self.sent {
            return Ok(());
        }
        let message =
            format!("of {} records sent, only {acknowledged} are acknowledged", self.sent);
        Err(FleetError::new(ErrorClass::Retry, message))
    }
}
