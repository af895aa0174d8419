//! Filling a topic with sample events.

use anyhow::{Result, bail};

use crate::sample::{self, CLASSES, Rng, Stream};
use crate::stack::{Message, Producer};

/// What to load.
#[derive(Debug, Clone)]
pub struct Load {
    /// Which events.
    pub stream: Stream,
    /// How many.
    pub records: u64,
    /// Same seed, same events.
    pub seed: u64,
    /// The share of malformed events, 0 to 1.
    pub bad: f64,
    /// Time of the last event, ms since 1970.
    pub until_ms: i64,
    /// Event time that they cover, ms.
    pub span_ms: i64,
}

/// What was loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Records in all.
    pub records: u64,
    /// Malformed ones among them.
    pub bad: u64,
    /// Bytes of all values.
    pub bytes: u64,
}

/// Sends the events of `plan` to `topic`, a machine's always to the same of its `partitions`, with
/// Kafka times shortly after the events'. Returns when all are acknowledged.
pub fn run(producer: &Producer, topic: &str, partitions: usize, plan: &Load) -> Result<Loaded> {
    if partitions == 0 {
        bail!("topic {topic} does not exist");
    }
    let mut rng = Rng::new(plan.seed);
    let mut loaded = Loaded::default();
    let mut value = Vec::with_capacity(1024);
    // In parts of 2^32, so that the decision costs no floating point per event.
    let bad_below = (plan.bad * 4_294_967_296.0) as u64;
    for i in 0..plan.records {
        let step = i128::from(plan.span_ms) * i128::from(i + 1) / i128::from(plan.records);
        let time_ms = plan.until_ms - plan.span_ms + step as i64;
        value.clear();
        let mut machine = i % sample::MACHINES;
        let is_bad = rng.next() >> 32 < bad_below;
        let null = if is_bad {
            let class = CLASSES[(loaded.bad % CLASSES.len() as u64) as usize];
            loaded.bad += 1;
            match sample::bad(plan.stream, class, i, &mut rng, time_ms) {
                Some(bytes) => value = bytes,
                None => value.clear(),
            }
            class == weir_contract::class::RejectClass::NullValue
        } else {
            machine = plan.stream.write(&mut value, i, &mut rng, time_ms);
            false
        };
        loaded.bytes += value.len() as u64;
        producer.send(
            topic,
            &Message {
                partition: Some((machine % partitions as u64) as i32),
                key: Some(&sample::key(machine)),
                value: (!null).then_some(&value[..]),
                timestamp_ms: Some(time_ms),
                ..Message::default()
            },
        )?;
    }
    producer.flush()?;
    loaded.records = plan.records;
    Ok(loaded)
}
