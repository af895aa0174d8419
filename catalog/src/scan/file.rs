//! The rows of one data file, whoever wrote it: with the columns and types that the table has now,
//! less what delete files of other engines take away.

use std::sync::Arc;

use arrow::compute::{CastOptions, cast_with_options};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StructArray, new_null_array};
use arrow_schema::{DataType, Field, Fields, SchemaRef};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::{ParquetObjectReader, ParquetRecordBatchStreamBuilder};

use super::plan::{library_table, reader_task};
use crate::sought::Found;
use crate::{Base, CatalogError, Lake, Result};

/// Compressed bytes of a batch, about; uncompressed it is some ten times as much.
const BATCH_BYTES: u64 = 1 << 20;
const BATCH_ROWS_MAX: u64 = 8_192;

/// The rows of one file, a few at a time, in the order of the file.
pub type Rows = BoxStream<'static, Result<RecordBatch>>;

/// Reads a data file of `base`. Batches have the schema of [`Base::schema`].
///
/// Errors, also of the stream: bad data if the file is not there, cannot be read, or holds what the
/// table's columns cannot.
pub async fn rows(lake: &Lake, base: &Base, found: &Found) -> Result<Rows> {
    let schema = base.schema()?;
    let arrow = schema.arrow().clone();
    let path = found.path().to_string();
    let batch_rows = batch_rows(found.rows(), found.bytes());
    if !found.deletes.is_empty() {
        let ids = schema.iceberg().as_struct().fields().iter().map(|f| f.id).collect();
        let task = reader_task(base, &found.file, schema.iceberg(), ids, found.deletes.clone())?;
        let what = format!("reading {path} less its deletes");
        let failed = move |e| CatalogError::iceberg(&what, e);
        let reader = library_table(&lake.io, base)?
            .reader_builder()
            .with_batch_size(batch_rows)
            .with_data_file_concurrency_limit(1)
            .build();
        let tasks = futures::stream::iter([Ok(task)]).boxed();
        let batches = reader.read(tasks).map_err(failed.clone())?.stream().map_err(failed);
        return Ok(batches.map(move |batch| shape(&batch?, &arrow, &path)).boxed());
    }
    let what = format!("reading {path}");
    let failed = move |e: parquet::errors::ParquetError| CatalogError::reading(&what, e);
    let reader = ParquetObjectReader::new(lake.store.clone(), lake.warehouse.object_path(&path)?);
    // The types are Parquet's own, whatever the writer's Arrow called them.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchStreamBuilder::new_with_options(reader, options)
        .await
        .map_err(failed.clone())?;
    let batches = builder.with_batch_size(batch_rows).build().map_err(failed.clone())?;
    Ok(batches.map_err(failed).map(move |batch| shape(&batch?, &arrow, &path)).boxed())
}

/// As many rows as make about [`BATCH_BYTES`] in a file of `rows` and `bytes`.
pub(crate) fn batch_rows(rows: u64, bytes: u64) -> usize {
    let fitting = BATCH_BYTES.saturating_mul(rows.max(1)) / bytes.max(1);
    fitting.clamp(1, BATCH_ROWS_MAX) as usize
}

/// The batch with the columns of `schema`, found by field id.
fn shape(batch: &RecordBatch, schema: &SchemaRef, path: &str) -> Result<RecordBatch> {
    let failed = |e: arrow_schema::ArrowError| {
        let text = format!("{path} does not hold what the table's columns can: {e}");
        CatalogError::bad_data(text).with_source(e)
    };
    let rows = batch.num_rows();
    let from = batch.schema_ref().fields();
    let columns = members(from, batch.columns(), schema.fields(), rows).map_err(failed)?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(failed)
}

