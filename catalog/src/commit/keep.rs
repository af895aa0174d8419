//! What a commit keeps of the past: the ladder's tags, and the expiry of what nothing holds.

use std::collections::BTreeSet;

use iceberg::TableUpdate;
use iceberg::spec::{MAIN_BRANCH, SnapshotReference, SnapshotRetention};

use crate::expire::{Standing, plan_expiry};
use crate::ladder::{LadderPlan, Past, plan_ladder};
use crate::look::chain;
use crate::table::{Base, Lake};

/// What becomes of the ladder's tags with a change of `base` at `now_ms`.
pub(crate) fn ladder(lake: &Lake, base: &Base, now_ms: i64) -> LadderPlan {
    let mut history: Vec<Past> = chain(base.metadata())
        .into_iter()
        .map(|s| Past { id: s.snapshot_id(), at_ms: s.timestamp_ms() })
        .collect();
    history.reverse();
    let refs = &base.loaded.refs;
    let tags = refs.iter().filter(|(_, r)| !r.is_branch()).map(|(name, _)| name.as_str());
    let branches = refs.iter().filter(|(_, r)| r.is_branch()).map(|(name, _)| name.as_str());
    plan_ladder(&lake.options.ladder, &history, tags, &branches.collect(), now_ms)
}

/// The plan as updates, which must stand before those of [`expiry`].
pub(crate) fn tag_updates(plan: &LadderPlan) -> Vec<TableUpdate> {
    let remove = plan.remove.iter().cloned();
    let remove = remove.map(|ref_name| TableUpdate::RemoveSnapshotRef { ref_name });
    let set = plan.set.iter().map(|(name, id)| set_tag(name, *id));
    remove.chain(set).collect()
}

/// Sets a tag that lives until it is taken away.
pub(crate) fn set_tag(name: &str, snapshot_id: i64) -> TableUpdate {
    let retention = SnapshotRetention::Tag { max_ref_age_ms: None };
    let reference = SnapshotReference::new(snapshot_id, retention);
    TableUpdate::SetSnapshotRef { ref_name: name.into(), reference }
}

/// Removes the snapshots beyond the cap, and the statistics that hang on them.
pub(super) fn expiry(
    lake: &Lake,
    base: &Base,
    snapshot_id: i64,
    tags: &LadderPlan,
) -> Vec<TableUpdate> {
    let metadata = base.metadata();
    let refs = base.loaded.refs.iter();
    let refs = refs.filter(|(name, _)| *name != MAIN_BRANCH && !tags.remove.contains(name));
    let held: BTreeSet<i64> =
        refs.map(|(_, r)| r.snapshot_id).chain(tags.set.iter().map(|(_, id)| *id)).collect();
    let standing =
        metadata.snapshots().map(|s| Standing { seq: s.sequence_number(), id: s.snapshot_id() });
    let gone = plan_expiry(standing, &held, snapshot_id, lake.options.snapshots_max);
    let mut updates = Vec::new();
    for &snapshot_id in &gone {
        if metadata.statistics_for_snapshot(snapshot_id).is_some() {
            updates.push(TableUpdate::RemoveStatistics { snapshot_id });
        }
        if metadata.partition_statistics_for_snapshot(snapshot_id).is_some() {
            updates.push(TableUpdate::RemovePartitionStatistics { snapshot_id });
        }
    }
    if !gone.is_empty() {
        updates.push(TableUpdate::RemoveSnapshots { snapshot_ids: gone });
    }
    updates
}

#[cfg(test)]
mod tests;
