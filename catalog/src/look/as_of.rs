//! Which snapshot was the table's state at a time.
//!
//! The snapshot log knows it exactly, rollbacks included, as far back as it goes: the format cuts it
//! at the newest expired entry, so that it forgets what tags keep. Before that all standing snapshots
//! are asked, by their own commit time. Where states between two of them have expired, a tagged one
//! is the answer that was kept for such questions, and it is said that there were later ones; else no
//! snapshot is right, and the neighbours are named instead of guessing.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use weir_contract::names::TableName;

use crate::CatalogError;

/// What resolving needs to know of one standing snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Snapshot id.
    pub id: i64,
    /// The snapshot it was committed on.
    pub parent: Option<i64>,
    /// Sequence number: orders snapshots of one millisecond.
    pub seq: i64,
    /// Commit time, ms since the epoch.
    pub at_ms: i64,
    /// Whether a tag keeps it.
    pub tagged: bool,
}

/// What stands of a table's past.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    /// All standing snapshots, in any order.
    pub snapshots: Vec<Standing>,
    /// The snapshot log, oldest first: since when which snapshot was the current one.
    pub log: Vec<(i64, i64)>,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// The table has no snapshot at all: it is empty at any time.
    NoSnapshots,
    /// This snapshot was the table's state at the time, committed `off_by_ms` before it.
    Found {
        /// The snapshot to read.
        snapshot: Standing,
        /// Time asked for less the snapshot's own, ms, not negative.
        off_by_ms: i64,
    },
    /// This tagged snapshot is the nearest state before the time that stands. There were later ones,
    /// which have expired.
    Kept {
        /// The snapshot to read.
        snapshot: Standing,
        /// Time asked for less the snapshot's own, ms, positive.
        off_by_ms: i64,
        /// The first standing snapshot after the time; its parent is gone.
        after: Standing,
    },
    /// The time lies before the first standing snapshot. `expired`: that snapshot had a parent, so
    /// the table had states before, which are gone.
    BeforeFirst {
        /// The oldest standing snapshot.
        first: Standing,
        /// Whether older states existed and have expired.
        expired: bool,
    },
    /// States between these two have expired, and the time lies there.
    Gap {
        /// The last standing snapshot at or before the time.
        before: Standing,
        /// The first standing snapshot after it; its parent is gone.
        after: Standing,
    },
}

/// The table's state at `at_ms`: by the log where that reaches back to it, else the newest snapshot
/// committed at or before.
///
/// The latter was the state only if the snapshot that follows in time was committed on one that
/// still stands: otherwise the states between are gone, and any of them may have been the one.
pub fn resolve_as_of(past: &Past, at_ms: i64) -> AsOf {
    let snapshots = &past.snapshots;
    let logged = past.log.iter().rev().find(|(since_ms, _)| *since_ms <= at_ms);
    let logged = logged.and_then(|(_, id)| snapshots.iter().find(|s| s.id == *id));
    if let Some(snapshot) = logged.filter(|s| s.at_ms <= at_ms) {
        return AsOf::Found { snapshot: *snapshot, off_by_ms: at_ms - snapshot.at_ms };
    }
    let order = |s: &&Standing| (s.at_ms, s.seq, s.id);
    let before = snapshots.iter().filter(|s| s.at_ms <= at_ms).max_by_key(order).copied();
    let after = snapshots.iter().filter(|s| s.at_ms > at_ms).min_by_key(order).copied();
    let orphan = |s: &Standing| {
        s.parent.is_some_and(|parent| !snapshots.iter().any(|other| other.id == parent))
    };
    match (before, after) {
        (None, None) => AsOf::NoSnapshots,
        (None, Some(first)) => AsOf::BeforeFirst { first, expired: orphan(&first) },
        (Some(snapshot), Some(after)) if orphan(&after) && snapshot.at_ms != at_ms => {
            match snapshot.tagged {
                true => AsOf::Kept { snapshot, off_by_ms: at_ms - snapshot.at_ms, after },
                false => AsOf::Gap { before: snapshot, after },
            }
        }
        (Some(snapshot), _) => AsOf::Found { snapshot, off_by_ms: at_ms - snapshot.at_ms },
    }
}

/// Why no snapshot answers for a time, naming the neighbours.
pub fn no_state(table: &TableName, ms: i64, why: &AsOf) -> CatalogError {
    let time = show_time(ms);
    CatalogError::bad_data(match why {
        AsOf::Gap { before, after } => format!(
            "{table} has no standing state of {time}: the snapshots between {before} and {after} \
             have expired; read one of the two with --snapshot"
        ),
        AsOf::BeforeFirst { first, expired: true } => format!(
            "{table} has no standing state of {time}: all before {first} have expired; read that \
             one with --snapshot"
        ),
        AsOf::BeforeFirst { first, expired: false } => {
            format!("{table} was empty at {time}: its first is {first}")
        }
        AsOf::NoSnapshots => format!("{table} has no snapshot yet"),
        AsOf::Found { .. } | AsOf::Kept { .. } => format!("{table} at {time}"),
    })
}

