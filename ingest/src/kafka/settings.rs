//! What the client is told: librdkafka's properties, from ours and the operator's.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use weir_contract::class::ErrorClass;

use super::token::Token;
use crate::source::SourceError;

/// How to read a topic.
#[derive(Debug, Clone)]
pub struct KafkaSettings {
    /// `host:port` list.
    pub bootstrap: String,
    /// The topic.
    pub topic: String,
    /// The consumer group: one per stream.
    pub group: String,
    /// `group.instance.id`, unique among the running members: a process that comes back under it
    /// within the session gets its partitions back without a rebalance.
    pub instance: Option<String>,
    /// Memory for fetched records, bytes: librdkafka's queue and the batch that is handed out.
    pub memory: usize,
    /// Further librdkafka properties (`security.protocol`, `session.timeout.ms`, …).
    pub properties: Properties,
}

/// librdkafka's properties as the operator gives them, secrets among them. They are read anew for
/// every client that is made, so that a password or certificate that was changed counts from then
/// on; no form of them is printed.
#[derive(Clone)]
pub struct Properties {
    read: Arc<Read<BTreeMap<String, String>>>,
    token: Option<Arc<Read<Token>>>,
}

type Read<T> = dyn Fn() -> Result<T, SourceError> + Send + Sync;

impl Properties {
    /// Properties that are read by `read` whenever they are needed.
    pub fn read_by(
        read: impl Fn() -> Result<BTreeMap<String, String>, SourceError> + Send + Sync + 'static,
    ) -> Properties {
        Properties { read: Arc::new(read), token: None }
    }

    /// With a token for OAUTHBEARER, read whenever one is needed.
    pub fn with_token(
        self,
        token: impl Fn() -> Result<Token, SourceError> + Send + Sync + 'static,
    ) -> Properties {
        Properties { token: Some(Arc::new(token)), ..self }
    }

    /// The token, if one is needed.
    pub fn token(&self) -> Result<Option<Token>, SourceError> {
        self.token.as_ref().map(|read| read()).transpose()
    }

    /// Name and value of each, as they are now.
    pub fn read(&self) -> Result<BTreeMap<String, String>, SourceError> {
        (self.read)()
    }
}

impl From<BTreeMap<String, String>> for Properties {
    /// Properties that stay as they are.
    fn from(properties: BTreeMap<String, String>) -> Properties {
        Properties::read_by(move || Ok(properties.clone()))
    }
}

impl Default for Properties {
    fn default() -> Properties {
        BTreeMap::new().into()
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Properties(..)")
    }
}

/// Properties that the exactness of ingest rests on, with the reason that an operator is told.
const OURS: [(&str, &str); 9] = [
    ("enable.auto.commit", "positions come from the table"),
    ("enable.auto.offset.store", "positions come from the table"),
    ("auto.offset.reset", "an offset that does not exist must be noticed"),
    ("enable.partition.eof", "the end of a partition must be noticed"),
    ("isolation.level", "only committed records are ingested"),
    ("group.id", "it has a setting of its own"),
    ("group.instance.id", "it has a setting of its own"),
    ("bootstrap.servers", "it has a setting of its own"),
    ("log.queue", "logs go through weir's"),
];

/// What a record costs beside its key and value: librdkafka's own bookkeeping, bytes.
pub(super) const RECORD_OVERHEAD: usize = 320;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

