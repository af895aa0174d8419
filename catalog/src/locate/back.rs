//! The reverse: from a file to the offsets in it, from a snapshot to the offsets that it brought.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::AsArray;
use arrow::datatypes::{Int32Type, Int64Type};
use arrow_array::Array;
use futures::TryStreamExt;
use iceberg::spec::{ManifestContentType, Operation, Snapshot};
use serde::Serialize;
use weir_contract::names::{column, key};
use weir_contract::progress::Progress;

use super::as_text_or_null;
use crate::look::{self, SnapshotLine, chain, text};
use crate::manifests::manifests_of;
use crate::scan::file::rows;
use crate::scan::plan;
use crate::sought::Found;
use crate::verify::offsets::{Offsets, Seen};
use crate::verify::positions;
use crate::{Base, CatalogError, Lake, Result};

/// The offsets of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ranges {
    /// Full source id, or the short one where the table does not know it.
    pub source: String,
    /// Kafka partition.
    pub partition: i32,
    /// Offsets of accepted rows.
    pub accepted: Offsets,
    /// Offsets of rejected rows.
    pub rejected: Offsets,
}

/// A data file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileAt {
    /// Its location.
    pub file: String,
    /// The snapshot that added it.
    #[serde(serialize_with = "as_text_or_null")]
    pub added_by: Option<i64>,
    /// Whether the current snapshot holds it.
    pub current: bool,
    /// The newest standing snapshot that holds it.
    #[serde(serialize_with = "as_text_or_null")]
    pub newest: Option<i64>,
    /// What is in it, less what other engines deleted from it since.
    pub offsets: Vec<Ranges>,
}

/// Finds a data file of a table by its location or the end of that; none if no standing snapshot
/// holds it.
///
/// Errors: bad config (several files end so), bad data (manifests or the file are gone).
pub async fn file(lake: &Lake, base: &Base, path: &str) -> Result<Option<FileAt>> {
    let metadata = base.metadata();
    let mut standing = chain(metadata);
    let known: BTreeSet<i64> = standing.iter().map(|s| s.snapshot_id()).collect();
    let mut others: Vec<_> =
        metadata.snapshots().filter(|s| !known.contains(&s.snapshot_id())).collect();
    others.sort_by_key(|s| std::cmp::Reverse(s.sequence_number()));
    standing.extend(others);
    let mut looked = BTreeSet::new();
    for snapshot in standing {
        let manifests = manifests_of(lake, metadata, snapshot).await?;
        let mut new = manifests.clone();
        new.retain(|m| {
            m.content == ManifestContentType::Data && looked.insert(m.manifest_path.clone())
        });
        let mut files = plan::data_files(&lake.io, new).await?;
        files.retain(|f| ends_with(f.path(), path));
        let file = match files.len() {
            0 => continue,
            1 => files.remove(0),
            n => {
                return Err(CatalogError::bad_config(format!(
                    "{n} files of {} end in {path}, for example {} and {}; name one",
                    base.name,
                    files[0].path(),
                    files[1].path()
                )));
            }
        };
        let deletes = plan::deletes(lake, base, snapshot, &manifests).await?;
        let deletes = deletes.get(file.path()).cloned().unwrap_or_default();
        let (name, added_by) = (file.path().to_string(), file.entry.snapshot_id());
        let seen = positions(lake, base, &Found { file, deletes }).await?;
        let id = snapshot.snapshot_id();
        return Ok(Some(FileAt {
            file: name,
            added_by,
            current: metadata.current_snapshot_id() == Some(id),
            newest: Some(id),
            offsets: ranges(base, seen),
        }));
    }
    Ok(None)
}

/// Whole names only: `7.parquet` is not `17.parquet`.
fn ends_with(location: &str, path: &str) -> bool {
    location
        .strip_suffix(path)
        .is_some_and(|front| front.is_empty() || front.ends_with('/') || path.starts_with('/'))
}

fn ranges(base: &Base, seen: BTreeMap<(String, i32), Seen>) -> Vec<Ranges> {
    let names = base.sources();
    let one = |((short, partition), seen): ((String, i32), Seen)| Ranges {
        source: names.get(&short).cloned().unwrap_or(short),
        partition,
        accepted: (&seen.accepted).into(),
        rejected: (&seen.rejected).into(),
    };
    seen.into_iter().map(one).collect()
}

/// What a snapshot brought.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Brought {
    /// The snapshot; `moved` are the offsets that it added.
    #[serde(flatten)]
    pub line: SnapshotLine,
    /// The rejected rows that it replaced by accepted ones, if it is one of redrive.
    pub redriven: Vec<Ranges>,
}

/// What the snapshot `id` of a table brought; none if it has no such standing snapshot.
///
/// Errors: bad data (manifests or files are gone), what the storage says.
pub async fn snapshot(lake: &Lake, base: &Base, id: i64) -> Result<Option<Brought>> {
    let Some(snapshot) = base.metadata().snapshot_by_id(id) else { return Ok(None) };
    let Some(line) = look::snapshot_line(base, snapshot) else { return Ok(None) };
    let redriven = redriven(lake, base, snapshot).await?;
    Ok(Some(Brought { line, redriven }))
}

/// The rows of the revision that the snapshot made, in the files that it added.
async fn redriven(lake: &Lake, base: &Base, snapshot: &Snapshot) -> Result<Vec<Ranges>> {
    let heads = text(snapshot, key::HEADS).and_then(|heads| Progress::from_heads(heads).ok());
    let Some(rev) = heads.map(|heads| heads.rev).filter(|rev| *rev > 0) else {
        return Ok(Vec::new());
    };
    // What compaction writes anew was redriven before.
    if snapshot.summary().operation == Operation::Replace {
        return Ok(Vec::new());
    }
    let id = snapshot.snapshot_id();
    let mut manifests = manifests_of(lake, base.metadata(), snapshot).await?;
    manifests.retain(|m| m.added_snapshot_id == id);
    let mut seen: BTreeMap<(String, i32), Seen> = BTreeMap::new();
    let files = plan::data_files(&lake.io, manifests).await?;
    for file in files.into_iter().filter(|f| f.entry.snapshot_id() == Some(id)) {
        let mut rows = rows(lake, base, &Found { file, deletes: Vec::new() }).await?;
        while let Some(batch) = rows.try_next().await? {
            let column = |name: &str| batch.column_by_name(name);
            let (Some(sources), Some(partitions), Some(offsets), Some(revs)) = (
                column(column::SOURCE).and_then(|c| c.as_string_opt::<i32>()),
                column(column::PARTITION).and_then(|c| c.as_primitive_opt::<Int32Type>()),
                column(column::OFFSET).and_then(|c| c.as_primitive_opt::<Int64Type>()),
                column(column::REV).and_then(|c| c.as_primitive_opt::<Int32Type>()),
            ) else {
                continue;
            };
            for row in (0..batch.num_rows()).filter(|r| revs.is_valid(*r) && revs.value(*r) == rev)
            {
                let place = (sources.value(row).to_string(), partitions.value(row));
                let offset = u64::try_from(offsets.value(row)).unwrap_or_default();
                seen.entry(place).or_default().add_run(offset, &[false]);
            }
        }
    }
    Ok(ranges(base, seen))
}
