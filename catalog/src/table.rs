//! The lake, and a table of it as one version that was read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use iceberg::io::FileIO;
use iceberg::spec::{Operation, Snapshot, TableMetadata};
use object_store::ObjectStore;
use weir_contract::coverage::Coverage;
use weir_contract::names::{TableName, key};
use weir_contract::progress::{Progress, SnapshotFacts, TableFacts, Truth, resolve};

use crate::aws::Identity;
use crate::backend::{
    Backend, GlueOptions, GluePointer, Loaded, Pointer, PointerBackend, RestBackend, RestOptions,
    SqlitePointer,
};
use crate::encode::{FileFormat, ParquetFormat, TableSchema};
use crate::env::Env;
use crate::error::{CatalogError, Result};
use crate::ladder::Ladder;
use crate::look::chain;
use crate::storage::{
    self, Disk, LocalDisk, S3Options, S3Store, SyncedStore, Warehouse, odd_character,
};

/// Bounds of a lake's life, with their defaults.
#[derive(Debug, Clone)]
pub struct LakeOptions {
    /// Untagged snapshots that a table keeps; older ones expire with the commits.
    pub snapshots_max: usize,
    /// Which snapshots the commits tag, so that they do not expire.
    pub ladder: Ladder,
    /// Metadata files that a table keeps besides the current one.
    pub metadata_log_max: usize,
    /// How often a commit is tried before it gives up with `retry`.
    pub attempts_max: u32,
    /// How long a commit asks a catalog that does not answer what became of it.
    pub unknown_wait_max: Duration,
    /// Bytes that the sorts, joins and aggregations of one query may hold; beyond, they spill to disk or fail.
    pub query_memory_max: usize,
    /// Make the warehouse's folder and the catalog where they are missing.
    pub create: bool,
}

impl Default for LakeOptions {
    fn default() -> LakeOptions {
        LakeOptions {
            snapshots_max: 500,
            ladder: Ladder::default(),
            metadata_log_max: 20,
            attempts_max: 20,
            unknown_wait_max: Duration::from_secs(60),
            query_memory_max: 512 << 20,
            create: true,
        }
    }
}

/// Where a lake in S3 has its catalog.
#[derive(Debug, Clone)]
pub enum CatalogAt {
    /// In an SQLite file of this host.
    Sqlite {
        /// The file.
        file: PathBuf,
        /// The name by which other engines know the catalog.
        name: String,
    },
    /// In AWS Glue.
    Glue(GlueOptions),
    /// An Iceberg REST catalog.
    Rest(RestOptions),
}

/// A lake: storage, catalog and what the outside world decides. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lake {
    /// Clock and ids.
    pub env: Env,
    /// Files; their paths are those of [`Warehouse::object_path`].
    pub store: Arc<dyn ObjectStore>,
    /// The same files for the Iceberg library.
    pub io: FileIO,
    /// The catalog.
    pub backend: Arc<dyn Backend>,
    /// What holds `<namespace>/<table>`.
    pub warehouse: Warehouse,
    /// Bounds.
    pub options: LakeOptions,
    /// How data files are written.
    pub format: Arc<dyn FileFormat>,
}

impl Lake {
    /// A lake on the local disk with its catalog in an SQLite file. `catalog` is the name by which
    /// other engines know it.
    ///
    /// Errors: bad config (paths that are missing or cannot be written down as locations), denied.
    pub fn open_local(
        warehouse: &Path,
        catalog_db: &Path,
        catalog: &str,
        options: LakeOptions,
    ) -> Result<Lake> {
        let folder = local_warehouse(warehouse, options.create)?;
        let store: Arc<dyn ObjectStore> = Arc::new(SyncedStore::new(Arc::new(LocalDisk), &folder));
        let pointer = SqlitePointer::open(catalog_db, catalog, options.create)?;
        Ok(Lake::of(Env::system(), store, Warehouse::Local(folder), pointer, options))
    }

    /// A lake on the local disk in a REST catalog, whose server sees the same disk. Nothing is asked of
    /// it yet.
    ///
    /// Errors: bad config, denied.
    pub fn open_rest(warehouse: &Path, rest: RestOptions, options: LakeOptions) -> Result<Lake> {
        let folder = local_warehouse(warehouse, options.create)?;
        let store: Arc<dyn ObjectStore> = Arc::new(SyncedStore::new(Arc::new(LocalDisk), &folder));
        Lake::of_rest(Env::system(), store, Warehouse::Local(folder), rest, options)
    }

