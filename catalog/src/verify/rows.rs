//! Which offsets the rows of data files have: five columns are read, the rest is not touched.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::{cast, max};
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use futures::{StreamExt, TryStreamExt};
use iceberg::scan::FileScanTaskDeleteFile;
use iceberg::spec::{Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::{ParquetObjectReader, ParquetRecordBatchStreamBuilder};
use parquet::schema::types::SchemaDescriptor;
use weir_contract::names::column;

use super::offsets::Seen;
use crate::scan::plan::{LiveFile, library_table, reader_task};
use crate::{Base, CatalogError, Lake, Result};

/// Rows decoded at a time.
const BATCH_ROWS: usize = 16_384;

/// Short source id and partition.
pub type Key = (String, i32);

/// The rows of some files.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Positions {
    /// By source and partition.
    pub seen: BTreeMap<Key, Seen>,
    /// Rows without source, partition or offset, or with a negative offset.
    pub without: u64,
    /// All rows.
    pub rows: u64,
    /// The greatest revision of a row.
    pub rev_max: i32,
}

impl Positions {
    /// Adds the rows of other files of the same table.
    pub fn merge(&mut self, other: Positions) {
        self.without += other.without;
        self.rows += other.rows;
        self.rev_max = self.rev_max.max(other.rev_max);
        for (key, seen) in other.seen {
            match self.seen.entry(key) {
                Entry::Occupied(mut mine) => mine.get_mut().merge(seen),
                Entry::Vacant(free) => {
                    free.insert(seen);
                }
            }
        }
    }

    /// Adds one batch; the arrays are of one length.
    fn add(&mut self, source: &ArrayRef, partition: &ArrayRef, offset: &ArrayRef, error: &Errors) {
        let rows = offset.len();
        self.rows += rows as u64;
        let sources = source.as_string::<i32>();
        let partitions = partition.as_primitive::<Int64Type>();
        let offsets = offset.as_primitive::<Int64Type>();
        let mut start = 0;
        while start < rows {
            let Some((partition, first)) = position(sources, partitions, offsets, start) else {
                self.without += 1;
                start += 1;
                continue;
            };
            let source = sources.value(start);
            let mut end = start + 1;
            while end < rows
                && sources.is_valid(end)
                && position(sources, partitions, offsets, end)
                    == first.checked_add((end - start) as u64).map(|next| (partition, next))
                && sources.value(end) == source
            {
                end += 1;
            }
            let rejected: Vec<bool> = (start..end).map(|row| error.is_set(row)).collect();
            let key = (source.to_string(), partition);
            self.seen.entry(key).or_default().add_run(first, &rejected);
            start = end;
        }
    }
}

/// The column `_error`, as far as it is needed; without one, all rows are accepted.
struct Errors(Option<ArrayRef>);

impl Errors {
    fn is_set(&self, row: usize) -> bool {
        self.0.as_ref().is_some_and(|errors| errors.is_valid(row))
    }
}

fn position(
    sources: &arrow::array::StringArray,
    partitions: &Int64Array,
    offsets: &Int64Array,
    row: usize,
) -> Option<(i32, u64)> {
    if sources.is_null(row) || partitions.is_null(row) || offsets.is_null(row) {
        return None;
    }
    let partition = i32::try_from(partitions.value(row)).ok()?;
    Some((partition, u64::try_from(offsets.value(row)).ok()?))
}

/// What a data file holds.
pub struct FileRows {
    /// Rows by the Parquet footer, deleted ones included.
    pub footer_rows: u64,
    /// The rows that readers see.
    pub positions: Positions,
}

/// Reads the positions in one data file, less what `deletes` take away.
///
/// Errors: bad data if the file is not there or cannot be read.
pub async fn read(
    lake: &Lake,
    base: &Base,
    file: &LiveFile,
    deletes: Vec<FileScanTaskDeleteFile>,
) -> Result<FileRows> {
    let failed = |e: parquet::errors::ParquetError| {
        CatalogError::reading(format!("reading {}", file.path()), e)
    };
    let schema = base.metadata().current_schema();
    let reader =
        ParquetObjectReader::new(lake.store.clone(), lake.warehouse.object_path(file.path())?);
    // The types are Parquet's own, whatever the writer's Arrow called them.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder =
        ParquetRecordBatchStreamBuilder::new_with_options(reader, options).await.map_err(failed)?;
    let footer_rows =
        u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or_default();
    if !deletes.is_empty() {
        let positions = read_with_deletes(lake, base, schema, file, deletes).await?;
        return Ok(FileRows { footer_rows, positions });
    }
    let columns = Columns::find(builder.parquet_schema(), schema);
    let mut positions = Positions::default();
    let (Some(source), Some(partition), Some(offset)) =
        (&columns.source, &columns.partition, &columns.offset)
    else {
        positions.rows = footer_rows;
        positions.without = footer_rows;
        return Ok(FileRows { footer_rows, positions });
    };
    let (error, rev) = (columns.error.as_ref(), columns.rev.as_ref());
    let leaves = [Some(source), Some(partition), Some(offset), error, rev];
    let leaves = leaves.into_iter().flatten().map(|c| c.leaf);
    let mask = ProjectionMask::leaves(builder.parquet_schema(), leaves);
    let builder = builder.with_projection(mask).with_batch_size(BATCH_ROWS);
    let mut batches = builder.build().map_err(failed)?;
    while let Some(batch) = batches.try_next().await.map_err(failed)? {
        let take =
            |c: &Column| batch.column_by_name(&c.root).cloned().ok_or_else(|| lacks(file, c));
        let errors = error.map(take).transpose()?;
        let revs = rev.map(take).transpose()?;
        let three = [take(source)?, take(partition)?, take(offset)?];
        add_batch(&mut positions, file, three, errors, revs)?;
    }
    Ok(FileRows { footer_rows, positions })
}

