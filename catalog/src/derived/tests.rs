//! Builds of derived tables on a lake of one folder.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Decimal128Array, Int64Array, StringViewArray, UInt64Array};
use arrow_schema::DataType;
use futures::stream;
use weir_contract::class::ErrorClass;

use super::*;
use crate::session::{At, Session};
use crate::testing;

fn name() -> TableName {
    "mart.numbers".parse().unwrap()
}

fn column(name: &str, data_type: DataType) -> Column {
    Column { name: name.into(), data_type, doc: format!("The {name}.") }
}

fn build<'b>(columns: &'b [Column], until: i64) -> Build<'b> {
    let root =
        Root { until: [("c/t/i".to_string(), [(0, until)].into())].into(), ..Root::default() };
    let roots = [("raw.x".to_string(), root)].into();
    Build {
        model: "numbers",
        columns,
        description: "Numbers.",
        roots,
        sql_hash: "h".into(),
        complete_until_us: Some(until * 1_000_000),
        file_bytes: FILE_BYTES,
    }
}

fn batch(columns: &[Column], arrays: Vec<ArrayRef>) -> RecordBatch {
    let fields = columns.iter().zip(&arrays);
    let fields =
        fields.map(|(c, a)| arrow_schema::Field::new(&c.name, a.data_type().clone(), true));
    let schema = arrow_schema::Schema::new(fields.collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), arrays).unwrap()
}

async fn put(lake: &Lake, build: &Build<'_>, batches: Vec<RecordBatch>) -> Result<Receipt> {
    replace(lake, &name(), build, Old::All, stream::iter(batches.into_iter().map(Ok))).await
}

async fn sum(lake: &Lake, column: &str) -> i64 {
    let session = Session::open(lake, At::Current).await.unwrap();
    let sql = format!("select cast(sum({column}) as bigint) from mart.numbers");
    let answer = session.sql(&sql).await.unwrap();
    answer.batches[0].column(0).as_primitive::<Int64Type>().value(0)
}

#[tokio::test]
async fn each_build_is_one_snapshot_with_its_rows_and_its_vector() {
    let folder = tempfile::tempdir().unwrap();
    let lake = testing::lake(&folder);
    let columns = [column("n", DataType::UInt64), column("t", DataType::Utf8View)];
    let rows = |numbers: Vec<u64>| {
        let texts = numbers.iter().map(|n| Some(n.to_string())).collect::<StringViewArray>();
        vec![batch(&columns, vec![Arc::new(UInt64Array::from(numbers)), Arc::new(texts)])]
    };
    let first = put(&lake, &build(&columns, 10), rows(vec![1, 2])).await.unwrap();
    assert_eq!(sum(&lake, "n").await, 3);
    let second = put(&lake, &build(&columns, 20), rows(vec![5])).await.unwrap();
    assert_eq!(sum(&lake, "n").await, 5);
    let made = made(&second.base).unwrap();
    let derived = made.derived.unwrap();
    assert_eq!((derived.rows, derived.roots["raw.x"].until["c/t/i"][&0]), (1, 20));
    assert_eq!(made.sql_hash.as_deref(), Some("h"));
    assert_eq!(made.complete_until_us, Some(20_000_000));
    let metadata = second.base.metadata();
    assert_eq!(metadata.snapshots().len(), 2);
    let doc = metadata.current_schema().field_by_name("n").unwrap().doc.clone();
    assert_eq!(doc.as_deref(), Some("The n."));
    // Auditors see what stood before.
    let then = Session::open(&lake, At::Snapshot(first.snapshot_id)).await.unwrap();
    assert_eq!(then.sql("select * from mart.numbers").await.unwrap().batches[0].num_rows(), 2);
    // No rows at all are a build too.
    let none = put(&lake, &build(&columns, 30), Vec::new()).await.unwrap();
    assert_eq!(none.base.progress().unwrap().records(), 0);
    assert_eq!(
        none.base.progress().unwrap().derived.unwrap().roots["raw.x"].until["c/t/i"][&0],
        30
    );
}

