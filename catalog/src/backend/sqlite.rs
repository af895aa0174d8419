//! The pointer in SQLite, in the tables of Iceberg's JDBC catalog (schema V1), so that PyIceberg,
//! Spark and Trino open the same catalog. For processes of one host.

mod open;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior, params};
use weir_contract::names::TableName;

use open::{check_path, check_schema, connect, open_error};

use super::Loaded;
use super::pointer::{Pointer, Swap};
use crate::error::{CatalogError, Result};

// A row whose type is null was written by a catalog of schema V0: a table.
const IS_TABLE: &str = "(iceberg_type = 'TABLE' OR iceberg_type IS NULL)";

/// Pointers of one catalog in one SQLite file.
#[derive(Debug, Clone)]
pub struct SqlitePointer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    catalog: String,
    connection: Mutex<Connection>,
}

impl SqlitePointer {
    /// Opens the file, or makes it if `create`; `catalog` is the name by which other engines know
    /// the catalog.
    ///
    /// Errors: bad config (folder or file missing, not SQLite, schema V0), denied (permissions),
    /// retry (busy for 10 s).
    pub fn open(path: &Path, catalog: &str, create: bool) -> Result<SqlitePointer> {
        check_path(path, create)?;
        let connection = connect(path, create).map_err(|e| open_error(path, e))?;
        check_schema(path, &connection)?;
        let shared = Shared {
            path: path.to_path_buf(),
            catalog: catalog.to_string(),
            connection: Mutex::new(connection),
        };
        Ok(SqlitePointer { shared: Arc::new(shared) })
    }

    /// Runs `call` where blocking is allowed.
    async fn blocking<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Shared, &mut Connection) -> T + Send + 'static,
    ) -> std::result::Result<T, tokio::task::JoinError> {
        let shared = self.shared.clone();
        tokio::task::spawn_blocking(move || {
            let mut connection =
                shared.connection.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            call(&shared, &mut connection)
        })
        .await
    }

    /// Runs `change` in a transaction that holds the write lock from its beginning.
    async fn transaction(
        &self,
        change: impl FnOnce(&rusqlite::Transaction<'_>, &str) -> rusqlite::Result<Option<String>>
        + Send
        + 'static,
    ) -> Swap {
        let ran = self.blocking(move |shared, connection| shared.run(connection, change)).await;
        ran.unwrap_or_else(|e| Swap::Unknown(format!("the catalog's thread ended: {e}")))
    }
}

impl Shared {
    fn run(
        &self,
        connection: &mut Connection,
        change: impl FnOnce(&rusqlite::Transaction<'_>, &str) -> rusqlite::Result<Option<String>>,
    ) -> Swap {
        let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = match begun {
            Ok(transaction) => transaction,
            Err(e) => return Swap::Failed(self.error("locking", e)),
        };
        // Dropping the transaction rolls it back: until COMMIT nothing can have landed.
        match change(&transaction, &self.catalog) {
            Ok(None) => {}
            Ok(Some(conflict)) => return Swap::Conflict(conflict),
            Err(e) => return Swap::Failed(self.error("changing", e)),
        }
        match transaction.commit() {
            Ok(()) => Swap::Done,
            // The library rolls back what a failed COMMIT left open; whether the disk agrees is
            // not known.
            Err(e) => Swap::Unknown(format!("COMMIT in the catalog {}: {e}", self.path.display())),
        }
    }

    fn error(&self, doing: &str, e: rusqlite::Error) -> CatalogError {
        let what = format!("{doing} the catalog {}", self.path.display());
        let error = match e.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                CatalogError::retry(format!("{what}: another process held it for 10 s"))
            }
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                CatalogError::denied(format!(
                    "{what}: {e}; weir needs to write the file and its folder"
                ))
            }
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                CatalogError::bad_data(format!("{what}: {e}"))
            }
            _ => CatalogError::retry(format!("{what}: {e}")),
        };
        error.with_source(e)
    }
}

#[async_trait]
impl Pointer for SqlitePointer {
    async fn list(&self) -> Result<Vec<TableName>> {
        let rows = self.blocking(|shared, connection| {
            let sql = format!(
                "SELECT table_namespace, table_name FROM iceberg_tables \
                 WHERE catalog_name = ?1 AND {IS_TABLE}"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([&shared.catalog], |row| {
                Ok(TableName { namespace: row.get(0)?, name: row.get(1)? })
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        });
        self.read(rows.await)
    }

    async fn get(&self, name: &TableName) -> Result<Option<String>> {
        let name = name.clone();
        let row = self.blocking(move |shared, connection| location(connection, shared, &name));
        Ok(self.read(row.await)?.flatten())
    }

    async fn insert(&self, name: &TableName, new: &Loaded) -> Swap {
        let (name, location) = (name.clone(), new.location.clone());
        let change = move |transaction: &rusqlite::Transaction<'_>, catalog: &str| {
            // As PyIceberg and Java do it: a namespace exists by having a property.
            transaction.execute(
                "INSERT INTO iceberg_namespace_properties \
                 (catalog_name, namespace, property_key, property_value) \
                 VALUES (?1, ?2, 'exists', 'true') ON CONFLICT DO NOTHING",
                params![catalog, name.namespace],
            )?;
            let added = transaction.execute(
                "INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, \
                 metadata_location, previous_metadata_location, iceberg_type) \
                 VALUES (?1, ?2, ?3, ?4, NULL, 'TABLE') ON CONFLICT DO NOTHING",
                params![catalog, name.namespace, name.name, location],
            )?;
            Ok((added != 1).then(|| format!("{name} exists")))
        };
        self.transaction(change).await
    }

    async fn swap(&self, name: &TableName, old: &str, new: &Loaded) -> Swap {
        let (name, old, new) = (name.clone(), old.to_string(), new.location.clone());
        let change = move |transaction: &rusqlite::Transaction<'_>, catalog: &str| {
            let sql = format!(
                "UPDATE iceberg_tables SET metadata_location = ?1, \
                 previous_metadata_location = ?2 WHERE catalog_name = ?3 AND \
                 table_namespace = ?4 AND table_name = ?5 AND metadata_location = ?2 \
                 AND {IS_TABLE}"
            );
            let moved = transaction.prepare_cached(&sql)?.execute(params![
                new,
                old,
                catalog,
                name.namespace,
                name.name
            ])?;
            Ok((moved != 1).then(|| format!("the pointer of {name} is no longer at {old}")))
        };
        self.transaction(change).await
    }
}

impl SqlitePointer {
    fn read<T>(
        &self,
        result: std::result::Result<rusqlite::Result<T>, tokio::task::JoinError>,
    ) -> Result<T> {
        match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(e)) => Err(self.shared.error("reading", e)),
            Err(e) => Err(CatalogError::bug("the catalog's thread ended").with_source(e)),
        }
    }
}

fn location(
    connection: &Connection,
    shared: &Shared,
    name: &TableName,
) -> rusqlite::Result<Option<Option<String>>> {
    let sql = format!(
        "SELECT metadata_location FROM iceberg_tables WHERE catalog_name = ?1 AND \
         table_namespace = ?2 AND table_name = ?3 AND {IS_TABLE}"
    );
    connection
        .prepare_cached(&sql)?
        .query_row(params![shared.catalog, name.namespace, name.name], |row| row.get(0))
        .optional()
}

#[cfg(test)]
mod tests;
