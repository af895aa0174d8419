//! Records found in lakes that others have compacted, deleted from and expired.

use iceberg::TableUpdate;
use iceberg::spec::{SnapshotReference, SnapshotRetention};

use super::*;
use crate::foreign::{accepted_file, current, file as stored, foreign, ingest, lake, live};
use crate::foreign::{rows as made, short, update};
use crate::testing::source;

async fn at(lake: &Lake, partition: i32, offset: i64) -> Place {
    let mut places = record(lake, &current(lake).await, None, partition, offset).await.unwrap();
    assert_eq!(places.len(), 1);
    places.remove(0)
}

async fn row(lake: &Lake, partition: i32, offset: i64) -> RowAt {
    match at(lake, partition, offset).await.state {
        State::Row { mut rows } if rows.len() == 1 => rows.remove(0),
        other => panic!("{other:?}"),
    }
}

fn current_id(base: &Base) -> i64 {
    base.metadata().current_snapshot_id().unwrap()
}

/// Offsets 0..10 of partition 0 in two commits, 3 rejected, 7 absent.
async fn filled() -> (tempfile::TempDir, Lake, i64, i64) {
    let (folder, lake, _) = lake().await;
    let first = current_id(&ingest(&lake, 0, 0, 6, &[3], &[]).await);
    let second = current_id(&ingest(&lake, 0, 6, 10, &[], &[7]).await);
    (folder, lake, first, second)
}

#[tokio::test]
async fn a_record_is_found_with_its_file_and_first_snapshot() {
    let (_folder, lake, first, second) = filled().await;
    let accepted = row(&lake, 0, 5).await;
    assert!(!accepted.rejected && accepted.redriven.is_none(), "{accepted:?}");
    assert!(matches!(accepted.first, First::Snapshot(at) if at.snapshot == first));
    assert_eq!(accepted.row.num_rows(), 1);
    let rejected = row(&lake, 0, 3).await;
    assert!(rejected.rejected && rejected.file.contains("null"), "{rejected:?}");
    assert!(matches!(row(&lake, 0, 9).await.first, First::Snapshot(at) if at.snapshot == second));
    let elsewhere = record(&lake, &current(&lake).await, Some("other"), 0, 5).await.unwrap();
    assert!(matches!(elsewhere[0].state, State::NotIngested { head: None }), "{elsewhere:?}");
    let json = serde_json::to_value(at(&lake, 0, 5).await).unwrap();
    assert_eq!((json["state"].as_str(), json["offset"].as_str()), (Some("row"), Some("5")));
    assert_eq!(json["rows"][0]["first"]["since"], "snapshot");
}

#[tokio::test]
async fn an_offset_without_a_row_says_why() {
    let (_folder, lake, _, _) = filled().await;
    assert!(matches!(at(&lake, 0, 10).await.state, State::NotIngested { head: Some(10) }));
    assert!(matches!(at(&lake, 5, 0).await.state, State::NotIngested { head: None }));
    ingest(&lake, 1, 40, 45, &[], &[]).await;
    assert!(matches!(at(&lake, 1, 39).await.state, State::BeforeStart { start: 40 }));
    assert!(matches!(at(&lake, 0, 7).await.state, State::NoRow { why } if why == [Why::Absent]));
    foreign(&lake, vec![], &[accepted_file(&lake, 0).await]).await;
    assert!(matches!(at(&lake, 1, 41).await.state, State::NoRow { why } if why == [Why::Missing]));
}

#[tokio::test]
async fn after_compaction_and_expiry_the_row_is_found_still() {
    let (_folder, lake, first, second) = filled().await;
    let tag = TableUpdate::SetSnapshotRef {
        ref_name: "audit".into(),
        reference: SnapshotReference::new(second, SnapshotRetention::Tag { max_ref_age_ms: None }),
    };
    update(&lake, &current(&lake).await, vec![tag]).await;
    let old: Vec<String> = live(&lake).await.iter().map(|f| f.path().to_string()).collect();
    let batch = made(&short(), 0, &[0, 1, 2, 4, 5, 6, 8, 9], false);
    let new = stored(&lake, &current(&lake).await, &batch).await;
    let new_path = new.path().to_string();
    let accepted: Vec<String> = old.into_iter().filter(|path| !path.contains("null")).collect();
    foreign(&lake, vec![new], &accepted).await;
    assert_eq!(row(&lake, 0, 5).await.file, new_path);
    ingest(&lake, 0, 10, 12, &[], &[]).await;
    let kept: Vec<i64> = vec![second, current_id(&current(&lake).await)];
    let all = current(&lake).await;
    let snapshot_ids = all.metadata().snapshots().map(|s| s.snapshot_id());
    let snapshot_ids = snapshot_ids.filter(|id| !kept.contains(id)).collect();
    update(&lake, &all, vec![TableUpdate::RemoveSnapshots { snapshot_ids }]).await;
    assert_ne!(first, second);
    let found = row(&lake, 0, 5).await;
    assert!(
        matches!(&found.first, First::Tag { tag, at } if tag == "audit" && at.snapshot == second)
    );
    let newer = row(&lake, 0, 11).await.first;
    assert!(matches!(newer, First::Expired { oldest: Some(_) }), "{newer:?}");
}

#[tokio::test]
async fn files_and_snapshots_tell_their_offsets() {
    let (_folder, lake, first, second) = filled().await;
    let base = current(&lake).await;
    let path = accepted_file(&lake, 1).await;
    let name = path.rsplit('/').next().unwrap();
    let found = file(&lake, &base, name).await.unwrap().unwrap();
    assert_eq!((found.file.as_str(), found.added_by, found.current), (&*path, Some(first), true));
    assert_eq!(found.offsets[0].source, source());
    assert_eq!(found.offsets[0].accepted.to_string(), "0-2, 4-5");
    assert_eq!(file(&lake, &base, &name[1..]).await.unwrap(), None);

    let brought = snapshot(&lake, &base, second).await.unwrap().unwrap();
    let moved = &brought.line.moved[0];
    assert_eq!((moved.from, moved.until, brought.redriven.len()), (6, 10, 0));
    assert_eq!(snapshot(&lake, &base, 1).await.unwrap(), None);

    // A file that was replaced is found as long as a snapshot holds it.
    foreign(&lake, vec![], std::slice::from_ref(&path)).await;
    let found = file(&lake, &current(&lake).await, name).await.unwrap().unwrap();
    assert_eq!((found.current, found.newest), (false, Some(second)));
}

#[tokio::test]
async fn events_are_found_by_their_id() {
    let (_folder, lake, _, _) = filled().await;
    let base = current(&lake).await;
    let hits = async |id: &str| search(&lake, &base, &Search::Event(id.into()), 10).await.unwrap();
    let found = hits("event 0/5").await;
    assert_eq!((found.len(), found[0].offset, found[0].rejected), (1, 5, false));
    assert_eq!(hits("event 0/3").await.len(), 0);
    assert_eq!(hits("it's").await.len(), 0);
    // Every member of the test's `_error` holds this text.
    let rejected = hits("not_json").await;
    assert_eq!((rejected.len(), rejected[0].offset, rejected[0].rejected), (1, 3, true));
    let none = search(&lake, &base, &Search::Trace("0".repeat(32)), 10).await.unwrap();
    assert_eq!(none, vec![]);
}
