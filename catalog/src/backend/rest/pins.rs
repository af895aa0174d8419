//! What pins a commit to exactly the base that was read, where the server writes the metadata. Pure.
//!
//! The protocol knows no version of a table: a commit lists what must still hold. Snapshots of the
//! main branch, schemas, partition specs and sort orders can be listed, properties and other people's
//! tags cannot. So each change of ours that brings no snapshot moves a tag, the *turn*
//! (`weir-turn-<n>`, n grows), and each commit of ours lists the turn that it has read: of two of ours
//! from one base, one wins, whatever they change (docs/decisions/0017).

use std::collections::BTreeMap;

use iceberg::spec::{MAIN_BRANCH, SnapshotReference, SnapshotRetention};
use iceberg::{TableRequirement, TableUpdate};
use weir_contract::names::TAG_TURN_PREFIX;

use crate::backend::Loaded;

/// What must hold of the table, for `updates` to be made on exactly `base`.
pub(super) fn requirements(base: &Loaded, updates: &[TableUpdate]) -> Vec<TableRequirement> {
    let metadata = &base.metadata;
    let mut refs = BTreeMap::from([(MAIN_BRANCH.to_string(), metadata.current_snapshot_id())]);
    let turns = turns(base);
    let turn = turns.last_key_value().map_or_else(|| turn_name(1), |(_, name)| name.clone());
    let touched = updates.iter().filter_map(|update| match update {
        TableUpdate::SetSnapshotRef { ref_name, .. }
        | TableUpdate::RemoveSnapshotRef { ref_name } => Some(ref_name.clone()),
        _ => None,
    });
    for name in touched.chain([turn]).filter(|name| name != MAIN_BRANCH) {
        let id = base.refs.get(&name).map(|reference| reference.snapshot_id);
        refs.insert(name, id);
    }
    let refs = refs.into_iter().map(|(name, snapshot_id)| TableRequirement::RefSnapshotIdMatch {
        r#ref: name,
        snapshot_id,
    });
    let mut all = vec![
        TableRequirement::UuidMatch { uuid: metadata.uuid() },
        TableRequirement::CurrentSchemaIdMatch { current_schema_id: metadata.current_schema_id() },
        TableRequirement::LastAssignedFieldIdMatch {
            last_assigned_field_id: metadata.last_column_id(),
        },
        TableRequirement::DefaultSpecIdMatch {
            default_spec_id: metadata.default_partition_spec_id(),
        },
        TableRequirement::LastAssignedPartitionIdMatch {
            last_assigned_partition_id: metadata.last_partition_id(),
        },
        TableRequirement::DefaultSortOrderIdMatch {
            default_sort_order_id: metadata.default_sort_order_id(),
        },
    ];
    all.extend(refs);
    all
}

/// `updates`, and what they do to the turn: a change without a snapshot takes the next one. A table
/// without a snapshot can have no tag, and is pinned by having none.
pub(super) fn with_turn(base: &Loaded, mut updates: Vec<TableUpdate>) -> Vec<TableUpdate> {
    let brings = updates.iter().find_map(|update| match update {
        TableUpdate::AddSnapshot { snapshot } => Some(snapshot.snapshot_id()),
        _ => None,
    });
    let moves = updates.iter().rev().find_map(|update| match update {
        TableUpdate::SetSnapshotRef { ref_name, reference } if ref_name == MAIN_BRANCH => {
            Some(reference.snapshot_id)
        }
        _ => None,
    });
    let turns = turns(base);
    let Some(at) = brings.or(moves).or(base.metadata.current_snapshot_id()) else {
        return updates;
    };
    if brings.is_some() && !turns.is_empty() {
        return updates;
    }
    let next = turns.last_key_value().map_or(1, |(number, _)| number.saturating_add(1));
    let retention = SnapshotRetention::Tag { max_ref_age_ms: None };
    let reference = SnapshotReference::new(at, retention);
    updates.push(TableUpdate::SetSnapshotRef { ref_name: turn_name(next), reference });
    let old = turns.into_values();
    updates.extend(old.map(|ref_name| TableUpdate::RemoveSnapshotRef { ref_name }));
    updates
}

