//! What `weir verify` says: a closed list of findings, for programs and for people.

use std::fmt;

use serde::{Serialize, Serializer};
use weir_contract::names::TableName;

use super::offsets::Offsets;

/// Everything that can be found wrong. The names are part of the JSON report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The property `weir.progress` is gone.
    ProgressMissing,
    /// The property `weir.progress` cannot be read, or its counters do not add up.
    ProgressDamaged,
    /// The table was rolled back: the property speaks of a snapshot that is not in the chain.
    RolledBack,
    /// The property was set back to an older one while the rows stayed.
    ProgressStale,
    /// Neither the property nor a summary of ours says how far the table is complete.
    ProgressUnknowable,
    /// The property differs from the newest summary of ours.
    ProgressDiffers,
    /// A standing snapshot's manifest list is not there, or cannot be read.
    ManifestListMissing,
    /// A manifest of the current snapshot is not there, or cannot be read.
    ManifestMissing,
    /// A data file is referenced more than once: readers count its rows as often.
    FileReferencedTwice,
    /// A live data file is not there.
    FileMissing,
    /// A live data file has another size than its manifest says.
    FileSize,
    /// A live data file has another number of rows than its manifest says.
    FileRows,
    /// A live data file cannot be read.
    FileUnreadable,
    /// The snapshot's totals differ from what its manifests hold.
    Totals,
    /// Several rows have one offset.
    OffsetDoubled,
    /// Rows have offsets that the table does not claim to hold.
    OffsetOutside,
    /// Rows are gone; these are the offsets.
    OffsetMissing,
    /// Rows are gone; the offsets are among these, which cannot be told from those that never
    /// were in Kafka.
    OffsetMissingAmong,
    /// The table holds another number of accepted or rejected rows than its counters say.
    Counts,
    /// Rows have a revision (`_rev`) that the table's progress does not know.
    RevAhead,
    /// Rows name a source that the table does not know.
    UnknownSource,
    /// Rows without source, partition or offset: another engine added them.
    RowWithoutPosition,
    /// Loads of a reference table have other rows than they brought; the offsets are the loads.
    LoadRows,
    /// Rows of one key of a reference table that count hold at one time.
    IntervalsOverlap,
}

impl Kind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Kind; 24] = [
        Kind::ProgressMissing,
        Kind::ProgressDamaged,
        Kind::RolledBack,
        Kind::ProgressStale,
        Kind::ProgressUnknowable,
        Kind::ProgressDiffers,
        Kind::ManifestListMissing,
        Kind::ManifestMissing,
        Kind::FileReferencedTwice,
        Kind::FileMissing,
        Kind::FileSize,
        Kind::FileRows,
        Kind::FileUnreadable,
        Kind::Totals,
        Kind::OffsetDoubled,
        Kind::OffsetOutside,
        Kind::OffsetMissing,
        Kind::OffsetMissingAmong,
        Kind::Counts,
        Kind::RevAhead,
        Kind::UnknownSource,
        Kind::RowWithoutPosition,
        Kind::LoadRows,
        Kind::IntervalsOverlap,
    ];

    /// The name in JSON and logs.
    pub fn name(self) -> &'static str {
        match self {
            Kind::ProgressMissing => "progress_missing",
            Kind::ProgressDamaged => "progress_damaged",
            Kind::RolledBack => "rolled_back",
            Kind::ProgressStale => "progress_stale",
            Kind::ProgressUnknowable => "progress_unknowable",
            Kind::ProgressDiffers => "progress_differs",
            Kind::ManifestListMissing => "manifest_list_missing",
            Kind::ManifestMissing => "manifest_missing",
            Kind::FileReferencedTwice => "file_referenced_twice",
            Kind::FileMissing => "file_missing",
            Kind::FileSize => "file_size",
            Kind::FileRows => "file_rows",
            Kind::FileUnreadable => "file_unreadable",
            Kind::Totals => "totals",
            Kind::OffsetDoubled => "offset_doubled",
            Kind::OffsetOutside => "offset_outside",
            Kind::OffsetMissing => "offset_missing",
            Kind::OffsetMissingAmong => "offset_missing_among",
            Kind::Counts => "counts",
            Kind::RevAhead => "rev_ahead",
            Kind::UnknownSource => "unknown_source",
            Kind::RowWithoutPosition => "row_without_position",
            Kind::LoadRows => "load_rows",
            Kind::IntervalsOverlap => "intervals_overlap",
        }
    }

    /// What to do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Kind::ProgressMissing | Kind::ProgressDamaged | Kind::ProgressStale => {
                "the next commit of `weir ingest` writes the property again; find out which engine \
                 changed it"
            }
            Kind::RolledBack => {
                "the next `weir ingest` reads the rows after the rollback from Kafka again; if \
                 the rollback was a mistake, roll forward before that"
            }
            Kind::ProgressUnknowable => {
                "ingest has stopped; restore `weir.progress` from an older metadata file or a \
                 backup"
            }
            Kind::ProgressDiffers | Kind::Counts | Kind::RevAhead => {
                "another program changed `weir.progress`; compare it with `weir.heads` in the \
                 newest snapshot of ours and restore it"
            }
            Kind::ManifestListMissing
            | Kind::ManifestMissing
            | Kind::FileMissing
            | Kind::FileSize
            | Kind::FileRows
            | Kind::FileUnreadable => {
                "restore the file from a backup, or roll the table back to a snapshot without it \
                 and run `weir ingest`"
            }
            Kind::FileReferencedTwice | Kind::OffsetDoubled => {
                "find the snapshot that added the second copy with `weir snapshots` and delete the \
                 copy, or roll back"
            }
            Kind::Totals => "readers that count from the summary are wrong until the next rewrite",
            Kind::OffsetOutside => {
                "another program added these rows or moved `weir.progress` back; delete the rows \
                 or restore the property"
            }
            Kind::OffsetMissing | Kind::OffsetMissingAmong => {
                "if the deletion was wanted, `weir verify --acknowledge <snapshot> --reason <why>`; \
                 if not, roll back to the snapshot before it and run `weir ingest`"
            }
            Kind::UnknownSource => {
                "another program added rows or removed the property `weir.source.<id>`; restore it"
            }
            Kind::RowWithoutPosition => {
                "another engine added rows to a table of weir; move them to a table of their own"
            }
            Kind::LoadRows => {
                "another engine changed rows: roll back to the snapshot before it; or, if it only \
                 deleted, `weir verify --acknowledge <snapshot> --reason <why>` and `weir seed`"
            }
            Kind::IntervalsOverlap => {
                "another engine added or deleted rows: roll back to the snapshot before it, and \
                 run `weir seed`"
            }
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What kind of thing.
    pub kind: Kind,
    /// What is wrong, in a sentence.
    pub message: String,
    /// The table.
    #[serde(serialize_with = "as_text")]
    pub table: TableName,
    /// Full source id, where the finding is about one source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Kafka partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    /// The offsets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offsets: Option<Offsets>,
    /// The snapshot that did it, or that is damaged.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text_or_null")]
    pub snapshot: Option<i64>,
    /// The file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What to do.
    pub advice: &'static str,
}

