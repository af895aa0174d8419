//! The SQLite catalog: its schema, races, and files that are something else.

use std::time::Duration;

use rusqlite::OpenFlags;
use tempfile::TempDir;
use weir_contract::class::ErrorClass;

use super::open::CREATE_TABLES;
use super::*;
use crate::testing::loaded_at as at;

fn name() -> TableName {
    TableName { namespace: "raw".into(), name: "t".into() }
}

fn open(path: &Path) -> Result<SqlitePointer> {
    SqlitePointer::open(path, "local", true)
}

#[tokio::test]
async fn the_pointer_is_inserted_once_and_swapped_only_from_where_it_is() {
    let folder = TempDir::new().unwrap();
    let pointer = open(&folder.path().join("c.db")).unwrap();
    assert_eq!(pointer.get(&name()).await.unwrap(), None);
    assert!(matches!(pointer.insert(&name(), &at("m0")).await, Swap::Done));
    assert!(matches!(pointer.insert(&name(), &at("mx")).await, Swap::Conflict(_)));
    assert!(matches!(pointer.swap(&name(), "m0", &at("m1")).await, Swap::Done));
    assert!(matches!(pointer.swap(&name(), "m0", &at("m2")).await, Swap::Conflict(_)));
    assert_eq!(pointer.get(&name()).await.unwrap().as_deref(), Some("m1"));
    assert_eq!(pointer.list().await.unwrap(), [name()]);

    let db = Connection::open(folder.path().join("c.db")).unwrap();
    let row: (String, String, String) = db
        .query_row(
            "SELECT metadata_location, previous_metadata_location, iceberg_type FROM \
             iceberg_tables",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    assert_eq!(row, ("m1".into(), "m0".into(), "TABLE".into()));
    let namespace: (String, String, String, String) = db
        .query_row("SELECT * FROM iceberg_namespace_properties", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .unwrap();
    assert_eq!(namespace, ("local".into(), "raw".into(), "exists".into(), "true".into()));
    let mode: String = db.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    let connection = pointer.shared.connection.lock().unwrap();
    let full: i64 = connection.query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();
    assert_eq!(full, 2);
}

#[tokio::test]
async fn catalogs_in_one_file_and_views_are_kept_apart() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("c.db");
    let here = open(&path).unwrap();
    let there = SqlitePointer::open(&path, "other", true).unwrap();
    assert!(matches!(here.insert(&name(), &at("m0")).await, Swap::Done));
    assert_eq!(there.get(&name()).await.unwrap(), None);
    let db = Connection::open(&path).unwrap();
    db.execute("UPDATE iceberg_tables SET iceberg_type = 'VIEW'", []).unwrap();
    assert!(here.list().await.unwrap().is_empty());
    assert!(matches!(here.swap(&name(), "m0", &at("m1")).await, Swap::Conflict(_)));
    // A row of a V0 catalog that was upgraded.
    db.execute("UPDATE iceberg_tables SET iceberg_type = NULL", []).unwrap();
    assert!(matches!(here.swap(&name(), "m0", &at("m1")).await, Swap::Done));
}

#[tokio::test]
async fn a_locked_catalog_is_a_known_failure_that_may_be_retried() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("c.db");
    let pointer = open(&path).unwrap();
    assert!(matches!(pointer.insert(&name(), &at("m0")).await, Swap::Done));
    let quick = Duration::from_millis(50);
    pointer.shared.connection.lock().unwrap().busy_timeout(quick).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    match pointer.swap(&name(), "m0", &at("m1")).await {
        Swap::Failed(e) => assert_eq!(e.class(), ErrorClass::Retry),
        swap => panic!("{swap:?}"),
    }
    assert_eq!(pointer.get(&name()).await.unwrap().as_deref(), Some("m0"), "readers are not held");
    other.execute_batch("ROLLBACK").unwrap();
    assert!(matches!(pointer.swap(&name(), "m0", &at("m1")).await, Swap::Done));
}

