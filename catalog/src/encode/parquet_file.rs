//! Parquet data files, tuned for micro-batches: cheap to write, small, exact statistics.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::compute::cast;
use arrow_array::{Array, ArrayRef, RecordBatch, StructArray, new_null_array};
use arrow_schema::{DataType, Field, FieldRef, SchemaRef as ArrowSchemaRef};
use iceberg::spec::SchemaRef;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowWriter, PARQUET_FIELD_ID_META_KEY};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use weir_contract::names::column;

use super::metrics::metrics;
use super::{Encoded, FileEncoder, FileFormat, TableSchema};
use crate::error::{CatalogError, Result};

/// Rows of a row group at most: what a reader's task takes at a time.
const GROUP_ROWS_MAX: usize = 1 << 20;
/// Encoded bytes of a row group at most; beyond it is closed, so that memory stays bounded.
const GROUP_BYTES_MAX: usize = 128 << 20;

/// Rows of a row group where rows are sorted: readers skip the hours and keys that they do not seek.
const SORTED_GROUP_ROWS_MAX: usize = 1 << 18;

/// Parquet with zstd.
#[derive(Debug, Clone, Copy)]
pub struct ParquetFormat {
    group_rows: usize,
    level: i32,
}

/// For micro-batches: level 1.
impl Default for ParquetFormat {
    fn default() -> ParquetFormat {
        ParquetFormat { group_rows: GROUP_ROWS_MAX, level: 1 }
    }
}

impl ParquetFormat {
    /// With row groups of at most so many rows, at least one.
    pub fn with_group_rows(rows: usize) -> ParquetFormat {
        ParquetFormat { group_rows: rows.max(1), ..ParquetFormat::default() }
    }

    /// For files that are written once and read for years: level 3.
    pub fn for_sorted() -> ParquetFormat {
        ParquetFormat { group_rows: SORTED_GROUP_ROWS_MAX, level: 3 }
    }
}

impl FileFormat for ParquetFormat {
    fn encoder(&self, schema: &TableSchema, day: Option<i32>) -> Result<Box<dyn FileEncoder>> {
        Ok(Box::new(ParquetEncoder::new(schema, day, *self)?))
    }
}

pub(super) struct ParquetEncoder {
    schema: SchemaRef,
    arrow: ArrowSchemaRef,
    writer: ArrowWriter<Vec<u8>>,
    day: Option<i32>,
    rows: u64,
    /// Null counts of the columns without statistics, by field id.
    nulls: HashMap<i32, u64>,
}

impl ParquetEncoder {
    pub(super) fn new(
        schema: &TableSchema,
        day: Option<i32>,
        format: ParquetFormat,
    ) -> Result<ParquetEncoder> {
        let arrow = schema.arrow().clone();
        // Readers go by the field ids; an Arrow schema in the footer would only be another truth.
        let options = ArrowWriterOptions::new()
            .with_properties(properties(&arrow, format)?)
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), arrow.clone(), options)
            .map_err(failed)?;
        let nulls = arrow.fields().iter().filter(|f| !has_statistics(f));
        let nulls = nulls.filter_map(|f| Some((field_id(f)?, 0))).collect();
        Ok(ParquetEncoder { schema: schema.iceberg().clone(), arrow, writer, day, rows: 0, nulls })
    }
}

impl FileEncoder for ParquetEncoder {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let batch = align(batch, &self.arrow)?;
        for (field, array) in self.arrow.fields().iter().zip(batch.columns()) {
            if let Some(nulls) = field_id(field).and_then(|id| self.nulls.get_mut(&id)) {
                *nulls += array.null_count() as u64;
            }
        }
        self.writer.write(&batch).map_err(failed)?;
        self.rows += batch.num_rows() as u64;
        if self.writer.in_progress_size() >= GROUP_BYTES_MAX {
            self.writer.flush().map_err(failed)?;
        }
        Ok(())
    }

    fn memory(&self) -> usize {
        let encoded = self.writer.inner().capacity().max(self.writer.bytes_written());
        self.writer.memory_size() + encoded
    }

    fn encoded(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    fn finish(mut self: Box<Self>) -> Result<Encoded> {
        let footer = self.writer.finish().map_err(failed)?;
        let metrics = metrics(&self.schema, &footer, &self.nulls);
        let bytes = std::mem::take(self.writer.inner_mut());
        Ok(Encoded { bytes: bytes.into(), rows: self.rows, day: self.day, metrics })
    }
}

fn failed(e: parquet::errors::ParquetError) -> CatalogError {
    CatalogError::bug(format!("encoding Parquet: {e}")).with_source(e)
}