#[tokio::test]
async fn columns_come_go_and_change_with_the_rows() {
    let folder = tempfile::tempdir().unwrap();
    let lake = testing::lake(&folder);
    let narrow = [column("n", DataType::Int64), column("old", DataType::Int64)];
    let numbers = |n: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![n])) };
    let rows = vec![batch(&narrow, vec![numbers(1), numbers(7)])];
    let first = put(&lake, &build(&narrow, 1), rows).await.unwrap();
    let money = DataType::Decimal128(18, 4);
    let wide = [column("new", money.clone()), column("n", DataType::Int64)];
    let price: ArrayRef =
        Arc::new(Decimal128Array::from(vec![25_000]).with_precision_and_scale(18, 4).unwrap());
    let second =
        put(&lake, &build(&wide, 2), vec![batch(&wide, vec![price, numbers(2)])]).await.unwrap();
    let id = |receipt: &Receipt, name: &str| {
        receipt.base.metadata().current_schema().field_by_name(name).map(|f| f.id)
    };
    assert_eq!(id(&first, "n"), id(&second, "n"));
    assert_eq!((id(&second, "old"), id(&second, "new")), (None, Some(3)));
    assert_eq!((sum(&lake, "n").await, sum(&lake, "new * 10").await), (2, 25));
    let then = Session::open(&lake, At::Snapshot(first.snapshot_id)).await.unwrap();
    let old = then.sql("select old from mart.numbers").await.unwrap();
    assert_eq!(old.batches[0].column(0).as_primitive::<Int64Type>().value(0), 7);
    // The type of a column becomes another: it is another column, by its id.
    let text = [column("n", DataType::Utf8View)];
    let value: ArrayRef = Arc::new(StringViewArray::from(vec!["x"]));
    let third = put(&lake, &build(&text, 3), vec![batch(&text, vec![value])]).await.unwrap();
    assert_eq!(id(&third, "n"), Some(4));
    assert_eq!(third.base.metadata().snapshots().len(), 3);
}

#[tokio::test]
async fn of_two_builds_at_once_one_is_fenced() {
    let folder = tempfile::tempdir().unwrap();
    let lake = testing::lake(&folder);
    let columns = [column("n", DataType::Int64)];
    let row = |n: i64| batch(&columns, vec![Arc::new(Int64Array::from(vec![n]))]);
    put(&lake, &build(&columns, 1), vec![row(1)]).await.unwrap();
    // The second build commits while the first still makes its rows.
    let rows = async {
        put(&lake, &build(&columns, 3), vec![row(3)]).await.unwrap();
        Ok(row(2))
    };
    let first = build(&columns, 2);
    let fenced = replace(&lake, &name(), &first, Old::All, stream::once(rows)).await.unwrap_err();
    assert_eq!(fenced.class(), ErrorClass::Retry);
    assert_eq!(sum(&lake, "n").await, 3);
    // A failure while rows are made leaves the table as it was.
    let broken = stream::iter([Ok(row(4)), Err(CatalogError::bad_data("no"))]);
    replace(&lake, &name(), &build(&columns, 4), Old::All, broken).await.unwrap_err();
    assert_eq!(sum(&lake, "n").await, 3);
}

#[tokio::test]
async fn files_are_replaced_one_by_one_unless_somebody_touched_them() {
    let folder = tempfile::tempdir().unwrap();
    let lake = testing::lake(&folder);
    let columns = [column("n", DataType::Int64)];
    let rows = |n: &[i64]| batch(&columns, vec![Arc::new(Int64Array::from(n.to_vec()))]);
    let first = Build { file_bytes: 1, ..build(&columns, 1) };
    let first = put(&lake, &first, vec![rows(&[1, 2]), rows(&[3])]).await.unwrap();
    let found = pieces(&lake, &first.base).await.unwrap().unwrap();
    assert_eq!(found.len(), 2, "each batch is a file");
    let (gone, stays) = (&found[..1], &found[1..]);
    let of = |until, base, files, n| {
        let (lake, build, rows) = (&lake, build(&columns, until), rows(n));
        async move {
            let rows = stream::iter([Ok(rows)]);
            replace(lake, &name(), &build, Old::Of(base, files), rows).await
        }
    };
    let second = of(2, &first.base, gone, &[10, 20]).await.unwrap();
    // Either file holds what sums up to 3.
    assert_eq!(sum(&lake, "n").await, 33);
    let derived = second.base.progress().unwrap().derived.unwrap();
    assert_eq!(derived.rows, 2 + stays[0].rows() as i64);
    // Rows that come are rows that stay, too.
    let third = of(3, &second.base, &[], &[100]).await.unwrap();
    assert_eq!(sum(&lake, "n").await, 133);
    // Another build came between.
    let late = of(4, &second.base, stays, &[7]).await.unwrap_err();
    assert_eq!(late.class(), ErrorClass::Retry);
    // Another engine deleted a row: what stays is no longer as a build made it.
    let found = pieces(&lake, &third.base).await.unwrap().unwrap();
    crate::foreign::delete_positions_of(&lake, &name(), found[0].path(), &[0]).await;
    let now = lake.derived(&name()).await.unwrap().unwrap();
    assert!(pieces(&lake, &now).await.unwrap().is_none());
    let touched = of(5, &third.base, &found, &[8]).await.unwrap_err();
    assert!(touched.message().contains("another engine changed files"), "{touched}");
}

#[tokio::test]
async fn a_table_that_is_not_a_model_s_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let lake = testing::lake(&folder);
    let contract = testing::contract();
    lake.ensure_raw(&contract, &name()).await.unwrap();
    let columns = [column("n", DataType::Int64)];
    let error = put(&lake, &build(&columns, 1), Vec::new()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::BadConfig);
    assert!(error.message().contains("was not made by a model"), "{error}");
}
