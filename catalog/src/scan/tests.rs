//! Queries over small lakes that others have meddled with, against what must come out.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use iceberg::TableUpdate;
use iceberg::spec::{NestedField, PrimitiveType, Schema, Type};
use weir_contract::names::column;

use crate::foreign::{
    accepted_file, current, delete_positions, file, foreign, ingest, lake, rows, short, update,
};
use crate::session::{At, Session};
use crate::{Base, Lake};

/// The one number that a query gives.
async fn number(lake: &Lake, at: At, sql: &str) -> i64 {
    let answer = Session::open(lake, at).await.unwrap().sql(sql).await.unwrap();
    let column = answer.batches[0].column(0);
    arrow::compute::cast(column, &arrow::datatypes::DataType::Int64)
        .unwrap()
        .as_primitive::<Int64Type>()
        .value(0)
}

async fn plan(lake: &Lake, sql: &str) -> String {
    let session = Session::open(lake, At::Current).await.unwrap();
    let answer = session.sql(&format!("explain {sql}")).await.unwrap();
    arrow::util::pretty::pretty_format_batches(&answer.batches).unwrap().to_string()
}

/// Tables of which only this process can read the files that a query needs.
async fn unportable_of(lake: &Lake, sql: &str) -> Vec<String> {
    let context = crate::session::over(lake, &Default::default()).unwrap();
    let table = super::IcebergProvider::new(lake, &current(lake).await, None).unwrap();
    context.register_table("t", Arc::new(table)).unwrap();
    let frame = context.sql(sql).await.unwrap();
    let found = super::unportable(&frame.create_physical_plan().await.unwrap());
    found.iter().map(ToString::to_string).collect()
}

async fn count(lake: &Lake, condition: &str) -> i64 {
    number(lake, At::Current, &format!("select count(*) from vending_sales where {condition}"))
        .await
}

#[tokio::test]
async fn counting_all_rows_reads_nothing() {
    let (_folder, lake, _) = lake().await;
    ingest(&lake, 0, 0, 10, &[3], &[5]).await;
    let sql = "select count(*) from raw.vending_sales";
    assert_eq!(number(&lake, At::Current, sql).await, 9);
    let plan = plan(&lake, sql).await;
    assert!(!plan.contains("DataSourceExec"), "{plan}");
    let limited = "select count(*) from (select * from vending_sales limit 4)";
    assert_eq!(number(&lake, At::Current, limited).await, 4);
}

#[tokio::test]
async fn filters_give_what_a_full_scan_gives() {
    let (_folder, lake, _) = lake().await;
    for from in [0, 10, 20, 30] {
        ingest(&lake, 0, from, from + 10, &[from + 3], &[]).await;
    }
    // `+ 0` and `|| ''` hide the column from every kind of skipping.
    let cases = [
        ("counter = 17", "counter + 0 = 17"),
        ("counter between 8 and 21", "counter + 0 between 8 and 21"),
        ("counter in (1, 2, 13, 39)", "counter + 0 in (1, 2, 13, 39)"),
        ("counter <> 17 and not counter > 25", "counter + 0 <> 17 and not counter + 0 > 25"),
        ("cast(counter as boolean) = false", "counter + 0 = 0"),
        ("cast(voltage_v as bigint) = 12", "cast(voltage_v + 0 as bigint) = 12"),
        ("cast(voltage_v as float) = cast(12.5 as float)", "voltage_v + 0 = 12.5"),
        ("event_id like 'event 0/1%'", "event_id || '' like 'event 0/1%'"),
        ("event_id > 'event 0/25'", "event_id || '' > 'event 0/25'"),
        ("event_time is null", "event_time + interval '0 days' is null"),
        ("_error is not null", "_offset % 10 = 3"),
        (
            "event_time >= timestamp '2026-11-21T00:00:00.000020Z'",
            "event_time + interval '0 days' >= timestamp '2026-11-21T00:00:00.000020Z'",
        ),
        ("event_time < timestamp '2026-11-21T00:00:00Z'", "false"),
        ("date_trunc('day', event_time) = timestamp '2026-11-21T00:00:00Z'", "_error is null"),
    ];
    for (condition, full) in cases {
        let (fast, slow) = (count(&lake, condition).await, count(&lake, full).await);
        assert_eq!(fast, slow, "{condition}");
    }
    assert_eq!(count(&lake, "counter = 17").await, 1, "the test itself compares something");
}

