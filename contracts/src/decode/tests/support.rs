//! Contracts made by hand, and rows made readable.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};

use crate::class::RejectClass;
use crate::contract::*;
use crate::decode::{Chunk, Decoder, Outcome, Record};

/// 2026-11-21T10:15:30.123Z.
pub const NOW_MS: i64 = 1_795_256_130_123;
pub const NOW_US: i64 = NOW_MS * 1000;

/// A column that may be absent and hold anything.
pub fn field(name: &str, path: &str, kind: FieldType) -> Field {
    let path = match path.split_once('.') {
        Some((object, member)) => Path { object: Some(object.into()), member: member.into() },
        None => Path { object: None, member: path.into() },
    };
    let allowed = Allowed::default();
    Field {
        name: name.into(),
        path,
        kind,
        required: Requirement::Never,
        allowed,
        hashed: false,
        description: String::new(),
    }
}

pub fn contract(fields: Vec<Field>, event_types: &[&str]) -> Contract {
    Contract {
        id: "test".into(),
        version: "1.2.3".into(),
        fields,
        event_types: event_types.iter().map(|t| t.to_string()).collect(),
        ..Contract::default()
    }
}

/// A contract with every type and every rule.
pub fn sample() -> Contract {
    use FieldType::*;
    let money = Decimal { precision: 18, scale: 4 };
    let mut contract = contract(
        vec![
            field("event_id", "id", String),
            field("machine_id", "subject", String),
            field("event_type", "type", String),
            field("event_time", "time", Timestamp),
            field("site_id", "siteid", String),
            field("power", "data.power", String),
            field("voltage_v", "data.voltage_v", Double),
            field("count", "data.count", Int),
            field("level", "data.level", Int),
            field("total", "data.total", Long),
            field("price", "data.price", money),
            field("open", "data.open", Boolean),
            field("since", "data.since", Date),
            field("seen_at", "data.seen_at", Timestamp),
            field("detail", "data.detail", Json),
            field("amount", "amount", Decimal { precision: 38, scale: 10 }),
        ],
        &["t.a", "t.b"],
    );
    let mut change = |name: &str, change: &dyn Fn(&mut Field)| {
        let index = contract.index_of(name).unwrap();
        change(&mut contract.fields[index]);
    };
    for name in ["event_id", "event_type", "machine_id", "event_time"] {
        change(name, &|f| f.required = Requirement::Always);
    }
    change("voltage_v", &|f| {
        f.required = Requirement::For(vec![0]);
        f.allowed.minimum = Some(Bound::Double(0.0));
        f.allowed.maximum = Some(Bound::Double(300.5));
    });
    change("price", &|f| {
        f.required = Requirement::For(vec![1]);
        f.allowed.minimum = Some(Bound::Exact(-10_000));
        f.allowed.maximum = Some(Bound::Exact(123_456_789_012_345_678));
    });
    change("count", &|f| {
        f.allowed.minimum = Some(Bound::Exact(-5));
        f.allowed.maximum = Some(Bound::Exact(i32::MAX.into()));
    });
    change("level", &|f| f.allowed.values = ["1", "2", "30"].map(str::to_owned).to_vec());
    change("power", &|f| f.allowed.values = ["mains", "battery"].map(str::to_owned).to_vec());
    change("site_id", &|f| (f.allowed.length_min, f.allowed.length_max) = (Some(2), Some(5)));
    contract
}

/// A record of type `t.a` that the sample contract accepts, with `more` members behind `data`'s
/// first one.
pub fn event(more: &str) -> String {
    let envelope = r#""id":"e1","subject":"m1","type":"t.a","time":"2026-11-21T10:15:30.123Z""#;
    format!(r#"{{{envelope},"data":{{"voltage_v":229.5{more}}}}}"#)
}

pub fn record(value: Option<&[u8]>) -> Record<'_> {
    Record { partition: 3, offset: 17, timestamp_ms: Some(NOW_MS), key: None, value, headers: &[] }
}

