//! Commits: races, lost answers, overwrites, expiry, what is bounded.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use iceberg::TableUpdate;
use iceberg::spec::{ManifestStatus, Operation, SnapshotReference, SnapshotRetention};
use tempfile::TempDir;
use weir_contract::class::ErrorClass;
use weir_contract::names::{SourceId, TableName, key};
use weir_contract::progress::Truth;

use super::*;
use crate::backend::{Backend, Loaded, Pointer, PointerBackend, SqlitePointer, Swap};
use crate::manifests::manifests_of;
use crate::testing::*;

/// Live entries of the current snapshot: path, data sequence number, snapshot id.
async fn live(lake: &Lake, base: &Base) -> BTreeMap<String, (i64, i64)> {
    let mut found = BTreeMap::new();
    let Some(snapshot) = base.metadata().current_snapshot() else { return found };
    for manifest in manifests_of(lake, base.metadata(), snapshot).await.unwrap() {
        for entry in manifest.load_manifest(&lake.io).await.unwrap().entries() {
            if entry.is_alive() {
                let facts = (entry.sequence_number().unwrap(), entry.snapshot_id().unwrap());
                assert!(found.insert(entry.file_path().to_string(), facts).is_none());
            }
        }
    }
    found
}

fn total(base: &Base, what: &str) -> i64 {
    let summary = &base.metadata().current_snapshot().unwrap().summary().additional_properties;
    summary[what].parse().unwrap()
}

#[tokio::test]
async fn an_append_carries_everything_that_we_promise() {
    let folder = TempDir::new().unwrap();
    let lake = lake(&folder);
    let base = lake.ensure_raw(&contract(), &name()).await.unwrap();
    assert!(matches!(base.truth(), Truth::Empty));
    let receipt = done(append(&lake, base, "one", 3, 10, 30).await);
    assert_eq!((receipt.conflicts, receipt.unknowns, receipt.already), (0, 0, false));

    let base = lake.table(&name()).await.unwrap().unwrap();
    assert_eq!(base.loaded.location, receipt.base.loaded.location);
    assert_eq!(base.loaded.refs, receipt.base.loaded.refs);
    let snapshot = base.metadata().current_snapshot().unwrap();
    assert_eq!(snapshot.snapshot_id(), receipt.snapshot_id);
    let summary = snapshot.summary();
    assert_eq!(summary.operation, Operation::Append);
    assert_eq!(summary.additional_properties[key::COMMIT_ID], "one");
    assert_eq!(summary.additional_properties[key::STAGE], "test");
    assert_eq!(summary.additional_properties[key::CODE_VERSION], env!("CARGO_PKG_VERSION"));
    assert_eq!((total(&base, "total-records"), total(&base, "total-data-files")), (20, 1));

    let progress = base.progress().unwrap();
    assert_eq!(progress.head(&source(), 3), Some(30));
    assert_eq!(progress.snapshot, receipt.snapshot_id);
    assert_eq!((progress.seq, progress.records()), (1, 20));
    let heads = Progress::from_heads(&summary.additional_properties[key::HEADS]).unwrap();
    assert_eq!(heads.sources, progress.sources);
    let short = SourceId::from_str(&source()).unwrap().short();
    assert_eq!(base.metadata().properties()[&format!("weir.source.{short}")], source());
}

#[tokio::test]
async fn a_commit_without_files_moves_progress_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let lake = lake(&folder);
    let base = lake.ensure_raw(&contract(), &name()).await.unwrap();
    let base = done(append(&lake, base, "one", 0, 0, 5).await).base;
    let before = live(&lake, &base).await;
    let mut steps = steps(0, 5, 9);
    let step = steps.get_mut(&source()).unwrap().get_mut(&0).unwrap();
    (step.rows, step.absent) = (0, 4);
    let change = Change { commit_id: "two".into(), stage: "test", ..Change::default() };
    let base = done(advance(&lake, base, &change, &steps).await).base;
    assert_eq!(live(&lake, &base).await, before);
    assert_eq!(base.progress().unwrap().head(&source(), 0), Some(9));
    assert_eq!(base.metadata().snapshots().len(), 2);
    assert_eq!(total(&base, "total-records"), 5);
}