/// A time as our commands print it: RFC 3339, UTC, ms. Out of range: the number itself.
pub fn show_time(ms: i64) -> String {
    match DateTime::<Utc>::from_timestamp_millis(ms) {
        Some(time) => time.to_rfc3339_opts(SecondsFormat::Millis, true),
        None => format!("{ms} ms"),
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "snapshot {} of {}", self.id, show_time(self.at_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(id: i64, parent: Option<i64>, at_ms: i64) -> Standing {
        Standing { id, parent, seq: id, at_ms, tagged: false }
    }

    fn resolve(snapshots: &[Standing], at_ms: i64) -> AsOf {
        resolve_as_of(&Past { snapshots: snapshots.to_vec(), log: Vec::new() }, at_ms)
    }

    fn found(snapshot: Standing, off_by_ms: i64) -> AsOf {
        AsOf::Found { snapshot, off_by_ms }
    }

    #[test]
    fn an_unbroken_chain() {
        let chain = [s(1, None, 100), s(2, Some(1), 200), s(3, Some(2), 300)];
        let cases = [
            (99, AsOf::BeforeFirst { first: chain[0], expired: false }),
            (100, found(chain[0], 0)),
            (199, found(chain[0], 99)),
            (200, found(chain[1], 0)),
            (299, found(chain[1], 99)),
            (300, found(chain[2], 0)),
            (9_000, found(chain[2], 8_700)),
        ];
        for (at, expected) in cases {
            assert_eq!(resolve(&chain, at), expected, "at {at}");
            let mut reversed = chain;
            reversed.reverse();
            assert_eq!(resolve(&reversed, at), expected, "any order, at {at}");
        }
    }

    #[test]
    fn no_snapshots() {
        assert_eq!(resolve(&[], 5), AsOf::NoSnapshots);
    }

    #[test]
    fn expired_states_are_never_guessed() {
        // 1 is tagged, 2 to 4 expired, 5 and 6 stand.
        let standing = [s(1, None, 100), s(5, Some(4), 500), s(6, Some(5), 600)];
        let gap = AsOf::Gap { before: standing[0], after: standing[1] };
        let cases = [
            (100, found(standing[0], 0)),
            (101, gap),
            (499, gap),
            (500, found(standing[1], 0)),
            (599, found(standing[1], 99)),
        ];
        for (at, expected) in cases {
            assert_eq!(resolve(&standing, at), expected, "at {at}");
        }
    }

    #[test]
    fn a_tagged_state_before_a_gap_was_kept_for_it() {
        let mut standing = [s(1, None, 100), s(5, Some(4), 500)];
        standing[0].tagged = true;
        let kept = AsOf::Kept { snapshot: standing[0], off_by_ms: 399, after: standing[1] };
        assert_eq!(resolve(&standing, 499), kept);
        assert_eq!(resolve(&standing, 100), found(standing[0], 0));
        assert_eq!(resolve(&standing, 500), found(standing[1], 0));
    }

    #[test]
    fn the_log_knows_of_rollbacks_as_far_as_it_goes() {
        // 1 → 2 → 3, rolled back to 1 at 350; then 4 on 1. The log was cut before 2.
        let snapshots =
            vec![s(1, None, 100), s(2, Some(1), 200), s(3, Some(2), 300), s(4, Some(1), 400)];
        let log = vec![(200, 2), (300, 3), (350, 1), (400, 4)];
        let past = Past { snapshots: snapshots.clone(), log };
        let cases = [(349, 2, 49), (350, 0, 250), (399, 0, 299), (400, 3, 0), (150, 0, 50)];
        for (at, index, off_by) in cases {
            assert_eq!(resolve_as_of(&past, at), found(snapshots[index], off_by), "at {at}");
        }
    }

    #[test]
    fn before_the_first_says_whether_there_was_more() {
        let first = s(5, Some(4), 500);
        assert_eq!(resolve(&[first], 499), AsOf::BeforeFirst { first, expired: true });
    }

    #[test]
    fn a_rolled_back_branch_answers_for_its_own_time() {
        // 1 → 2 → 3, rolled back to 1, then 4 on 1: at 350 the table showed 3.
        let standing =
            [s(1, None, 100), s(2, Some(1), 200), s(3, Some(2), 300), s(4, Some(1), 400)];
        assert_eq!(resolve(&standing, 350), found(standing[2], 50));
        assert_eq!(resolve(&standing, 400), found(standing[3], 0));
    }

    #[test]
    fn one_millisecond_is_ordered_by_sequence() {
        let standing = [s(2, Some(1), 100), s(1, None, 100)];
        assert_eq!(resolve(&standing, 100), found(standing[0], 0));
    }

    #[test]
    fn times_are_shown_in_utc() {
        assert_eq!(show_time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(show_time(i64::MAX), format!("{} ms", i64::MAX));
    }
}