/// One row of a chunk.
pub struct Row {
    pub outcome: Outcome,
    pub chunk: Chunk,
}

impl Row {
    pub fn cell(&self, column: &str) -> Option<String> {
        cell(self.chunk.batch.column_by_name(column).unwrap(), 0)
    }

    pub fn error(&self, member: &str) -> Option<String> {
        let errors = self.chunk.batch.column_by_name("_error").unwrap().as_struct();
        if errors.is_null(0) { None } else { cell(errors.column_by_name(member).unwrap(), 0) }
    }
}

/// Decodes one record alone.
pub fn decode(contract: &Contract, record: &Record<'_>) -> Row {
    let mut decoder = Decoder::new(Arc::new(contract.clone()), "0123456789ab");
    let outcome = decoder.push(record);
    assert_eq!(decoder.rows(), 1);
    assert!(decoder.bytes() > 0);
    let chunk = decoder.finish(NOW_US + 5);
    assert_eq!((decoder.rows(), decoder.bytes()), (0, 0));
    assert_eq!((chunk.batch.num_rows(), chunk.days.len()), (1, 1));
    Row { outcome, chunk }
}

/// The row of a value that comes after others, which the decoder has learned from.
pub fn decode_after(contract: &Contract, earlier: &[String], text: &str) -> RecordBatch {
    let mut decoder = Decoder::new(Arc::new(contract.clone()), "0123456789ab");
    for earlier in earlier {
        decoder.push(&record(Some(earlier.as_bytes())));
    }
    decoder.push(&record(Some(text.as_bytes())));
    decoder.finish(NOW_US + 5).batch.slice(earlier.len(), 1)
}

/// Decodes one value under the sample contract.
pub fn decode_text(text: &str) -> Row {
    decode(&sample(), &record(Some(text.as_bytes())))
}

/// A value as exact text: doubles by their bits, decimals unscaled, times in their unit.
pub fn cell(array: &dyn Array, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    Some(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::Binary => format!("{:?}", array.as_binary::<i32>().value(row)),
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Date32 => array.as_primitive::<Date32Type>().value(row).to_string(),
        DataType::Float64 => format!("{:?}", array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value(row).to_string(),
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if &**zone == "UTC" => {
            array.as_primitive::<TimestampMicrosecondType>().value(row).to_string()
        }
        other => panic!("no text for {other}"),
    })
}

/// The contract columns of a row.
pub fn cells(batch: &RecordBatch, columns: usize, row: usize) -> Vec<Option<String>> {
    (0..columns).map(|c| cell(batch.column(c), row)).collect()
}

/// Value, class, field, and a part of the message.
pub type Case<'a> = (&'a str, RejectClass, Option<&'a str>, &'a str);

/// Each value alone makes one row, rejected for this reason.
pub fn check(contract: &Contract, cases: &[Case<'_>]) {
    for (text, class, path, part) in cases {
        let row = decode(contract, &record(Some(text.as_bytes())));
        assert_eq!(row.outcome, Outcome::Rejected(*class), "{text}");
        assert_eq!(decode_after(contract, &[event("")], text), row.chunk.batch, "{text}");
        assert_eq!((row.chunk.rejected, row.chunk.days[0]), (1, None), "{text}");
        assert_eq!(row.error("class").as_deref(), Some(class.name()), "{text}");
        assert_eq!(row.error("field").as_deref(), *path, "{text}");
        let message = row.error("message").unwrap();
        assert!(message.contains(part), "{text}: {message}");
        for field in &contract.fields {
            assert_eq!(row.cell(&field.name), None, "{text}: {}", field.name);
        }
        assert_eq!(row.cell("_value"), Some(format!("{:?}", text.as_bytes())));
        assert_eq!(row.cell("_headers"), Some(format!("{:?}", b"[]")));
        assert_eq!(row.error("contract_version").as_deref(), Some("1.2.3"));
    }
}

/// [`event`] with more members in `data`.
pub fn data(more: &str) -> String {
    event(&format!(",{more}"))
}
