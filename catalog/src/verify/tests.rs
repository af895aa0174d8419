//! Every way of damage that `verify` claims to notice, done to a real lake.

use std::collections::HashMap;

use iceberg::TableUpdate;
use object_store::ObjectStoreExt;
use weir_contract::class::ErrorClass;
use weir_contract::names::key;

use super::*;
use crate::foreign::{
    accepted_file, current, delete_positions, file, foreign, ingest, lake, live, rewrite, rows,
    set_main, short, update,
};
use crate::testing::{name, source};

async fn report(lake: &Lake) -> VerifyReport {
    let report = verify(lake, &name(), &VerifyOptions::default()).await.unwrap();
    assert_eq!(report.ok, report.findings.is_empty());
    let json: serde_json::Value = serde_json::to_value(&report).unwrap();
    assert_eq!(json["findings"].as_array().unwrap().len(), report.findings.len());
    report
}

/// Kind, partition and offsets of what is found.
async fn found(lake: &Lake) -> Vec<(Kind, Option<i32>, String)> {
    let findings = report(lake).await.findings.into_iter();
    let shown = |f: Finding| f.offsets.map(|o| o.to_string()).unwrap_or_default();
    findings.map(|f| (f.kind, f.partition, shown(f))).collect()
}

fn whole(kind: Kind) -> (Kind, Option<i32>, String) {
    (kind, None, String::new())
}

/// Offsets 0..10 of partition 0 in two commits, 3 and 7 rejected; 0..5 of partition 1.
async fn filled(lake: &Lake) {
    ingest(lake, 0, 0, 6, &[3], &[]).await;
    ingest(lake, 0, 6, 10, &[7], &[]).await;
    ingest(lake, 1, 0, 5, &[], &[]).await;
}

#[tokio::test]
async fn a_clean_lake_has_no_findings() {
    let (_folder, lake, _) = lake().await;
    let empty = report(&lake).await;
    assert_eq!((empty.findings, empty.rows, empty.snapshot), (vec![], 0, None));
    filled(&lake).await;
    ingest(&lake, 1, 5, 12, &[6], &[5, 9, 11]).await;
    let report = report(&lake).await;
    assert_eq!(report.findings, vec![]);
    assert_eq!((report.rows, report.files, report.offsets), (19, 7, 22));
    assert!(report.to_string().contains("every record exactly once"), "{report}");
}

#[tokio::test]
async fn a_removed_row_is_named_until_it_is_acknowledged() {
    let (_folder, lake, _) = lake().await;
    filled(&lake).await;
    let victim = accepted_file(&lake, 2).await;
    let base = rewrite(&lake, &victim, &rows(&short(), 0, &[0, 1, 4], false)).await;
    let snapshot = base.metadata().current_snapshot_id().unwrap();
    assert_eq!(found(&lake).await, [(Kind::OffsetMissing, Some(0), "2, 5".into())]);
    assert_eq!(report(&lake).await.findings[0].snapshot, Some(snapshot));

    ingest(&lake, 0, 10, 12, &[], &[]).await;
    assert_eq!(found(&lake).await, [(Kind::OffsetMissing, Some(0), "2, 5".into())]);

    let done = acknowledge(&lake, &name(), snapshot, "asked for by legal").await.unwrap();
    assert_eq!((done.rows.as_str(), done.rejected.as_str(), done.already), ("2", "0", false));
    assert_eq!(found(&lake).await, []);
    let again = acknowledge(&lake, &name(), snapshot, "asked for by legal").await.unwrap();
    assert_eq!((again.rows.as_str(), again.already), ("2", true));
    let base = current(&lake).await;
    let partition = base.progress().unwrap().sources[&source()][&0];
    assert_eq!((partition.rows, partition.rejected, partition.removed), (8, 2, 2));
    let newest = base.metadata().current_snapshot().unwrap();
    assert_eq!(text(newest, key::REASON), Some("asked for by legal"));
}

#[tokio::test]
async fn a_removed_row_is_told_from_an_offset_that_never_was() {
    let (_folder, lake, _) = lake().await;
    ingest(&lake, 0, 0, 8, &[6], &[2, 3]).await;
    let rejects = live(&lake).await.into_iter().find(|f| f.path().contains("null")).unwrap();
    let base = foreign(&lake, vec![], &[rejects.path().to_string()]).await;
    let first = base.metadata().current_snapshot_id().unwrap();
    let victim = accepted_file(&lake, 0).await;
    let base = rewrite(&lake, &victim, &rows(&short(), 0, &[0, 4, 5, 7], false)).await;
    let second = base.metadata().current_snapshot_id().unwrap();
    let mut missing = found(&lake).await;
    missing.sort_by(|a, b| a.2.cmp(&b.2));
    let expected =
        [(Kind::OffsetMissing, Some(0), "1".into()), (Kind::OffsetMissing, Some(0), "6".into())];
    assert_eq!(missing, expected);

    let done = acknowledge(&lake, &name(), first, "rejects are of no use").await.unwrap();
    assert_eq!((done.rows.as_str(), done.rejected.as_str()), ("0", "1"));
    assert_eq!(found(&lake).await, [(Kind::OffsetMissing, Some(0), "1".into())]);
    acknowledge(&lake, &name(), second, "a mistake").await.unwrap();
    assert_eq!(found(&lake).await, []);
}

