//! Raw tables from contracts, as the design says.

use tempfile::TempDir;
use weir_contract::class::ErrorClass;

use super::*;
use crate::testing::{contract, lake, name};

#[tokio::test]
async fn a_raw_table_is_what_the_contract_and_the_design_say() {
    let folder = TempDir::new().unwrap();
    let lake = lake(&folder);
    let base = lake.ensure_raw(&contract(), &name()).await.unwrap();
    let metadata = base.metadata();
    let schema = metadata.current_schema();
    let names: Vec<_> = schema.as_struct().fields().iter().map(|f| f.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "event_id",
            "event_time",
            "price",
            "voltage_v",
            "quantity",
            "paid",
            "day",
            "counter",
            "_source",
            "_kafka_partition",
            "_offset",
            "_kafka_time",
            "_ingested_at",
            "_key",
            "_trace_id",
            "_extra",
            "_error",
            "_value",
            "_headers",
            "_rev",
        ]
    );
    // Spark reads no column that has the name of one of Iceberg's own metadata columns.
    let theirs = ["_file", "_pos", "_deleted", "_spec_id", "_partition", "_row_id"];
    let changes = ["_change_type", "_change_ordinal", "_commit_snapshot_id"];
    let sequence = "_last_updated_sequence_number";
    let taken =
        |name: &&&str| theirs.contains(name) || changes.contains(name) || **name == sequence;
    assert_eq!(names.iter().find(taken), None);
    assert!(schema.as_struct().fields().iter().all(|f| !f.required && f.doc.is_some()));
    let types: Vec<_> =
        schema.as_struct().fields().iter().map(|f| f.field_type.to_string()).collect();
    assert_eq!(types[1..4], ["timestamptz", "decimal(18, 4)", "double"]);
    for member in column::ERROR_MEMBERS {
        assert!(schema.field_by_name(&format!("_error.{member}")).is_some(), "{member}");
    }
    let [by] = metadata.default_partition_spec().fields() else { panic!("one partition field") };
    assert_eq!((by.name.as_str(), by.transform), ("event_day", Transform::Day));
    assert_eq!(by.source_id, schema.field_by_name("event_time").unwrap().id);
    let warehouse = folder.path().canonicalize().unwrap().join("lake");
    let location = format!("file://{}/raw/vending_sales", warehouse.display());
    assert_eq!(metadata.location(), location);
    let properties = metadata.properties();
    assert_eq!(properties["weir.contract"], "vending.sales@1.0.0");
    assert_eq!(properties["write.metadata.compression-codec"], "gzip");
    assert_eq!(properties["comment"], "what was sold");
    // Athena's VACUUM and others who expire by age keep what the audit trail needs.
    for key in ["history.expire.max-snapshot-age-ms", "vacuum_max_snapshot_age_seconds"] {
        let age: i64 = properties[key].parse().unwrap();
        let age_s = if key.ends_with("-ms") { age / 1000 } else { age };
        assert!(age_s > 7 * 366 * 86_400, "{key}: {age}");
    }
    for key in ["history.expire.min-snapshots-to-keep", "vacuum_min_snapshots_to_keep"] {
        assert_eq!(properties[key], lake.options.snapshots_max.to_string());
    }
    // A second time: the same table.
    let again = lake.ensure_raw(&contract(), &name()).await.unwrap();
    assert_eq!(again.loaded.location, base.loaded.location);
    assert_eq!(lake.tables().await.unwrap(), [name()]);
}

#[tokio::test]
async fn a_table_that_lacks_or_changes_columns_is_refused_by_name() {
    let folder = TempDir::new().unwrap();
    let lake = lake(&folder);
    lake.ensure_raw(&contract(), &name()).await.unwrap();
    let mut other = contract();
    other.fields[4].kind = FieldType::Long;
    other.fields.push(weir_contract::contract::Field {
        name: "currency".into(),
        ..other.fields[0].clone()
    });
    let error = lake.ensure_raw(&other, &name()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::BadConfig);
    let text = error.to_string();
    assert!(text.contains("quantity is int, the contract says long"), "{text}");
    assert!(text.contains("column currency (string) is missing"), "{text}");
    // Columns that only the table has stay null.
    let mut fewer = contract();
    fewer.fields.remove(4);
    lake.ensure_raw(&fewer, &name()).await.unwrap();
}

#[test]
fn a_contract_without_event_time_makes_no_table() {
    let mut contract = contract();
    contract.fields.retain(|f| f.name != column::EVENT_TIME);
    let error = raw_iceberg_schema(&contract).unwrap_err();
    assert_eq!(error.class(), ErrorClass::BadConfig);
}

#[tokio::test]
async fn processes_that_create_a_table_at_once_get_the_same_one() {
    let folder = TempDir::new().unwrap();
    let lakes: Vec<_> = (0..4).map(|_| lake(&folder)).collect();
    let (contract, name) = (contract(), name());
    let made = lakes.iter().map(|lake| lake.ensure_raw(&contract, &name));
    let made = futures::future::try_join_all(made).await.unwrap();
    assert!(made.iter().all(|base| base.loaded.location == made[0].loaded.location));
}
