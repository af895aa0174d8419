//! Since when a table holds something, by the vectors that snapshots carry; and why an offset has no
//! row. Pure.

use serde::{Serialize, Serializer};
use weir_contract::progress::{Partition, Progress};

/// A standing snapshot of ours.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// Its id and commit time.
    pub at: At,
    /// The vector after it.
    pub heads: Progress,
    /// Tags that keep it.
    pub tags: Vec<String>,
}

/// The history of the current snapshot as far as it stands unbroken, and what tags keep besides.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// Ours in the unbroken history, oldest first.
    pub chain: Vec<Held>,
    /// Whether that history goes back to the table's first snapshot.
    pub whole: bool,
    /// Tagged ones of ours, oldest first, in the chain or not.
    pub tagged: Vec<Held>,
}

/// A snapshot and its commit time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct At {
    /// The snapshot's id.
    #[serde(serialize_with = "as_text")]
    pub snapshot: i64,
    /// When it was committed, ms since the epoch.
    #[serde(serialize_with = "as_text")]
    pub committed_at_ms: i64,
}

/// Since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "since", rename_all = "snake_case")]
pub enum First {
    /// This snapshot brought it.
    Snapshot(At),
    /// The snapshot that brought it has expired; of the tagged ones this is the first that has it.
    Tag {
        /// The tag.
        tag: String,
        /// Its snapshot.
        #[serde(flatten)]
        at: At,
    },
    /// The snapshot that brought it has expired, and no tag has it.
    Expired {
        /// The oldest standing snapshot that has it.
        #[serde(skip_serializing_if = "Option::is_none")]
        oldest: Option<At>,
    },
}

impl History {
    /// The first snapshot whose vector `has` it, while that stands.
    pub fn first(&self, has: impl Fn(&Progress) -> bool) -> First {
        let oldest = self.chain.iter().position(|held| has(&held.heads));
        if let Some(at) = oldest.filter(|at| *at > 0 || self.whole) {
            return First::Snapshot(self.chain[at].at);
        }
        let tagged = self.tagged.iter().find(|held| has(&held.heads));
        match tagged.and_then(|held| Some((held.tags.first()?, held.at))) {
            Some((tag, at)) => First::Tag { tag: tag.clone(), at },
            None => First::Expired { oldest: oldest.map(|at| self.chain[at].at) },
        }
    }

    /// What became of the offsets that the commit of `offset` moved, if it stands.
    fn step(&self, source: &str, partition: i32, offset: i64) -> Option<Partition> {
        let of = |held: &Held| held.heads.sources.get(source)?.get(&partition).copied();
        let at = self.chain.iter().position(|held| of(held).is_some_and(|p| p.until > offset))?;
        let after = of(&self.chain[at])?;
        let start = Partition { start: after.start, until: after.start, ..Partition::default() };
        let before = match at.checked_sub(1) {
            Some(below) => of(&self.chain[below]).unwrap_or(start),
            None if self.whole => start,
            None => return None,
        };
        Some(Partition {
            start: before.until,
            until: after.until,
            rows: after.rows - before.rows,
            rejected: after.rejected - before.rejected,
            absent: after.absent - before.absent,
            lost: after.lost - before.lost,
            removed: after.removed - before.removed,
            extra: after.extra - before.extra,
            last: None,
        })
    }

    /// Why `offset`, which lies before the head, has no row: every reason that the counters allow,
    /// those of the commit that moved it if that stands. `now` are the partition's counters.
    pub fn why(&self, source: &str, partition: i32, offset: i64, now: &Partition) -> Vec<Why> {
        let step = self.step(source, partition, offset);
        let of = step.unwrap_or(*now);
        let removed = now.removed > 0 && step.is_none_or(|s| s.rows > 0 || s.rejected > 0);
        let reasons =
            [(of.absent > 0, Why::Absent), (of.lost > 0, Why::Lost), (removed, Why::Removed)];
        let why: Vec<Why> = reasons.into_iter().filter(|(may, _)| *may).map(|(_, w)| w).collect();
        if why.is_empty() { vec![Why::Missing] } else { why }
    }
}

