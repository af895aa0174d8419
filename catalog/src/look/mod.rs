//! Looking at tables without reading rows: what there is, and how it came to be.

pub mod as_of;
pub mod engines;
#[cfg(test)]
mod tests;
pub mod which;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use iceberg::spec::{Snapshot, TableMetadata};
use serde::{Serialize, Serializer};
use weir_contract::names::{TableName, key};
use weir_contract::progress::{Progress, Truth};

use crate::{Base, CatalogError, Lake, Result};
use as_of::{Past, Standing};

/// One line of `weir tables`. 64-bit numbers are strings in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableSummary {
    /// The table.
    #[serde(serialize_with = "as_text")]
    pub name: TableName,
    /// Accepted rows by the table's progress; none where the progress cannot be told.
    #[serde(serialize_with = "as_text_or_null")]
    pub rows: Option<i64>,
    /// Rejected rows by the table's progress.
    #[serde(serialize_with = "as_text_or_null")]
    pub rejected: Option<i64>,
    /// Rows by the summary of the current snapshot, whoever wrote it.
    #[serde(serialize_with = "as_text_or_null")]
    pub records: Option<i64>,
    /// Live data files.
    #[serde(serialize_with = "as_text_or_null")]
    pub files: Option<i64>,
    /// Their bytes.
    #[serde(serialize_with = "as_text_or_null")]
    pub bytes: Option<i64>,
    /// Standing snapshots.
    pub snapshots: usize,
    /// Iceberg format version.
    pub format: u8,
    /// When the current snapshot was committed, ms since the epoch.
    #[serde(serialize_with = "as_text_or_null")]
    pub last_commit_ms: Option<i64>,
    /// Where the current metadata stands.
    pub metadata_location: String,
}

/// How far one commit moved one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// Full source id.
    pub source: String,
    /// Kafka partition.
    pub partition: i32,
    /// First offset of the range.
    #[serde(serialize_with = "as_text")]
    pub from: i64,
    /// Offset behind the range.
    #[serde(serialize_with = "as_text")]
    pub until: i64,
}

/// One line of `weir snapshots`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SnapshotLine {
    /// Snapshot id.
    #[serde(serialize_with = "as_text")]
    pub id: i64,
    /// The snapshot it was committed on, standing or not.
    #[serde(serialize_with = "as_text_or_null")]
    pub parent: Option<i64>,
    /// Sequence number.
    #[serde(serialize_with = "as_text")]
    pub seq: i64,
    /// Commit time, ms since the epoch.
    #[serde(serialize_with = "as_text")]
    pub committed_at_ms: i64,
    /// `append`, `overwrite`, `delete` or `replace`.
    pub operation: String,
    /// Whether it is an ancestor of the current snapshot, or that itself.
    pub current_chain: bool,
    /// Whether Weir committed it.
    pub ours: bool,
    /// The stage of ours that did.
    pub stage: Option<String>,
    /// Rows added.
    #[serde(serialize_with = "as_text_or_null")]
    pub added: Option<i64>,
    /// Rows removed.
    #[serde(serialize_with = "as_text_or_null")]
    pub removed: Option<i64>,
    /// Rows afterwards.
    #[serde(serialize_with = "as_text_or_null")]
    pub total: Option<i64>,
    /// Tags that keep it.
    pub tags: Vec<String>,
    /// What it moved against its parent; empty where the parent does not stand.
    pub moved: Vec<Moved>,
}

/// All tables, sorted by name.
pub async fn tables(lake: &Lake) -> Result<Vec<TableSummary>> {
    let mut lines = Vec::new();
    for name in lake.tables().await? {
        // Dropped between the listing and now: no table.
        let Some(base) = lake.table(&name).await? else { continue };
        let metadata = base.metadata();
        let current = metadata.current_snapshot();
        let of = |key: &str| current.and_then(|s| number(s, key));
        let progress = match base.truth() {
            Truth::Property(progress) | Truth::Summary { progress, .. } => Some(progress),
            Truth::Empty => Some(Progress::default()),
            Truth::Unknowable(_) | Truth::Refused(_) => None,
        };
        let sum = |count: fn(&weir_contract::progress::Partition) -> i64| {
            let partitions =
                progress.iter().flat_map(|p| p.sources.values()).flat_map(|s| s.values());
            progress.is_some().then(|| partitions.map(count).sum())
        };
        let made = progress.as_ref().and_then(|p| Some(p.derived.as_ref()?.rows));
        lines.push(TableSummary {
            rows: made.or_else(|| sum(|p| p.rows)),
            rejected: sum(|p| p.rejected),
            records: of("total-records"),
            files: of("total-data-files"),
            bytes: of("total-files-size"),
            snapshots: metadata.snapshots().len(),
            format: metadata.format_version() as u8,
            last_commit_ms: current.map(|s| s.timestamp_ms()),
            metadata_location: base.loaded.location.clone(),
            name,
        });
    }
    Ok(lines)
}

/// The standing snapshots of a table, oldest first.
///
/// Errors: bad config if there is no such table.
pub async fn snapshots(lake: &Lake, name: &TableName) -> Result<Vec<SnapshotLine>> {
    let base = lake.table(name).await?.ok_or_else(|| no_table(name))?;
    Ok(lines(&base))
}

/// One standing snapshot of a table.
pub fn snapshot_line(base: &Base, snapshot: &Snapshot) -> Option<SnapshotLine> {
    lines(base).into_iter().find(|line| line.id == snapshot.snapshot_id())
}

