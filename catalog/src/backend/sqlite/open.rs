//! Opening the catalog's file: what it must be, and what to do if it is not.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::{CatalogError, Result};

/// How long a call waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

// Names, types and keys are those of the Java catalog.
pub(super) const CREATE_TABLES: &str = "
CREATE TABLE IF NOT EXISTS iceberg_tables (
    catalog_name VARCHAR(255) NOT NULL,
    table_namespace VARCHAR(255) NOT NULL,
    table_name VARCHAR(255) NOT NULL,
    metadata_location VARCHAR(1000),
    previous_metadata_location VARCHAR(1000),
    iceberg_type VARCHAR(5),
    PRIMARY KEY (catalog_name, table_namespace, table_name)
);
CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
    catalog_name VARCHAR(255) NOT NULL,
    namespace VARCHAR(255) NOT NULL,
    property_key VARCHAR(255) NOT NULL,
    property_value VARCHAR(1000) NOT NULL,
    PRIMARY KEY (catalog_name, namespace, property_key)
);";

pub(super) fn check_path(path: &Path, create: bool) -> Result<()> {
    let shown = path.display();
    if path.is_dir() {
        return Err(CatalogError::bad_config(format!(
            "the catalog {shown} is a folder; name a file, for example {shown}/catalog.db"
        )));
    }
    if path.exists() {
        return Ok(());
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|f| !f.is_dir()) {
        return Err(CatalogError::bad_config(format!(
            "the catalog {shown} cannot be made: there is no folder {}; create it, or correct the \
             path",
            folder.display()
        )));
    }
    if !create {
        return Err(CatalogError::bad_config(format!(
            "there is no catalog {shown}; `weir ingest` makes it, or correct the path"
        )));
    }
    Ok(())
}

pub(super) fn connect(path: &Path, create: bool) -> rusqlite::Result<Connection> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    switch_to_wal(&connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

/// SQLite answers "busy" to this switch at once, without its busy timeout, when another process
/// makes the same switch of a new file: the waiting is done here.
fn switch_to_wal(connection: &Connection) -> rusqlite::Result<()> {
    let until = Instant::now() + BUSY_TIMEOUT;
    loop {
        let switched = connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()));
        match switched.as_ref().err().and_then(rusqlite::Error::sqlite_error_code) {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(10));
            }
            _ => return switched,
        }
    }
}

pub(super) fn open_error(path: &Path, e: rusqlite::Error) -> CatalogError {
    let shown = path.display();
    let error = match e.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => CatalogError::bad_config(
            format!("the catalog {shown} is not an SQLite file; correct the path"),
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            CatalogError::retry(format!("the catalog {shown} was locked for 10 s"))
        }
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => CatalogError::retry(format!(
            "the catalog {shown} cannot be written: {e}; free some space there, or look whether the \
             disk is in order"
        )),
        _ => CatalogError::denied(format!(
            "the catalog {shown} cannot be opened for writing: {e}; weir needs to write the file \
             and its folder"
        )),
    };
    error.with_source(e)
}

pub(super) fn check_schema(path: &Path, connection: &Connection) -> Result<()> {
    let has_type = |connection: &Connection| {
        let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
        let columns = statement.query_map(["iceberg_tables"], |row| row.get::<_, String>(0))?;
        let columns = columns.collect::<rusqlite::Result<Vec<_>>>()?;
        Ok((!columns.is_empty(), columns.iter().any(|c| c == "iceberg_type")))
    };
    let (exists, typed) = has_type(connection).map_err(|e: rusqlite::Error| open_error(path, e))?;
    if exists && !typed {
        return Err(CatalogError::bad_config(format!(
            "the catalog {0} has Iceberg's JDBC schema V0, weir needs V1; upgrade it when no other \
             engine uses it: sqlite3 {0} \"ALTER TABLE iceberg_tables ADD COLUMN iceberg_type \
             VARCHAR(5)\"",
            path.display()
        )));
    }
    // Without a write where nothing is missing: a second process must not wait for the lock.
    let complete = connection
        .query_row(
            "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN \
             ('iceberg_tables', 'iceberg_namespace_properties')",
            [],
            |row| row.get::<_, i64>(0),
        )
        .map_err(|e| open_error(path, e))?;
    if complete == 2 {
        return Ok(());
    }
    connection.execute_batch(CREATE_TABLES).map_err(|e| open_error(path, e))
}
