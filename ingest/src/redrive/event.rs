//! What a redrive tells while it runs, and what it has done in the end.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use weir_catalog::commit::Receipt;

use super::judge::Tally;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RedriveEvent {
    /// Files are written and on their way into the table.
    CommitStarted {
        /// The commit's id.
        commit_id: String,
        /// Files that it replaces.
        files: usize,
    },
    /// The commit is in the table.
    Committed {
        /// The commit's id.
        commit_id: String,
        /// The snapshot that holds it.
        snapshot_id: i64,
        /// The revision of its rows.
        rev: i32,
        /// Rows that are accepted now.
        accepted: i64,
        /// Attempts that another writer beat.
        conflicts: u32,
        /// Attempts whose outcome was unknown at first.
        unknowns: u32,
    },
    /// Others changed what was read: what was written is thrown away.
    Lost {
        /// What they did.
        why: String,
    },
}

impl fmt::Display for RedriveEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RedriveEvent::CommitStarted { files, .. } => {
                write!(f, "commit started, of {files} files")
            }
            RedriveEvent::Committed { rev, accepted, .. } => {
                write!(f, "committed {accepted} rows, now accepted, as revision {rev}")
            }
            RedriveEvent::Lost { why } => write!(f, "the table is looked at anew: {why}"),
        }
    }
}

/// What a redrive did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Files read, as often as they were.
    pub files: u64,
    /// Rejected rows that were selected.
    pub selected: u64,
    /// Of these, those that the contract accepts, by the class that they were rejected with.
    pub accepted: BTreeMap<String, u64>,
    /// Of these, those that it refuses and that stay as they are, by the class that it would reject
    /// them with.
    pub refused: BTreeMap<String, u64>,
    /// Commits made.
    pub commits: u64,
    /// Attempts that another writer beat.
    pub conflicts: u64,
    /// Attempts whose outcome was unknown at first.
    pub unknowns: u64,
    /// Times that others changed what was read.
    pub lost: u64,
    /// The revision of the last commit.
    pub rev: Option<i32>,
}

impl Report {
    /// Rows that the contract accepts.
    pub fn accepted(&self) -> u64 {
        self.accepted.values().sum()
    }

    pub(super) fn count(&mut self, tally: &Tally) {
        self.selected += tally.selected;
        for (class, n) in &tally.accepted {
            *self.accepted.entry(class.clone()).or_default() += n;
        }
        for (class, n) in &tally.refused {
            *self.refused.entry(class.clone()).or_default() += n;
        }
    }

    pub(super) fn commit(&mut self, receipt: &Receipt, rev: i32) {
        self.commits += 1;
        self.conflicts += u64::from(receipt.conflicts);
        self.unknowns += u64::from(receipt.unknowns);
        self.rev = Some(rev);
    }
}
