//! Coverage: up to which Kafka time all that a topic held is in the table, so that a quiet stream and one
//! that is not ingested differ. It stands in the table property `weir.coverage`, JSON version 1:
//!
//! ```json
//! {"v":1,"source":"<source>","partitions":{"0":{"until":"<offset>","time":"<ms>"},"1":null}}
//! ```
//!
//! An entry counts only while the table's head has not gone back behind its `until`: a rollback, by
//! whomever, takes what it said away. A partition that exists and of which nothing is known is null.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::names::key;
use crate::progress::{FormatError, Progress, check_version};

/// What is known of the partitions of one topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// The topic's full source id.
    pub source: String,
    /// Every partition that the topic had when it was last looked at.
    pub partitions: BTreeMap<i32, Option<Covered>>,
}

/// That whatever a partition held with a Kafka time up to `time_ms` lies before `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Covered {
    /// The offset.
    pub until: i64,
    /// The Kafka time, ms since the epoch.
    pub time_ms: i64,
}

impl Coverage {
    /// What is known after `news`, once the table is at `progress`. Another source takes the place of the
    /// one before; of a partition that both know the entry further on counts, and its time never goes back.
    #[must_use]
    pub fn then(&self, news: &Coverage, progress: &Progress) -> Coverage {
        let mut after = news.clone();
        if self.source != news.source {
            return after;
        }
        for (n, old) in &self.partitions {
            let old =
                old.filter(|old| head(progress, &news.source, *n).is_some_and(|h| h >= old.until));
            let new = after.partitions.entry(*n).or_default();
            *new = match (old, *new) {
                (Some(old), Some(new)) if old.until <= new.until => {
                    Some(Covered { time_ms: new.time_ms.max(old.time_ms), ..new })
                }
                (Some(old), _) => Some(old),
                (None, new) => new,
            };
        }
        after
    }

    /// Up to when all of the topic is in a table at `progress`, ms since the epoch; none where that is not
    /// known of some partition.
    pub fn least(&self, progress: &Progress) -> Option<i64> {
        let times = self.partitions.iter().map(|(n, covered)| {
            let head = head(progress, &self.source, *n)?;
            covered.filter(|covered| covered.until <= head).map(|covered| covered.time_ms)
        });
        times.collect::<Option<Vec<i64>>>()?.into_iter().min()
    }

    /// The value of the table property `weir.coverage`.
    pub fn to_json(&self) -> String {
        let one = |covered: &Covered| CoveredWire {
            until: covered.until.to_string(),
            time: covered.time_ms.to_string(),
        };
        let partitions = self.partitions.iter().map(|(n, covered)| (*n, covered.as_ref().map(one)));
        let wire = Wire { v: 1, source: self.source.clone(), partitions: partitions.collect() };
        // Neither a key nor a value here can fail to serialise.
        serde_json::to_string(&wire).unwrap_or_default()
    }

    /// Reads a `weir.coverage`.
    ///
    /// # Errors
    /// [`FormatError::Newer`] for a version above 1; [`FormatError::Damaged`] for anything else that is
    /// not the format.
    pub fn from_json(text: &str) -> Result<Coverage, FormatError> {
        check_version(key::COVERAGE, text)?;
        let damaged = |reason: String| FormatError::damaged(key::COVERAGE, reason);
        let wire: Wire = serde_json::from_str(text).map_err(|e| damaged(e.to_string()))?;
        let number = |text: &str| {
            text.parse::<i64>().map_err(|_| damaged(format!("{text:?} is not a whole number")))
        };
        let mut partitions = BTreeMap::new();
        for (n, covered) in wire.partitions {
            let covered = match covered {
                Some(CoveredWire { until, time }) => {
                    Some(Covered { until: number(&until)?, time_ms: number(&time)? })
                }
                None => None,
            };
            partitions.insert(n, covered);
        }
        Ok(Coverage { source: wire.source, partitions })
    }
}

