//! A catalog that was lost, and what stands in its way back.

use tempfile::TempDir;
use weir_contract::class::ErrorClass;

use super::*;
use crate::testing::*;

async fn grown(lake: &Lake) -> crate::Base {
    let mut base = lake.ensure_raw(&contract(), &name()).await.unwrap();
    for n in 0..6 {
        base = done(append(lake, base, &format!("c{n}"), 0, n * 10, n * 10 + 10).await).base;
    }
    base
}

fn lose_catalog(folder: &TempDir) {
    for file in ["catalog.db", "catalog.db-wal", "catalog.db-shm"] {
        let _ = std::fs::remove_file(folder.path().join(file));
    }
}

#[tokio::test]
async fn a_lost_catalog_is_found_again_in_the_warehouse() {
    let folder = TempDir::new().unwrap();
    let before = grown(&lake(&folder)).await.loaded.location;
    lose_catalog(&folder);
    let lake = lake(&folder);
    assert!(lake.table(&name()).await.unwrap().is_none());
    let dry = register_all(&lake, true).await.unwrap();
    assert_eq!(dry[0].registered, Registered::Would { location: before.clone() });
    assert!(lake.table(&name()).await.unwrap().is_none(), "a dry run registered it");
    let lines = register_all(&lake, false).await.unwrap();
    let location = before.clone();
    assert_eq!(lines[0].registered, Registered::Done { location, replaced: None });
    let base = lake.table(&name()).await.unwrap().unwrap();
    assert_eq!(base.progress().unwrap().head(&source(), 0), Some(60));
    // Writers go on, and a second run has nothing to do.
    let base = done(append(&lake, base, "next", 0, 60, 70).await).base;
    let lines = register_all(&lake, false).await.unwrap();
    assert_eq!(lines[0].registered, Registered::Kept { location: base.loaded.location.clone() });

    let error = register(&lake, &name(), &before, false).await.unwrap_err();
    assert!(error.class() == ErrorClass::BadConfig && error.to_string().contains("--replace"));
    let replaced = register(&lake, &name(), &before, true).await.unwrap();
    let expected = Registered::Done { location: before, replaced: Some(base.loaded.location) };
    assert_eq!(replaced, expected);
    assert_eq!(lake.table(&name()).await.unwrap().unwrap().progress().unwrap().records(), 60);
}

#[tokio::test]
async fn two_newest_files_are_for_people_to_choose_from() {
    let folder = TempDir::new().unwrap();
    let base = grown(&lake(&folder)).await;
    let path = base.loaded.location.trim_start_matches("file://").to_string();
    let (metadata, file) = path.rsplit_once('/').unwrap();
    let (version, _) = file.split_once('-').unwrap();
    let twin = format!("{metadata}/{version}-00000000-0000-0000-0000-000000000000.metadata.json");
    std::fs::copy(&path, &twin).unwrap();
    lose_catalog(&folder);
    let lake = lake(&folder);
    let lines = register_all(&lake, false).await.unwrap();
    let Registered::Ambiguous { why, candidates } = &lines[0].registered else {
        panic!("{lines:?}")
    };
    assert!(why.contains("raced") && candidates.len() == 2, "{lines:?}");
    assert!(candidates[0].says.contains("60 rows"), "{candidates:?}");
    assert!(lake.table(&name()).await.unwrap().is_none());
    register(&lake, &name(), &twin, false).await.unwrap();
    assert!(lake.table(&name()).await.unwrap().is_some());

    let copied = folder.path().join("00001-copied.metadata.json");
    std::fs::copy(&twin, &copied).unwrap();
    let error = register(&lake, &name(), copied.to_str().unwrap(), true).await.unwrap_err();
    assert!(error.to_string().contains("was copied from"), "{error}");
    let error = register(&lake, &name(), "/nowhere/1.metadata.json", true).await.unwrap_err();
    assert_ne!(error.class(), ErrorClass::Bug, "{error}");
}