fn lacks(file: &LiveFile, column: &Column) -> CatalogError {
    CatalogError::bad_data(format!("{} lacks its column {}", file.path(), column.root))
}

fn add_batch(
    positions: &mut Positions,
    file: &LiveFile,
    [source, partition, offset]: [ArrayRef; 3],
    errors: Option<ArrayRef>,
    revs: Option<ArrayRef>,
) -> Result<()> {
    let typed = |array: &ArrayRef, to: &DataType| {
        cast(array, to).map_err(|e| {
            CatalogError::bad_data(format!("reading the positions in {}: {e}", file.path()))
                .with_source(e)
        })
    };
    let source = typed(&source, &DataType::Utf8)?;
    let partition = typed(&partition, &DataType::Int64)?;
    let offset = typed(&offset, &DataType::Int64)?;
    positions.add(&source, &partition, &offset, &Errors(errors));
    if let Some(revs) = revs {
        let greatest = max(typed(&revs, &DataType::Int32)?.as_primitive::<Int32Type>());
        positions.rev_max = positions.rev_max.max(greatest.unwrap_or(0));
    }
    Ok(())
}

async fn read_with_deletes(
    lake: &Lake,
    base: &Base,
    schema: &SchemaRef,
    file: &LiveFile,
    deletes: Vec<FileScanTaskDeleteFile>,
) -> Result<Positions> {
    let failed = |e| CatalogError::iceberg(format!("reading {} less its deletes", file.path()), e);
    let names = [column::SOURCE, column::PARTITION, column::OFFSET, column::ERROR, column::REV];
    let ids: Vec<i32> = names.iter().filter_map(|name| schema.field_id_by_name(name)).collect();
    let task = reader_task(base, file, schema, ids, deletes)?;
    let reader = library_table(&lake.io, base)?
        .reader_builder()
        .with_batch_size(BATCH_ROWS)
        .with_data_file_concurrency_limit(1)
        .build();
    let tasks = futures::stream::iter([Ok(task)]).boxed();
    let mut batches = reader.read(tasks).map_err(failed)?.stream();
    let mut positions = Positions::default();
    while let Some(batch) = batches.try_next().await.map_err(failed)? {
        let take = |name: &str| {
            batch.column_by_name(name).cloned().ok_or_else(|| {
                CatalogError::bad_data(format!("{} lacks its column {name}", file.path()))
            })
        };
        let errors = batch.column_by_name(column::ERROR).cloned();
        let three = [take(column::SOURCE)?, take(column::PARTITION)?, take(column::OFFSET)?];
        let revs = batch.column_by_name(column::REV).cloned();
        add_batch(&mut positions, file, three, errors, revs)?;
    }
    Ok(positions)
}

/// A leaf column of a Parquet file and the top-level column it is in.
struct Column {
    leaf: usize,
    root: String,
}

/// The columns that tell a row's position, found by field id, or by name in a file without ids.
struct Columns {
    source: Option<Column>,
    partition: Option<Column>,
    offset: Option<Column>,
    /// Any member of `_error` tells whether the struct is null.
    error: Option<Column>,
    rev: Option<Column>,
}

impl Columns {
    fn find(file: &SchemaDescriptor, schema: &Schema) -> Columns {
        let has_ids = file.columns().iter().any(|c| c.self_type().get_basic_info().has_id());
        let find = |name: &str| {
            let id = schema.field_id_by_name(name)?;
            let leaf = file.columns().iter().position(|c| {
                let info = c.self_type().get_basic_info();
                match has_ids {
                    true => info.has_id() && info.id() == id,
                    false => c.path().string() == name,
                }
            })?;
            let root = file.column(leaf).path().parts().first()?.clone();
            Some(Column { leaf, root })
        };
        let member = format!("{}.{}", column::ERROR, column::ERROR_MEMBERS[0]);
        Columns {
            source: find(column::SOURCE),
            partition: find(column::PARTITION),
            offset: find(column::OFFSET),
            error: find(&member),
            rev: find(column::REV),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::StringArray;

    use super::*;

    #[test]
    fn runs_end_where_source_partition_or_order_change() {
        let source: ArrayRef = Arc::new(StringArray::from(vec![
            Some("a"),
            Some("a"),
            Some("a"),
            Some("b"),
            None,
            Some("a"),
            Some("a"),
            Some("a"),
        ]));
        let partition: ArrayRef = Arc::new(Int64Array::from(vec![0, 0, 1, 1, 1, 0, 0, 0]));
        let offset: ArrayRef = Arc::new(Int64Array::from(vec![5, 6, 7, 8, 9, 6, 4, -1]));
        let error: ArrayRef =
            Arc::new(StringArray::from(vec![None, Some("x"), None, None, None, None, None, None]));
        let mut positions = Positions::default();
        positions.add(&source, &partition, &offset, &Errors(Some(error)));
        let a0 = &positions.seen[&("a".to_string(), 0)];
        assert_eq!(a0.accepted.iter().collect::<Vec<_>>(), [4, 5]);
        assert_eq!(a0.rejected.iter().collect::<Vec<_>>(), [6]);
        assert_eq!(a0.doubled.iter().collect::<Vec<_>>(), [6]);
        assert_eq!(positions.seen[&("a".to_string(), 1)].accepted.iter().next(), Some(7));
        assert_eq!(positions.seen[&("b".to_string(), 1)].accepted.iter().next(), Some(8));
        assert_eq!((positions.rows, positions.without), (8, 2));
    }
}
