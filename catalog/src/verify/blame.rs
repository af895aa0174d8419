//! Which foreign snapshot deleted which rows: found by comparing it with its parent, in the files
//! that the two do not share.

use std::collections::{BTreeMap, HashMap};

use iceberg::scan::FileScanTaskDeleteFile;
use iceberg::spec::SnapshotRef;
use weir_contract::class::ErrorClass;

use super::counts::Deletion;
use super::offsets::Seen;
use super::rows::{self, Key, Positions};
use crate::look::{chain, is_ours};
use crate::scan::plan::{self, LiveFile};
use crate::{Base, Lake, Result};

/// The rows that foreign snapshots of the current chain deleted and that are not in `present`,
/// newest snapshot first; a row that was deleted twice is the newest's. Snapshots whose parent has
/// expired cannot be compared and are left out.
pub async fn deletions(
    lake: &Lake,
    base: &Base,
    present: &BTreeMap<Key, Seen>,
    acknowledged: &[i64],
) -> Result<Vec<Deletion>> {
    let mut known = present.clone();
    let mut found = Vec::new();
    for snapshot in chain(base.metadata()).into_iter().filter(|s| !is_ours(s)) {
        let parent =
            snapshot.parent_snapshot_id().and_then(|id| base.metadata().snapshot_by_id(id));
        let Some(parent) = parent else { continue };
        let gone = difference(lake, base, parent, snapshot).await?;
        let gone = minus(gone.seen, &known);
        for (key, seen) in &gone {
            known.entry(key.clone()).or_default().merge(seen.clone());
        }
        let id = snapshot.snapshot_id();
        let acknowledged = acknowledged.contains(&id);
        found.push(Deletion { snapshot: id, acknowledged, gone });
    }
    Ok(found)
}

/// The rows of `before` that `after` does not have.
async fn difference(
    lake: &Lake,
    base: &Base,
    before: &SnapshotRef,
    after: &SnapshotRef,
) -> Result<Positions> {
    let old = live(lake, base, before).await?;
    let new = live(lake, base, after).await?;
    let mut gone = Positions::default();
    for (path, file) in &old {
        if new.get(path).is_none_or(|now| now.1 != file.1) {
            gone.merge(positions(lake, base, file).await?);
        }
    }
    let mut kept = Positions::default();
    for (path, file) in &new {
        if old.get(path).is_none_or(|then| then.1 != file.1) {
            kept.merge(positions(lake, base, file).await?);
        }
    }
    gone.seen = minus(gone.seen, &kept.seen);
    Ok(gone)
}

/// A live file and the deletes that apply to it.
type WithDeletes = (LiveFile, Vec<FileScanTaskDeleteFile>);

async fn live(lake: &Lake, base: &Base, of: &SnapshotRef) -> Result<HashMap<String, WithDeletes>> {
    let manifests = plan::manifests(lake, base, of).await?;
    let mut deletes = plan::deletes(lake, base, of, &manifests).await?;
    let files = plan::data_files(&lake.io, manifests).await?;
    let with = files.into_iter().map(|file| {
        let path = file.path().to_string();
        let mut of_file = deletes.remove(&path).unwrap_or_default();
        of_file.sort_by(|a, b| a.file_path.cmp(&b.file_path));
        (path, (file, of_file))
    });
    Ok(with.collect())
}

/// The rows of one file. Of a file that another engine has swept away nothing is known.
async fn positions(lake: &Lake, base: &Base, file: &WithDeletes) -> Result<Positions> {
    match rows::read(lake, base, &file.0, file.1.clone()).await {
        Ok(read) => Ok(read.positions),
        Err(e) if e.class() == ErrorClass::BadData => Ok(Positions::default()),
        Err(e) => Err(e),
    }
}

/// The rows of `a` whose offsets `b` does not have.
fn minus(a: BTreeMap<Key, Seen>, b: &BTreeMap<Key, Seen>) -> BTreeMap<Key, Seen> {
    let mut left = BTreeMap::new();
    for (key, mut seen) in a {
        if let Some(other) = b.get(&key) {
            let other = other.all();
            seen.accepted -= &other;
            seen.rejected -= &other;
        }
        seen.doubled.clear();
        if !(seen.accepted.is_empty() && seen.rejected.is_empty()) {
            left.insert(key, seen);
        }
    }
    left
}