#[tokio::test]
async fn rows_that_came_back_are_not_missing() {
    let (_folder, lake, _) = lake().await;
    filled(&lake).await;
    let victim = accepted_file(&lake, 0).await;
    let base = foreign(&lake, vec![], &[victim]).await;
    let snapshot = base.metadata().current_snapshot_id().unwrap();
    assert_eq!(found(&lake).await, [(Kind::OffsetMissing, Some(1), "0-4".into())]);
    let back =
        file(&lake, &current(&lake).await, &rows(&short(), 1, &[0, 1, 2, 3, 4], false)).await;
    foreign(&lake, vec![back], &[]).await;
    assert_eq!(found(&lake).await, []);
    let error = acknowledge(&lake, &name(), snapshot, "why not").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::BadData, "{error}");
}

#[tokio::test]
async fn position_deletes_are_seen_by_the_rows_they_leave() {
    let (_folder, lake, _) = lake().await;
    filled(&lake).await;
    let victim = accepted_file(&lake, 0).await;
    let base = delete_positions(&lake, &victim, &[1, 3]).await;
    let snapshot = base.metadata().current_snapshot_id().unwrap();
    assert_eq!(found(&lake).await, [(Kind::OffsetMissing, Some(1), "1, 3".into())]);
    acknowledge(&lake, &name(), snapshot, "by Trino").await.unwrap();
    assert_eq!(found(&lake).await, []);
}

#[tokio::test]
async fn an_expired_parent_leaves_candidates_and_the_counters_acknowledge() {
    let (_folder, lake, _) = lake().await;
    ingest(&lake, 0, 0, 8, &[], &[2]).await;
    let parent = current(&lake).await.metadata().current_snapshot_id().unwrap();
    let victim = accepted_file(&lake, 0).await;
    let base = rewrite(&lake, &victim, &rows(&short(), 0, &[0, 1, 3, 4, 6, 7], false)).await;
    let snapshot = base.metadata().current_snapshot_id().unwrap();
    let base = ingest(&lake, 0, 8, 9, &[], &[]).await;
    let expire = TableUpdate::RemoveSnapshots { snapshot_ids: vec![parent] };
    update(&lake, &base, vec![expire]).await;
    assert_eq!(found(&lake).await, [(Kind::OffsetMissingAmong, Some(0), "2, 5".into())]);
    let done = acknowledge(&lake, &name(), snapshot, "known").await.unwrap();
    assert_eq!(done.rows, "1");
    assert_eq!(found(&lake).await, []);
}

#[tokio::test]
async fn a_doubled_row() {
    let (_folder, lake, _) = lake().await;
    filled(&lake).await;
    let copy = file(&lake, &current(&lake).await, &rows(&short(), 0, &[4, 8], false)).await;
    foreign(&lake, vec![copy], &[]).await;
    assert_eq!(found(&lake).await, [(Kind::OffsetDoubled, Some(0), "4, 8".into())]);
    let rejected = file(&lake, &current(&lake).await, &rows(&short(), 1, &[0], true)).await;
    foreign(&lake, vec![rejected], &[]).await;
    assert_eq!(found(&lake).await.last(), Some(&(Kind::OffsetDoubled, Some(1), "0".into())));
}

#[tokio::test]
async fn a_file_referenced_twice() {
    let (_folder, lake, _) = lake().await;
    filled(&lake).await;
    let base = current(&lake).await;
    let one = file(&lake, &base, &rows(&short(), 1, &[5], false)).await;
    foreign(&lake, vec![one.clone(), one], &[]).await;
    let kinds: Vec<Kind> = found(&lake).await.into_iter().map(|f| f.0).collect();
    assert_eq!(kinds, [Kind::FileReferencedTwice, Kind::OffsetOutside]);
}