/// Why an offset has no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Kafka has no record there for readers: a transaction marker, an aborted record, or one that
    /// compaction removed.
    Absent,
    /// Retention took the record before it was read; an operator accepted that.
    Lost,
    /// The row was deleted: by another engine, which an operator acknowledged, or by retention.
    Removed,
    /// No counter accounts for it.
    Missing,
}

impl Why {
    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Why::Absent => {
                "absent: Kafka has no record there, but a transaction marker, an aborted record or \
                 one that compaction removed"
            }
            Why::Lost => "lost: retention took it before it was read, which was accepted",
            Why::Removed => {
                "removed: its row was deleted, by retention or by another engine and acknowledged"
            }
            Why::Missing => "missing: `weir verify` says more",
        }
    }
}

fn as_text<S: Serializer>(value: &i64, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn held(id: i64, partition: Partition, tags: &[&str]) -> Held {
        let sources = BTreeMap::from([("s".to_string(), BTreeMap::from([(0, partition)]))]);
        Held {
            at: At { snapshot: id, committed_at_ms: id * 100 },
            heads: Progress { sources, ..Progress::default() },
            tags: tags.iter().map(ToString::to_string).collect(),
        }
    }

    fn until(until: i64) -> Partition {
        Partition { until, rows: until, ..Partition::default() }
    }

    fn chain(whole: bool) -> History {
        let chain =
            vec![held(4, until(10), &[]), held(5, until(20), &["t5"]), held(6, until(30), &[])];
        let tagged = vec![held(2, until(6), &["t2"]), chain[1].clone()];
        History { chain, whole, tagged }
    }

    fn first(history: &History, offset: i64) -> First {
        history.first(|p| p.head("s", 0).is_some_and(|head| head > offset))
    }

    #[test]
    fn the_first_snapshot_is_known_only_where_one_before_it_is() {
        let at = |id| At { snapshot: id, committed_at_ms: id * 100 };
        let broken = chain(false);
        assert_eq!(first(&broken, 12), First::Snapshot(at(5)));
        assert_eq!(first(&broken, 29), First::Snapshot(at(6)));
        assert_eq!(first(&broken, 3), First::Tag { tag: "t2".into(), at: at(2) });
        assert_eq!(first(&broken, 8), First::Tag { tag: "t5".into(), at: at(5) });
        let untagged = History { tagged: vec![], ..chain(false) };
        assert_eq!(first(&untagged, 8), First::Expired { oldest: Some(at(4)) });
        assert_eq!(first(&untagged, 99), First::Expired { oldest: None });
        assert_eq!(first(&chain(true), 8), First::Snapshot(at(4)));
    }

    #[test]
    fn the_commit_of_an_offset_says_why_it_has_no_row() {
        let absent = Partition { until: 20, rows: 17, absent: 3, ..Partition::default() };
        let lost = Partition { until: 30, rows: 17, absent: 3, lost: 10, ..Partition::default() };
        let now = Partition { until: 30, rows: 15, removed: 2, ..lost };
        let chain = vec![held(4, until(10), &[]), held(5, absent, &[]), held(6, lost, &[])];
        let history = History { chain, whole: false, tagged: vec![] };
        assert_eq!(history.why("s", 0, 15, &now), [Why::Absent, Why::Removed]);
        assert_eq!(history.why("s", 0, 25, &now), [Why::Lost]);
        assert_eq!(history.why("s", 0, 5, &now), [Why::Absent, Why::Lost, Why::Removed]);
        assert_eq!(history.why("s", 0, 5, &until(30)), [Why::Missing]);
        let whole = History { whole: true, ..history };
        assert_eq!(whole.why("s", 0, 5, &now), [Why::Removed]);
    }
}