#[tokio::test]
async fn a_failed_commit_is_unknown_and_the_next_one_works() {
    let folder = TempDir::new().unwrap();
    let pointer = open(&folder.path().join("c.db")).unwrap();
    assert!(matches!(pointer.insert(&name(), &at("m0")).await, Swap::Done));
    let refuse = |refuse| {
        let connection = pointer.shared.connection.lock().unwrap();
        connection.pragma_update(None, "foreign_keys", "ON").unwrap();
        if refuse {
            // A deferred constraint is checked by COMMIT itself.
            connection
                .execute_batch(
                    "CREATE TABLE p (id PRIMARY KEY); \
                     CREATE TABLE q (id REFERENCES p(id) DEFERRABLE INITIALLY DEFERRED); \
                     CREATE TRIGGER broken AFTER UPDATE ON iceberg_tables \
                     BEGIN INSERT INTO q VALUES (7); END;",
                )
                .unwrap();
        } else {
            connection.execute_batch("DROP TRIGGER broken").unwrap();
        }
    };
    refuse(true);
    let swap = pointer.swap(&name(), "m0", &at("m1")).await;
    assert!(matches!(&swap, Swap::Unknown(why) if why.contains("COMMIT")), "{swap:?}");
    refuse(false);
    assert!(matches!(pointer.swap(&name(), "m0", &at("m1")).await, Swap::Done));
}

fn refused(path: &Path, create: bool) -> (ErrorClass, String) {
    let error = SqlitePointer::open(path, "local", create).unwrap_err();
    (error.class(), error.to_string())
}

#[test]
fn paths_that_cannot_be_a_catalog_are_named() {
    let folder = TempDir::new().unwrap();
    let (class, text) = refused(&folder.path().join("no/c.db"), true);
    assert_eq!(class, ErrorClass::BadConfig);
    assert!(text.contains("there is no folder"), "{text}");
    let (class, text) = refused(folder.path(), true);
    assert_eq!(class, ErrorClass::BadConfig);
    assert!(text.contains("is a folder"), "{text}");
    let (class, text) = refused(&folder.path().join("c.db"), false);
    assert_eq!(class, ErrorClass::BadConfig);
    assert!(text.contains("there is no catalog"), "{text}");
    assert!(!folder.path().join("c.db").exists());

    let text_file = folder.path().join("text.db");
    std::fs::write(&text_file, "this is not a database at all, by no means".repeat(40)).unwrap();
    let (class, text) = refused(&text_file, true);
    assert_eq!(class, ErrorClass::BadConfig);
    assert!(text.contains("not an SQLite file"), "{text}");
}

#[test]
fn a_file_that_cannot_be_written_is_denied() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("c.db");
    drop(open(&path).unwrap());
    let mut permissions = std::fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&path, permissions).unwrap();
    if std::fs::OpenOptions::new().write(true).open(&path).is_ok() {
        // Root writes what it likes: read-only as SQLite sees it then.
        let uri = format!("file:{}?mode=ro", path.display());
        let connection = Connection::open_with_flags(
            uri,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI,
        )
        .unwrap();
        let error = connection.execute("DELETE FROM iceberg_tables", []).unwrap_err();
        assert_eq!(open_error(&path, error).class(), ErrorClass::Denied);
        return;
    }
    let (class, text) = refused(&path, true);
    assert_eq!(class, ErrorClass::Denied);
    assert!(text.contains("c.db"), "{text}");
}

#[test]
fn the_old_schema_is_refused_with_the_command_that_upgrades_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("c.db");
    let db = Connection::open(&path).unwrap();
    db.execute_batch(&CREATE_TABLES.replace("    iceberg_type VARCHAR(5),\n", "")).unwrap();
    let (class, text) = refused(&path, true);
    assert_eq!(class, ErrorClass::BadConfig);
    let sql = text.split('"').nth(1).unwrap();
    db.execute_batch(sql).unwrap();
    open(&path).unwrap();
}

#[test]
fn processes_that_make_one_catalog_at_the_same_time_all_open_it() {
    const OPENERS: usize = 6;
    for _ in 0..40 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        let start = std::sync::Barrier::new(OPENERS);
        std::thread::scope(|scope| {
            for _ in 0..OPENERS {
                scope.spawn(|| {
                    start.wait();
                    SqlitePointer::open(&path, "weir", true).unwrap();
                });
            }
        });
    }
}