#[tokio::test]
async fn a_missing_file_and_its_rows() {
    let (_folder, lake, _) = lake().await;
    filled(&lake).await;
    let victim = accepted_file(&lake, 0).await;
    lake.store.delete(&lake.warehouse.object_path(&victim).unwrap()).await.unwrap();
    let expected = [whole(Kind::FileMissing), (Kind::OffsetMissing, Some(1), "0-4".into())];
    assert_eq!(found(&lake).await, expected);
    assert_eq!(report(&lake).await.findings[0].file, Some(victim));
}

#[tokio::test]
async fn a_file_of_another_size_another_count_or_none_at_all() {
    let (_folder, lake, _) = lake().await;
    filled(&lake).await;
    let victim = lake.warehouse.object_path(&accepted_file(&lake, 0).await).unwrap();
    let other = lake.warehouse.object_path(&accepted_file(&lake, 2).await).unwrap();
    let bytes = lake.store.get(&other).await.unwrap().bytes().await.unwrap();
    replace(&lake, &victim, bytes.to_vec()).await;
    let kinds: Vec<Kind> = found(&lake).await.into_iter().map(|f| f.0).collect();
    assert!(kinds.contains(&Kind::OffsetDoubled), "{kinds:?}");
    assert!(kinds.contains(&Kind::OffsetMissing), "{kinds:?}");
    replace(&lake, &victim, b"PAR1 not really PAR1".to_vec()).await;
    let kinds: Vec<Kind> = found(&lake).await.into_iter().map(|f| f.0).collect();
    assert_eq!(kinds, [Kind::FileSize, Kind::FileUnreadable, Kind::OffsetMissing]);
}

async fn replace(lake: &Lake, path: &object_store::path::Path, bytes: Vec<u8>) {
    lake.store.delete(path).await.unwrap();
    lake.store.put(path, bytes.into()).await.unwrap();
}

#[tokio::test]
async fn a_manifest_that_counts_wrong() {
    let (_folder, lake, base) = lake().await;
    let mut encoder = lake.format.encoder(&base.schema().unwrap(), None).unwrap();
    encoder.write(&rows(&short(), 0, &[0], true)).unwrap();
    let mut encoded = encoder.finish().unwrap();
    encoded.rows = 2;
    let wrong = lake.put_data_file(&base, encoded).await.unwrap();
    foreign(&lake, vec![wrong], &[]).await;
    let kinds: Vec<Kind> = found(&lake).await.into_iter().map(|f| f.0).collect();
    assert!(kinds.contains(&Kind::FileRows), "{kinds:?}");
}

#[tokio::test]
async fn counters_that_lie() {
    let (_folder, lake, _) = lake().await;
    filled(&lake).await;
    let base = current(&lake).await;
    let mut progress = base.progress().unwrap();
    let partition = progress.sources.get_mut(&source()).unwrap().get_mut(&0).unwrap();
    partition.rows -= 1;
    partition.rejected += 1;
    let base = set_progress(&lake, &base, progress.to_json()).await;
    let expected =
        [(Kind::ProgressDiffers, Some(0), "".into()), (Kind::Counts, Some(0), "".into())];
    assert_eq!(found(&lake).await, expected);

    let partition = progress.sources.get_mut(&source()).unwrap().get_mut(&0).unwrap();
    (partition.rejected, partition.absent) = (partition.rejected - 1, 1);
    let base = set_progress(&lake, &base, progress.to_json()).await;
    assert_eq!(found(&lake).await, expected);

    let partition = progress.sources.get_mut(&source()).unwrap().get_mut(&0).unwrap();
    (partition.until, partition.rows) = (partition.until + 1, partition.rows + 2);
    partition.absent = 0;
    let base = set_progress(&lake, &base, progress.to_json()).await;
    let (kinds, offsets): (Vec<_>, Vec<_>) =
        found(&lake).await.into_iter().map(|f| (f.0, f.2)).unzip();
    assert_eq!(kinds, [Kind::ProgressDiffers, Kind::OffsetMissing]);
    assert_eq!(offsets[1], "10");

    let damaged = progress.to_json().replace("\"rows\":\"", "\"rows\":\"1");
    set_progress(&lake, &base, damaged).await;
    assert_eq!(found(&lake).await, [whole(Kind::ProgressDamaged)]);
}

async fn set_progress(lake: &Lake, base: &Base, json: String) -> Base {
    let updates = HashMap::from([(key::PROGRESS.to_string(), json)]);
    update(lake, base, vec![TableUpdate::SetProperties { updates }]).await
}

#[tokio::test]
async fn the_property_removed() {
    let (_folder, lake, _) = lake().await;
    filled(&lake).await;
    let removals = vec![key::PROGRESS.to_string()];
    update(&lake, &current(&lake).await, vec![TableUpdate::RemoveProperties { removals }]).await;
    assert_eq!(found(&lake).await, [whole(Kind::ProgressMissing)]);
}