fn turn_name(number: u64) -> String {
    format!("{TAG_TURN_PREFIX}{number}")
}

/// The turns of a table by their numbers: one, or none where no commit of ours was made by REST.
fn turns(base: &Loaded) -> BTreeMap<u64, String> {
    let number = |name: &str| name.strip_prefix(TAG_TURN_PREFIX)?.parse().ok();
    let tags = base.refs.iter().filter(|(_, reference)| !reference.is_branch());
    tags.filter_map(|(name, _)| Some((number(name)?, name.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::{Value, json};

    use super::*;
    use crate::commit::keep::set_tag;
    use crate::testing::loaded_at;

    fn base(tags: &[(&str, i64)]) -> Loaded {
        let mut base = loaded_at("s3://lake/m0");
        for (name, id) in tags {
            let TableUpdate::SetSnapshotRef { ref_name, reference } = set_tag(name, *id) else {
                unreachable!()
            };
            base.refs.insert(ref_name, reference);
        }
        base
    }

    fn property() -> TableUpdate {
        TableUpdate::SetProperties { updates: HashMap::from([("a".into(), "b".into())]) }
    }

    fn refs(base: &Loaded, updates: &[TableUpdate]) -> Vec<(String, Value)> {
        let all = serde_json::to_value(requirements(base, updates)).unwrap();
        let refs = all.as_array().unwrap().iter().filter(|r| r["type"] == "assert-ref-snapshot-id");
        refs.map(|r| (r["ref"].as_str().unwrap().into(), r["snapshot-id"].clone())).collect()
    }

    #[test]
    fn all_that_can_be_pinned_is() {
        let all = serde_json::to_value(requirements(&base(&[]), &[])).unwrap();
        let kinds: Vec<_> = all.as_array().unwrap().iter().map(|r| r["type"].clone()).collect();
        for kind in ["table-uuid", "current-schema-id", "last-assigned-field-id", "default-spec-id"]
        {
            assert!(kinds.contains(&json!(format!("assert-{kind}"))), "{kind}: {kinds:?}");
        }
        // A table without snapshots has neither branch nor turn: both must still be missing.
        let expect = ["main", "weir-turn-1"].map(|name| (name.to_string(), Value::Null));
        assert_eq!(refs(&base(&[]), &[]), expect);
    }

    #[test]
    fn tags_that_are_touched_are_pinned() {
        let base = base(&[("weir-turn-9", 4), ("weir-turn-10", 5), ("weir-hour-a", 7), ("x", 8)]);
        let updates = [
            TableUpdate::RemoveSnapshotRef { ref_name: "weir-hour-a".into() },
            set_tag("weir-hour-b", 9),
        ];
        let found = refs(&base, &updates);
        let expect = [
            ("main", json!(null)),
            ("weir-hour-a", json!(7)),
            ("weir-hour-b", json!(null)),
            ("weir-turn-10", json!(5)),
        ];
        assert_eq!(found, expect.map(|(name, id)| (name.to_string(), id)));
    }

    #[test]
    fn a_change_without_a_snapshot_takes_the_next_turn() {
        // No snapshot, no tag.
        assert_eq!(with_turn(&base(&[]), vec![property()]).len(), 1);
        let old = base(&[("weir-turn-9", 4), ("weir-turn-10", 5), ("weir-turn-x", 6)]);
        let back = set_tag(MAIN_BRANCH, 3);
        let updates = with_turn(&old, vec![back.clone(), property()]);
        let removed = |name: &str| TableUpdate::RemoveSnapshotRef { ref_name: name.into() };
        let expect = [
            back,
            property(),
            set_tag("weir-turn-11", 3),
            removed("weir-turn-9"),
            removed("weir-turn-10"),
        ];
        assert_eq!(updates, expect);
    }
}
