//! A broker inside this process, for a demonstration: librdkafka's own in-process cluster. It keeps
//! about 5 MiB or 100,000 records of a partition and drops the oldest beyond, serves no CreateTopics,
//! and everything in it ends with the process. Each start is another cluster, with another id.

use rdkafka::bindings as rd;
use rdkafka::config::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, DefaultProducerContext, Producer};
use weir_contract::class::ErrorClass;

use crate::error::FleetError;

/// Bytes that a partition keeps.
pub const PARTITION_BYTES_MAX: usize = 5 << 20;

/// The broker. It ends when it is dropped.
pub struct Broker {
    /// The client that owns the cluster; it sends nothing.
    client: BaseProducer,
}

impl Broker {
    /// Starts one with `topics` of `partitions` each, on a free port of the loopback.
    pub fn start<'a>(
        topics: impl IntoIterator<Item = &'a str>,
        partitions: i32,
    ) -> Result<Broker, FleetError> {
        let failed = |what: &str, error| {
            FleetError::new(
                ErrorClass::Denied,
                format!("the broker in this process {what}: {error}"),
            )
        };
        let client = ClientConfig::new().set("test.mock.num.brokers", "1").create();
        let broker = Broker { client: client.map_err(|error| failed("does not start", error))? };
        for topic in topics {
            broker
                .cluster()
                .create_topic(topic, partitions, 1)
                .map_err(|error| failed(&format!("has no topic {topic}"), error))?;
        }
        broker.share_out_at_once();
        Ok(broker)
    }

    /// `host:port`.
    pub fn bootstrap(&self) -> String {
        self.cluster().bootstrap_servers()
    }

    fn cluster(&self) -> MockCluster<'_, DefaultProducerContext> {
        self.client.client().mock_cluster().expect("a client with test.mock.num.brokers has one")
    }

    /// A new consumer group gets its partitions at once: the cluster would wait three seconds for
    /// further members, as Kafka's `group.initial.rebalance.delay.ms` says.
    #[allow(unsafe_code)]
    fn share_out_at_once(&self) {
        // SAFETY: the client lives, and its cluster as long as it; the call takes a lock of its own.
        unsafe {
            let cluster = rd::rd_kafka_handle_mock_cluster(self.client.client().native_ptr());
            rd::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0);
        }
    }
}
