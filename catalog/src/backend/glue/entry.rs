//! A table's entry in Glue: what we write of it, and what others wrote that stays.

use iceberg::spec::TableMetadata;
use serde_json::{Map, Value, json};

use super::columns::{columns, cut};

const TABLE_TYPE: &str = "table_type";
const METADATA: &str = "metadata_location";
const PREVIOUS: &str = "previous_metadata_location";
const ICEBERG: &str = "ICEBERG";
/// Glue's bound of a description, bytes.
const DESCRIPTION_MAX: usize = 2048;
/// What `UpdateTable` takes of what `GetTable` gives, besides what we write.
const KEPT: [&str; 6] =
    ["Description", "Owner", "LastAnalyzedTime", "Retention", "PartitionKeys", "StorageDescriptor"];

/// Whether an entry is an Iceberg table.
pub(super) fn is_iceberg(entry: &Value) -> bool {
    let kind = entry["Parameters"][TABLE_TYPE].as_str();
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case(ICEBERG))
}

/// Where the entry's metadata file stands.
pub(super) fn pointer(entry: &Value) -> Option<&str> {
    entry["Parameters"][METADATA].as_str().filter(|location| !location.is_empty())
}

/// Where the table's files stand, as far as the entry says it.
pub(super) fn location(entry: &Value) -> Option<&str> {
    entry["StorageDescriptor"]["Location"].as_str().or_else(|| pointer(entry))
}

/// The input of a new table.
pub(super) fn new(name: &str, location: &str, metadata: &TableMetadata) -> Value {
    input(Map::new(), name, location, metadata)
}

/// The input that moves an entry from the metadata file `old` to `new`. What others wrote into it
/// stays: parameters, descriptions, comments, serde.
pub(super) fn moved(entry: &Value, old: &str, new: &str, metadata: &TableMetadata) -> Value {
    let kept = KEPT.iter().filter_map(|key| Some((key.to_string(), entry.get(key)?.clone())));
    let mut kept: Map<String, Value> = kept.collect();
    let parameters = entry["Parameters"].as_object().cloned().unwrap_or_default();
    kept.insert("Parameters".into(), parameters.into());
    let name = entry["Name"].as_str().unwrap_or_default();
    let mut input = input(kept, name, new, metadata);
    input["Parameters"][PREVIOUS] = old.into();
    input
}

fn input(kept: Map<String, Value>, name: &str, location: &str, metadata: &TableMetadata) -> Value {
    let mut input = Value::Object(kept);
    input["Name"] = name.into();
    input["TableType"] = "EXTERNAL_TABLE".into();
    if let Some(comment) = metadata.properties().get("comment") {
        input["Description"] = cut(comment, DESCRIPTION_MAX).into();
    }
    if !input["Parameters"].is_object() {
        input["Parameters"] = json!({});
    }
    input["Parameters"][TABLE_TYPE] = ICEBERG.into();
    input["Parameters"][METADATA] = location.into();
    if !input["StorageDescriptor"].is_object() {
        input["StorageDescriptor"] = json!({});
    }
    let storage = &mut input["StorageDescriptor"];
    let found = storage["Columns"].as_array().cloned().unwrap_or_default();
    storage["Columns"] = columns(metadata, &found).into();
    storage["Location"] = metadata.location().into();
    input
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::loaded_at;

    #[test]
    fn a_new_entry_is_what_athena_and_the_java_writer_expect() {
        let loaded = loaded_at("s3://lake/m0");
        let input = new("sales", "s3://lake/m0", &loaded.metadata);
        assert_eq!(
            (&input["Name"], &input["TableType"]),
            (&json!("sales"), &json!("EXTERNAL_TABLE"))
        );
        assert_eq!(
            input["Parameters"],
            json!({"table_type": "ICEBERG", "metadata_location": "s3://lake/m0"})
        );
        assert_eq!(input["StorageDescriptor"]["Location"], loaded.metadata.location());
        assert_eq!(input["StorageDescriptor"]["Columns"][1]["Type"], "timestamp");
        assert!(is_iceberg(&input));
        assert_eq!(pointer(&input), Some("s3://lake/m0"));
    }

    #[test]
    fn what_others_wrote_stays() {
        let metadata = loaded_at("m1").metadata;
        let mut entry = new("sales", "m0", &metadata);
        entry["Parameters"]["trino_table_metadata_info_valid_for"] = "m0".into();
        entry["Parameters"]["previous_metadata_location"] = "older".into();
        entry["Description"] = "by hand".into();
        entry["StorageDescriptor"]["SerdeInfo"] = json!({"Name": "x"});
        entry["StorageDescriptor"]["Columns"][0]["Type"] = "stale".into();
        for (key, value) in
            [("VersionId", "7"), ("DatabaseName", "raw"), ("CatalogId", "1"), ("CreatedBy", "me")]
        {
            entry[key] = value.into();
        }
        let input = moved(&entry, "m0", "m1", &metadata);
        assert_eq!(
            input["Parameters"],
            json!({"table_type": "ICEBERG", "metadata_location": "m1",
                "previous_metadata_location": "m0", "trino_table_metadata_info_valid_for": "m0"})
        );
        assert_eq!(input["Description"], "by hand");
        assert_eq!(input["StorageDescriptor"]["SerdeInfo"], json!({"Name": "x"}));
        assert_eq!(input["StorageDescriptor"]["Columns"][0]["Type"], "string");
        // What UpdateTable refuses.
        for key in ["VersionId", "DatabaseName", "CatalogId", "CreatedBy"] {
            assert!(input.get(key).is_none(), "{key}");
        }
    }

    #[test]
    fn other_tables_are_not_icebergs() {
        assert!(!is_iceberg(&json!({"Name": "hive", "Parameters": {"classification": "csv"}})));
        assert!(!is_iceberg(&json!({"Name": "view", "TableType": "VIRTUAL_VIEW"})));
        assert!(is_iceberg(&json!({"Parameters": {"table_type": "iceberg"}})));
    }
}
