//! Data files: where they stand and what a commit needs to know of them.

use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Literal, Struct, TableMetadata,
};
use object_store::{ObjectStore, PutMode};
use weir_contract::names::key;

use crate::encode::Encoded;
use crate::error::{CatalogError, Result};
use crate::schema::{PARTITION_FIELD, day_spec, is_reference};
use crate::table::{Base, Lake};

/// A durable data file that no snapshot refers to yet.
#[derive(Debug, Clone)]
pub struct NewFile {
    pub(crate) file: DataFile,
    pub(crate) spec_id: i32,
    /// When it was stored, ms since the epoch.
    pub(crate) put_at_ms: i64,
    /// Its data sequence number; none: that of the snapshot that brings it.
    pub(crate) sequence: Option<i64>,
}

impl NewFile {
    /// Its location, as the manifest will have it.
    pub fn path(&self) -> &str {
        self.file.file_path()
    }

    /// Its rows.
    pub fn rows(&self) -> u64 {
        self.file.record_count()
    }

    /// Its bytes.
    pub fn size(&self) -> u64 {
        self.file.file_size_in_bytes()
    }

    /// The same file in the place of others, of which `sequence` is the greatest data sequence number:
    /// who reads only what is newer passes over it as over them.
    #[must_use]
    pub(crate) fn in_place_of(self, sequence: i64) -> NewFile {
        NewFile { sequence: Some(sequence), ..self }
    }
}

impl Lake {
    /// Stores an encoded file below the table's `data/event_day=<day>/`, of a reference table below
    /// its `data/`. It is durable when this returns, and nobody's until it is committed.
    pub async fn put_data_file(&self, base: &Base, encoded: Encoded) -> Result<NewFile> {
        let metadata = base.metadata();
        let spec_id = write_spec(base)?;
        let (partition, folder) = match is_undivided(metadata) {
            true => (Struct::empty(), String::new()),
            false => {
                let day = encoded.day.map_or("null".to_string(), iso_day);
                let partition = Struct::from_iter([encoded.day.map(Literal::date)]);
                (partition, format!("{PARTITION_FIELD}={day}/"))
            }
        };
        let uuid = self.env.ids.uuid();
        let location = format!("{}/data/{folder}{uuid}.parquet", metadata.location());
        let path = self.warehouse.object_path(&location)?;
        let size = encoded.bytes.len() as u64;
        self.store
            .put_opts(&path, encoded.bytes.clone().into(), PutMode::Create.into())
            .await
            .map_err(|e| CatalogError::storage(format!("writing {location}"), e))?;
        let file = data_file(location, size, encoded, spec_id, partition)?;
        Ok(NewFile { file, spec_id, put_at_ms: self.env.clock.now_ms(), sequence: None })
    }
}

/// Whether the table's files are of no partition: reference tables, and those that models make.
fn is_undivided(metadata: &TableMetadata) -> bool {
    is_reference(metadata.current_schema()) || metadata.properties().contains_key(key::MODEL)
}

/// The partition spec under which files of the table are written: by day, of a reference table by nothing.
///
/// Errors: bad config if another engine took it from the table.
pub(crate) fn write_spec(base: &Base) -> Result<i32> {
    let metadata = base.metadata();
    match is_undivided(metadata) {
        true => unpartitioned(base),
        false => Ok(day_spec(&base.name, metadata)?.spec_id()),
    }
}

/// The spec without fields. Another engine may have changed the default since.
fn unpartitioned(base: &Base) -> Result<i32> {
    let metadata = base.metadata();
    let default = std::iter::once(metadata.default_partition_spec());
    let mut specs = default.chain(metadata.partition_specs_iter());
    let found = specs.find(|spec| spec.is_unpartitioned()).map(|spec| spec.spec_id());
    found.ok_or_else(|| {
        CatalogError::bad_config(format!(
            "table {} is partitioned in every way that it knows; reference tables are not",
            base.name
        ))
    })
}

fn data_file(
    location: String,
    size: u64,
    encoded: Encoded,
    spec_id: i32,
    partition: Struct,
) -> Result<DataFile> {
    let Encoded { rows, metrics, .. } = encoded;
    let splits = (!metrics.split_offsets.is_empty()).then_some(metrics.split_offsets);
    let built = DataFileBuilder::default()
        .content(DataContentType::Data)
        .file_path(location)
        .file_format(DataFileFormat::Parquet)
        .partition(partition)
        .partition_spec_id(spec_id)
        .record_count(rows)
        .file_size_in_bytes(size)
        .column_sizes(metrics.column_sizes)
        .value_counts(metrics.value_counts)
        .null_value_counts(metrics.null_counts)
        .lower_bounds(metrics.lower_bounds)
        .upper_bounds(metrics.upper_bounds)
        .split_offsets(splits)
        .sort_order_id(0)
        .build();
    built.map_err(|e| CatalogError::bug(format!("describing a data file: {e}")))
}

/// `2026-11-21` of days since 1970-01-01.
fn iso_day(day: i32) -> String {
    let date = chrono::DateTime::from_timestamp(i64::from(day) * 86_400, 0);
    // Days beyond chrono's range (year 262,000) cannot come from a timestamp in µs.
    date.map_or_else(|| day.to_string(), |date| date.format("%Y-%m-%d").to_string())
}
