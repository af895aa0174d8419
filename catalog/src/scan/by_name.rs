//! Which files the Parquet source may read by column name.

use futures::{StreamExt, TryStreamExt};
use iceberg::spec::SchemaRef;
use parquet::arrow::async_reader::{AsyncFileReader, ParquetObjectReader};

use super::plan::LiveFile;
use super::schema;
use crate::{Base, CatalogError, Lake, Result};

/// Footers read at the same time.
const FOOTERS_AT_ONCE: usize = 8;

/// For each of `files`, whether its columns map onto `table_schema` by name. Footers are read only
/// where the table's history holds a rename, or a column that came back.
pub async fn decide(
    lake: &Lake,
    base: &Base,
    table_schema: &SchemaRef,
    files: &[LiveFile],
) -> Result<Vec<bool>> {
    if schema::names_are_stable(base.metadata(), table_schema) {
        return Ok(vec![true; files.len()]);
    }
    let footers = files.iter().map(|file| {
        let (path, size) = (file.path().to_string(), file.entry.file_size_in_bytes());
        footer_matches(lake.clone(), path, size, table_schema.clone())
    });
    let footers: Vec<_> = footers.collect();
    futures::stream::iter(footers).buffered(FOOTERS_AT_ONCE).try_collect().await
}

async fn footer_matches(lake: Lake, path: String, size: u64, schema: SchemaRef) -> Result<bool> {
    let mut reader =
        ParquetObjectReader::new(lake.store.clone(), lake.warehouse.object_path(&path)?)
            .with_file_size(size);
    let metadata = reader.get_metadata(None).await.map_err(|e| {
        CatalogError::bad_data(format!("reading the footer of {path}: {e}")).with_source(e)
    })?;
    Ok(super::schema::file_matches_by_name(metadata.file_metadata().schema(), &schema))
}
