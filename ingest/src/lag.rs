//! How far a raw table is behind its topic.

use weir_catalog::table::Base;
use weir_contract::class::ErrorClass;

use crate::resume::Start;
use crate::source::Source;
use crate::stream::IngestError;

/// One partition's lag. Offsets are exclusive ends.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Lag {
    /// Kafka partition.
    pub partition: i32,
    /// The topic's end: the last stable offset.
    pub end: i64,
    /// The table's head; where the table does not know the partition, where ingest would start.
    pub head: i64,
    /// Offsets between them.
    pub records_behind: i64,
    /// Age of the first record that the table does not hold, seconds; 0 where it holds all, none
    /// where the broker gives no time.
    pub seconds_behind: Option<i64>,
}

/// Compares the table's progress (`None`: no table yet) with the topic. `start` is where the source
/// would be started first. Joins no group.
pub async fn lag<S: Source>(
    source: &mut S,
    base: Option<&Base>,
    start: Start,
    now_ms: i64,
) -> Result<Vec<Lag>, IngestError> {
    let identity = source.identity().await?;
    let progress = match base {
        Some(base) => base.progress()?,
        None => Default::default(),
    };
    let known = progress.sources.get(&identity.source.to_string());
    if let (None, Some(other)) = (known, progress.sources.keys().next()) {
        return Err(IngestError {
            class: ErrorClass::BadData,
            message: format!(
                "the table was fed from {other}, and the config leads to {}: there is no lag \
                 between them; `weir ingest` says what can be accepted",
                identity.source
            ),
        });
    }
    let marks = source.watermarks(&identity.partitions).await?;
    let mut lags: Vec<Lag> = Vec::with_capacity(marks.len());
    for mark in &marks {
        let first = match (known, start) {
            (None, Start::Latest) => mark.stable,
            _ => mark.low,
        };
        let head = known.and_then(|k| k.get(&mark.partition)).map_or(first, |p| p.until);
        let records_behind = (mark.stable - head).max(0);
        let seconds_behind = (records_behind == 0).then_some(0);
        let (partition, end) = (mark.partition, mark.stable);
        lags.push(Lag { partition, end, head, records_behind, seconds_behind });
    }
    let behind: Vec<_> =
        lags.iter().enumerate().filter(|(_, lag)| lag.records_behind > 0).collect();
    let asked: Vec<_> = behind.iter().map(|(_, lag)| (lag.partition, lag.head)).collect();
    let behind: Vec<usize> = behind.into_iter().map(|(i, _)| i).collect();
    let times = source.record_times(&asked).await?;
    for (index, time_ms) in behind.into_iter().zip(times) {
        lags[index].seconds_behind = time_ms.map(|time_ms| (now_ms - time_ms).max(0) / 1000);
    }
    Ok(lags)
}
