//! The rows that were found against the vector that the table claims. Pure.

use std::collections::{BTreeMap, BTreeSet};

use roaring::RoaringTreemap;
use weir_contract::names::TableName;
use weir_contract::progress::{Partition, Progress};

use super::offsets::{Offsets, Seen, holes, range};
use super::report::{Finding, Kind};
use super::rows::Key;

/// A partition of which rows are gone.
#[derive(Debug, Clone, PartialEq)]
pub struct Lack {
    /// Full source id.
    pub source: String,
    /// Offsets that no row has, those that never were in Kafka included.
    pub holes: RoaringTreemap,
    /// Holes that the counters account for: absent, lost, removed.
    pub accounted: u64,
    /// Accepted rows that are gone; negative if there are more than the counters say.
    pub rows: i64,
    /// Rejected rows that are gone; negative if there are more than the counters say.
    pub rejected: i64,
}

impl Lack {
    /// Offsets that are gone.
    pub fn gone(&self) -> u64 {
        self.holes.len().saturating_sub(self.accounted)
    }
}

/// The partitions of which rows are gone.
pub type Lacks = BTreeMap<Key, Lack>;

/// Compares; `names` is short source id → full one. Missing rows are left for the caller to
/// explain.
pub fn compare(
    table: &TableName,
    progress: &Progress,
    names: &BTreeMap<String, String>,
    seen: &BTreeMap<Key, Seen>,
) -> (Vec<Finding>, Lacks) {
    let (mut findings, mut lacks) = (Vec::new(), Lacks::new());
    let short_of: BTreeMap<&str, &str> =
        names.iter().map(|(short, full)| (full.as_str(), short.as_str())).collect();
    let mut keys: BTreeSet<Key> = seen.keys().cloned().collect();
    for (source, partitions) in &progress.sources {
        match short_of.get(source.as_str()) {
            Some(short) => keys.extend(partitions.keys().map(|p| (short.to_string(), *p))),
            None => {
                let message = format!("the table has no property that gives {source} a short id");
                let mut finding = Finding::new(Kind::UnknownSource, table, message);
                finding.source = Some(source.clone());
                findings.push(finding);
            }
        }
    }
    let nothing = Seen::default();
    for key in keys {
        let rows = seen.get(&key).unwrap_or(&nothing);
        let (short, partition) = &key;
        let Some(source) = names.get(short) else {
            let message = format!("rows name the source {short:?}, which the table does not know");
            let finding = Finding::new(Kind::UnknownSource, table, message).at(short, *partition);
            findings.push(finding.offsets(&rows.all()));
            continue;
        };
        let claim = progress.sources.get(source).and_then(|p| p.get(partition));
        let lack = one(table, source, *partition, claim.copied(), rows, &mut findings);
        if let Some(lack) = lack {
            lacks.insert(key, lack);
        }
    }
    (findings, lacks)
}

fn one(
    table: &TableName,
    source: &str,
    partition: i32,
    claim: Option<Partition>,
    rows: &Seen,
    findings: &mut Vec<Finding>,
) -> Option<Lack> {
    let mut find = |kind: Kind, message: String, offsets: Option<Offsets>| {
        let mut finding = Finding::new(kind, table, message).at(source, partition);
        finding.offsets = offsets;
        findings.push(finding);
    };
    if !rows.doubled.is_empty() {
        let message = format!("{} offsets have more than one row", rows.doubled.len());
        find(Kind::OffsetDoubled, message, Some((&rows.doubled).into()));
    }
    let Some(claim) = claim else {
        let message = "the table's progress does not know this partition".to_string();
        find(Kind::OffsetOutside, message, Some((&rows.all()).into()));
        return None;
    };
    let claimed = range(claim.start, claim.until);
    let all = rows.all();
    let outside = &all - &claimed;
    if !outside.is_empty() {
        let message = format!(
            "{} rows lie outside of offsets {} until {}",
            outside.len(),
            claim.start,
            claim.until
        );
        find(Kind::OffsetOutside, message, Some((&outside).into()));
    }
    let inside = |set: &RoaringTreemap| signed(set.intersection_len(&claimed));
    let (accepted, rejected) = (inside(&rows.accepted), inside(&rows.rejected));
    let lack = Lack {
        source: source.to_string(),
        holes: holes(claim.start, claim.until, &all),
        accounted: [claim.absent, claim.lost, claim.removed].iter().map(|n| n.unsigned_abs()).sum(),
        rows: claim.rows.saturating_sub(accepted),
        rejected: claim.rejected.saturating_sub(rejected),
    };
    if lack.rows < 0 || lack.rejected < 0 {
        let message = format!(
            "the table holds {accepted} accepted and {rejected} rejected rows; its counters say {} \
             and {}",
            claim.rows, claim.rejected
        );
        find(Kind::Counts, message, None);
    }
    (lack.gone() > 0).then_some(lack)
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// What one foreign snapshot deleted, as far as it is still missing.
#[derive(Debug, Clone, PartialEq)]
pub struct Deletion {
    /// The snapshot.
    pub snapshot: i64,
    /// Whether an operator acknowledged it.
    pub acknowledged: bool,
    /// The rows, by source and partition; doubled is empty.
    pub gone: BTreeMap<Key, Seen>,
}

/// Names the offsets that are missing. Where a partition has holes that its counters account for,
/// a hole alone does not tell a deleted row from an offset that never was: `deletions` (disjoint)
/// do, and what they leave over is given as candidates.
pub fn explain(table: &TableName, lacks: &Lacks, deletions: &[Deletion]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (key, lack) in lacks {
        let mut candidates = lack.holes.clone();
        let mut left = lack.gone();
        for deletion in deletions {
            let Some(gone) = deletion.gone.get(key) else { continue };
            let offsets = gone.all() & &lack.holes;
            candidates -= &offsets;
            if deletion.acknowledged || offsets.is_empty() {
                continue;
            }
            left = left.saturating_sub(offsets.len());
            let message = format!(
                "snapshot {}, which is not weir's, deleted {} rows",
                deletion.snapshot,
                offsets.len()
            );
            findings.push(
                Finding::new(Kind::OffsetMissing, table, message)
                    .at(&lack.source, key.1)
                    .offsets(&offsets)
                    .snapshot(deletion.snapshot),
            );
        }
        if left == 0 {
            continue;
        }
        let by = "no standing snapshot shows who deleted them";
        let finding = match candidates.len() <= left {
            true => Finding::new(Kind::OffsetMissing, table, format!("{left} rows are gone; {by}")),
            false => Finding::new(
                Kind::OffsetMissingAmong,
                table,
                format!(
                    "{left} rows are gone, of {} offsets without a row that may be theirs; {by}",
                    candidates.len()
                ),
            ),
        };
        findings.push(finding.at(&lack.source, key.1).offsets(&candidates));
    }
    findings
}
