//! What maintenance tells while it runs, and what it has done in the end.

use std::fmt;

use serde::Serialize;

use super::compact::plan::{FileFacts, State};
use crate::commit::Receipt;
use crate::files::NewFile;
use crate::sought::Found;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum MaintainEvent {
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
    },
    /// Others changed files that were read: what was written in their place is thrown away.
    Lost {
        /// Files of the group.
        files: usize,
    },
    /// Files that nobody refers to are being deleted.
    Sweeping {
        /// How many.
        files: usize,
    },
}

impl fmt::Display for MaintainEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MaintainEvent::CommitStarted { files, .. } => {
                write!(f, "commit started, in the place of {files} files")
            }
            MaintainEvent::Committed { snapshot_id, .. } => {
                write!(f, "committed as snapshot {snapshot_id}")
            }
            MaintainEvent::Lost { files } => {
                write!(f, "a group of {files} files is left: another writer changed them meanwhile")
            }
            MaintainEvent::Sweeping { files } => write!(f, "deleting {files} files of nobody's"),
        }
    }
}

/// What was done to a table, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Small files into large ones.
    pub compaction: Compaction,
    /// Manifests written anew.
    pub manifests: Manifests,
    /// Files of nobody's.
    pub sweep: Sweep,
    /// Whether time or a signal ended the run before it was done.
    pub stopped: bool,
}

impl Report {
    /// Whether nothing was to be done.
    pub fn is_idle(&self) -> bool {
        let Report { compaction, manifests, sweep, .. } = self;
        compaction.inputs == 0 && manifests.before == manifests.after && sweep.files == 0
    }
}

/// What compaction did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Compaction {
    /// Live files when it began.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files replaced; in a dry run, that would be.
    pub inputs: u64,
    /// Their bytes.
    pub input_bytes: u64,
    /// Files in their place; none in a dry run.
    pub outputs: u64,
    /// Their bytes.
    pub output_bytes: u64,
    /// Rows written anew.
    pub rows: u64,
    /// Commits made.
    pub commits: u64,
    /// Attempts that another writer beat.
    pub conflicts: u64,
    /// Attempts whose outcome was unknown at first.
    pub unknowns: u64,
    /// Groups given up because others changed their files meanwhile.
    pub lost: u64,
    /// Files left alone because they are young.
    pub young: u64,
    /// Files left alone because another engine deleted rows of them.
    pub with_deletes: u64,
    /// Files left alone because their rows may be of several partitions: those that another engine wrote under a
    /// spec of its own, and months in a table that is partitioned by day again.
    pub other_spec: u64,
}

impl Compaction {
    pub(super) fn look(&mut self, files: &[FileFacts]) {
        let count = |state: State| files.iter().filter(|f| f.state == state).count() as u64;
        self.files = files.len() as u64;
        self.bytes = files.iter().map(|f| f.bytes).sum();
        self.young = count(State::Young);
        self.with_deletes = count(State::HasDeletes);
        self.other_spec = count(State::OtherSpec);
    }

    pub(super) fn would(&mut self, inputs: &[Found]) {
        self.inputs += inputs.len() as u64;
        self.input_bytes += inputs.iter().map(Found::bytes).sum::<u64>();
        self.rows += inputs.iter().map(Found::rows).sum::<u64>();
    }

    pub(super) fn gain(&mut self, inputs: &[Found], outputs: &[NewFile]) {
        self.would(inputs);
        self.outputs += outputs.len() as u64;
        self.output_bytes += outputs.iter().map(NewFile::size).sum::<u64>();
    }

    pub(super) fn commit(&mut self, receipt: &Receipt) {
        self.commits += 1;
        self.conflicts += u64::from(receipt.conflicts);
        self.unknowns += u64::from(receipt.unknowns);
    }
}

/// What became of the manifests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Manifests {
    /// Manifests before.
    pub before: u64,
    /// Manifests afterwards; in a dry run, that there would be.
    pub after: u64,
}

/// What the sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Sweep {
    /// Files in the table's folders.
    pub listed: u64,
    /// Files deleted; in a dry run, that would be.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that nobody refers to and that wait for a later look.
    pub waiting: u64,
    /// Files of a kind that no table has: never touched.
    pub strangers: u64,
    /// Files that could not be deleted.
    pub failed: u64,
    /// Why nothing was swept, if that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<String>,
}
