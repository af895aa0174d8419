//! Parquet files and what manifests say of them.

use arrow_array::builder::{Decimal128Builder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{
    BinaryArray, BooleanArray, Date32Array, Float64Array, Int32Array, StringArray,
    TimestampMicrosecondArray,
};
use bytes::Bytes;
use iceberg::spec::{Datum, PrimitiveLiteral};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use weir_contract::class::ErrorClass;

use super::*;
use crate::schema::raw_iceberg_schema;
use crate::testing::{DAY, batch, contract};

fn schema() -> TableSchema {
    TableSchema::new(Arc::new(raw_iceberg_schema(&contract()).unwrap())).unwrap()
}

fn encode(batches: &[RecordBatch], group_rows: usize) -> Encoded {
    let mut encoder = Box::new(
        ParquetEncoder::new(&schema(), Some(DAY), ParquetFormat::with_group_rows(group_rows))
            .unwrap(),
    );
    for batch in batches {
        encoder.write(batch).unwrap();
        assert!(encoder.memory() > 0);
    }
    encoder.finish().unwrap()
}

fn id(name: &str) -> i32 {
    schema().iceberg().field_by_name(name).unwrap().id
}

fn read(bytes: &Bytes) -> (RecordBatch, usize) {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).unwrap();
    let groups = builder.metadata().num_row_groups();
    let schema = builder.schema().clone();
    let batches: Vec<_> = builder.build().unwrap().map(|b| b.unwrap()).collect();
    (arrow::compute::concat_batches(&schema, &batches).unwrap(), groups)
}

fn strings(values: Vec<Option<String>>) -> RecordBatch {
    let column: ArrayRef = Arc::new(StringArray::from(values));
    RecordBatch::try_from_iter_with_nullable([(column::EVENT_ID, column, true)]).unwrap()
}

#[test]
fn rows_come_back_with_field_ids_and_absent_columns_null() {
    let encoded = encode(&[batch(1, 0, 10), batch(1, 10, 25)], 1 << 20);
    assert_eq!((encoded.rows(), encoded.day()), (25, Some(DAY)));
    let (rows, groups) = read(&encoded.bytes);
    assert_eq!((rows.num_rows(), groups, rows.num_columns()), (25, 1, 20));
    let offsets = rows.column_by_name(column::OFFSET).unwrap();
    let offsets = offsets.as_primitive::<arrow_array::types::Int64Type>();
    assert_eq!(offsets.values().to_vec(), (0..25).collect::<Vec<_>>());
    assert_eq!(rows.column_by_name(column::ERROR).unwrap().null_count(), 25);
    for field in rows.schema_ref().fields() {
        assert_eq!(field_id(field), Some(id(field.name())), "{}", field.name());
    }
}

#[test]
fn metrics_count_values_nulls_and_bytes_of_every_leaf() {
    let encoded = encode(&[batch(1, 5, 15), batch(1, 15, 25)], 8);
    let metrics = &encoded.metrics;
    assert_eq!(metrics.split_offsets.len(), 3);
    assert_eq!(metrics.split_offsets[0], 4);
    for name in ["event_id", "quantity", "_error.class", "_error.message", "_value", "_extra"] {
        assert_eq!(metrics.value_counts[&id(name)], 20, "{name}");
        let nulls = if name == "event_id" { 0 } else { 20 };
        assert_eq!(metrics.null_counts[&id(name)], nulls, "{name}");
        assert!(metrics.column_sizes[&id(name)] > 0, "{name}");
    }
    let bounds = |name| (&metrics.lower_bounds[&id(name)], &metrics.upper_bounds[&id(name)]);
    assert_eq!(bounds("_offset"), (&Datum::long(5), &Datum::long(24)));
    assert_eq!(bounds("voltage_v"), (&Datum::double(5.0), &Datum::double(24.0)));
    assert_eq!(bounds("event_id"), (&Datum::string("event 1/10"), &Datum::string("event 1/9")));
    let day = i64::from(DAY) * 86_400_000_000;
    assert_eq!(bounds("event_time").0, &Datum::timestamptz_micros(day + 5));
    let price = bounds("price").1;
    assert_eq!(price.literal(), &PrimitiveLiteral::Int128(240_025));
    assert_eq!(price.to_bytes().unwrap().to_vec(), vec![0x03, 0xA9, 0x99]);
    for name in ["quantity", "_value", "_error.class"] {
        assert!(!metrics.lower_bounds.contains_key(&id(name)), "{name}");
        assert!(!metrics.upper_bounds.contains_key(&id(name)), "{name}");
    }
}

