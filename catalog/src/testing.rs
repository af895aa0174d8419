//! What the tests of this crate share: a contract, rows of it, lakes in temporary folders.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arrow_array::builder::{Decimal128Builder, StringBuilder, TimestampMicrosecondBuilder};
use arrow_array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch};
use futures::future::BoxFuture;
use iceberg::spec::{FormatVersion, SortOrder, TableMetadataBuilder, UnboundPartitionSpec};
use tempfile::TempDir;
use weir_contract::contract::{Allowed, Contract, Field, FieldType, Path, Requirement};
use weir_contract::names::{SourceId, TableName, column};
use weir_contract::progress::{Fence, Step, Steps, Verdict};

use crate::backend::Loaded;
use crate::commit::{Change, Committed, Decision, Receipt, commit};
use crate::env::{Clock, SystemClock};
use crate::error::Result;
use crate::files::NewFile;
use crate::schema::raw_iceberg_schema;
use crate::table::{Base, Lake, LakeOptions};

/// 2026-11-21.
pub const DAY: i32 = 20_778;

pub fn contract() -> Contract {
    let field = |name: &str, kind| Field {
        name: name.into(),
        path: Path { object: None, member: name.into() },
        kind,
        required: Requirement::Never,
        allowed: Allowed::default(),
        hashed: false,
        description: format!("the {name}"),
    };
    Contract {
        id: "vending.sales".into(),
        version: "1.0.0".into(),
        description: "what was sold".into(),
        fields: vec![
            field(column::EVENT_ID, FieldType::String),
            field(column::EVENT_TIME, FieldType::Timestamp),
            field("price", FieldType::Decimal { precision: 18, scale: 4 }),
            field("voltage_v", FieldType::Double),
            field("quantity", FieldType::Int),
            field("paid", FieldType::Boolean),
            field("day", FieldType::Date),
            field("counter", FieldType::Long),
        ],
        ..Contract::default()
    }
}

pub fn name() -> TableName {
    TableName::raw("vending.sales")
}

pub fn source() -> String {
    SourceId { cluster: "c1".into(), topic: "vending.sales".into(), topic_id: "t1".into() }
        .to_string()
}

/// Rows of offsets `from..until` of a partition, of one day.
pub fn batch(partition: i32, from: i64, until: i64) -> RecordBatch {
    let offsets: Vec<i64> = (from..until).collect();
    let mut ids = StringBuilder::new();
    let mut times = TimestampMicrosecondBuilder::new().with_timezone("UTC");
    let mut prices =
        Decimal128Builder::new().with_precision_and_scale(18, 4).expect("a valid decimal");
    for offset in &offsets {
        ids.append_value(format!("event {partition}/{offset}"));
        times.append_value(i64::from(DAY) * 86_400_000_000 + offset);
        prices.append_value(i128::from(*offset) * 10_000 + 25);
    }
    let columns: Vec<(&str, ArrayRef)> = vec![
        (column::EVENT_ID, Arc::new(ids.finish())),
        (column::EVENT_TIME, Arc::new(times.finish())),
        ("price", Arc::new(prices.finish())),
        ("voltage_v", Arc::new(Float64Array::from_iter_values(offsets.iter().map(|o| *o as f64)))),
        (column::PARTITION, Arc::new(Int32Array::from(vec![partition; offsets.len()]))),
        (column::OFFSET, Arc::new(Int64Array::from(offsets))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)))
        .expect("columns of one length")
}

/// Metadata of an empty table that stand at `location`.
pub fn loaded_at(location: &str) -> Loaded {
    let schema = raw_iceberg_schema(&contract()).expect("a schema");
    let spec = UnboundPartitionSpec::builder().build();
    let (order, folder) = (SortOrder::unsorted_order(), "s3://lake/raw/vending_sales".to_string());
    let built =
        TableMetadataBuilder::new(schema, spec, order, folder, FormatVersion::V2, HashMap::new())
            .and_then(TableMetadataBuilder::build)
            .expect("metadata");
    let metadata = Arc::new(built.metadata);
    Loaded { location: location.into(), metadata, refs: BTreeMap::new() }
}

/// The machine's clock, moved on by hand.
#[derive(Debug, Default)]
pub struct MovedClock(AtomicI64);

impl MovedClock {
    pub fn pass(&self, duration: Duration) {
        let ms = i64::try_from(duration.as_millis()).expect("a duration");
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for MovedClock {
    fn now_ms(&self) -> i64 {
        SystemClock.now_ms() + self.0.load(Ordering::Relaxed)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        SystemClock.sleep(duration)
    }
}

pub fn options() -> LakeOptions {
    LakeOptions { snapshots_max: 8, metadata_log_max: 3, ..LakeOptions::default() }
}

pub fn lake(folder: &TempDir) -> Lake {
    let warehouse = folder.path().join("lake");
    let catalog = folder.path().join("catalog.db");
    Lake::open_local(&warehouse, &catalog, "local", options()).expect("a lake")
}

/// An encoded and stored file with the rows of [`batch`].
pub async fn file(lake: &Lake, base: &Base, partition: i32, from: i64, until: i64) -> NewFile {
    let mut encoder =
        lake.format.encoder(&base.schema().expect("schema"), Some(DAY)).expect("encoder");
    encoder.write(&batch(partition, from, until)).expect("rows");
    lake.put_data_file(base, encoder.finish().expect("file")).await.expect("put")
}

pub fn steps(partition: i32, from: i64, until: i64) -> Steps {
    let rows = until - from;
    let step = Step { from, until, rows, rejected: 0, absent: 0, lost: 0, extra: 0, last: None };
    BTreeMap::from([(source(), BTreeMap::from([(partition, step)]))])
}

/// Commits `change` with `steps` as ingest does.
pub async fn advance(
    lake: &Lake,
    base: Base,
    change: &Change,
    steps: &Steps,
) -> Result<Committed<Vec<Fence>>> {
    commit(
        lake,
        base,
        change,
        &mut |_, progress| match progress.advance(&change.commit_id, steps) {
            Verdict::Apply(next) => Decision::Advance(next),
            Verdict::Fenced(fences) => Decision::Decline(fences),
            other => panic!("{other:?}"),
        },
    )
    .await
}

/// Appends offsets `from..until` of a partition as commit `id`.
pub async fn append(
    lake: &Lake,
    base: Base,
    id: &str,
    partition: i32,
    from: i64,
    until: i64,
) -> Result<Committed<Vec<Fence>>> {
    let added = vec![file(lake, &base, partition, from, until).await];
    let change = Change { commit_id: id.into(), stage: "test", added, ..Change::default() };
    advance(lake, base, &change, &steps(partition, from, until)).await
}

/// The receipt, or what went wrong.
pub fn done(committed: Result<Committed<Vec<Fence>>>) -> Receipt {
    match committed.expect("a commit") {
        Committed::Done(receipt) => receipt,
        Committed::Declined(fences) => panic!("fenced: {fences:?}"),
    }
}
