//! What a run knows of its topic: whether it is the same, and up to when the table holds all of it.

use std::collections::BTreeMap;

use weir_contract::coverage::{Coverage, Covered};

use super::Run;
use crate::resume::{AcceptKind, Problem};
use crate::source::{Identity, Source, Watermarks};
use crate::stream::IngestError;

/// How much later than its Kafka time, which the producer's clock may have set, a record may arrive.
const MARGIN_MS: i64 = 10_000;

impl<S: Source> Run<'_, S> {
    /// What is known of the topic once all that was read is in the table. A topic that is deleted and made
    /// again delivers its records without any event: whatever was read before this answer is of the topic
    /// that it names, or was made after it.
    pub(super) async fn coverage(&mut self) -> Result<Coverage, IngestError> {
        let Identity { source: found, partitions } = self.stream.source.identity().await?;
        let source = self.id.to_string();
        if found != self.id {
            let (kind, known) = (AcceptKind::RecreatedTopic, source);
            return Err(self.stopped(&[Problem::NewSource {
                kind,
                known,
                found: found.to_string(),
            }]));
        }
        // Read before the broker is asked: what is written meanwhile is later.
        let asked_ms = self.now_ms();
        // Without an answer less is known, no more.
        let marks = self.stream.source.watermarks(&partitions).await.unwrap_or_default();
        let marks: BTreeMap<i32, Watermarks> =
            marks.into_iter().map(|mark| (mark.partition, mark)).collect();
        let progress = self.base.progress()?;
        let head = |n: i32| progress.head(&source, n).unwrap_or(0);
        let covered = partitions.iter().map(|n| {
            let (until, read_ms) = self.batch.position(*n).unwrap_or((head(*n), None));
            (*n, covered(until, read_ms, marks.get(n), asked_ms))
        });
        let partitions = covered.collect();
        self.covered_at_ms = Some(asked_ms);
        Ok(Coverage { source, partitions })
    }

    /// Writes down what is known of the topic, without a snapshot. Nothing may be on its way into the table.
    pub(super) async fn cover(&mut self) -> Result<(), IngestError> {
        let coverage = self.coverage().await?;
        // Others may have moved the table meanwhile.
        let now = self.stream.lake.cover(self.base.clone(), &coverage).await?;
        self.stand_on(now).await
    }
}

/// What is known of a partition that was read up to `until`, and of which the newest record was of `read_ms`:
/// all of it at its end, as it was when the clock said `asked_ms`, before it what came with the record.
fn covered(
    until: i64,
    read_ms: Option<i64>,
    mark: Option<&Watermarks>,
    asked_ms: i64,
) -> Option<Covered> {
    let time_ms = match mark {
        Some(mark) if mark.high <= until => asked_ms,
        _ => read_ms?.min(asked_ms),
    };
    Some(Covered { until, time_ms: time_ms - MARGIN_MS })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_covers_until_now_and_a_record_until_its_time() {
        let mark = |high, stable| Watermarks { partition: 0, low: 0, high, stable };
        let time = |read_ms, mark: Watermarks| {
            covered(7, read_ms, Some(&mark), 60_000).map(|covered| covered.time_ms)
        };
        assert_eq!(time(None, mark(7, 7)), Some(50_000));
        // Behind an open transaction records may stand that nobody is shown yet.
        assert_eq!(time(None, mark(9, 7)), None);
        assert_eq!(time(Some(30_000), mark(9, 9)), Some(20_000));
        // A producer whose clock is ahead.
        assert_eq!(time(Some(90_000), mark(9, 9)), Some(50_000));
        assert_eq!(covered(7, None, None, 60_000), None);
    }
}