#[test]
fn bounds_of_every_type_and_of_members_of_the_error() {
    let mut class = StringBuilder::new();
    let mut message = StringBuilder::new();
    for n in 0..3 {
        class.append_value(["missing", "bad_time", "not_json"][n]);
        message.append_value(format!("a message that is longer than sixteen characters {n}"));
    }
    let members: Vec<(Arc<Field>, ArrayRef)> = vec![
        (Arc::new(Field::new("class", DataType::Utf8, true)), Arc::new(class.finish())),
        (Arc::new(Field::new("message", DataType::Utf8, true)), Arc::new(message.finish())),
    ];
    let mut price = Decimal128Builder::new().with_precision_and_scale(18, 4).unwrap();
    [-5, 7, 0].into_iter().for_each(|v| price.append_value(v));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("quantity", Arc::new(Int32Array::from(vec![Some(-3), None, Some(9)]))),
        ("paid", Arc::new(BooleanArray::from(vec![true, false, true]))),
        ("day", Arc::new(Date32Array::from(vec![DAY, DAY - 1, DAY]))),
        ("price", Arc::new(price.finish())),
        ("voltage_v", Arc::new(Float64Array::from(vec![Some(-0.5), None, Some(230.0)]))),
        (
            "_kafka_time",
            Arc::new(TimestampMicrosecondArray::from(vec![1, 2, 3]).with_timezone("UTC")),
        ),
        ("_error", Arc::new(StructArray::from(members))),
        ("_value", Arc::new(BinaryArray::from_vec(vec![b"x", b"y", b"z"]))),
    ];
    let rows = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    );
    let metrics = encode(&[rows.unwrap()], 2).metrics;
    let bounds = |name| (&metrics.lower_bounds[&id(name)], &metrics.upper_bounds[&id(name)]);
    assert_eq!(bounds("quantity"), (&Datum::int(-3), &Datum::int(9)));
    assert_eq!(bounds("paid"), (&Datum::bool(false), &Datum::bool(true)));
    assert_eq!(bounds("day"), (&Datum::date(DAY - 1), &Datum::date(DAY)));
    assert_eq!(bounds("price").0.literal(), &PrimitiveLiteral::Int128(-5));
    assert_eq!(bounds("price").1.literal(), &PrimitiveLiteral::Int128(7));
    assert_eq!(bounds("voltage_v"), (&Datum::double(-0.5), &Datum::double(230.0)));
    assert_eq!(bounds("_kafka_time").1, &Datum::timestamptz_micros(3));
    assert_eq!(bounds("_error.class"), (&Datum::string("bad_time"), &Datum::string("not_json")));
    assert_eq!(bounds("_error.message").1, &Datum::string("a message that j"));
    assert_eq!(metrics.null_counts[&id("_value")], 0);
    assert!(!metrics.lower_bounds.contains_key(&id("_value")));
    assert_eq!(metrics.null_counts[&id("quantity")], 1);
}

#[test]
fn wide_decimals_have_bounds_too() {
    let mut wide = contract();
    wide.fields[2].kind = weir_contract::contract::FieldType::Decimal { precision: 38, scale: 2 };
    let table = TableSchema::new(Arc::new(raw_iceberg_schema(&wide).unwrap())).unwrap();
    let mut price = Decimal128Builder::new().with_precision_and_scale(38, 2).unwrap();
    let least = -12_345_678_901_234_567_890_123_456_789_i128;
    [least, 5, 255].into_iter().for_each(|v| price.append_value(v));
    let column: ArrayRef = Arc::new(price.finish());
    let rows = RecordBatch::try_from_iter_with_nullable([("price", column, true)]).unwrap();
    let mut encoder =
        Box::new(ParquetEncoder::new(&table, None, ParquetFormat::with_group_rows(2)).unwrap());
    encoder.write(&rows).unwrap();
    let metrics = encoder.finish().unwrap().metrics;
    let id = table.iceberg().field_by_name("price").unwrap().id;
    assert_eq!(metrics.lower_bounds[&id].literal(), &PrimitiveLiteral::Int128(least));
    assert_eq!(metrics.upper_bounds[&id].literal(), &PrimitiveLiteral::Int128(255));
}

#[test]
fn a_string_that_cannot_be_rounded_up_has_no_upper_bound() {
    let highest = "\u{10FFFF}".repeat(40);
    let metrics = encode(&[strings(vec![Some("a".into()), Some(highest)])], 1).metrics;
    assert_eq!(metrics.lower_bounds[&id("event_id")], Datum::string("a"));
    assert!(!metrics.upper_bounds.contains_key(&id("event_id")));
}

#[test]
fn columns_that_the_table_lacks_or_types_otherwise_are_refused() {
    let column: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    for name in ["stranger", "quantity"] {
        let rows = RecordBatch::try_from_iter_with_nullable([(name, column.clone(), true)]);
        let mut encoder = ParquetFormat::default().encoder(&schema(), None).unwrap();
        let error = encoder.write(&rows.unwrap()).unwrap_err();
        assert_eq!(error.class(), ErrorClass::BadConfig);
        assert!(error.to_string().contains(name), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn string_bounds_enclose_every_value_over_several_row_groups(
        values in prop::collection::vec(
            prop::option::of(prop_oneof![
                "[a-c]{0,4}",
                "[a-z]{60,130}",
                "[\u{e4}\u{20ac}\u{1F600}z]{10,40}",
                any::<String>(),
            ]),
            2..60,
        ),
        group_rows in 1usize..20,
    ) {
        let metrics = encode(&[strings(values.clone())], group_rows).metrics;
        let field = id("event_id");
        let nulls = values.iter().filter(|v| v.is_none()).count() as u64;
        prop_assert_eq!(metrics.null_counts[&field], nulls);
        let text = |datum: &Datum| match datum.literal() {
            PrimitiveLiteral::String(text) => text.clone(),
            other => panic!("{other:?}"),
        };
        let lower = metrics.lower_bounds.get(&field).map(text);
        let upper = metrics.upper_bounds.get(&field).map(text);
        prop_assert_eq!(lower.is_some(), nulls < values.len() as u64);
        for value in values.iter().flatten() {
            prop_assert!(lower.as_ref().is_some_and(|lower| lower.as_bytes() <= value.as_bytes()));
            prop_assert!(upper.as_ref().is_none_or(|upper| upper.as_bytes() >= value.as_bytes()));
        }
        for bound in [&lower, &upper].into_iter().flatten() {
            prop_assert!(bound.chars().count() <= 16);
        }
    }
}