#[tokio::test]
async fn an_overwrite_replaces_files_and_leaves_the_others_as_they_were() {
    let folder = TempDir::new().unwrap();
    let lake = lake(&folder);
    let base = lake.ensure_raw(&contract(), &name()).await.unwrap();
    let base = done(append(&lake, base, "one", 0, 0, 10).await).base;
    let base = done(append(&lake, base, "two", 0, 10, 20).await).base;
    let before = live(&lake, &base).await;
    let (victim, _) = before.iter().find(|(_, facts)| facts.0 == 1).unwrap();
    let added = vec![file(&lake, &base, 0, 0, 10).await];
    let change = Change {
        commit_id: "three".into(),
        stage: "test",
        added,
        removed: vec![victim.clone()],
        ..Change::default()
    };
    let empty = BTreeMap::new();
    let receipt = done(advance(&lake, base, &change, &empty).await);
    let after = live(&lake, &receipt.base).await;
    assert_eq!(after.len(), 2);
    assert!(!after.contains_key(victim));
    for (path, facts) in before.iter().filter(|(path, _)| *path != victim) {
        assert_eq!(after[path], *facts);
    }
    assert_eq!(after[change.added[0].path()], (3, receipt.snapshot_id));
    let snapshot = receipt.base.metadata().current_snapshot().unwrap();
    assert_eq!(snapshot.summary().operation, Operation::Overwrite);
    assert_eq!(snapshot.summary().additional_properties["deleted-records"], "10");
    assert_eq!(total(&receipt.base, "total-records"), 20);
    // The tombstone names this snapshot and keeps the file's sequence number.
    let mut tombstones = Vec::new();
    for manifest in manifests_of(&lake, receipt.base.metadata(), snapshot).await.unwrap() {
        for entry in manifest.load_manifest(&lake.io).await.unwrap().entries() {
            if entry.status() == ManifestStatus::Deleted {
                tombstones.push((entry.snapshot_id(), entry.sequence_number()));
            }
        }
    }
    assert_eq!(tombstones, vec![(Some(receipt.snapshot_id), Some(1))]);

    // The file is gone now: nothing may be replaced twice.
    let again = Change { commit_id: "four".into(), ..change };
    let error = advance(&lake, receipt.base, &again, &empty).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::BadData);
    assert!(error.to_string().contains("no longer in the table"), "{error}");
}