fn lines(base: &Base) -> Vec<SnapshotLine> {
    let metadata = base.metadata();
    let chain: Vec<i64> = chain(metadata).iter().map(|s| s.snapshot_id()).collect();
    let mut tags: HashMap<i64, Vec<String>> = HashMap::new();
    for (tag, reference) in base.loaded.refs.iter().filter(|(_, r)| !r.is_branch()) {
        tags.entry(reference.snapshot_id).or_default().push(tag.clone());
    }
    tags.values_mut().for_each(|tags| tags.sort());
    let mut snapshots: Vec<_> = metadata.snapshots().collect();
    snapshots.sort_by_key(|s| (s.timestamp_ms(), s.sequence_number(), s.snapshot_id()));
    let line = |s: &&std::sync::Arc<Snapshot>| {
        let id = s.snapshot_id();
        SnapshotLine {
            id,
            parent: s.parent_snapshot_id(),
            seq: s.sequence_number(),
            committed_at_ms: s.timestamp_ms(),
            operation: s.summary().operation.as_str().to_string(),
            current_chain: chain.contains(&id),
            ours: is_ours(s),
            stage: text(s, key::STAGE).map(str::to_string),
            added: number(s, "added-records"),
            removed: number(s, "deleted-records"),
            total: number(s, "total-records"),
            tags: tags.get(&id).cloned().unwrap_or_default(),
            moved: moved(metadata, s),
        }
    };
    snapshots.iter().map(line).collect()
}

/// What `resolve_as_of` needs to know of a table.
pub fn past(base: &Base) -> Past {
    let metadata = base.metadata();
    let tags = base.loaded.refs.values().filter(|r| !r.is_branch());
    let tagged: BTreeSet<i64> = tags.map(|r| r.snapshot_id).collect();
    let one = |s: &std::sync::Arc<Snapshot>| Standing {
        id: s.snapshot_id(),
        parent: s.parent_snapshot_id(),
        seq: s.sequence_number(),
        at_ms: s.timestamp_ms(),
        tagged: tagged.contains(&s.snapshot_id()),
    };
    Past {
        snapshots: metadata.snapshots().map(one).collect(),
        log: metadata.history().iter().map(|log| (log.timestamp_ms, log.snapshot_id)).collect(),
    }
}

/// The current snapshot and its standing ancestors, newest first.
pub fn chain(metadata: &TableMetadata) -> Vec<&std::sync::Arc<Snapshot>> {
    let mut chain = Vec::new();
    let mut next = metadata.current_snapshot();
    while let Some(snapshot) = next {
        chain.push(snapshot);
        next = match chain.len() < metadata.snapshots().len() {
            true => snapshot.parent_snapshot_id().and_then(|id| metadata.snapshot_by_id(id)),
            // More steps than snapshots would be a circle, which only a damaged table has.
            false => None,
        };
    }
    chain
}

/// Whether Weir committed a snapshot.
pub fn is_ours(snapshot: &Snapshot) -> bool {
    text(snapshot, key::COMMIT_ID).is_some()
}

/// No such table.
pub fn no_table(name: &TableName) -> CatalogError {
    CatalogError::bad_config(format!("there is no table {name}; `weir tables` lists them"))
}

/// A member of a summary.
pub fn text<'a>(snapshot: &'a Snapshot, key: &str) -> Option<&'a str> {
    snapshot.summary().additional_properties.get(key).map(String::as_str)
}

/// A count in a summary.
pub fn number(snapshot: &Snapshot, key: &str) -> Option<i64> {
    text(snapshot, key)?.parse().ok()
}

fn moved(metadata: &TableMetadata, snapshot: &Snapshot) -> Vec<Moved> {
    let heads = |s: &Snapshot| Progress::from_heads(text(s, key::HEADS)?).ok();
    let Some(after) = heads(snapshot) else { return Vec::new() };
    let before = match newest_of_ours_below(metadata, snapshot) {
        Below::Root => BTreeMap::new(),
        Below::Ours(below) => match heads(below) {
            Some(progress) => progress.sources,
            None => return Vec::new(),
        },
        Below::Gone => return Vec::new(),
    };
    let mut moved = Vec::new();
    for (source, partitions) in after.sources {
        for (partition, now) in partitions {
            let was = before.get(&source).and_then(|p| p.get(&partition));
            let from = was.map_or(now.start, |p| p.until);
            if from != now.until {
                moved.push(Moved { source: source.clone(), partition, from, until: now.until });
            }
        }
    }
    moved
}

enum Below<'a> {
    Root,
    Ours(&'a Snapshot),
    Gone,
}

fn newest_of_ours_below<'a>(metadata: &'a TableMetadata, of: &Snapshot) -> Below<'a> {
    let mut parent = of.parent_snapshot_id();
    for _ in 0..=metadata.snapshots().len() {
        let Some(id) = parent else { return Below::Root };
        let Some(snapshot) = metadata.snapshot_by_id(id) else { return Below::Gone };
        if is_ours(snapshot) {
            return Below::Ours(snapshot);
        }
        parent = snapshot.parent_snapshot_id();
    }
    Below::Gone
}

pub(crate) fn as_text<T: std::fmt::Display, S: Serializer>(
    value: &T,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

pub(crate) fn as_text_or_null<S: Serializer>(
    value: &Option<i64>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => to.collect_str(value),
        None => to.serialize_none(),
    }
}