fn field_id(field: &Field) -> Option<i32> {
    field.metadata().get(PARQUET_FIELD_ID_META_KEY)?.parse().ok()
}

/// The batch's columns by name in the order of `schema`.
fn align(batch: &RecordBatch, schema: &ArrowSchemaRef) -> Result<RecordBatch> {
    for field in batch.schema_ref().fields() {
        if schema.index_of(field.name()).is_err() {
            return Err(CatalogError::bad_config(format!(
                "the table has no column {}, which the contract has; restore it, or give the \
                 stream another table",
                field.name()
            )));
        }
    }
    let columns: Vec<ArrayRef> = schema
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            Some(array) => fit(array, field),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        })
        .collect::<Result<_>>()?;
    RecordBatch::try_new(schema.clone(), columns)
        .map_err(|e| CatalogError::bug("aligning columns").with_source(e))
}

/// The array with the field's type, which differs only in the members of a struct, or is wider: the
/// table is ahead of the writer's contract.
fn fit(array: &ArrayRef, field: &FieldRef) -> Result<ArrayRef> {
    if array.data_type() == field.data_type() {
        return Ok(array.clone());
    }
    if widens(array.data_type(), field.data_type()) {
        return cast(array, field.data_type())
            .map_err(|e| CatalogError::bug("widening a column").with_source(e));
    }
    let (DataType::Struct(wanted), Some(found)) =
        (field.data_type(), array.as_any().downcast_ref::<StructArray>())
    else {
        return Err(CatalogError::bad_config(format!(
            "column {} is {} in the table and {} by the contract; give the stream another table",
            field.name(),
            field.data_type(),
            array.data_type()
        )));
    };
    if let Some(stranger) = found.fields().iter().find(|f| wanted.find(f.name()).is_none()) {
        return Err(CatalogError::bad_config(format!(
            "the table has no member {} in column {}; give the stream another table",
            stranger.name(),
            field.name()
        )));
    }
    let members = wanted
        .iter()
        .map(|member| match found.column_by_name(member.name()) {
            Some(array) => fit(array, member),
            None => Ok(new_null_array(member.data_type(), array.len())),
        })
        .collect::<Result<_>>()?;
    let fitted = StructArray::try_new(wanted.clone(), members, found.nulls().cloned())
        .map_err(|e| CatalogError::bug("aligning members").with_source(e))?;
    Ok(Arc::new(fitted))
}

fn widens(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        (DataType::Int32, DataType::Int64) | (DataType::Float32, DataType::Float64) => true,
        (DataType::Decimal128(precision, scale), DataType::Decimal128(wider, same)) => {
            wider > precision && scale == same
        }
        _ => false,
    }
}

/// Bytes and `_extra` may be as long as a record: their bounds would swell the footer, and nobody
/// filters by them.
fn has_statistics(field: &Field) -> bool {
    *field.data_type() != DataType::Binary && field.name() != column::EXTRA
}

/// Nearly every value is another: a dictionary would be built, fill up and be thrown away.
fn is_unique(field: &Field) -> bool {
    const UNIQUE: [&str; 4] = [column::EVENT_ID, column::TRACE_ID, column::OFFSET, "trace_id"];
    UNIQUE.contains(&field.name().as_str())
}

fn properties(schema: &ArrowSchemaRef, format: ParquetFormat) -> Result<WriterProperties> {
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(format.level).map_err(failed)?))
        .set_max_row_group_row_count(Some(format.group_rows))
        // Cut statistics would be inexact, and then no bounds at all; ours are cut later.
        .set_statistics_truncate_length(None)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(concat!("weir version ", env!("CARGO_PKG_VERSION")).to_string());
    for field in schema.fields() {
        builder = column_properties(builder, field);
    }
    Ok(builder.build())
}

fn column_properties(builder: WriterPropertiesBuilder, field: &Field) -> WriterPropertiesBuilder {
    let path = || ColumnPath::new(vec![field.name().clone()]);
    let builder = match has_statistics(field) {
        true => builder,
        false => builder.set_column_statistics_enabled(path(), EnabledStatistics::None),
    };
    match field.data_type() {
        DataType::Timestamp(..) => builder
            .set_column_dictionary_enabled(path(), false)
            .set_column_encoding(path(), Encoding::DELTA_BINARY_PACKED),
        DataType::Int64 if is_unique(field) => builder
            .set_column_dictionary_enabled(path(), false)
            .set_column_encoding(path(), Encoding::DELTA_BINARY_PACKED),
        _ if is_unique(field) => builder.set_column_dictionary_enabled(path(), false),
        _ => builder,
    }
}

#[cfg(test)]
mod tests;
