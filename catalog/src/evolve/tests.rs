//! Contracts applied to tables, beside writers that know nothing of it.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use tempfile::TempDir;
use weir_contract::class::ErrorClass;
use weir_contract::contract::{Field, FieldType};

use super::*;
use crate::session::{At, Session};
use crate::testing::{append, contract, done, lake, name, source};

/// The contract of the tests with a column more, a wider one, and a comment that changed.
fn next() -> Contract {
    let mut next = contract();
    next.version = "1.1.0".into();
    next.fields[4].kind = FieldType::Long;
    next.fields[5].description = "whether it was paid".into();
    next.fields.push(Field { name: "currency".into(), ..next.fields[0].clone() });
    next
}

async fn numbers(lake: &Lake, at: At, sql: &str) -> Vec<i64> {
    let answer = Session::open(lake, at).await.unwrap().sql(sql).await.unwrap();
    let batch = &answer.batches[0];
    batch.columns().iter().map(|c| c.as_primitive::<Int64Type>().value(0)).collect()
}

#[tokio::test]
async fn a_table_follows_its_contract_and_old_writers_go_on() {
    let folder = TempDir::new().unwrap();
    let lake = lake(&folder);
    assert!(!plan(&lake, &next()).await.unwrap().exists);
    let base = lake.ensure_raw(&contract(), &name()).await.unwrap();
    let old = done(append(&lake, base, "one", 0, 0, 10).await).base;
    let first = old.metadata().current_snapshot_id().unwrap();
    let error = lake.ensure_raw(&next(), &name()).await.unwrap_err();
    assert!(error.to_string().contains("weir contracts plan"), "{error}");

    let planned = plan(&lake, &next()).await.unwrap();
    let said: Vec<String> = planned.steps.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "widen column quantity from int to long",
            "document column paid",
            "add column currency (string)",
            "go from contract vending.sales@1.0.0 to vending.sales@1.1.0",
        ]
    );
    assert_eq!(apply(&lake, &next()).await.unwrap(), planned);
    let base = lake.ensure_raw(&next(), &name()).await.unwrap();
    assert_eq!(base.metadata().current_snapshot_id(), Some(first), "no snapshot was made");
    assert_eq!(base.metadata().properties()[key::CONTRACT], "vending.sales@1.1.0");
    assert!(apply(&lake, &next()).await.unwrap().steps.is_empty());

    // A writer whose base and contract are old: its files are, the schema stays the new one.
    let base = done(append(&lake, old, "two", 0, 10, 20).await).base;
    assert!(base.metadata().current_schema().field_by_name("currency").is_some());
    lake.ensure_raw(&contract(), &name()).await.unwrap();
    // One whose base is new and whose contract is old.
    let base = done(append(&lake, base, "three", 0, 20, 30).await).base;
    assert_eq!(base.progress().unwrap().head(&source(), 0), Some(30));

    let sql = "select count(*), count(currency), sum(_offset) from raw.vending_sales \
               where quantity is null";
    assert_eq!(numbers(&lake, At::Current, sql).await, [30, 0, 435]);
    // Time travel shows the schema of the time.
    let session = Session::open(&lake, At::Snapshot(first)).await.unwrap();
    let error = session.sql("select currency from raw.vending_sales").await.unwrap_err();
    assert!(error.to_string().contains("currency"), "{error}");
    assert_eq!(
        numbers(&lake, At::Snapshot(first), "select count(*) from raw.vending_sales").await,
        [10]
    );
}

#[tokio::test]
async fn what_cannot_be_done_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let lake = lake(&folder);
    let before = lake.ensure_raw(&contract(), &name()).await.unwrap().loaded.location;
    let mut wrong = next();
    wrong.fields[3].kind = FieldType::String;
    let planned = plan(&lake, &wrong).await.unwrap();
    assert_eq!(planned.refused[0].column.as_deref(), Some("voltage_v"));
    let error = apply(&lake, &wrong).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::BadConfig);
    assert!(error.to_string().contains("column voltage_v: it is double"), "{error}");
    assert_eq!(lake.table(&name()).await.unwrap().unwrap().loaded.location, before);
}

