//! Opening lakes, and what a base says.

use tempfile::TempDir;
use weir_contract::class::ErrorClass;

use super::*;
use crate::testing::{DAY, batch, contract, file, lake, name};

fn refused(warehouse: &Path, create: bool) -> (ErrorClass, String) {
    let folder = TempDir::new().unwrap();
    let options = LakeOptions { create, ..LakeOptions::default() };
    let catalog = folder.path().join("c.db");
    let error = Lake::open_local(warehouse, &catalog, "local", options).unwrap_err();
    (error.class(), error.to_string())
}

#[test]
fn warehouses_that_cannot_be_used_are_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (class, text) = refused(&file, true);
    assert_eq!(class, ErrorClass::BadConfig);
    assert!(text.contains("is not a folder"), "{text}");
    let missing = folder.path().join("missing");
    let (class, text) = refused(&missing, false);
    assert_eq!(class, ErrorClass::BadConfig);
    assert!(text.contains("there is no warehouse"), "{text}");
    assert!(!missing.exists());
    let (class, text) = refused(&folder.path().join("50%"), true);
    assert_eq!(class, ErrorClass::BadConfig);
    assert!(text.contains("'%'"), "{text}");
}

#[tokio::test]
async fn a_lake_that_is_there_opens_without_creating() {
    let folder = TempDir::new().unwrap();
    let made = lake(&folder).ensure_raw(&contract(), &name()).await.unwrap();
    let options = LakeOptions { create: false, ..LakeOptions::default() };
    let warehouse = folder.path().join("lake/../lake");
    let catalog = folder.path().join("catalog.db");
    let lake = Lake::open_local(&warehouse, &catalog, "local", options).unwrap();
    let base = lake.table(&name()).await.unwrap().unwrap();
    assert_eq!(base.loaded.location, made.loaded.location);
    let unknown = TableName { namespace: "raw".into(), name: "unknown".into() };
    assert!(lake.table(&unknown).await.unwrap().is_none());
}

#[tokio::test]
async fn data_files_stand_by_their_day_and_rejects_apart() {
    let folder = TempDir::new().unwrap();
    let lake = lake(&folder);
    let base = lake.ensure_raw(&contract(), &name()).await.unwrap();
    let accepted = file(&lake, &base, 0, 0, 3).await;
    let data = format!("{}/data", base.metadata().location());
    assert!(accepted.path().starts_with(&format!("{data}/event_day=2026-11-21/")));
    assert!(accepted.path().ends_with(".parquet"));
    let on_disk = std::fs::metadata(accepted.path().strip_prefix("file://").unwrap()).unwrap();
    assert_eq!((accepted.size(), accepted.rows()), (on_disk.len(), 3));
    let mut encoder = lake.format.encoder(&base.schema().unwrap(), None).unwrap();
    encoder.write(&batch(0, 3, 4)).unwrap();
    let rejected = lake.put_data_file(&base, encoder.finish().unwrap()).await.unwrap();
    assert!(rejected.path().starts_with(&format!("{data}/event_day=null/")));
    assert_eq!(DAY, 20_778, "the day of the path above");
}
