//! What a rollback does to progress. Pure.

use std::collections::BTreeSet;

use serde::Serialize;
use weir_contract::progress::{Partition, Progress};

use crate::look::{as_text, as_text_or_null};

/// What becomes of one partition whose vector changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Effect {
    /// Full source id.
    pub source: String,
    /// Partition; of a reference table always 0.
    pub partition: i32,
    /// The head as it is; none where the table does not know the partition.
    #[serde(serialize_with = "as_text_or_null")]
    pub head: Option<i64>,
    /// The head afterwards; none where the table will no longer know the partition.
    #[serde(serialize_with = "as_text_or_null")]
    pub head_after: Option<i64>,
    /// Offsets that the table no longer holds: from the first, until before the second.
    #[serde(serialize_with = "range")]
    pub again: Option<(i64, i64)>,
    /// Accepted rows, afterwards less now.
    #[serde(serialize_with = "as_text")]
    pub rows: i64,
    /// Rejected rows, afterwards less now.
    #[serde(serialize_with = "as_text")]
    pub rejected: i64,
    /// How many of the offsets to be read again are gone from Kafka; none where it was not asked.
    #[serde(serialize_with = "as_text_or_null")]
    pub gone: Option<i64>,
}

/// What a rollback from one vector to another does, partition by partition; those that stay as they
/// are do not occur.
pub fn effects(now: &Progress, then: &Progress) -> Vec<Effect> {
    let known = |progress: &Progress| -> BTreeSet<(String, i32)> {
        let sources = progress.sources.iter();
        sources.flat_map(|(s, p)| p.keys().map(|p| (s.clone(), *p)).collect::<Vec<_>>()).collect()
    };
    let mut effects = Vec::new();
    for (source, partition) in &known(now) | &known(then) {
        let of = |progress: &Progress| -> Option<Partition> {
            progress.sources.get(&source)?.get(&partition).copied()
        };
        let (now, then) = (of(now), of(then));
        if now == then {
            continue;
        }
        let count = |count: fn(&Partition) -> i64| {
            then.as_ref().map_or(0, count) - now.as_ref().map_or(0, count)
        };
        let until = now.map_or(0, |p| p.until);
        let from = then.map_or(now.map_or(0, |p| p.start), |p| p.until);
        effects.push(Effect {
            rows: count(|p| p.rows),
            rejected: count(|p| p.rejected),
            head: now.map(|p| p.until),
            head_after: then.map(|p| p.until),
            again: (from < until).then_some((from, until)),
            gone: None,
            source,
            partition,
        });
    }
    effects
}

impl Effect {
    /// Takes note of the first offset that Kafka has of the partition.
    pub fn see(&mut self, low: i64) {
        self.gone = Some(self.again.map_or(0, |(from, until)| (low.min(until) - from).max(0)));
    }
}

fn range<S: serde::Serializer>(range: &Option<(i64, i64)>, to: S) -> Result<S::Ok, S::Error> {
    range.map(|(from, until)| [from.to_string(), until.to_string()]).serialize(to)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn vector(partitions: &[(i32, i64, i64, i64)]) -> Progress {
        let partition = |(number, start, until, rejected): &(i32, i64, i64, i64)| {
            let (start, until, rejected) = (*start, *until, *rejected);
            let rows = until - start - rejected;
            (*number, Partition { start, until, rows, rejected, ..Partition::default() })
        };
        let partitions = partitions.iter().map(partition).collect();
        Progress { sources: BTreeMap::from([("s".into(), partitions)]), ..Progress::default() }
    }

    #[test]
    fn back_is_what_is_read_again_and_forward_is_not() {
        let now = vector(&[(0, 0, 300, 3), (1, 0, 50, 0), (2, 10, 40, 0), (3, 0, 7, 2)]);
        let then = vector(&[(0, 0, 200, 1), (1, 0, 80, 0), (3, 0, 7, 5)]);
        let mut found = effects(&now, &then);
        let brief: Vec<_> = found
            .iter()
            .map(|e| (e.partition, e.head, e.head_after, e.again, e.rows, e.rejected))
            .collect();
        assert_eq!(
            brief,
            [
                (0, Some(300), Some(200), Some((200, 300)), -98, -2),
                (1, Some(50), Some(80), None, 30, 0),
                // The table had no such partition yet: it answers for it from its start again.
                (2, Some(40), None, Some((10, 40)), -30, 0),
                // A redrive is undone.
                (3, Some(7), Some(7), None, -3, 3),
            ]
        );
        found[0].see(250);
        found[1].see(250);
        found[2].see(5);
        assert_eq!(
            found.iter().map(|e| e.gone).collect::<Vec<_>>(),
            [Some(50), Some(0), Some(0), None]
        );
        found[0].see(9_999);
        assert_eq!(found[0].gone, Some(100), "more than was held cannot be gone");
        assert!(effects(&now, &now).is_empty());
    }
}