#[tokio::test]
async fn a_stale_base_conflicts_is_decided_again_and_may_be_fenced() {
    let folder = TempDir::new().unwrap();
    let lake = lake(&folder);
    let stale = lake.ensure_raw(&contract(), &name()).await.unwrap();
    done(append(&lake, stale.clone(), "one", 0, 0, 10).await);
    // Another partition: merged after one conflict.
    let receipt = done(append(&lake, stale.clone(), "two", 1, 0, 10).await);
    assert_eq!((receipt.conflicts, receipt.unknowns), (1, 0));
    assert_eq!(live(&lake, &receipt.base).await.len(), 2);
    // The same partition: fenced, and nothing is written.
    match append(&lake, stale, "three", 0, 0, 10).await.unwrap() {
        Committed::Declined(fences) => assert_eq!(fences[0].head, Some(10)),
        Committed::Done(_) => panic!("it was doubled"),
    }
    let base = lake.table(&name()).await.unwrap().unwrap();
    assert_eq!(base.loaded.location, receipt.base.loaded.location);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_that_race_lose_and_double_nothing() {
    let folder = TempDir::new().unwrap();
    let first = lake(&folder);
    first.ensure_raw(&contract(), &name()).await.unwrap();
    let writers = (0..4).map(|partition| {
        // A connection each, as processes have.
        let lake = lake(&folder);
        tokio::spawn(async move {
            let mut conflicts = 0;
            for n in 0..10 {
                let base = lake.table(&name()).await.unwrap().unwrap();
                let id = format!("{partition}-{n}");
                let receipt = done(append(&lake, base, &id, partition, n * 5, n * 5 + 5).await);
                conflicts += receipt.conflicts;
            }
            conflicts
        })
    });
    let mut conflicts = 0;
    for writer in writers.collect::<Vec<_>>() {
        conflicts += writer.await.unwrap();
    }
    assert!(conflicts > 0, "nobody raced");
    let base = first.table(&name()).await.unwrap().unwrap();
    let progress = base.progress().unwrap();
    assert!((0..4).all(|p| progress.head(&source(), p) == Some(50)));
    assert_eq!(live(&first, &base).await.len(), 40);
    assert_eq!(total(&base, "total-records"), 200);
    assert_eq!(base.metadata().last_sequence_number(), 40);
}

/// A pointer that loses answers.
#[derive(Debug)]
struct Liar {
    inner: SqlitePointer,
    /// Swaps to come that land without an answer.
    silent: AtomicUsize,
    /// Swaps to come that do not land, without an answer.
    lost: AtomicUsize,
    /// Gets to come that fail.
    deaf: AtomicUsize,
}

fn take(counter: &AtomicUsize) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
}

#[async_trait]
impl Pointer for Liar {
    async fn list(&self) -> Result<Vec<TableName>> {
        self.inner.list().await
    }

    async fn get(&self, name: &TableName) -> Result<Option<String>> {
        if take(&self.deaf) {
            return Err(CatalogError::retry("no answer"));
        }
        self.inner.get(name).await
    }

    async fn insert(&self, name: &TableName, new: &Loaded) -> Swap {
        self.inner.insert(name, new).await
    }

    async fn swap(&self, name: &TableName, old: &str, new: &Loaded) -> Swap {
        if take(&self.lost) {
            return Swap::Unknown("the connection broke".into());
        }
        let swap = self.inner.swap(name, old, new).await;
        if take(&self.silent) { Swap::Unknown("the connection broke".into()) } else { swap }
    }
}

fn liar(
    folder: &TempDir,
    silent: usize,
    lost: usize,
    deaf: usize,
) -> (Lake, Arc<PointerBackend<Liar>>) {
    let mut lake = lake(folder);
    let inner = SqlitePointer::open(&folder.path().join("catalog.db"), "local", false).unwrap();
    let liar = Liar { inner, silent: silent.into(), lost: lost.into(), deaf: deaf.into() };
    let backend = Arc::new(PointerBackend::new(liar, lake.io.clone(), lake.env.clone()));
    lake.backend = backend.clone();
    (lake, backend)
}

#[tokio::test]
async fn an_unknown_commit_that_landed_is_found_by_its_id() {
    let folder = TempDir::new().unwrap();
    let honest = lake(&folder);
    let base = honest.ensure_raw(&contract(), &name()).await.unwrap();
    let (lake, _) = liar(&folder, 1, 0, 0);
    let receipt = done(append(&lake, base, "one", 0, 0, 10).await);
    assert_eq!((receipt.conflicts, receipt.unknowns, receipt.already), (0, 1, true));
    assert_eq!(receipt.base.metadata().snapshots().len(), 1);
    assert_eq!(live(&lake, &receipt.base).await.len(), 1);
}

#[tokio::test]
async fn an_unknown_commit_that_did_not_land_is_made_again() {
    let folder = TempDir::new().unwrap();
    let honest = lake(&folder);
    let base = honest.ensure_raw(&contract(), &name()).await.unwrap();
    let (lake, _) = liar(&folder, 0, 2, 0);
    let receipt = done(append(&lake, base, "one", 0, 0, 10).await);
    assert_eq!((receipt.unknowns, receipt.already), (2, false));
    assert_eq!(receipt.base.metadata().snapshots().len(), 1);
    assert_eq!(live(&lake, &receipt.base).await.len(), 1);
}

