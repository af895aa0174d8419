//! One attempt: the files of the snapshot, and how the metadata changes.

use std::collections::HashMap;
use std::str::FromStr;

use iceberg::TableUpdate;
use iceberg::spec::{
    MAIN_BRANCH, Operation, Schema, SchemaRef, Snapshot, SnapshotReference, SnapshotRetention,
    Summary, TableMetadata,
};
use weir_contract::names::{SourceId, key};
use weir_contract::progress::Progress;

use super::keep::{expiry, ladder, tag_updates};
use super::{Change, Rewrite};
use crate::error::Result;
use crate::manifests::{FileChange, write_snapshot};
use crate::table::{Base, Lake};

/// Writes the files of the snapshot and says how the metadata changes.
pub(super) async fn prepare(
    lake: &Lake,
    base: &Base,
    change: &Change,
    next: Progress,
) -> Result<Vec<TableUpdate>> {
    let metadata = base.metadata();
    let mut snapshot_id = lake.env.ids.snapshot_id();
    while metadata.snapshot_by_id(snapshot_id).is_some() {
        snapshot_id = lake.env.ids.snapshot_id();
    }
    let files = FileChange {
        snapshot_id,
        added: &change.added,
        removed: &change.removed,
        cluster: change.rewrite == Rewrite::Manifests,
    };
    let mut listed = write_snapshot(lake, base, &files).await?;
    add_totals(&mut listed.summary, metadata.current_snapshot().map(|s| &**s));
    let sequence = metadata.next_sequence_number();
    let next = next.with_snapshot(snapshot_id, sequence);
    // Time must not run backwards in a table, whatever the writers' clocks do.
    let timestamp_ms = lake.env.clock.now_ms().max(metadata.last_updated_ms() + 1);
    let snapshot = Snapshot::builder()
        .with_snapshot_id(snapshot_id)
        .with_parent_snapshot_id(metadata.current_snapshot_id())
        .with_sequence_number(sequence)
        .with_timestamp_ms(timestamp_ms)
        .with_manifest_list(listed.location)
        .with_summary(Summary {
            operation: operation(change),
            additional_properties: summary(change, &next, listed.summary),
        })
        .with_schema_id(schema_id(metadata, change.schema.as_ref()))
        .build();
    let mut updates = Vec::new();
    if let Some(schema) = &change.schema {
        updates.push(TableUpdate::AddSchema { schema: schema.clone() });
        updates.push(TableUpdate::SetCurrentSchema { schema_id: -1 });
    }
    updates.extend([
        TableUpdate::AddSnapshot { snapshot },
        TableUpdate::SetSnapshotRef {
            ref_name: MAIN_BRANCH.into(),
            reference: main_branch(base, snapshot_id),
        },
    ]);
    let tags = ladder(lake, base, timestamp_ms);
    updates.extend(tag_updates(&tags));
    updates.extend(expiry(lake, base, snapshot_id, &tags));
    updates.push(TableUpdate::SetProperties { updates: properties(base, change, &next) });
    Ok(updates)
}

/// The id that the table's builder gives to a schema: that of an equal one, else the next.
fn schema_id(metadata: &TableMetadata, next: Option<&Schema>) -> i32 {
    let Some(next) = next else { return metadata.current_schema_id() };
    let equal = |known: &&SchemaRef| known.as_struct() == next.as_struct();
    let newest = metadata.schemas_iter().map(|s| s.schema_id()).max().unwrap_or(-1);
    metadata.schemas_iter().find(equal).map_or(newest + 1, |known| known.schema_id())
}

fn operation(change: &Change) -> Operation {
    match (change.added.is_empty(), change.removed.is_empty()) {
        _ if change.rewrite != Rewrite::No => Operation::Replace,
        (_, true) => Operation::Append,
        (false, false) => Operation::Overwrite,
        (true, false) => Operation::Delete,
    }
}

fn summary(
    change: &Change,
    next: &Progress,
    files: HashMap<String, String>,
) -> HashMap<String, String> {
    let mut summary = files;
    summary.extend(change.summary.iter().map(|(k, v)| (k.clone(), v.clone())));
    summary.extend([
        (key::COMMIT_ID.to_string(), change.commit_id.clone()),
        (key::STAGE.to_string(), change.stage.to_string()),
        (key::CODE_VERSION.to_string(), env!("CARGO_PKG_VERSION").to_string()),
        (key::HEADS.to_string(), next.to_heads()),
    ]);
    summary
}

fn properties(base: &Base, change: &Change, next: &Progress) -> HashMap<String, String> {
    let mut properties: HashMap<String, String> =
        change.properties.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    for source in next.sources.keys() {
        if let Ok(id) = SourceId::from_str(source) {
            properties.insert(format!("{}{}", key::SOURCE_PREFIX, id.short()), source.clone());
        }
    }
    properties.insert(key::PROGRESS.to_string(), next.to_json());
    if let Some(news) = &change.coverage {
        let known = base.coverage().unwrap_or_default();
        properties.insert(key::COVERAGE.to_string(), known.then(news, next).to_json());
    }
    properties
}

/// The main branch at the new snapshot, with the retention that somebody may have given it.
pub(crate) fn main_branch(base: &Base, snapshot_id: i64) -> SnapshotReference {
    let retention = match base.loaded.refs.get(MAIN_BRANCH) {
        Some(main) => main.retention.clone(),
        None => SnapshotRetention::branch(None, None, None),
    };
    SnapshotReference::new(snapshot_id, retention)
}

const TOTALS: [(&str, &str, &str); 6] = [
    ("total-data-files", "added-data-files", "deleted-data-files"),
    ("total-delete-files", "added-delete-files", "removed-delete-files"),
    ("total-records", "added-records", "deleted-records"),
    ("total-files-size", "added-files-size", "removed-files-size"),
    ("total-position-deletes", "added-position-deletes", "removed-position-deletes"),
    ("total-equality-deletes", "added-equality-deletes", "removed-equality-deletes"),
];

/// Totals of the parent, moved on; a total that the parent does not tell stays unknown.
pub(crate) fn add_totals(summary: &mut HashMap<String, String>, parent: Option<&Snapshot>) {
    let number = |map: &HashMap<String, String>, key: &str| map.get(key)?.parse::<i64>().ok();
    for (total, added, removed) in TOTALS {
        let before = match parent {
            None => Some(0),
            Some(parent) => number(&parent.summary().additional_properties, total),
        };
        let Some(before) = before else { continue };
        let after =
            before + number(summary, added).unwrap_or(0) - number(summary, removed).unwrap_or(0);
        if after >= 0 {
            summary.insert(total.into(), after.to_string());
        }
    }
}
