//! The vector of offsets that every table carries: up to which offset of which partition it is
//! complete, and what became of the offsets before that.
//!
//! - [`Progress::advance`], [`Progress::remove`] and [`Progress::redrive`] are the only ways a
//!   vector moves.
//! - [`Progress::to_json`] is the table property `weir.progress`, [`Progress::to_heads`] the
//!   snapshot summary `weir.heads`. A newer version of either is refused by name.
//! - [`resolve`] is the truth rule: which of the two counts when they differ.

use std::collections::BTreeMap;

use thiserror::Error;

mod advance;
mod derived;
mod heads;
mod json;
mod truth;

#[cfg(test)]
mod arbitrary;

pub use advance::{Accepted, Fence, Removed, Step, Steps, Verdict};
pub use derived::{Derived, Root};
pub(crate) use json::check_version;
pub use truth::{Recovery, SnapshotFacts, TableFacts, Truth, resolve};

/// Commit ids that a vector remembers: enough to recognise a commit whose outcome stayed unknown.
pub const COMMITS_KEPT: usize = 16;

/// A table's progress, complete after the snapshot that it names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// The snapshot that was committed together with this vector.
    pub snapshot: i64,
    /// That snapshot's data sequence number.
    pub seq: i64,
    /// The ids of the last commits, newest last; at most [`COMMITS_KEPT`] after an advance.
    pub commits: Vec<String>,
    /// Full source id → partition → how far.
    pub sources: BTreeMap<String, BTreeMap<i32, Partition>>,
    /// The greatest `_rev` in the table.
    pub rev: i32,
    /// Of a derived table: what it was made of. Such a table has no sources.
    pub derived: Option<Derived>,
}

/// One partition of one source: what became of the offsets `start..until`.
///
/// `rows + rejected + absent + lost + removed == until - start + extra`, and none is negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Partition {
    /// The first offset that the table answers for.
    pub start: i64,
    /// The head: the first offset that is not yet in the table.
    pub until: i64,
    /// Accepted rows that the table holds.
    pub rows: i64,
    /// Rejected rows that the table holds.
    pub rejected: i64,
    /// Offsets without a record: transaction markers, aborted and compacted records.
    pub absent: i64,
    /// Offsets that retention took before they were read, accepted by an operator.
    pub lost: i64,
    /// Rows that were deleted, by others and acknowledged by an operator, or by retention.
    pub removed: i64,
    /// Rows beyond one an offset: 0 but in a reference table, where an offset is a load.
    pub extra: i64,
    /// The last record consumed; only where the broker gives no topic id.
    pub last: Option<Fingerprint>,
}

/// What a record looked like, so that a recreated topic is noticed where topics have no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    /// The record's offset, within `start..until`.
    pub offset: i64,
    /// The record's Kafka timestamp, ms since the epoch; negative where it has none.
    pub time_ms: i64,
    /// CRC-32 of the record's key and value.
    pub crc: u32,
}

/// A `weir.progress` or `weir.heads` that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FormatError {
    /// Written by a newer Weir, in a version that this one must not guess at.
    #[error("{what} has version {version}, this weir reads {reads}: use a newer weir")]
    Newer {
        /// `weir.progress`, or `weir.heads` and where it stands.
        what: String,
        /// The version found.
        version: u64,
        /// The version that this Weir reads and writes.
        reads: u64,
    },
    /// Not in the format, or its arithmetic does not add up.
    #[error("{what} is damaged: {reason}")]
    Damaged {
        /// `weir.progress`, or `weir.heads` and where it stands.
        what: String,
        /// What is wrong, and in which partition.
        reason: String,
    },
}

impl FormatError {
    pub(crate) fn damaged(what: &str, reason: impl ToString) -> FormatError {
        FormatError::Damaged { what: what.into(), reason: reason.to_string() }
    }
}

impl Progress {
    /// The first offset of the partition that is not yet in the table; none if the partition has
    /// not been started.
    pub fn head(&self, source: &str, partition: i32) -> Option<i64> {
        self.sources.get(source)?.get(&partition).map(|p| p.until)
    }

    /// The rows that the table holds by this vector: records, accepted and rejected, over all sources;
    /// of a derived table its rows.
    pub fn records(&self) -> i128 {
        if let Some(derived) = &self.derived {
            return derived.rows.into();
        }
        let partitions = self.sources.values().flat_map(BTreeMap::values);
        partitions.map(|p| i128::from(p.rows) + i128::from(p.rejected)).sum()
    }

    /// The same vector, as committed with the snapshot `id` of sequence number `seq`.
    #[must_use]
    pub fn with_snapshot(mut self, id: i64, seq: i64) -> Progress {
        self.snapshot = id;
        self.seq = seq;
        self
    }

    /// What breaks the invariants of a vector, naming the partition.
    fn check(&self) -> Result<(), String> {
        if self.rev < 0 {
            return Err(format!("rev is {}", self.rev));
        }
        if let Some(derived) = &self.derived {
            derived.check()?;
            if !self.sources.is_empty() {
                return Err("a derived table has no sources of its own".into());
            }
        }
        for (source, partitions) in &self.sources {
            if source.is_empty() {
                return Err("a source has no name".into());
            }
            for (partition, p) in partitions {
                let named = |why| format!("partition {partition} of {source}: {why}");
                if *partition < 0 {
                    return Err(named("its number is negative".into()));
                }
                p.check().map_err(named)?;
            }
        }
        Ok(())
    }
}

impl Partition {
    fn check(&self) -> Result<(), String> {
        let counters = [
            ("rows", self.rows),
            ("rejected", self.rejected),
            ("absent", self.absent),
            ("lost", self.lost),
            ("removed", self.removed),
        ];
        adds_up(("start", self.start), self.until, self.extra, &counters)?;
        within(self.last, self.start, self.until)
    }
}

/// Whether the counters are counts and explain each offset of the range once, and `extra` rows.
fn adds_up(
    from: (&str, i64),
    until: i64,
    extra: i64,
    counters: &[(&str, i64)],
) -> Result<(), String> {
    let (from_name, from) = from;
    if from < 0 || until < from {
        return Err(format!("{from_name} {from}, until {until} is not a range of offsets"));
    }
    let mut counts = counters.iter().copied().chain([("extra", extra)]);
    if let Some((name, count)) = counts.find(|(_, count)| *count < 0) {
        return Err(format!("{name} is {count}"));
    }
    let sum: i128 = counters.iter().map(|(_, count)| i128::from(*count)).sum();
    let records = i128::from(until) - i128::from(from) + i128::from(extra);
    if sum != records {
        let beyond = if extra == 0 { String::new() } else { format!(" + extra {extra}") };
        let terms: Vec<String> = counters.iter().map(|(n, c)| format!("{n} {c}")).collect();
        return Err(format!(
            "{} make {sum}, but until {until} - {from_name} {from}{beyond} makes {records}",
            terms.join(" + ")
        ));
    }
    Ok(())
}

fn within(last: Option<Fingerprint>, from: i64, until: i64) -> Result<(), String> {
    match last {
        Some(last) if last.offset < from || last.offset >= until => {
            Err(format!("its last record {} is not within {from}..{until}", last.offset))
        }
        _ => Ok(()),
    }
}
