//! Vectors for the property tests of the two formats.

use proptest::prelude::*;

use super::{Derived, Fingerprint, Partition, Progress, Root};

/// Any valid vector: extreme offsets, gaps between partitions, sources with odd names.
pub fn progress() -> impl Strategy<Value = Progress> {
    let partitions = prop::collection::btree_map(number(), partition(), 0..6);
    let sources = prop::collection::btree_map(r#"[a-z0-9/."\\é-]{1,12}"#, partitions, 0..4);
    let commits = prop::collection::vec("[a-z0-9-]{1,8}", 0..5);
    let recorded = (any::<i64>(), 0..i64::MAX, commits, sources, 0..i32::MAX).prop_map(
        |(snapshot, seq, commits, sources, rev)| Progress {
            snapshot,
            seq,
            commits,
            sources,
            rev,
            derived: None,
        },
    );
    (recorded, prop::option::weighted(0.3, derived())).prop_map(|(recorded, derived)| match derived
    {
        None => recorded,
        some => Progress { sources: Default::default(), derived: some, ..recorded },
    })
}

fn derived() -> impl Strategy<Value = Derived> {
    let heads = prop::collection::btree_map(number(), 0..=i64::MAX, 0..5);
    let until = prop::collection::btree_map(r#"[a-z0-9/."\\é-]{1,12}"#, heads, 0..3);
    let root =
        (0..i32::MAX, 0..i64::MAX, until).prop_map(|(rev, seq, until)| Root { rev, seq, until });
    let roots = prop::collection::btree_map("[a-z_.]{1,12}", root, 0..3);
    (0..i64::MAX, roots).prop_map(|(rows, roots)| Derived { rows, roots })
}

fn number() -> impl Strategy<Value = i32> {
    prop_oneof![4 => 0..8, 1 => 0..=i32::MAX, 1 => Just(i32::MAX)]
}

fn partition() -> impl Strategy<Value = Partition> {
    let offset = || prop_oneof![Just(0), 0..100i64, 0..=i64::MAX];
    let cuts = [offset(), offset(), offset(), offset(), offset(), offset()];
    let fingerprint = prop::option::of((any::<i64>(), any::<u32>(), any::<u64>()));
    (cuts, fingerprint).prop_map(|(mut cuts, fingerprint)| {
        let crc = fingerprint.map(|(_, crc, _)| crc);
        cuts.sort_unstable();
        let [start, a, b, c, d, until] = cuts;
        let last = fingerprint.filter(|_| until > start).map(|(time_ms, crc, at)| Fingerprint {
            offset: start + (at % (until - start).unsigned_abs()) as i64,
            time_ms,
            crc,
        });
        let extra = crc.map_or(0, |crc| i64::from(crc % 3)).min(i64::MAX - (a - start));
        let (rows, rejected, absent) = (a - start + extra, b - a, c - b);
        let (lost, removed) = (d - c, until - d);
        Partition { start, until, rows, rejected, absent, lost, removed, extra, last }
    })
}
