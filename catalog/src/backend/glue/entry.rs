//! A table's entry in Glue: what we write of it, and what others wrote that stays.

use std::collections::HashMap;

use aws_sdk_glue::error::BuildError;
use aws_sdk_glue::types::{StorageDescriptor, Table, TableInput};
use iceberg::spec::TableMetadata;

use super::columns::{columns, cut};
use crate::error::{CatalogError, Result};

const TABLE_TYPE: &str = "table_type";
const METADATA: &str = "metadata_location";
const PREVIOUS: &str = "previous_metadata_location";
const ICEBERG: &str = "ICEBERG";
/// Glue's bound of a description, bytes.
const DESCRIPTION_MAX: usize = 2048;

fn parameter<'a>(entry: &'a Table, key: &str) -> Option<&'a str> {
    entry.parameters()?.get(key).map(String::as_str)
}

/// Whether an entry is an Iceberg table.
pub(super) fn is_iceberg(entry: &Table) -> bool {
    parameter(entry, TABLE_TYPE).is_some_and(|kind| kind.eq_ignore_ascii_case(ICEBERG))
}

/// Where the entry's metadata file stands.
pub(super) fn pointer(entry: &Table) -> Option<&str> {
    parameter(entry, METADATA).filter(|location| !location.is_empty())
}

/// Where the table's files stand, as far as the entry says it.
pub(super) fn location(entry: &Table) -> Option<&str> {
    entry.storage_descriptor().and_then(|storage| storage.location()).or_else(|| pointer(entry))
}

/// The input of a new table.
pub(super) fn new(name: &str, location: &str, metadata: &TableMetadata) -> Result<TableInput> {
    let storage = StorageDescriptor::builder().build();
    input(TableInput::builder().name(name).build(), HashMap::new(), storage, location, metadata)
}

/// The input that moves an entry from the metadata file `old` to `new`. What others wrote into it
/// stays: parameters, descriptions, comments, serde.
pub(super) fn moved(
    entry: &Table,
    old: &str,
    new: &str,
    metadata: &TableMetadata,
) -> Result<TableInput> {
    // What UpdateTable takes of what GetTable gives, besides what we write.
    let kept = TableInput::builder()
        .name(entry.name())
        .set_description(entry.description.clone())
        .set_owner(entry.owner.clone())
        .set_last_analyzed_time(entry.last_analyzed_time)
        .retention(entry.retention())
        .set_partition_keys(entry.partition_keys.clone());
    let mut parameters = entry.parameters.clone().unwrap_or_default();
    parameters.insert(PREVIOUS.into(), old.into());
    let none = || StorageDescriptor::builder().build();
    let storage = entry.storage_descriptor.clone().unwrap_or_else(none);
    input(kept.build(), parameters, storage, new, metadata)
}

fn input(
    kept: Result<TableInput, BuildError>,
    mut parameters: HashMap<String, String>,
    mut storage: StorageDescriptor,
    location: &str,
    metadata: &TableMetadata,
) -> Result<TableInput> {
    let unbuilt = |e: BuildError| CatalogError::bug(format!("an entry for Glue: {e}"));
    let mut input = kept.map_err(unbuilt)?;
    input.table_type = Some("EXTERNAL_TABLE".into());
    if let Some(comment) = metadata.properties().get("comment") {
        input.description = Some(cut(comment, DESCRIPTION_MAX).into());
    }
    parameters.insert(TABLE_TYPE.into(), ICEBERG.into());
    parameters.insert(METADATA.into(), location.into());
    input.parameters = Some(parameters);
    storage.columns = Some(columns(metadata, storage.columns()).map_err(unbuilt)?);
    storage.location = Some(metadata.location().into());
    input.storage_descriptor = Some(storage);
    Ok(input)
}

#[cfg(test)]
mod tests {
    use aws_sdk_glue::types::SerDeInfo;

    use super::*;
    use crate::testing::loaded_at;

    fn parameters(of: &[(&str, &str)]) -> Option<HashMap<String, String>> {
        Some(of.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())
    }

    fn table(of: &[(&str, &str)]) -> Table {
        Table::builder().name("t").set_parameters(parameters(of)).build().unwrap()
    }

    #[test]
    fn a_new_entry_is_what_athena_and_the_java_writer_expect() {
        let loaded = loaded_at("s3://lake/m0");
        let input = new("sales", "s3://lake/m0", &loaded.metadata).unwrap();
        assert_eq!((input.name(), input.table_type()), ("sales", Some("EXTERNAL_TABLE")));
        let expected = [("table_type", "ICEBERG"), ("metadata_location", "s3://lake/m0")];
        assert_eq!(input.parameters, parameters(&expected));
        let storage = input.storage_descriptor().unwrap();
        assert_eq!(storage.location(), Some(loaded.metadata.location()));
        assert_eq!(storage.columns()[1].r#type(), Some("timestamp"));
        let read = table(&expected);
        assert!(is_iceberg(&read));
        assert_eq!(pointer(&read), Some("s3://lake/m0"));
    }

    #[test]
    fn what_others_wrote_stays() {
        let metadata = loaded_at("m1").metadata;
        let mut written = new("sales", "m0", &metadata).unwrap().storage_descriptor.unwrap();
        let serde = SerDeInfo::builder().name("x").build();
        written.serde_info = Some(serde.clone());
        written.columns.as_mut().unwrap()[0].r#type = Some("stale".into());
        let entry = Table::builder()
            .name("sales")
            .description("by hand")
            .owner("me")
            .retention(3)
            .version_id("7")
            .storage_descriptor(written)
            .set_parameters(parameters(&[
                ("table_type", "ICEBERG"),
                ("metadata_location", "m0"),
                ("previous_metadata_location", "older"),
                ("trino_table_metadata_info_valid_for", "m0"),
            ]));
        let input = moved(&entry.build().unwrap(), "m0", "m1", &metadata).unwrap();
        let expected = [
            ("table_type", "ICEBERG"),
            ("metadata_location", "m1"),
            ("previous_metadata_location", "m0"),
            ("trino_table_metadata_info_valid_for", "m0"),
        ];
        assert_eq!(input.parameters, parameters(&expected));
        let kept = (input.description(), input.owner(), input.retention());
        assert_eq!(kept, (Some("by hand"), Some("me"), 3));
        let storage = input.storage_descriptor().unwrap();
        assert_eq!(storage.serde_info, Some(serde));
        assert_eq!(storage.columns()[0].r#type(), Some("string"));
    }

    #[test]
    fn other_tables_are_not_icebergs() {
        assert!(!is_iceberg(&table(&[("classification", "csv")])));
        assert!(!is_iceberg(&Table::builder().name("view").build().unwrap()));
        assert!(is_iceberg(&table(&[("table_type", "iceberg")])));
    }
}
