//! Sweeps of real tables by a clock that is moved by hand.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use iceberg::TableUpdate;
use iceberg::spec::{SnapshotReference, SnapshotRetention};
use tempfile::TempDir;
use weir_contract::names::TableName;

use super::super::MaintainOptions;
use super::*;
use crate::Lake;
use crate::foreign::{self, current, ingest, short, update};
use crate::testing::{self, MovedClock, name};
use crate::verify::{VerifyOptions, verify};

const HOURS: Duration = Duration::from_secs(3_600);

struct World {
    _folder: TempDir,
    /// As writers see it: the library stamps metadata by the machine's clock.
    lake: Lake,
    /// As the sweeper sees it, by the clock that is moved.
    later: Lake,
    clock: Arc<MovedClock>,
}

impl World {
    async fn new() -> World {
        let (folder, lake, _) = foreign::lake().await;
        let clock = Arc::new(MovedClock::default());
        let mut later = lake.clone();
        later.env.clock = clock.clone();
        World { _folder: folder, lake, later, clock }
    }

    /// One look, as `weir maintain` makes it at last.
    async fn look(&self, dry_run: bool) -> Sweep {
        let mut maintain = Maintain {
            lake: &self.later,
            table: name(),
            options: MaintainOptions::default(),
            dry_run,
            until_ms: None,
            shutdown: Default::default(),
            listen: &mut |_| {},
        };
        let mut report = Sweep::default();
        maintain.sweep(&mut report).await.unwrap();
        report
    }

    async fn sweep(&self) -> Sweep {
        self.look(false).await
    }

    /// A data file that never comes to be committed.
    async fn orphan(&self) -> String {
        let base = current(&self.lake).await;
        let rows = foreign::rows(&short(), 0, &[1_000], false);
        foreign::file(&self.lake, &base, &rows).await.path().to_string()
    }

    async fn stands(&self, location: &str) -> bool {
        self.lake.store.head(&self.lake.warehouse.object_path(location).unwrap()).await.is_ok()
    }
}

#[tokio::test]
async fn two_looks_a_day_apart_and_nothing_that_is_referred_to() {
    let world = World::new().await;
    ingest(&world.lake, 0, 0, 10, &[3], &[]).await;
    let orphan = world.orphan().await;
    let first = world.sweep().await;
    assert_eq!((first.files, first.waiting), (0, 1), "{first:?}");
    world.clock.pass(23 * HOURS);
    assert_eq!(world.sweep().await.files, 0);
    assert!(world.stands(&orphan).await);
    world.clock.pass(2 * HOURS);
    let dry = world.look(true).await;
    assert_eq!((dry.files, dry.waiting), (1, 0));
    assert!(world.stands(&orphan).await, "a dry run deleted");
    let swept = world.sweep().await;
    assert_eq!((swept.files, swept.waiting, swept.strangers), (1, 0, 0), "{swept:?}");
    assert!(!world.stands(&orphan).await);
    assert!(current(&world.lake).await.metadata().properties().contains_key(key::SWEPT));
    assert_eq!(world.sweep().await.files, 0);
    ingest(&world.lake, 0, 10, 20, &[], &[]).await;
    let report = verify(&world.lake, &name(), &VerifyOptions::default()).await.unwrap();
    assert!(report.ok, "{report}");
}

/// Every file of every standing snapshot, of those in logged metadata too, by another way than the sweep's.
async fn referred(lake: &Lake) -> BTreeSet<String> {
    let base = current(lake).await;
    let mut all = BTreeSet::from([base.loaded.location.clone()]);
    for snapshot in base.metadata().snapshots() {
        all.insert(snapshot.manifest_list().to_string());
        let manifests = crate::scan::plan::manifests(lake, &base, snapshot).await.unwrap();
        for manifest in &manifests {
            all.insert(manifest.manifest_path.clone());
            for file in crate::scan::plan::manifest_files(&lake.io, manifest).await.unwrap() {
                all.insert(file.path().to_string());
            }
        }
    }
    all.extend(base.metadata().metadata_log().iter().map(|entry| entry.metadata_file.clone()));
    all
}

