//! When the open batch is handed over to be committed. Pure.

use std::time::Duration;

/// The bounds of a micro-batch; whichever is met first ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlushLimits {
    /// Age of the batch's first record.
    pub interval: Duration,
    /// Records in the batch, accepted and rejected.
    pub rows_max: usize,
    /// Bytes of record values in the batch.
    pub bytes_max: usize,
}

impl Default for FlushLimits {
    fn default() -> FlushLimits {
        FlushLimits { interval: Duration::from_secs(5), rows_max: 250_000, bytes_max: 64 << 20 }
    }
}

/// What the decision is made on.
#[derive(Debug, Clone, Copy, Default)]
pub struct FlushFacts {
    /// Whether any partition moved since the last batch.
    pub moved: bool,
    /// Records in the open batch.
    pub rows: usize,
    /// Bytes of record values in the open batch.
    pub bytes: usize,
    /// Time since the batch's first movement.
    pub age: Duration,
    /// Whether the last batch's commit is still under way.
    pub in_flight: bool,
    /// Whether memory held leaves no room for another read.
    pub memory_full: bool,
    /// Whether the run is ending: what is open is the last batch.
    pub draining: bool,
}

/// What to do with the open batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// Read on.
    Read,
    /// Commit the open batch now.
    Now,
    /// Read no more until the commit under way has ended.
    Hold,
}

/// One commit in flight per table: a batch that is due while the last one is being committed grows on
/// until one of its hard bounds (rows, bytes, memory) is met, then reading stops.
pub fn decide_flush(facts: &FlushFacts, limits: &FlushLimits) -> Flush {
    let full =
        facts.rows >= limits.rows_max || facts.bytes >= limits.bytes_max || facts.memory_full;
    if facts.in_flight {
        return if full || facts.draining { Flush::Hold } else { Flush::Read };
    }
    let due = full || facts.draining || facts.age >= limits.interval;
    match (facts.moved, due) {
        (true, true) => Flush::Now,
        _ => Flush::Read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl Fn(&mut FlushFacts), expect: Flush) {
        let mut facts = FlushFacts { moved: true, rows: 10, bytes: 100, ..FlushFacts::default() };
        change(&mut facts);
        let limits =
            FlushLimits { interval: Duration::from_secs(5), rows_max: 100, bytes_max: 1000 };
        assert_eq!(decide_flush(&facts, &limits), expect, "{facts:?}");
    }

    #[test]
    fn ends_at_the_first_bound_that_is_met() {
        check(|_| {}, Flush::Read);
        check(|f| f.rows = 99, Flush::Read);
        check(|f| f.rows = 100, Flush::Now);
        check(|f| f.bytes = 1000, Flush::Now);
        check(|f| f.age = Duration::from_secs(5), Flush::Now);
        check(|f| f.memory_full = true, Flush::Now);
        check(|f| f.draining = true, Flush::Now);
    }

    #[test]
    fn never_commits_where_nothing_moved() {
        check(
            |f| (f.moved, f.draining, f.age) = (false, true, Duration::from_secs(60)),
            Flush::Read,
        );
    }

    #[test]
    fn grows_behind_a_commit_until_a_hard_bound() {
        check(|f| (f.in_flight, f.age) = (true, Duration::from_secs(60)), Flush::Read);
        check(|f| (f.in_flight, f.rows) = (true, 100), Flush::Hold);
        check(|f| (f.in_flight, f.bytes) = (true, 1000), Flush::Hold);
        check(|f| (f.in_flight, f.memory_full) = (true, true), Flush::Hold);
        check(|f| (f.in_flight, f.draining) = (true, true), Flush::Hold);
    }
}