#[tokio::test]
async fn a_table_follows_the_order_of_its_contract() {
    let folder = TempDir::new().unwrap();
    let lake = lake(&folder);
    let base = lake.ensure_raw(&contract(), &name()).await.unwrap();
    assert!(base.metadata().default_sort_order().is_unsorted());
    done(append(&lake, base, "one", 0, 0, 10).await);
    // By a column, too, that comes with the same contract.
    let mut next = next();
    next.sorted_by = vec!["currency".into(), "quantity".into()];
    let said: Vec<String> =
        plan(&lake, &next).await.unwrap().steps.iter().map(ToString::to_string).collect();
    assert!(said.contains(&"sort the rows of an hour by currency, quantity".into()), "{said:?}");
    apply(&lake, &next).await.unwrap();
    let base = lake.table(&name()).await.unwrap().unwrap();
    let metadata = base.metadata();
    let order = metadata.default_sort_order();
    assert_eq!(sorted_by(metadata.current_schema(), order), next.sorted_by);
    assert_eq!(order.fields.len(), 4, "{order:?}");
    assert!(plan(&lake, &next).await.unwrap().steps.is_empty());
    next.sorted_by = Vec::new();
    let said = plan(&lake, &next).await.unwrap().steps;
    assert_eq!(said[0].to_string(), "sort the rows of an hour no more");
    apply(&lake, &next).await.unwrap();
    let base = lake.table(&name()).await.unwrap().unwrap();
    assert!(base.metadata().default_sort_order().is_unsorted());
    assert!(plan(&lake, &next).await.unwrap().steps.is_empty());
    // A new table has it from the start.
    next.sorted_by = vec!["counter".into()];
    next.id = "vending.other".into();
    let base = lake.ensure_raw(&next, &next.table()).await.unwrap();
    let order = base.metadata().default_sort_order();
    assert_eq!(sorted_by(base.metadata().current_schema(), order), ["counter"]);
}

#[tokio::test]
async fn numbers_of_narrow_files_are_found_by_wide_questions() {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch};

    let folder = TempDir::new().unwrap();
    let lake = lake(&folder);
    let mut base = lake.ensure_raw(&contract(), &name()).await.unwrap();
    let rows = |quantity: ArrayRef, from: i64| {
        let offsets: ArrayRef = Arc::new(Int64Array::from(vec![from, from + 1]));
        let batch = crate::testing::batch(0, from, from + 2);
        let mut columns: Vec<(String, ArrayRef)> = batch
            .schema()
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(f, c)| (f.name().clone(), c.clone()))
            .filter(|(name, _)| name != "_offset")
            .collect();
        columns.extend([("_offset".into(), offsets), ("quantity".into(), quantity)]);
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)))
            .unwrap()
    };
    // Narrow into narrow, narrow into wide (a writer with the old contract), wide into wide.
    let batches = [
        rows(Arc::new(Int32Array::from(vec![5, -7])), 0),
        rows(Arc::new(Int32Array::from(vec![i32::MAX, 6])), 2),
        rows(Arc::new(Int64Array::from(vec![1 << 40, 8])), 4),
    ];
    for (n, batch) in (0..).zip(batches) {
        if n == 1 {
            apply(&lake, &next()).await.unwrap();
            base = lake.table(&name()).await.unwrap().unwrap();
        }
        let schema = base.schema().unwrap();
        let mut encoder = lake.format.encoder(&schema, Some(crate::testing::DAY)).unwrap();
        encoder.write(&batch).unwrap();
        let added = vec![lake.put_data_file(&base, encoder.finish().unwrap()).await.unwrap()];
        let commit_id = format!("c{n}");
        let change =
            crate::commit::Change { commit_id, stage: "test", added, ..Default::default() };
        let steps = crate::testing::steps(0, n * 2, n * 2 + 2);
        base = done(crate::testing::advance(&lake, base, &change, &steps).await).base;
    }
    let cases = [
        ("quantity > 7", [3, 2_147_483_647 + (1 << 40) + 8]),
        ("quantity = -7", [1, -7]),
        ("quantity > 2147483647", [1, 1 << 40]),
        ("quantity between 5 and 8", [3, 19]),
    ];
    for (condition, expected) in cases {
        let sql =
            format!("select count(*), sum(quantity) from raw.vending_sales where {condition}");
        assert_eq!(numbers(&lake, At::Current, &sql).await, expected, "{condition}");
    }
}