/// The arrays for `wanted`, null where the file does not have them. A file without field ids is
/// read by name.
fn members(
    from: &Fields,
    arrays: &[ArrayRef],
    wanted: &Fields,
    rows: usize,
) -> Result<Vec<ArrayRef>, arrow_schema::ArrowError> {
    let has_ids = from.iter().any(|field| id(field).is_some());
    let same = |found: &Field, wanted: &Field| match has_ids {
        true => id(found).is_some() && id(found) == id(wanted),
        false => found.name() == wanted.name(),
    };
    let one = |wanted: &Arc<Field>| match from.iter().position(|found| same(found, wanted)) {
        Some(at) => fit(&arrays[at], wanted.data_type()),
        None => Ok(new_null_array(wanted.data_type(), rows)),
    };
    wanted.iter().map(one).collect()
}

fn fit(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, arrow_schema::ArrowError> {
    if array.data_type() == wanted {
        return Ok(array.clone());
    }
    let found = array.as_any().downcast_ref::<StructArray>();
    if let (DataType::Struct(fields), Some(found)) = (wanted, found) {
        let columns = members(found.fields(), found.columns(), fields, found.len())?;
        let nulls = found.nulls().cloned();
        return Ok(Arc::new(StructArray::try_new(fields.clone(), columns, nulls)?));
    }
    // What does not fit is an error, never null.
    cast_with_options(array, wanted, &CastOptions { safe: false, ..CastOptions::default() })
}

fn id(field: &Field) -> Option<&String> {
    field.metadata().get(PARQUET_FIELD_ID_META_KEY)
}

#[cfg(test)]
mod tests {
    use arrow_array::Int64Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use weir_contract::names::column;

    use super::*;
    use crate::foreign::{self, current, ingest, lake, short};
    use crate::sought::{Sought, files};

    async fn offsets(lake: &Lake) -> Vec<(i64, bool)> {
        let base = current(lake).await;
        let mut all = Vec::new();
        for found in files(lake, &base, &Sought::ALL).await.unwrap() {
            let mut rows = rows(lake, &base, &found).await.unwrap();
            while let Some(batch) = rows.try_next().await.unwrap() {
                assert_eq!(batch.schema(), *base.schema().unwrap().arrow());
                let offsets = batch.column_by_name(column::OFFSET).unwrap();
                let errors = batch.column_by_name(column::ERROR).unwrap();
                let offsets = offsets.as_primitive::<Int64Type>();
                all.extend((0..batch.num_rows()).map(|i| (offsets.value(i), errors.is_valid(i))));
            }
        }
        all.sort_unstable();
        all
    }

    #[tokio::test]
    async fn rows_come_with_the_columns_of_the_table_and_without_what_was_deleted() {
        let (_folder, lake, _) = lake().await;
        ingest(&lake, 0, 0, 5, &[1, 3], &[]).await;
        let before = offsets(&lake).await;
        assert_eq!(before, [(0, false), (1, true), (2, false), (3, true), (4, false)]);
        let path = foreign::accepted_file(&lake, 0).await;
        foreign::delete_positions(&lake, &path, &[1]).await;
        assert_eq!(offsets(&lake).await, [(0, false), (1, true), (3, true), (4, false)]);
        let narrow = foreign::rows(&short(), 0, &[9], false).project(&[0, 1, 2]).unwrap();
        let added = foreign::file(&lake, &current(&lake).await, &narrow).await;
        foreign::foreign(&lake, vec![added], &[]).await;
        assert_eq!(offsets(&lake).await.last(), Some(&(9, false)));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let wide: ArrayRef = Arc::new(Int64Array::from(vec![1 << 40]));
        assert!(fit(&wide, &DataType::Int32).is_err());
        let narrow: ArrayRef = Arc::new(Int64Array::from(vec![40]));
        assert_eq!(fit(&narrow, &DataType::Int32).unwrap().data_type(), &DataType::Int32);
    }

    #[test]
    fn batches_are_of_few_rows_where_rows_are_large() {
        assert_eq!(batch_rows(1_000_000, 1 << 20), 8_192);
        assert_eq!(batch_rows(100, 100 << 20), 1);
        assert_eq!(batch_rows(0, 0), 8_192);
    }
}
