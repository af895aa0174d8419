//! The newest records of a topic, for a look at them; by a client that is in no group.

use std::time::{Duration, Instant};

use weir_contract::class::ErrorClass;

use super::errors::{self, Meaning};
use super::native::Consumer;
use super::settings::KafkaSettings;
use super::{ANSWER, access, explain};
use crate::source::{SourceError, Watermarks};

/// Partitions that are read at the same time.
const AT_ONCE: usize = 64;

/// From where to where each partition is read, so that about `records_max` come, at least one of
/// each partition that holds any.
pub(super) fn ranges(marks: &[Watermarks], records_max: usize) -> Vec<(i32, i64, i64)> {
    let share = (records_max / marks.len().max(1)).max(1) as i64;
    let range =
        |mark: &Watermarks| (mark.partition, mark.low.max(mark.stable - share), mark.stable);
    marks.iter().map(range).filter(|(_, from, until)| from < until).collect()
}

/// Calls `f` with the value of every record in these ranges of (partition, from, until).
pub(super) fn read(
    settings: &KafkaSettings,
    ranges: &[(i32, i64, i64)],
    f: &mut dyn FnMut(Option<&[u8]>),
) -> Result<(), SourceError> {
    for part in ranges.chunks(AT_ONCE) {
        let mut consumer = Consumer::new(&settings.lookup_properties()?, &settings.topic)
            .map_err(access::unusable)?;
        read_part(&mut consumer, settings, part, f)?;
    }
    Ok(())
}

fn read_part(
    consumer: &mut Consumer,
    settings: &KafkaSettings,
    ranges: &[(i32, i64, i64)],
    f: &mut dyn FnMut(Option<&[u8]>),
) -> Result<(), SourceError> {
    let failed = |failure| explain(settings, "look at records", &failure);
    let partitions: Vec<i32> = ranges.iter().map(|(partition, ..)| *partition).collect();
    let offsets: Vec<(i32, i64)> = ranges.iter().map(|(p, from, _)| (*p, *from)).collect();
    consumer.forward(&partitions);
    consumer.assign_more(&offsets).map_err(failed)?;
    let mut deadline = Instant::now() + ANSWER;
    let mut waiting = ranges.to_vec();
    while !waiting.is_empty() {
        if Instant::now() > deadline {
            let message = format!(
                "Kafka at {} sent no record of {} partitions of {} for {} s",
                settings.bootstrap,
                waiting.len(),
                settings.topic,
                ANSWER.as_secs()
            );
            return Err(SourceError::new(ErrorClass::Retry, message));
        }
        access::serve(consumer, &settings.properties);
        let messages = consumer.drain(1000, Duration::from_millis(50));
        for message in messages.iter() {
            let of = |range: &&(i32, i64, i64)| range.0 == message.partition();
            let Some((partition, _, until)) = waiting.iter().find(of).copied() else { continue };
            deadline = Instant::now() + ANSWER;
            let done = match message.error() {
                None if message.offset() < until => {
                    f(message.value());
                    message.offset() + 1 == until
                }
                None => true,
                Some(failure) => match errors::meaning(failure.code) {
                    Meaning::End => true,
                    Meaning::Stop(_) => return Err(failed(failure)),
                    _ => false,
                },
            };
            if done {
                waiting.retain(|range| range.0 != partition);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_records_are_shared_among_the_partitions() {
        let mark = |partition, low, stable| Watermarks { partition, low, high: stable + 1, stable };
        let marks = [mark(0, 0, 1000), mark(1, 90, 100), mark(2, 5, 5)];
        assert_eq!(ranges(&marks, 300), [(0, 900, 1000), (1, 90, 100)]);
        assert_eq!(ranges(&marks, 0), [(0, 999, 1000), (1, 99, 100)]);
        assert_eq!(ranges(&[], 10), []);
    }
}