impl Finding {
    /// A finding about a table as a whole.
    pub fn new(kind: Kind, table: &TableName, message: impl Into<String>) -> Finding {
        Finding {
            kind,
            message: message.into(),
            table: table.clone(),
            source: None,
            partition: None,
            offsets: None,
            snapshot: None,
            file: None,
            advice: kind.advice(),
        }
    }

    /// About one partition of a source.
    pub fn at(mut self, source: &str, partition: i32) -> Finding {
        self.source = Some(source.to_string());
        self.partition = Some(partition);
        self
    }

    /// About these offsets.
    pub fn offsets(mut self, offsets: impl Into<Offsets>) -> Finding {
        self.offsets = Some(offsets.into());
        self
    }

    /// About this snapshot.
    pub fn snapshot(mut self, id: i64) -> Finding {
        self.snapshot = Some(id);
        self
    }

    /// About this file.
    pub fn file(mut self, path: &str) -> Finding {
        self.file = Some(path.to_string());
        self
    }
}

/// What was looked at, and what was found. Empty findings: the table is what it says it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VerifyReport {
    /// The table.
    #[serde(serialize_with = "as_text")]
    pub table: TableName,
    /// The snapshot that was verified; null for a table without any.
    #[serde(serialize_with = "as_text_or_null")]
    pub snapshot: Option<i64>,
    /// When, ms since the epoch.
    #[serde(serialize_with = "as_text")]
    pub at_ms: i64,
    /// Rows read.
    #[serde(serialize_with = "as_text")]
    pub rows: u64,
    /// Live data files.
    #[serde(serialize_with = "as_text")]
    pub files: u64,
    /// Their bytes, by the manifests.
    #[serde(serialize_with = "as_text")]
    pub bytes: u64,
    /// Offsets that the table claims to hold or to know why not.
    #[serde(serialize_with = "as_text")]
    pub offsets: u64,
    /// Whether nothing was found.
    pub ok: bool,
    /// What is wrong, in the order of [`Kind`].
    pub findings: Vec<Finding>,
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshot = match self.snapshot {
            Some(id) => format!("snapshot {id}"),
            None => "no snapshot yet".to_string(),
        };
        writeln!(
            f,
            "{}: {}, {} rows in {} files ({} bytes), {} offsets: {}",
            self.table,
            snapshot,
            self.rows,
            self.files,
            self.bytes,
            self.offsets,
            match self.findings.len() {
                0 => "every record exactly once".to_string(),
                1 => "1 finding".to_string(),
                n => format!("{n} findings"),
            }
        )?;
        for finding in &self.findings {
            writeln!(f, "  {}: {}", finding.kind, finding.message)?;
            if let (Some(source), Some(partition)) = (&finding.source, finding.partition) {
                writeln!(f, "    source {source}, partition {partition}")?;
            }
            if let Some(offsets) = &finding.offsets {
                writeln!(f, "    offsets {offsets}")?;
            }
            if let Some(snapshot) = finding.snapshot {
                writeln!(f, "    snapshot {snapshot}")?;
            }
            if let Some(file) = &finding.file {
                writeln!(f, "    file {file}")?;
            }
            writeln!(f, "    → {}", finding.advice)?;
        }
        Ok(())
    }
}

fn as_text<T: fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn as_text_or_null<S: Serializer>(value: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn kinds_have_names_of_their_own_and_advice() {
        let names: BTreeSet<_> = Kind::ALL.iter().map(|k| k.name()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
        assert!(Kind::ALL.iter().all(|k| !k.advice().is_empty() && !k.advice().ends_with('.')));
        assert!(Kind::ALL.is_sorted());
    }
}
