//! Data files: where they stand and what a commit needs to know of them.

use std::collections::BTreeMap;

use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Literal, PrimitiveLiteral, Struct,
    TableMetadata,
};
use object_store::{ObjectStore, PutMode};
use weir_contract::contract::Division;
use weir_contract::names::key;

use crate::encode::Encoded;
use crate::error::{CatalogError, Result};
use crate::schema::{divisions, is_reference, partition_field, raw_spec};
use crate::sought::Found;
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
    /// Stores an encoded file below the table's `data/event_day=<day>/` or `data/event_month=<month>/`,
    /// of a reference table below its `data/`. It is durable when this returns, and nobody's until it is
    /// committed.
    pub async fn put_data_file(&self, base: &Base, encoded: Encoded) -> Result<NewFile> {
        let metadata = base.metadata();
        let Specs { write: spec_id, division, .. } = Specs::of(base)?;
        let (partition, folder) = match division {
            None => (Struct::empty(), String::new()),
            Some(division) => {
                let span = encoded.day.map(|day| division.span_of(day));
                let text = span.map_or("null".to_string(), |span| division.text(span));
                let value = |span| match division {
                    Division::Day => Literal::date(span),
                    Division::Month => Literal::int(span),
                };
                let partition = Struct::from_iter([span.map(value)]);
                (partition, format!("{}={text}/", partition_field(division)))
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

/// The partition specs under which files of a table of ours stand.
pub(crate) struct Specs {
    /// That under which they are written.
    write: i32,
    /// What it divides by; none: reference tables and those that models make are of one piece.
    division: Option<Division>,
    /// All that divide a raw table: it may have been divided otherwise before.
    divisions: BTreeMap<i32, Division>,
}

impl Specs {
    /// Those of a table.
    ///
    /// Errors: bad config if another engine took from it the one that is needed.
    pub(crate) fn of(base: &Base) -> Result<Specs> {
        let metadata = base.metadata();
        if is_undivided(metadata) {
            let write = unpartitioned(base)?;
            return Ok(Specs { write, division: None, divisions: BTreeMap::new() });
        }
        let (write, division) = raw_spec(&base.name, metadata)?;
        Ok(Specs { write, division: Some(division), divisions: divisions(metadata) })
    }

    /// The first and the last day that rows of a file can be of, days since 1970-01-01; `Some(None)` if they
    /// are of none. None: another engine wrote it under a partitioning of its own.
    pub(crate) fn days(&self, found: &Found) -> Option<Option<(i32, i32)>> {
        let division = self.divisions.get(&found.file.spec_id);
        if division.is_none() && found.file.spec_id != self.write {
            return None;
        }
        match found.file.entry.data_file().partition().fields() {
            [] | [None] => Some(None),
            [Some(span)] => match span.as_primitive_literal() {
                Some(PrimitiveLiteral::Int(span)) => Some(Some(division?.days_of(span))),
                _ => None,
            },
            _ => None,
        }
    }

    /// The partition, of those that files are written into now, to which all rows of a file belong. None:
    /// they may belong to several, or it cannot be told.
    pub(crate) fn span(&self, found: &Found) -> Option<Option<i32>> {
        let (Some((first, last)), Some(division)) = (self.days(found)?, self.division) else {
            return Some(None);
        };
        let span = division.span_of(first);
        (span == division.span_of(last)).then_some(Some(span))
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
