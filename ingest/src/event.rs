//! Everything the ingest loop tells, as one closed list: the log, the metrics and the simulation's
//! trace all listen to these.

use std::collections::BTreeMap;
use std::fmt;

use weir_catalog::commit::Receipt;
use weir_contract::class::RejectClass;
use weir_contract::progress::{Fence, Step};

use crate::batch::ByClass;

/// Members of a group that may hold partitions of one table before a warning: every one of them
/// commits to it, and a commit that loses its race is made again.
pub const MEMBERS_MAX: usize = 4;

/// Something that happened to a stream.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum IngestEvent {
    /// The group gave us partitions; they start at these offsets.
    PartitionsStarted {
        /// Partition and first offset.
        offsets: Vec<(i32, i64)>,
    },
    /// The group took partitions from us.
    PartitionsRevoked {
        /// The partitions.
        partitions: Vec<i32>,
        /// Whether they were gone before we could finish.
        lost: bool,
    },
    /// The Kafka client died and was built anew.
    ClientRebuilt {
        /// What killed it.
        reason: String,
    },
    /// More members of the group hold partitions of the table than get on well.
    ManyMembers {
        /// Members with partitions.
        members: usize,
    },
    /// The first records arrived.
    FirstFetch,
    /// A commit without records wrote down starts or accepted steps.
    StepsRecorded {
        /// What was accepted; empty for a first start.
        accepted: Vec<String>,
    },
    /// A batch is closed and on its way into the table.
    CommitStarted {
        /// The commit's id.
        commit_id: String,
    },
    /// A batch is in the table.
    BatchCommitted {
        /// The commit's id.
        commit_id: String,
        /// The snapshot that holds it.
        snapshot_id: i64,
        /// Accepted records.
        rows: u64,
        /// Rejected records.
        rejected: u64,
        /// Rejected records by class.
        rejects: BTreeMap<&'static str, u64>,
        /// Offsets without a record.
        absent: u64,
        /// Attempts that another writer beat.
        conflicts: u32,
        /// Attempts whose outcome was unknown at first.
        unknowns: u32,
        /// Whether it was found to have landed already.
        already: bool,
        /// What was known of the table's progress before, if not from its property.
        recovered: Option<String>,
    },
    /// Another writer moved our partitions: the batch was thrown away, reading goes on at the heads.
    BatchFenced {
        /// The commit's id.
        commit_id: String,
        /// Partition, the table's head, and where our batch begins.
        fences: Vec<(i32, Option<i64>, i64)>,
    },
    /// The open batch was thrown away; its records are read again by whoever owns the partitions.
    BatchAbandoned {
        /// Records in it.
        records: u64,
        /// Why.
        reason: String,
    },
    /// Another version of the contract decodes from the next record on.
    ContractTaken {
        /// Its version.
        version: String,
    },
    /// The contract changed, and is not in use: the one before stays.
    ContractRefused {
        /// Why.
        why: String,
    },
    /// Something failed that may pass: reading starts again at the heads, a little later.
    Interrupted {
        /// What failed.
        error: String,
        /// Failures in a row.
        failures: u32,
    },
}

impl IngestEvent {
    pub(crate) fn committed(
        id: String,
        steps: &[(i32, Step)],
        rejected: &ByClass,
        receipt: &Receipt,
    ) -> IngestEvent {
        let classes = RejectClass::ALL.iter().zip(rejected).filter(|(_, count)| **count > 0);
        IngestEvent::BatchCommitted {
            commit_id: id,
            snapshot_id: receipt.snapshot_id,
            rows: steps.iter().map(|(_, step)| step.rows as u64).sum(),
            rejected: steps.iter().map(|(_, step)| step.rejected as u64).sum(),
            rejects: classes.map(|(class, count)| (class.name(), *count)).collect(),
            absent: steps.iter().map(|(_, step)| step.absent as u64).sum(),
            conflicts: receipt.conflicts,
            unknowns: receipt.unknowns,
            already: receipt.already,
            recovered: receipt.recovered.clone(),
        }
    }

    pub(crate) fn fenced(commit_id: String, fences: &[Fence]) -> IngestEvent {
        let fences = fences.iter().map(|fence| (fence.partition, fence.head, fence.from)).collect();
        IngestEvent::BatchFenced { commit_id, fences }
    }

    /// Whether an operator should look at it.
    pub fn is_warning(&self) -> bool {
        match self {
            IngestEvent::ClientRebuilt { .. }
            | IngestEvent::ManyMembers { .. }
            | IngestEvent::BatchFenced { .. }
            | IngestEvent::ContractRefused { .. }
            | IngestEvent::Interrupted { .. } => true,
            IngestEvent::BatchCommitted { recovered, .. } => recovered.is_some(),
            _ => false,
        }
    }
}

impl fmt::Display for IngestEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IngestEvent::PartitionsStarted { offsets } => {
                write!(f, "started {} partitions: {}", offsets.len(), Pairs(offsets))
            }
            IngestEvent::PartitionsRevoked { partitions, lost } => {
                let how = if *lost { "lost" } else { "revoked" };
                write!(f, "{how} {} partitions: {}", partitions.len(), List(partitions))
            }
            IngestEvent::ClientRebuilt { reason } => write!(f, "kafka client rebuilt: {reason}"),
            IngestEvent::ManyMembers { members } => write!(
                f,
                "{members} processes write this table; each commit of one makes the others' wait or \
                 try again: let at most {MEMBERS_MAX} take the stream, and give each process more \
                 of the other streams"
            ),
            IngestEvent::FirstFetch => f.write_str("first records arrived"),
            IngestEvent::StepsRecorded { accepted } if accepted.is_empty() => {
                f.write_str("wrote down where the source starts")
            }
            IngestEvent::StepsRecorded { accepted } => {
                write!(f, "accepted: {}", accepted.join("; "))
            }
            IngestEvent::CommitStarted { .. } => f.write_str("commit started"),
            IngestEvent::BatchCommitted { rows, rejected, recovered, .. } => {
                write!(f, "committed {rows} rows, {rejected} rejected")?;
                match recovered {
                    Some(how) => write!(f, "; the table's progress was recovered: {how}"),
                    None => Ok(()),
                }
            }
            IngestEvent::BatchFenced { fences, .. } => {
                f.write_str("another writer moved our partitions; batch abandoned:")?;
                for (partition, head, from) in fences.iter().take(4) {
                    let head = head.map_or("none".to_string(), |head| head.to_string());
                    write!(f, " {partition}: head {head}, ours {from}")?;
                }
                Ok(())
            }
            IngestEvent::BatchAbandoned { records, reason } => {
                write!(f, "abandoned a batch of {records} records: {reason}")
            }
            IngestEvent::ContractTaken { version } => {
                write!(f, "contract version {version} is in use from the next record on")
            }
            IngestEvent::ContractRefused { why } => {
                write!(f, "the contract changed and is not in use, the one before stays: {why}")
            }
            IngestEvent::Interrupted { error, failures } => {
                write!(
                    f,
                    "interrupted ({failures} in a row), reading again from the heads: {error}"
                )
            }
        }
    }
}

struct Pairs<'a>(&'a [(i32, i64)]);

impl fmt::Display for Pairs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (partition, offset)) in self.0.iter().take(16).enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{partition} at {offset}")?;
        }
        if self.0.len() > 16 { f.write_str(", ...") } else { Ok(()) }
    }
}

struct List<'a>(&'a [i32]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, partition) in self.0.iter().take(16).enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{partition}")?;
        }
        if self.0.len() > 16 { f.write_str(", ...") } else { Ok(()) }
    }
}
