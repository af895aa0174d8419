//! A broker inside this process, for a demonstration: librdkafka's own in-process cluster. It keeps
//! about 5 MiB or 100,000 records of a partition and drops the oldest beyond, serves no CreateTopics,
//! and everything in it ends with the process. Each start is another cluster, with another id.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use weir_contract::class::ErrorClass;

use crate::error::FleetError;

/// Bytes that a partition keeps.
pub const PARTITION_BYTES_MAX: usize = 5 << 20;

/// The broker. It ends when it is dropped.
pub struct Broker {
    cluster: MockCluster<'static, DefaultProducerContext>,
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
        let cluster = MockCluster::new(1).map_err(|error| failed("does not start", error))?;
        for topic in topics {
            cluster
                .create_topic(topic, partitions, 1)
                .map_err(|error| failed(&format!("has no topic {topic}"), error))?;
        }
        Ok(Broker { cluster })
    }

    /// `host:port`.
    pub fn bootstrap(&self) -> String {
        self.cluster.bootstrap_servers()
    }
}