#[tokio::test]
async fn files_that_cannot_match_are_not_planned() {
    let (_folder, lake, _) = lake().await;
    for from in [0, 10, 20, 30] {
        ingest(&lake, 0, from, from + 10, &[from + 3], &[]).await;
    }
    let files = async |condition: &str| {
        let sql = format!("select event_id from vending_sales where {condition}");
        plan(&lake, &sql).await.matches(".parquet").count()
    };
    assert_eq!(files("counter = 17").await, 1);
    assert_eq!(files("event_time is null").await, 4, "the null partition only");
    assert_eq!(files("event_time > timestamp '2026-11-21T00:00:00Z'").await, 4);
    assert_eq!(files("event_time > timestamp '2026-11-22T00:00:00Z'").await, 0);
    assert_eq!(files("cast(counter as boolean) = false").await, 8, "a cast decides nothing");
}

#[tokio::test]
async fn rows_deleted_by_position_do_not_come_back() {
    let (_folder, lake, _) = lake().await;
    ingest(&lake, 0, 0, 5, &[], &[]).await;
    ingest(&lake, 1, 0, 5, &[], &[]).await;
    let victim = accepted_file(&lake, 0).await;
    assert!(unportable_of(&lake, "SELECT * FROM t").await.is_empty());
    delete_positions(&lake, &victim, &[1, 3]).await;
    assert_eq!(unportable_of(&lake, "SELECT * FROM t").await, ["raw.vending_sales"]);
    let all = "select count(*) from vending_sales";
    assert_eq!(number(&lake, At::Current, all).await, 8);
    assert_eq!(count(&lake, "_kafka_partition = 1 and counter > 0").await, 2);
    let sum = "select sum(_offset) from vending_sales where _kafka_partition = 1";
    assert_eq!(number(&lake, At::Current, sum).await, 6);
    let session = Session::open(&lake, At::Current).await.unwrap();
    let rows = session
        .sql("select * from vending_sales order by _kafka_partition, _offset")
        .await
        .unwrap();
    assert_eq!(rows.batches.iter().map(|b| b.num_rows()).sum::<usize>(), 8);
}

/// Commits a schema made from the current one.
async fn evolve(lake: &Lake, change: impl Fn(&mut Vec<Arc<NestedField>>)) -> Base {
    let base = current(lake).await;
    let schema = base.metadata().current_schema();
    let mut fields = schema.as_struct().fields().to_vec();
    change(&mut fields);
    let schema = Schema::builder()
        .with_schema_id(schema.schema_id() + 1)
        .with_fields(fields)
        .build()
        .unwrap();
    let updates =
        vec![TableUpdate::AddSchema { schema }, TableUpdate::SetCurrentSchema { schema_id: -1 }];
    update(lake, &base, updates).await
}

fn long(id: i32, name: &str) -> Arc<NestedField> {
    NestedField::optional(id, name, Type::Primitive(PrimitiveType::Long)).into()
}

#[tokio::test]
async fn columns_are_found_by_id_whatever_their_names() {
    let (_folder, lake, base) = lake().await;
    ingest(&lake, 0, 0, 5, &[], &[]).await;
    let before = current(&lake).await.metadata().current_snapshot_id().unwrap();
    let last = base.metadata().last_column_id();
    evolve(&lake, |fields| fields.push(long(last + 1, "added"))).await;
    assert_eq!(count(&lake, "added is null").await, 5);

    evolve(&lake, |fields| {
        for field in fields.iter_mut().filter(|f| f.name == "counter") {
            *field = long(field.id, "renamed");
        }
    })
    .await;
    assert_eq!(count(&lake, "renamed >= 3").await, 2, "an old file, by the new name");

    evolve(&lake, |fields| {
        fields.retain(|f| f.name != "voltage_v");
        fields.push(long(last + 2, "voltage_v"));
        fields.push(long(last + 3, "counter"));
    })
    .await;
    assert_eq!(count(&lake, "voltage_v is null and counter is null").await, 5, "not the old ones");
    assert_eq!(count(&lake, "renamed = 4").await, 1);
    let plan = plan(&lake, "select renamed from vending_sales").await;
    assert!(plan.contains("IcebergReaderExec"), "{plan}");

    let then = At::Snapshot(before);
    assert_eq!(number(&lake, then, "select sum(counter) from vending_sales").await, 10);
}

#[tokio::test]
async fn unknown_rows_of_others_are_read_too() {
    let (_folder, lake, _) = lake().await;
    ingest(&lake, 0, 0, 2, &[], &[]).await;
    let added = file(&lake, &current(&lake).await, &rows(&short(), 0, &[7], false)).await;
    foreign(&lake, vec![added], &[]).await;
    let sql = format!("select max({}) from vending_sales", column::OFFSET);
    assert_eq!(number(&lake, At::Current, &sql).await, 7);
}
