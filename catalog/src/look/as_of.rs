//! Which snapshot was the table's state at a time, over all standing snapshots by their own commit
//! time.
//!
//! The snapshot log is not asked: the format cuts it at the newest expired entry, so that it forgets
//! what tags keep. Where states between two standing snapshots have expired, no snapshot is the
//! right answer, and the neighbours are named instead of guessing.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};

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
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// The table has no snapshot at all: it is empty at any time.
    NoSnapshots,
    /// This snapshot was the newest at the time, committed `off_by_ms` before it.
    Found {
        /// The snapshot to read.
        snapshot: Standing,
        /// Time asked for less the snapshot's own, ms, not negative.
        off_by_ms: i64,
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

/// The newest of `snapshots` (all that stand, in any order) committed at or before `at_ms`.
///
/// It is the answer only if the snapshot that follows in time was committed on one that still
/// stands: otherwise the states between are gone, and any of them may have been the one at `at_ms`.
pub fn resolve_as_of(snapshots: &[Standing], at_ms: i64) -> AsOf {
    let order = |s: &&Standing| (s.at_ms, s.seq, s.id);
    let before = snapshots.iter().filter(|s| s.at_ms <= at_ms).max_by_key(order).copied();
    let after = snapshots.iter().filter(|s| s.at_ms > at_ms).min_by_key(order).copied();
    let orphan = |s: &Standing| {
        s.parent.is_some_and(|parent| !snapshots.iter().any(|other| other.id == parent))
    };
    match (before, after) {
        (None, None) => AsOf::NoSnapshots,
        (None, Some(first)) => AsOf::BeforeFirst { first, expired: orphan(&first) },
        (Some(before), Some(after)) if orphan(&after) && before.at_ms != at_ms => {
            AsOf::Gap { before, after }
        }
        (Some(snapshot), _) => AsOf::Found { snapshot, off_by_ms: at_ms - snapshot.at_ms },
    }
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
        Standing { id, parent, seq: id, at_ms }
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
            assert_eq!(resolve_as_of(&chain, at), expected, "at {at}");
            let mut reversed = chain;
            reversed.reverse();
            assert_eq!(resolve_as_of(&reversed, at), expected, "any order, at {at}");
        }
    }

    #[test]
    fn no_snapshots() {
        assert_eq!(resolve_as_of(&[], 5), AsOf::NoSnapshots);
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
            assert_eq!(resolve_as_of(&standing, at), expected, "at {at}");
        }
    }

    #[test]
    fn before_the_first_says_whether_there_was_more() {
        let first = s(5, Some(4), 500);
        assert_eq!(resolve_as_of(&[first], 499), AsOf::BeforeFirst { first, expired: true });
    }

    #[test]
    fn a_rolled_back_branch_answers_for_its_own_time() {
        // 1 → 2 → 3, rolled back to 1, then 4 on 1: at 350 the table showed 3.
        let standing =
            [s(1, None, 100), s(2, Some(1), 200), s(3, Some(2), 300), s(4, Some(1), 400)];
        assert_eq!(resolve_as_of(&standing, 350), found(standing[2], 50));
        assert_eq!(resolve_as_of(&standing, 400), found(standing[3], 0));
    }

    #[test]
    fn one_millisecond_is_ordered_by_sequence() {
        let standing = [s(2, Some(1), 100), s(1, None, 100)];
        assert_eq!(resolve_as_of(&standing, 100), found(standing[0], 0));
    }

    #[test]
    fn times_are_shown_in_utc() {
        assert_eq!(show_time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(show_time(i64::MAX), format!("{} ms", i64::MAX));
    }
}