#[tokio::test]
async fn an_unknown_commit_waits_until_the_catalog_answers() {
    let folder = TempDir::new().unwrap();
    let honest = lake(&folder);
    let base = honest.ensure_raw(&contract(), &name()).await.unwrap();
    let (lake, backend) = liar(&folder, 1, 0, 2);
    let receipt = done(append(&lake, base, "one", 0, 0, 10).await);
    assert!(receipt.already);
    assert_eq!(backend.pointer().deaf.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_silent_catalog_ends_in_retry_and_says_that_the_outcome_is_unknown() {
    let folder = TempDir::new().unwrap();
    let honest = lake(&folder);
    let base = honest.ensure_raw(&contract(), &name()).await.unwrap();
    let (mut lake, _) = liar(&folder, 1, 0, usize::MAX);
    lake.options.unknown_wait_max = Duration::from_millis(300);
    let error = append(&lake, base, "one", 0, 0, 10).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Retry);
    assert!(error.to_string().contains("not known whether commit one"), "{error}");
    // It had landed, and the next attempt with the same id knows.
    let base = honest.table(&name()).await.unwrap().unwrap();
    let change = Change { commit_id: "one".into(), stage: "test", ..Change::default() };
    let receipt = done(advance(&honest, base, &change, &steps(0, 0, 10)).await);
    assert!(receipt.already);
}

#[tokio::test]
async fn a_commit_whose_snapshot_expired_is_still_known() {
    let folder = TempDir::new().unwrap();
    let lake = lake(&folder);
    let mut base = lake.ensure_raw(&contract(), &name()).await.unwrap();
    for n in 0..12 {
        base = done(append(&lake, base, &format!("c{n}"), 0, n, n + 1).await).base;
    }
    assert!(find_commit(&base, "c1").is_none());
    let change = Change { commit_id: "c1".into(), stage: "test", ..Change::default() };
    let receipt = done(advance(&lake, base, &change, &steps(0, 1, 2)).await);
    assert!(receipt.already);
}

#[tokio::test]
async fn snapshots_metadata_and_manifests_stay_bounded() {
    let folder = TempDir::new().unwrap();
    let lake = lake(&folder);
    let mut base = lake.ensure_raw(&contract(), &name()).await.unwrap();
    let mut tagged = None;
    for n in 0..60 {
        let receipt = done(append(&lake, base, &format!("c{n}"), 0, n * 2, n * 2 + 2).await);
        base = receipt.base;
        if n == 4 {
            let reference = SnapshotReference::new(
                receipt.snapshot_id,
                SnapshotRetention::Tag { max_ref_age_ms: None },
            );
            let tag = TableUpdate::SetSnapshotRef { ref_name: "audit".into(), reference };
            let outcome = lake.backend.commit(&base.name, &base.loaded, vec![tag]).await;
            let Outcome::Committed(loaded) = outcome else { panic!("{outcome:?}") };
            base.loaded = loaded;
            tagged = Some(receipt.snapshot_id);
        }
    }
    let metadata = base.metadata();
    assert_eq!(metadata.snapshots().len(), 8 + 1);
    assert!(metadata.snapshot_by_id(tagged.unwrap()).is_some());
    assert_eq!(base.loaded.refs.len(), 2);
    assert!(metadata.history().len() <= 8);
    assert_eq!(metadata.metadata_log().len(), 3);
    let files = std::fs::read_dir(folder.path().join("lake/raw/vending_sales/metadata")).unwrap();
    let names: Vec<String> = files.map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    // The current one, three logged, and one that fell off with the tag, which was not our commit.
    assert_eq!(names.iter().filter(|n| n.ends_with(".gz.metadata.json")).count(), 5);
    assert!(names.iter().all(|n| !n.ends_with(".tmp")));

    let snapshot = metadata.current_snapshot().unwrap();
    let manifests = manifests_of(&lake, metadata, snapshot).await.unwrap();
    assert!(manifests.len() <= 16 + 4, "{} manifests", manifests.len());
    let live = live(&lake, &base).await;
    assert_eq!(live.len(), 60);
    // Merged entries keep their sequence numbers: one file a commit.
    let sequences: BTreeSet<i64> = live.values().map(|facts| facts.0).collect();
    assert_eq!(sequences, (1..=60).collect());
    let oldest = live.values().min().unwrap();
    assert!(metadata.snapshot_by_id(oldest.1).is_none(), "the oldest file outlived its snapshot");
    assert_eq!(total(&base, "total-records"), 120);
    assert_eq!(base.progress().unwrap().records(), 120);
}

#[tokio::test]
async fn properties_of_others_are_kept_and_a_removed_progress_is_recovered() {
    let folder = TempDir::new().unwrap();
    let lake = lake(&folder);
    let base = lake.ensure_raw(&contract(), &name()).await.unwrap();
    let mut base = done(append(&lake, base, "one", 0, 0, 10).await).base;
    let updates = vec![
        TableUpdate::SetProperties { updates: HashMap::from([("owner".into(), "anna".into())]) },
        TableUpdate::RemoveProperties { removals: vec![key::PROGRESS.into()] },
    ];
    let outcome = lake.backend.commit(&base.name, &base.loaded, updates).await;
    let Outcome::Committed(loaded) = outcome else { panic!("{outcome:?}") };
    base.loaded = loaded;
    let receipt = done(append(&lake, base, "two", 0, 10, 20).await);
    let why = receipt.recovered.unwrap();
    assert!(why.contains(key::PROGRESS) && why.contains("snapshot"), "{why}");
    let metadata = receipt.base.metadata();
    assert_eq!(metadata.properties()["owner"], "anna");
    assert_eq!(receipt.base.progress().unwrap().head(&source(), 0), Some(20));
    assert!(matches!(receipt.base.truth(), Truth::Property(_)));
}

#[tokio::test]
async fn a_table_whose_head_is_unknowable_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let lake = lake(&folder);
    let base = lake.ensure_raw(&contract(), &name()).await.unwrap();
    let mut base = done(append(&lake, base, "one", 0, 0, 10).await).base;
    let broken = HashMap::from([(key::PROGRESS.to_string(), r#"{"v":99}"#.to_string())]);
    let updates = vec![TableUpdate::SetProperties { updates: broken }];
    let outcome = lake.backend.commit(&base.name, &base.loaded, updates).await;
    let Outcome::Committed(loaded) = outcome else { panic!("{outcome:?}") };
    base.loaded = loaded;
    let location = base.loaded.location.clone();
    let error = append(&lake, base, "two", 0, 10, 20).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::BadConfig);
    assert!(error.to_string().contains("newer weir"), "{error}");
    let base = lake.table(&name()).await.unwrap().unwrap();
    assert_eq!(base.loaded.location, location);
}

#[tokio::test]
async fn a_table_made_anew_under_the_same_name_is_not_written() {
    let folder = TempDir::new().unwrap();
    let lake = lake(&folder);
    let base = lake.ensure_raw(&contract(), &name()).await.unwrap();
    let db = rusqlite::Connection::open(folder.path().join("catalog.db")).unwrap();
    db.execute("DELETE FROM iceberg_tables", []).unwrap();
    let error = append(&lake, base.clone(), "one", 0, 0, 10).await.unwrap_err();
    assert!(error.to_string().contains("dropped"), "{error}");
    lake.ensure_raw(&contract(), &name()).await.unwrap();
    let error = append(&lake, base, "one", 0, 0, 10).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::BadData);
    assert!(error.to_string().contains("made anew"), "{error}");
}