#[tokio::test]
async fn the_table_rolled_back() {
    let (_folder, lake, _) = lake().await;
    filled(&lake).await;
    let base = current(&lake).await;
    let newest = base.metadata().current_snapshot().unwrap();
    let back = newest.parent_snapshot_id().unwrap();
    update(&lake, &base, vec![set_main(back)]).await;
    assert_eq!(found(&lake).await, [whole(Kind::RolledBack)]);
    assert_eq!(report(&lake).await.findings[0].snapshot, Some(newest.snapshot_id()));
    ingest(&lake, 1, 0, 4, &[], &[]).await;
    assert_eq!(found(&lake).await, []);
}

#[tokio::test]
async fn manifests_and_lists_that_are_gone() {
    let (_folder, lake, _) = lake().await;
    filled(&lake).await;
    let base = current(&lake).await;
    let snapshot = base.metadata().current_snapshot().unwrap().clone();
    let manifests = crate::scan::plan::manifests(&lake, &base, &snapshot).await.unwrap();
    let last = lake.warehouse.object_path(&manifests.last().unwrap().manifest_path).unwrap();
    lake.store.delete(&last).await.unwrap();
    let kinds: Vec<Kind> = found(&lake).await.into_iter().map(|f| f.0).collect();
    assert_eq!(kinds[0], Kind::ManifestMissing);
    assert!(kinds.contains(&Kind::OffsetMissing));
    lake.store
        .delete(&lake.warehouse.object_path(snapshot.manifest_list()).unwrap())
        .await
        .unwrap();
    let kinds: Vec<Kind> = found(&lake).await.into_iter().map(|f| f.0).collect();
    assert_eq!(kinds[0], Kind::ManifestListMissing);
    let error = acknowledge(&lake, &name(), 1, "x").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::BadConfig, "{error}");
}

#[tokio::test]
async fn rows_that_are_not_weir_s() {
    let (_folder, lake, _) = lake().await;
    filled(&lake).await;
    let base = current(&lake).await;
    let added = vec![
        file(&lake, &base, &rows("feedfacecafe", 0, &[1, 2], false)).await,
        file(&lake, &base, &rows(&short(), 0, &[10], false)).await,
        file(&lake, &base, &rows(&short(), 7, &[0], false)).await,
        file(&lake, &base, &rows(&short(), 0, &[-1], false)).await,
    ];
    foreign(&lake, added, &[]).await;
    let expected = [
        (Kind::OffsetOutside, Some(0), "10".into()),
        (Kind::OffsetOutside, Some(7), "0".into()),
        (Kind::UnknownSource, Some(0), "1-2".into()),
        whole(Kind::RowWithoutPosition),
    ];
    let mut all = found(&lake).await;
    all.sort();
    assert_eq!(all, expected);
}

#[tokio::test]
async fn totals_that_lie() {
    let (_folder, lake, _) = lake().await;
    filled(&lake).await;
    let base = current(&lake).await;
    let list = base.metadata().current_snapshot().unwrap().manifest_list().to_string();
    let summary = HashMap::from([("total-records".to_string(), "9".to_string())]);
    crate::foreign::add_snapshot(&lake, &base, 77, list, summary).await;
    assert_eq!(found(&lake).await, [whole(Kind::Totals)]);
}

#[tokio::test]
async fn what_cannot_be_acknowledged_says_why() {
    let (_folder, lake, _) = lake().await;
    filled(&lake).await;
    let ours = current(&lake).await.metadata().current_snapshot_id().unwrap();
    for (snapshot, reason, says) in [
        (ours, "r", "weir's own"),
        (4, "r", "no standing snapshot 4"),
        (ours, " ", "needs a reason"),
    ] {
        let error = acknowledge(&lake, &name(), snapshot, reason).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::BadConfig);
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_revision_that_the_progress_does_not_know_is_noticed() {
    let (_folder, lake, _) = lake().await;
    filled(&lake).await;
    let plain = rows(&short(), 1, &[0, 1, 2, 3, 4], false);
    let revs: arrow::array::ArrayRef = Arc::new(arrow::array::Int32Array::from(vec![3; 5]));
    let schema = plain.schema();
    let columns = schema.fields().iter().map(|f| f.name().as_str()).zip(plain.columns().to_vec());
    let columns = columns.chain([(column::REV, revs)]).map(|(name, array)| (name, array, true));
    let batch = arrow::array::RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    rewrite(&lake, &accepted_file(&lake, 0).await, &batch).await;
    assert_eq!(found(&lake).await, [whole(Kind::RevAhead)]);
}
