//! What a snapshot holds: its manifests and live files, and which delete files apply to which.

use std::collections::HashMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use iceberg::io::FileIO;
use iceberg::scan::{FileScanTask, FileScanTaskDeleteFile};
use iceberg::spec::{ManifestContentType, ManifestEntryRef, ManifestFile, SnapshotRef};
use iceberg::table::Table;
use iceberg::{Runtime, TableIdent};

use crate::{Base, CatalogError, Lake, Result};

/// Manifests read at the same time.
const MANIFESTS_AT_ONCE: usize = 8;

/// A live entry of a snapshot's manifests.
#[derive(Debug, Clone)]
pub struct LiveFile {
    /// The entry, with inherited sequence numbers.
    pub entry: ManifestEntryRef,
    /// The partition spec its manifest was written with.
    pub spec_id: i32,
}

impl LiveFile {
    /// Where the file stands, as the manifest says it.
    pub fn path(&self) -> &str {
        self.entry.file_path()
    }
}

/// The library's view of one version of a table, for its readers.
pub fn library_table(io: &FileIO, base: &Base) -> Result<Table> {
    let ident = TableIdent::from_strs([&base.name.namespace, &base.name.name])
        .map_err(|e| CatalogError::iceberg("naming the table", e))?;
    Table::builder()
        .file_io(io.clone())
        .metadata(base.loaded.metadata.clone())
        .metadata_location(base.loaded.location.clone())
        .identifier(ident)
        .readonly(true)
        .runtime(Runtime::current())
        .build()
        .map_err(|e| CatalogError::iceberg(format!("opening {}", base.name), e))
}

/// The snapshot to read: the one with `id`, or the current; `None` for a table without any.
pub fn snapshot(base: &Base, id: Option<i64>) -> Result<Option<SnapshotRef>> {
    match id {
        None => Ok(base.metadata().current_snapshot().cloned()),
        Some(id) => match base.metadata().snapshot_by_id(id) {
            Some(snapshot) => Ok(Some(snapshot.clone())),
            None => Err(CatalogError::bad_config(format!(
                "{} has no snapshot {id}; `weir snapshots {}` lists those that stand",
                base.name, base.name
            ))),
        },
    }
}

/// The manifests of a snapshot.
pub async fn manifests(lake: &Lake, base: &Base, of: &SnapshotRef) -> Result<Vec<ManifestFile>> {
    let list = library_table(&lake.io, base)?.manifest_list_reader(of).load().await;
    let list = list.map_err(|e| {
        let what = format!(
            "reading the manifest list {} of snapshot {} of {}",
            of.manifest_list(),
            of.snapshot_id(),
            base.name
        );
        CatalogError::iceberg(what, e)
    })?;
    Ok(list.consume_entries().into_iter().collect())
}

/// The live files of one manifest.
pub async fn manifest_files(io: &FileIO, manifest: &ManifestFile) -> Result<Vec<LiveFile>> {
    let loaded = manifest.load_manifest(io).await.map_err(|e| {
        CatalogError::iceberg(format!("reading the manifest {}", manifest.manifest_path), e)
    })?;
    let (entries, _) = loaded.into_parts();
    let live = entries.into_iter().filter(|entry| entry.is_alive());
    Ok(live.map(|entry| LiveFile { entry, spec_id: manifest.partition_spec_id }).collect())
}

/// The live data files of `manifests`, in their order.
pub async fn data_files(io: &FileIO, manifests: Vec<ManifestFile>) -> Result<Vec<LiveFile>> {
    let data = manifests.into_iter().filter(|m| m.content == ManifestContentType::Data);
    let files: Vec<Vec<LiveFile>> = futures::stream::iter(data)
        .map(|manifest| async move { manifest_files(io, &manifest).await })
        .buffered(MANIFESTS_AT_ONCE)
        .try_collect()
        .await?;
    Ok(files.into_iter().flatten().collect())
}

/// The delete files that apply to each data file that has any: by data file path.
///
/// The library decides (sequence numbers, partitions, the scope of equality deletes); it is asked
/// only where a snapshot has delete manifests, which other engines write and we do not.
pub async fn deletes(
    lake: &Lake,
    base: &Base,
    of: &SnapshotRef,
    manifests: &[ManifestFile],
) -> Result<HashMap<String, Vec<FileScanTaskDeleteFile>>> {
    if !manifests.iter().any(|m| m.content == ManifestContentType::Deletes) {
        return Ok(HashMap::new());
    }
    let failed = |e| CatalogError::iceberg(format!("planning the deletes of {}", base.name), e);
    let table = library_table(&lake.io, base)?;
    let scan = table.scan().snapshot_id(of.snapshot_id()).select_empty().build().map_err(failed)?;
    let tasks: Vec<FileScanTask> =
        scan.plan_files().await.map_err(failed)?.try_collect().await.map_err(failed)?;
    let with_deletes = tasks.into_iter().filter(|task| !task.deletes.is_empty());
    Ok(with_deletes.map(|task| (task.data_file_path, task.deletes)).collect())
}

/// A task of the library's reader for one whole file.
pub fn reader_task(
    base: &Base,
    file: &LiveFile,
    schema: &iceberg::spec::SchemaRef,
    field_ids: Vec<i32>,
    deletes: Vec<FileScanTaskDeleteFile>,
) -> Result<FileScanTask> {
    let mapping = base.metadata().properties().get(iceberg::spec::DEFAULT_SCHEMA_NAME_MAPPING);
    let mapping = mapping.map(|text| serde_json::from_str(text)).transpose().map_err(|e| {
        CatalogError::bad_data(format!(
            "{} has a damaged property {}: {e}; correct it with the engine that wrote it",
            base.name,
            iceberg::spec::DEFAULT_SCHEMA_NAME_MAPPING
        ))
    })?;
    let entry = &file.entry;
    Ok(FileScanTask::builder()
        .with_file_size_in_bytes(entry.file_size_in_bytes())
        .with_start(0)
        .with_length(entry.file_size_in_bytes())
        .with_record_count(Some(entry.record_count()))
        .with_data_file_path(entry.file_path().to_string())
        .with_data_file_format(entry.file_format())
        .with_schema(schema.clone())
        .with_project_field_ids(field_ids)
        .with_deletes(deletes)
        .with_partition(Some(entry.data_file().partition().clone()))
        .with_partition_spec(base.metadata().partition_spec_by_id(file.spec_id).cloned())
        .with_name_mapping(mapping.map(Arc::new))
        .with_case_sensitive(true)
        .build())
}