/// The table's head of a partition of a source that it knows. A partition that it has no record of yet is
/// read from its beginning.
fn head(progress: &Progress, source: &str, partition: i32) -> Option<i64> {
    Some(progress.sources.get(source)?.get(&partition).map_or(0, |known| known.until))
}

#[derive(Serialize, Deserialize)]
struct Wire {
    v: u64,
    source: String,
    partitions: BTreeMap<i32, Option<CoveredWire>>,
}

#[derive(Serialize, Deserialize)]
struct CoveredWire {
    until: String,
    time: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Partition;

    fn coverage(source: &str, partitions: &[(i32, Option<(i64, i64)>)]) -> Coverage {
        let covered =
            |of: Option<(i64, i64)>| of.map(|(until, time_ms)| Covered { until, time_ms });
        let partitions = partitions.iter().map(|(n, of)| (*n, covered(*of)));
        Coverage { source: source.into(), partitions: partitions.collect() }
    }

    fn at(heads: &[(i32, i64)]) -> Progress {
        let heads = heads
            .iter()
            .map(|(n, until)| (*n, Partition { until: *until, ..Partition::default() }));
        Progress { sources: [("s".to_string(), heads.collect())].into(), ..Progress::default() }
    }

    #[test]
    fn the_least_partition_decides_and_an_unknown_one_leaves_it_open() {
        let progress = at(&[(0, 10), (1, 20)]);
        let least = |partitions| coverage("s", partitions).least(&progress);
        assert_eq!(least(&[(0, Some((10, 700))), (1, Some((15, 500)))]), Some(500));
        assert_eq!(least(&[(0, Some((10, 700))), (1, None)]), None);
        assert_eq!(least(&[]), None);
        // A partition that the table has nothing of.
        assert_eq!(least(&[(0, Some((10, 700))), (2, Some((0, 500)))]), Some(500));
        assert_eq!(least(&[(0, Some((10, 700))), (2, Some((1, 500)))]), None);
        assert_eq!(coverage("other", &[(0, Some((0, 1)))]).least(&progress), None);
    }

    #[test]
    fn what_was_rolled_back_covers_nothing_until_it_is_there_again() {
        let known = coverage("s", &[(0, Some((10, 700)))]);
        assert_eq!(known.least(&at(&[(0, 9)])), None);
        // Read again up to 6 only: the old entry no longer stands in the way.
        let news = coverage("s", &[(0, Some((6, 300)))]);
        let after = known.then(&news, &at(&[(0, 6)]));
        assert_eq!(after.least(&at(&[(0, 6)])), Some(300));
        assert_eq!(known.then(&news, &at(&[(0, 10)])).least(&at(&[(0, 10)])), Some(700));
    }

    #[test]
    fn members_write_about_their_own_partitions() {
        let progress = at(&[(0, 10), (1, 20), (2, 0)]);
        let one = coverage("s", &[(0, Some((10, 700))), (1, None)]);
        let other = coverage("s", &[(0, None), (1, Some((20, 400))), (2, None)]);
        let both = one.then(&other, &progress);
        let expect = coverage("s", &[(0, Some((10, 700))), (1, Some((20, 400))), (2, None)]);
        assert_eq!(both, expect);
        let back = coverage("s", &[(0, Some((10, 650)))]);
        assert_eq!(
            both.then(&back, &progress).partitions[&0],
            Some(Covered { until: 10, time_ms: 700 })
        );
        assert_eq!(both.then(&coverage("t", &[]), &progress), coverage("t", &[]));
    }

    #[test]
    fn it_is_written_and_read() {
        let known = coverage("c/t/-", &[(0, Some((i64::MAX, -5))), (10, None)]);
        let text = known.to_json();
        assert_eq!(
            text,
            r#"{"v":1,"source":"c/t/-","partitions":{"0":{"until":"9223372036854775807","time":"-5"},"10":null}}"#
        );
        assert_eq!(Coverage::from_json(&text).unwrap(), known);
        for wrong in ["", "{}", r#"{"v":2}"#, &text.replace("-5", "x")] {
            assert!(Coverage::from_json(wrong).is_err(), "{wrong}");
        }
    }
}