    /// A lake in S3. Nothing is asked of AWS yet, and the bucket is never made.
    ///
    /// Errors: bad config, and what opening the SQLite file says.
    pub fn open_s3(
        warehouse: Warehouse,
        identity: &Identity,
        s3: &S3Options,
        catalog: CatalogAt,
        options: LakeOptions,
    ) -> Result<Lake> {
        let Warehouse::S3 { bucket, .. } = &warehouse else {
            return Err(CatalogError::bad_config(format!(
                "the warehouse {warehouse} is not in S3; write s3://<bucket>/<prefix>"
            )));
        };
        let store: Arc<dyn ObjectStore> = Arc::new(S3Store::new(bucket, identity, s3)?);
        let env = Env::system();
        Ok(match catalog {
            CatalogAt::Sqlite { file, name } => {
                let pointer = SqlitePointer::open(&file, &name, options.create)?;
                Lake::of(env, store, warehouse, pointer, options)
            }
            CatalogAt::Glue(glue) => {
                let pointer = GluePointer::new(identity, glue, warehouse.clone());
                Lake::of(env, store, warehouse, pointer, options)
            }
            CatalogAt::Rest(rest) => return Lake::of_rest(env, store, warehouse, rest, options),
        })
    }

    /// A lake of these parts.
    pub fn of(
        env: Env,
        store: Arc<dyn ObjectStore>,
        warehouse: Warehouse,
        pointer: impl Pointer + 'static,
        options: LakeOptions,
    ) -> Lake {
        let io = storage::file_io(store.clone(), warehouse.clone());
        let backend = Arc::new(PointerBackend::new(pointer, io.clone(), env.clone()));
        Lake::over(env, store, io, backend, warehouse, options)
    }

    /// A lake of these parts, in a REST catalog.
    ///
    /// Errors: bad config.
    pub fn of_rest(
        env: Env,
        store: Arc<dyn ObjectStore>,
        warehouse: Warehouse,
        rest: RestOptions,
        options: LakeOptions,
    ) -> Result<Lake> {
        let io = storage::file_io(store.clone(), warehouse.clone());
        let backend = RestBackend::new(rest, warehouse.clone(), io.clone(), env.clone())?;
        Ok(Lake::over(env, store, io, Arc::new(backend), warehouse, options))
    }

    fn over(
        env: Env,
        store: Arc<dyn ObjectStore>,
        io: FileIO,
        backend: Arc<dyn Backend>,
        warehouse: Warehouse,
        options: LakeOptions,
    ) -> Lake {
        let format = Arc::new(ParquetFormat::default());
        Lake { env, store, io, backend, warehouse, options, format }
    }

    /// All tables, sorted by name.
    pub async fn tables(&self) -> Result<Vec<TableName>> {
        self.backend.list().await
    }

    /// The current version of a table; `None` if there is no such table.
    pub async fn table(&self, name: &TableName) -> Result<Option<Base>> {
        let loaded = self.backend.load(name).await?;
        Ok(loaded.map(|loaded| Base { name: name.clone(), loaded }))
    }
}

/// One version of a table, exactly as it was read: what a commit is made on.
#[derive(Debug, Clone)]
pub struct Base {
    /// The table.
    pub name: TableName,
    /// Its metadata and where that stands.
    pub loaded: Loaded,
}

impl Base {
    /// The metadata that was read.
    pub fn metadata(&self) -> &TableMetadata {
        &self.loaded.metadata
    }

    /// The table's columns, as the encoder of its files needs them.
    pub fn schema(&self) -> Result<TableSchema> {
        TableSchema::of(self.metadata())
    }

    /// What is known of how much of its topic the table holds; none of a table that no stream writes, or
    /// where it cannot be read.
    pub fn coverage(&self) -> Option<Coverage> {
        Coverage::from_json(self.metadata().properties().get(key::COVERAGE)?).ok()
    }

    /// Up to which Kafka time the table holds all of its topic, ms since the epoch; none if that is not
    /// known.
    pub fn covered_ms(&self) -> Result<Option<i64>> {
        let progress = self.progress()?;
        Ok(self.coverage().and_then(|coverage| coverage.least(&progress)))
    }

    /// Short source id → full one, by the table's properties.
    pub fn sources(&self) -> BTreeMap<String, String> {
        let properties = self.metadata().properties().iter();
        let short = |(k, v): (&String, &String)| {
            k.strip_prefix(key::SOURCE_PREFIX).map(|short| (short.to_string(), v.clone()))
        };
        properties.filter_map(short).collect()
    }

