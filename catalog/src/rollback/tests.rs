//! Rollbacks: what they do to progress, to writers that are on their way, and that they can be undone.

use tempfile::TempDir;
use weir_contract::class::ErrorClass;
use weir_contract::progress::Truth;

use super::*;
use crate::commit::Committed;
use crate::testing::*;

async fn grown(lake: &Lake) -> (Base, Vec<i64>) {
    let mut base = lake.ensure_raw(&contract(), &name()).await.unwrap();
    let mut ids = Vec::new();
    for n in 0..4 {
        base = done(append(lake, base, &format!("c{n}"), 0, n * 10, n * 10 + 10).await).base;
        ids.push(base.metadata().current_snapshot_id().unwrap());
    }
    (base, ids)
}

#[tokio::test]
async fn branch_and_progress_move_together_and_forward_again() {
    let folder = TempDir::new().unwrap();
    let lake = lake(&folder);
    let (base, ids) = grown(&lake).await;
    let planned = plan(&lake, &name(), &Which::Snapshot(ids[1])).await.unwrap();
    assert_eq!((planned.from, planned.undone), (ids[3], 2));
    let effects = planned.effects.clone().unwrap();
    assert_eq!(effects.len(), 1);
    assert_eq!((effects[0].again, effects[0].rows), (Some((20, 40)), -20));
    assert_eq!(lake.table(&name()).await.unwrap().unwrap().loaded.location, base.loaded.location);

    let back = planned.run(&lake).await.unwrap();
    assert_eq!(back.metadata().current_snapshot_id(), Some(ids[1]));
    // The property says so itself; nothing has to be recovered.
    let Truth::Property(progress) = back.truth() else { panic!("{:?}", back.truth()) };
    assert_eq!(progress.head(&source(), 0), Some(20));
    assert_eq!((progress.snapshot, progress.commits.len()), (ids[1], 2));
    assert!(plan(&lake, &name(), &Which::Snapshot(ids[1])).await.unwrap().is_done());

    let forward = plan(&lake, &name(), &Which::Snapshot(ids[3])).await.unwrap();
    assert_eq!(forward.effects.as_ref().unwrap()[0].again, None);
    let forward = forward.run(&lake).await.unwrap();
    assert_eq!(forward.progress().unwrap().head(&source(), 0), Some(40));
    assert_eq!(forward.progress().unwrap().commits.len(), 4);
}

#[tokio::test]
async fn a_writer_that_was_ahead_is_fenced() {
    let folder = TempDir::new().unwrap();
    let lake = lake(&folder);
    let (stale, ids) = grown(&lake).await;
    let planned = plan(&lake, &name(), &Which::Snapshot(ids[1])).await.unwrap();
    // One more lands after the plan was made: it is undone with the rest.
    done(append(&lake, stale.clone(), "late", 0, 40, 50).await);
    planned.run(&lake).await.unwrap();
    match append(&lake, stale, "next", 0, 40, 50).await.unwrap() {
        Committed::Declined(fences) => assert_eq!(fences[0].head, Some(20)),
        Committed::Done(_) => panic!("offsets 20 to 40 would be skipped"),
    }
    let base = lake.table(&name()).await.unwrap().unwrap();
    let base = done(append(&lake, base, "again", 0, 20, 50).await).base;
    assert_eq!(base.progress().unwrap().records(), 50);
    // Whoever asks again after an answer was lost finds it done, whatever came on top.
    assert!(matches!(decide(&lake, &base, ids[3], ids[1]).unwrap(), Alter::Nothing));
}

#[tokio::test]
async fn a_state_whose_progress_is_unknown_is_refused() {
    let (_folder, lake, _) = crate::foreign::lake().await;
    crate::foreign::ingest(&lake, 0, 0, 5, &[], &[]).await;
    let base = crate::foreign::current(&lake).await;
    let first = base.metadata().current_snapshot_id().unwrap();
    let added = crate::foreign::file(
        &lake,
        &base,
        &crate::foreign::rows(&crate::foreign::short(), 0, &[9], false),
    )
    .await;
    crate::foreign::foreign(&lake, vec![added], &[]).await;
    let foreign = crate::foreign::current(&lake).await.metadata().current_snapshot_id().unwrap();
    crate::foreign::ingest(&lake, 0, 5, 8, &[], &[]).await;
    let expire = TableUpdate::RemoveSnapshots { snapshot_ids: vec![first] };
    crate::foreign::update(&lake, &crate::foreign::current(&lake).await, vec![expire]).await;
    let table = crate::foreign::current(&lake).await.name;
    let error = plan(&lake, &table, &Which::Snapshot(foreign)).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::BadData);
    assert!(error.to_string().contains("is not rolled back"), "{error}");
    let error = plan(&lake, &table, &Which::Tag("nowhere".into())).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::BadConfig);
}