#[tokio::test]
async fn what_snapshots_tags_deletes_and_the_log_refer_to_outlives_every_sweep() {
    let world = World::new().await;
    for n in 0..12 {
        let base = ingest(&world.lake, 0, n * 10, n * 10 + 10, &[n * 10], &[]).await;
        if n == 0 {
            // Of a snapshot that would have expired long ago, and whose files were replaced.
            let reference = SnapshotReference::new(
                base.metadata().current_snapshot_id().unwrap(),
                SnapshotRetention::Tag { max_ref_age_ms: None },
            );
            let tag = TableUpdate::SetSnapshotRef { ref_name: "audit".into(), reference };
            update(&world.lake, &base, vec![tag]).await;
        }
        if n == 5 {
            let victim = foreign::accepted_file(&world.lake, 0).await;
            foreign::delete_positions(&world.lake, &victim, &[2]).await;
        }
        world.clock.pass(25 * HOURS);
        let before = referred(&world.lake).await;
        world.sweep().await;
        for location in before {
            // Metadata files fall off the log with every commit; the sweep makes one.
            let gone = location.ends_with(".metadata.json") || world.stands(&location).await;
            assert!(gone, "{location} was swept away");
        }
        for location in referred(&world.lake).await {
            assert!(world.stands(&location).await, "{location} was swept away");
        }
    }
    // Expired snapshots had their lists, and merged manifests their own files.
    world.clock.pass(25 * HOURS);
    world.sweep().await;
    let lists = world.look(true).await;
    assert_eq!(lists.files, 0, "{lists:?}");
    assert!(lists.listed < 80, "nothing was swept away: {lists:?}");
}

#[tokio::test]
async fn a_table_made_anew_a_lost_memory_and_a_damaged_one_begin_the_wait_anew() {
    let world = World::new().await;
    ingest(&world.lake, 0, 0, 10, &[], &[]).await;
    let orphan = world.orphan().await;
    world.sweep().await;
    let base = current(&world.lake).await;
    let memory = format!("{}/metadata/weir-unreferenced.json", base.metadata().location());
    let path = world.lake.warehouse.object_path(&memory).unwrap();
    let text = world.lake.store.get(&path).await.unwrap().bytes().await.unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap();
    let other = text.replace(&base.metadata().uuid().to_string(), &uuid::Uuid::nil().to_string());
    assert_ne!(text, other);
    for damaged in [Some(other), Some("{".to_string()), None] {
        world.clock.pass(25 * HOURS);
        match damaged {
            Some(text) => {
                world.lake.store.put(&path, text.into_bytes().into()).await.unwrap();
            }
            None => world.lake.store.delete(&path).await.unwrap(),
        }
        assert_eq!(world.sweep().await.files, 0);
        assert!(world.stands(&orphan).await);
    }
    world.clock.pass(25 * HOURS);
    assert_eq!(world.sweep().await.files, 1);
}

#[tokio::test]
async fn strangers_asked_for_and_shared_folders_are_spared() {
    let world = World::new().await;
    ingest(&world.lake, 0, 0, 10, &[], &[]).await;
    let orphan = world.orphan().await;
    let base = current(&world.lake).await;
    let hint = format!("{}/metadata/version-hint.text", base.metadata().location());
    world
        .lake
        .store
        .put(&world.lake.warehouse.object_path(&hint).unwrap(), "1".into())
        .await
        .unwrap();
    assert_eq!(world.sweep().await.strangers, 1);
    world.clock.pass(25 * HOURS);

    let no_gc = |value: &str| {
        let updates = HashMap::from([(GC_PROPERTY.to_string(), value.to_string())]);
        vec![TableUpdate::SetProperties { updates }]
    };
    update(&world.lake, &base, no_gc("FALSE")).await;
    let spared = world.sweep().await;
    assert!(spared.left.unwrap().contains("gc.enabled"));
    update(&world.lake, &current(&world.lake).await, no_gc("true")).await;

    // The same metadata under a second name.
    let twin: TableName = "raw.twin".parse().unwrap();
    let metadata = current(&world.lake).await.metadata().clone();
    assert!(matches!(world.lake.backend.create(&twin, metadata).await, Outcome::Committed(_)));
    let spared = world.sweep().await;
    assert_eq!(spared.left.as_deref(), Some("it shares its folder with raw.twin"));
    assert!(world.stands(&orphan).await && world.stands(&hint).await);
}

#[tokio::test]
async fn who_was_suspended_with_files_on_its_way_does_not_bring_them_in() {
    let world = World::new().await;
    let base = ingest(&world.lake, 0, 0, 10, &[], &[]).await;
    let rows = foreign::rows(&short(), 0, &[10], false);
    let file = foreign::file(&world.lake, &base, &rows).await;
    let path = file.path().to_string();
    world.sweep().await;
    world.clock.pass(25 * HOURS);
    assert_eq!(world.sweep().await.files, 1);
    assert!(!world.stands(&path).await);
    // It wakes up and goes on with the base that it had read.
    let change = crate::commit::Change {
        commit_id: "late".into(),
        stage: "test",
        added: vec![file],
        ..Default::default()
    };
    let refused = testing::advance(&world.later, base, &change, &testing::steps(0, 10, 11)).await;
    assert_eq!(refused.unwrap_err().class(), weir_contract::class::ErrorClass::Retry);
    let report = verify(&world.lake, &name(), &VerifyOptions::default()).await.unwrap();
    assert!(report.ok, "{report}");
}