impl KafkaSettings {
    /// Name and value of every property of the consumer.
    pub(super) fn properties(&self) -> Result<Vec<(String, String)>, SourceError> {
        let given = operators(&self.properties)?;
        let memory = Memory::divide(self.memory);
        let mut all: BTreeMap<String, String> = [
            ("bootstrap.servers", self.bootstrap.clone()),
            ("group.id", self.group.clone()),
            ("client.id", "weir".into()),
            ("partition.assignment.strategy", "cooperative-sticky".into()),
            ("enable.auto.commit", "false".into()),
            ("enable.auto.offset.store", "false".into()),
            ("auto.offset.reset", "error".into()),
            ("enable.partition.eof", "true".into()),
            ("isolation.level", "read_committed".into()),
            // A damaged batch must stop the stream, not become rejects.
            ("check.crcs", "true".into()),
            ("allow.auto.create.topics", "false".into()),
            ("topic.metadata.refresh.interval.ms", "10000".into()),
            ("reconnect.backoff.ms", "100".into()),
            ("reconnect.backoff.max.ms", "2000".into()),
            ("socket.keepalive.enable", "true".into()),
            ("log.queue", "true".into()),
            // How late the end of a quiet partition is noticed.
            ("fetch.wait.max.ms", "250".into()),
            // How long a full queue stays unwatched; the default of a second starves us.
            ("fetch.queue.backoff.ms", "5".into()),
            ("queued.min.messages", memory.queue_records.to_string()),
            ("queued.max.messages.kbytes", (memory.queue_bytes / KIB).to_string()),
            ("fetch.max.bytes", memory.fetch_bytes.to_string()),
            ("fetch.message.max.bytes", memory.partition_bytes.to_string()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        if let Some(instance) = &self.instance {
            all.insert("group.instance.id".into(), instance.clone());
        }
        all.extend(given);
        Ok(all.into_iter().collect())
    }

    /// The same for a client that reads single records and joins no group.
    pub(super) fn lookup_properties(&self) -> Result<Vec<(String, String)>, SourceError> {
        let mut all = self.properties()?;
        all.retain(|(name, _)| name != "group.instance.id");
        for (name, value) in &mut all {
            match name.as_str() {
                // The offset may be older than what retention has left.
                "auto.offset.reset" => *value = "earliest".into(),
                "fetch.message.max.bytes" => *value = (16 * KIB).to_string(),
                "fetch.max.bytes" => *value = (4 * MIB).to_string(),
                "queued.min.messages" => *value = "1000".into(),
                _ => {}
            }
        }
        Ok(all)
    }

    /// The memory that a batch may take, bytes.
    pub(super) fn batch_bytes(&self) -> usize {
        Memory::divide(self.memory).batch_bytes
    }
}

/// Name and value of every property of a client that reads no records.
pub(super) fn client_properties(
    bootstrap: &str,
    properties: &Properties,
) -> Result<Vec<(String, String)>, SourceError> {
    let given = operators(properties)?;
    let ours = [
        ("bootstrap.servers", bootstrap),
        ("client.id", "weir"),
        ("reconnect.backoff.ms", "100"),
        ("reconnect.backoff.max.ms", "2000"),
        ("socket.keepalive.enable", "true"),
    ];
    let mut all: BTreeMap<String, String> =
        ours.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    all.extend(given);
    Ok(all.into_iter().collect())
}

/// The operator's properties. Where they have us speak TLS and name no authorities, the system's are
/// trusted: OpenSSL is compiled in, and would look for them where it was built.
fn operators(properties: &Properties) -> Result<BTreeMap<String, String>, SourceError> {
    let mut given = properties.read()?;
    check_ours(&given)?;
    let tls =
        given.get("security.protocol").is_some_and(|p| p.to_ascii_uppercase().ends_with("SSL"));
    if tls {
        given.entry("ssl.ca.location".into()).or_insert_with(|| "probe".into());
    }
    Ok(given)
}

fn check_ours(properties: &BTreeMap<String, String>) -> Result<(), SourceError> {
    let given = |name: &str| properties.contains_key(name) || properties.contains_key(&alias(name));
    match OURS.iter().find(|(name, _)| given(name)) {
        None => Ok(()),
        Some((name, why)) => Err(SourceError::new(
            ErrorClass::BadConfig,
            format!("the Kafka property {name} cannot be set: {why}; remove it"),
        )),
    }
}

/// librdkafka's second name for a property.
fn alias(name: &str) -> String {
    match name {
        "bootstrap.servers" => "metadata.broker.list".into(),
        other => other.into(),
    }
}

/// How the memory is divided. The queue is refilled while a batch is being decoded, and a fetch
/// that was under way when the queue became full is still added to it, unpacked.
#[derive(Debug, PartialEq, Eq)]
struct Memory {
    /// What a batch may hold.
    batch_bytes: usize,
    /// Fill level at which fetching stops, by key and value bytes.
    queue_bytes: usize,
    /// Fill level at which fetching stops, by records: bounds the bookkeeping of small records.
    queue_records: usize,
    /// Size of a fetch, packed.
    fetch_bytes: usize,
    /// A partition's share of a fetch, packed.
    partition_bytes: usize,
}

impl Memory {
    fn divide(total: usize) -> Memory {
        let total = total.max(4 * MIB);
        Memory {
            batch_bytes: total / 4,
            queue_bytes: total / 4,
            queue_records: (total / 4 / RECORD_OVERHEAD).clamp(1_000, 1_000_000),
            // librdkafka wants it to be at least message.max.bytes.
            fetch_bytes: (total / 16).clamp(MIB, 8 * MIB),
            partition_bytes: (total / 16).clamp(64 * KIB, MIB),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> KafkaSettings {
        KafkaSettings {
            bootstrap: "broker:9092".into(),
            topic: "vending.health".into(),
            group: "weir-vending.health".into(),
            instance: None,
            memory: 64 * MIB,
            properties: Properties::default(),
        }
    }

    fn given(properties: &[(&str, &str)]) -> Properties {
        let owned = properties.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        owned.collect::<BTreeMap<_, _>>().into()
    }

    fn value(all: &[(String, String)], name: &str) -> Option<String> {
        all.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone())
    }

    #[test]
    fn the_operators_properties_win_where_they_may() {
        let mut settings = settings();
        settings.properties = given(&[("fetch.wait.max.ms", "77"), ("session.timeout.ms", "6000")]);
        settings.instance = Some("a".into());
        let all = settings.properties().unwrap();
        assert_eq!(value(&all, "fetch.wait.max.ms").unwrap(), "77");
        assert_eq!(value(&all, "session.timeout.ms").unwrap(), "6000");
        assert_eq!(value(&all, "group.instance.id").unwrap(), "a");
        assert_eq!(value(&all, "auto.offset.reset").unwrap(), "error");
        assert_eq!(value(&all, "ssl.ca.location"), None);
        settings.properties = given(&[("security.protocol", "sasl_ssl")]);
        assert_eq!(value(&settings.properties().unwrap(), "ssl.ca.location").unwrap(), "probe");
    }

    #[test]
    fn what_exactness_rests_on_cannot_be_overridden() {
        for (name, _) in OURS {
            let mut settings = settings();
            settings.properties = given(&[(name, "x")]);
            let error = settings.properties().unwrap_err();
            assert_eq!(error.class, ErrorClass::BadConfig);
            assert!(error.message.contains(name), "{error}");
        }
    }

    #[test]
    fn no_secret_is_printed() {
        let mut settings = settings();
        settings.properties = given(&[("sasl.password", "hunter2")]);
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    #[test]
    fn a_lookup_is_no_member_and_starts_where_records_begin() {
        let mut settings = settings();
        settings.instance = Some("a".into());
        let all = settings.lookup_properties().unwrap();
        assert_eq!(value(&all, "group.instance.id"), None);
        assert_eq!(value(&all, "auto.offset.reset").unwrap(), "earliest");
    }

    #[test]
    fn the_parts_of_the_memory_fit_into_it() {
        for total in [4 * MIB, 8 * MIB, 16 * MIB, 64 * MIB, 512 * MIB] {
            let memory = Memory::divide(total);
            // The bookkeeping of the queue, its bytes, a batch, and a fetch unpacked threefold.
            let sum = memory.queue_records * RECORD_OVERHEAD
                + memory.queue_bytes
                + memory.batch_bytes
                + 3 * memory.fetch_bytes;
            assert!(sum <= total + 2 * MIB, "{total}: {memory:?}");
        }
    }
}
