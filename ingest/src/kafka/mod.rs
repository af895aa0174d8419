//! Kafka as a [`Source`].
//!
//! Records come through a queue of our own in batches; rebalances, errors and logs through the
//! consumer's queue, which is only ever polled. Positions are counted here ([`positions`]) and given
//! to librdkafka at every turn: at a start, at a restart, and after every rebalance. All calls come
//! from one thread and may block it.

mod access;
mod admin;
mod batch;
mod census;
mod errors;
mod listener;
mod lookup;
mod member;
mod native;
mod positions;
mod sample;
mod settings;
mod token;

use std::time::Duration;

use async_trait::async_trait;
use weir_contract::class::ErrorClass;
use weir_contract::names::SourceId;

pub use access::reach;
pub use admin::KafkaAdmin;
pub use batch::KafkaBatch;
pub use member::KafkaSource;
pub use settings::{KafkaSettings, Properties};
pub use token::Token;

use crate::source::{Event, Identity, Source, SourceError, Watermarks};
use native::{Consumer, Failure};
use rdkafka::types::RDKafkaErrorCode as Code;

/// How long a question to the cluster may take.
const ANSWER: Duration = Duration::from_secs(10);

#[async_trait(?Send)]
impl Source for KafkaSource {
    type Batch = KafkaBatch;

    async fn identity(&mut self) -> Result<Identity, SourceError> {
        self.ask_identity()
    }

    async fn next(
        &mut self,
        wait: Duration,
        records: bool,
    ) -> Result<Event<KafkaBatch>, SourceError> {
        self.wait_for_event(wait, records)
    }

    async fn start(&mut self, offsets: &[(i32, i64)]) -> Result<(), SourceError> {
        self.start_assigned(offsets)
    }

    async fn restart(&mut self, offsets: &[(i32, i64)]) -> Result<(), SourceError> {
        self.restart_all(offsets)
    }

    async fn release(&mut self) -> Result<(), SourceError> {
        self.release_revoked()
    }

    async fn watermarks(&mut self, partitions: &[i32]) -> Result<Vec<Watermarks>, SourceError> {
        self.ask_watermarks(partitions)
    }

    async fn record_times(
        &mut self,
        offsets: &[(i32, i64)],
    ) -> Result<Vec<Option<i64>>, SourceError> {
        lookup::record_times(self.settings(), offsets)
    }

    async fn publish(&mut self, offsets: &[(i32, i64)]) {
        self.publish_offsets(offsets);
    }

    async fn close(self) {
        // The client leaves the group as it is dropped, within seconds.
        drop(self);
    }
}

impl KafkaSource {
    /// Calls `f` with the values of the topic's newest records, about `records_max` of them over
    /// all partitions. Joins no group.
    pub fn sample(
        &mut self,
        records_max: usize,
        f: &mut dyn FnMut(Option<&[u8]>),
    ) -> Result<(), SourceError> {
        let partitions = self.ask_identity()?.partitions;
        let marks = self.ask_watermarks(&partitions)?;
        sample::read(self.settings(), &sample::ranges(&marks, records_max), f)
    }
}

/// Asks the cluster what the topic is.
fn identify(
    consumer: &Consumer,
    settings: &KafkaSettings,
    topic_id: Option<&str>,
) -> Result<Identity, SourceError> {
    let cluster = access::cluster_id(consumer, &settings.bootstrap, &settings.properties)?;
    let described = match topic_id {
        Some(id) => consumer.partitions(ANSWER).map(|partitions| (Some(id.into()), partitions)),
        None => consumer.describe(ANSWER),
    };
    let (topic_id, mut partitions) = described.map_err(|failure| {
        if matches!(failure.code, Code::UnknownTopicOrPartition | Code::UnknownTopic) {
            let message = format!(
                "topic {} does not exist in the Kafka cluster {cluster} at {}; create it \
                 (`weir topics --create`), or correct the stream's topic",
                settings.topic, settings.bootstrap
            );
            return SourceError::new(ErrorClass::BadConfig, message);
        }
        explain(settings, "describe the topic", &failure)
    })?;
    partitions.sort_unstable();
    let topic_id = topic_id.unwrap_or_else(|| "-".into());
    let source = SourceId { cluster, topic: settings.topic.clone(), topic_id };
    Ok(Identity { source, partitions })
}

/// The error of a call that failed: topic, broker, what was tried, why, what to do.
fn explain(settings: &KafkaSettings, what: &str, failure: &Failure) -> SourceError {
    let advice = match failure.code {
        Code::GroupAuthorizationFailed => format!("; allow READ on the group {}", settings.group),
        code => errors::advice(code).to_string(),
    };
    SourceError::new(
        errors::class(failure.code),
        format!(
            "cannot {what} (topic {}, Kafka at {}): {}{advice}",
            settings.topic,
            settings.bootstrap,
            failure.message.trim_end_matches('.'),
        ),
    )
}

/// A topic id as Kafka prints it: 22 digits of URL-safe base64.
fn topic_id(id: u128) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    // Six bits a digit from the top; the last digit has the two that are left.
    let digit = |i: u32| match i {
        0..21 => id >> (122 - 6 * i),
        _ => id << 4,
    };
    (0..22).map(|i| char::from(ALPHABET[(digit(i) & 63) as usize])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_ids_are_printed_as_kafka_prints_them() {
        assert_eq!(topic_id(0), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(topic_id(u128::MAX), "_____________________w");
        // Kafka's own Uuid.METADATA_TOPIC_ID.
        assert_eq!(topic_id(1), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(topic_id(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210), "ASNFZ4mrze_-3LqYdlQyEA");
    }
}
