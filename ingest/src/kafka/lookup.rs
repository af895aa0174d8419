//! Single records at given offsets, by a client that is in no group.

use std::collections::HashMap;
use std::time::Instant;

use weir_contract::class::ErrorClass;

use super::errors::{self, Meaning};
use super::native::Consumer;
use super::settings::KafkaSettings;
use super::{ANSWER, access, explain};
use crate::source::SourceError;

/// Partitions that are read at the same time.
const AT_ONCE: usize = 64;

/// Kafka time of the first committed record at or after each offset.
pub(super) fn record_times(
    settings: &KafkaSettings,
    offsets: &[(i32, i64)],
) -> Result<Vec<Option<i64>>, SourceError> {
    let mut found: HashMap<i32, Option<i64>> = HashMap::new();
    for part in offsets.chunks(AT_ONCE) {
        let mut consumer = Consumer::new(&settings.lookup_properties()?, &settings.topic)
            .map_err(access::unusable)?;
        read_first(&mut consumer, settings, part, &mut found)?;
    }
    Ok(offsets.iter().map(|(partition, _)| found.get(partition).copied().flatten()).collect())
}

fn read_first(
    consumer: &mut Consumer,
    settings: &KafkaSettings,
    offsets: &[(i32, i64)],
    found: &mut HashMap<i32, Option<i64>>,
) -> Result<(), SourceError> {
    let failed = |failure| explain(settings, "look at single records", &failure);
    let partitions: Vec<i32> = offsets.iter().map(|(partition, _)| *partition).collect();
    consumer.forward(&partitions);
    consumer.assign_more(offsets).map_err(failed)?;
    let deadline = Instant::now() + ANSWER;
    let mut waiting: Vec<(i32, i64)> = offsets.to_vec();
    while !waiting.is_empty() {
        if Instant::now() > deadline {
            return Err(SourceError::new(
                ErrorClass::Retry,
                format!(
                    "Kafka at {} did not send the records of {} partitions of {} within {} s",
                    settings.bootstrap,
                    waiting.len(),
                    settings.topic,
                    ANSWER.as_secs()
                ),
            ));
        }
        access::serve(consumer, &settings.properties);
        let messages = consumer.drain(1000, std::time::Duration::from_millis(50));
        let mut done = Vec::new();
        for message in messages.iter() {
            let partition = message.partition();
            let Some((_, offset)) = waiting.iter().find(|(p, _)| *p == partition) else { continue };
            let time = match message.error() {
                None if message.offset() < *offset => continue,
                None => message.timestamp_ms(),
                Some(failure) => match errors::meaning(failure.code) {
                    Meaning::End => None,
                    Meaning::Stop(_) => return Err(failed(failure)),
                    _ => continue,
                },
            };
            found.insert(partition, time);
            waiting.retain(|(p, _)| *p != partition);
            done.push(partition);
        }
        if !done.is_empty() && !waiting.is_empty() {
            consumer.assign_less(&done).map_err(failed)?;
        }
    }
    Ok(())
}