    /// Whether every snapshot since `id`, which must be in the history of the current one, only
    /// appended: then all files that were live stand, and no row of theirs was deleted.
    pub fn only_appended_since(&self, id: Option<i64>) -> bool {
        for snapshot in chain(self.metadata()) {
            if Some(snapshot.snapshot_id()) == id {
                return true;
            }
            if snapshot.summary().operation != Operation::Append {
                return false;
            }
        }
        // Only a table that had no snapshot has had nothing to lose.
        id.is_none()
    }

    /// What the truth rule needs to know; snapshots from the oldest to the newest.
    pub fn facts(&self) -> TableFacts {
        let metadata = self.metadata();
        let mut snapshots: Vec<_> = metadata.snapshots().map(|s| snapshot_facts(s)).collect();
        snapshots.sort_by_key(|s| (s.seq, s.id));
        TableFacts {
            property: metadata.properties().get(key::PROGRESS).cloned(),
            current: metadata.current_snapshot_id(),
            snapshots,
        }
    }

    /// How far the table has come, and how that is known.
    pub fn truth(&self) -> Truth {
        resolve(&self.facts())
    }

    /// How far the table has come.
    ///
    /// Errors: bad data if that cannot be known; bad config if a newer Weir wrote it.
    pub fn progress(&self) -> Result<Progress> {
        Ok(self.known()?.0)
    }

    /// How far the table has come; the text says why its property did not tell, where a snapshot
    /// had to.
    pub fn known(&self) -> Result<(Progress, Option<String>)> {
        match self.truth() {
            Truth::Empty => Ok((Progress::default(), None)),
            Truth::Property(progress) => Ok((progress, None)),
            Truth::Summary { progress, snapshot, why } => {
                Ok((progress, Some(format!("{why}; taken from snapshot {snapshot}"))))
            }
            Truth::Unknowable(why) => {
                Err(CatalogError::bad_data(format!("table {}: {why}", self.name)))
            }
            Truth::Refused(e) => {
                Err(CatalogError::bad_config(format!("table {}: {e}", self.name)).with_source(e))
            }
        }
    }
}

fn snapshot_facts(snapshot: &Snapshot) -> SnapshotFacts {
    let summary = &snapshot.summary().additional_properties;
    SnapshotFacts {
        id: snapshot.snapshot_id(),
        parent: snapshot.parent_snapshot_id(),
        seq: snapshot.sequence_number(),
        total_records: summary.get("total-records").and_then(|n| n.parse().ok()),
        heads: summary.get(key::HEADS).cloned(),
        commit_id: summary.get(key::COMMIT_ID).cloned(),
    }
}

/// The warehouse as an absolute path without links, made if allowed.
fn local_warehouse(path: &Path, create: bool) -> Result<String> {
    let shown = path.display();
    if !path.exists() {
        if !create {
            return Err(CatalogError::bad_config(format!(
                "there is no warehouse {shown}; `weir ingest` makes it, or correct the path"
            )));
        }
        make_folder(path).map_err(|e| folder_error(path, e))?;
    }
    let absolute = path.canonicalize().map_err(|e| folder_error(path, e))?;
    if !absolute.is_dir() {
        return Err(CatalogError::bad_config(format!("the warehouse {shown} is not a folder")));
    }
    let text = absolute.to_str().ok_or_else(|| {
        CatalogError::bad_config(format!("the warehouse {shown} has a name that is not UTF-8"))
    })?;
    if let Some(c) = odd_character(text) {
        return Err(CatalogError::bad_config(format!(
            "the warehouse {text} holds the character {c:?}, which readers of Iceberg take \
             differently; choose another folder"
        )));
    }
    Ok(text.to_string())
}

/// Makes a folder and what is missing above it, durably.
fn make_folder(path: &Path) -> std::io::Result<()> {
    let path = std::path::absolute(path)?;
    let missing: Vec<&Path> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    for folder in missing.into_iter().rev() {
        match LocalDisk.create_dir(folder) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(e),
            _ => LocalDisk.fsync_dir(folder.parent().unwrap_or(Path::new("/")))?,
        }
    }
    Ok(())
}

fn folder_error(path: &Path, e: std::io::Error) -> CatalogError {
    let text = format!("the warehouse {} cannot be opened: {e}", path.display());
    match e.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            CatalogError::denied(text)
        }
        _ => CatalogError::bad_config(text),
    }
    .with_source(e)
}

#[cfg(test)]
mod tests;
