//! Small lakes for the tests of reading and verifying, and other engines that meddle with them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Fields, Schema as ArrowSchema};
use bytes::Bytes;
use iceberg::TableUpdate;
use iceberg::spec::{
    DataContentType, DataFileBuilder, DataFileFormat, MAIN_BRANCH, ManifestListWriter,
    ManifestWriterBuilder, NullOrder, Operation, PartitionSpec, Snapshot, SnapshotReference,
    SnapshotRetention, SortDirection, SortField, SortOrder, Struct, Summary, Transform,
};
use object_store::ObjectStoreExt;
use tempfile::TempDir;
use weir_contract::names::{SourceId, TableName, column};
use weir_contract::progress::{Step, Steps};

use crate::backend::Outcome;
use crate::commit::Change;
use crate::commit::prepare::add_totals;
use crate::files::NewFile;
use crate::manifests::{FileChange, write_snapshot};
use crate::scan::plan;
use crate::table::{Base, Lake};
use crate::testing::{self, DAY};

/// A fresh lake with one empty raw table.
pub async fn lake() -> (TempDir, Lake, Base) {
    let folder = TempDir::new().expect("a folder");
    let lake = testing::lake(&folder);
    let base = lake.ensure_raw(&testing::contract(), &testing::name()).await.expect("a table");
    (folder, lake, base)
}

pub fn short() -> String {
    testing::source().parse::<SourceId>().expect("a source id").short()
}

/// Rows of a partition, all accepted or all rejected, under the short source id `source`.
pub fn rows(source: &str, partition: i32, offsets: &[i64], rejected: bool) -> RecordBatch {
    let n = offsets.len();
    let text = |value: &str| Arc::new(StringArray::from(vec![value; n])) as ArrayRef;
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        (column::SOURCE, text(source)),
        (column::PARTITION, Arc::new(Int32Array::from(vec![partition; n]))),
        (column::OFFSET, Arc::new(Int64Array::from(offsets.to_vec()))),
    ];
    if rejected {
        let fields: Fields = column::ERROR_MEMBERS
            .iter()
            .map(|member| Field::new(*member, DataType::Utf8, true))
            .collect();
        let members = column::ERROR_MEMBERS.iter().map(|_| text("not_json")).collect();
        columns.push((column::ERROR, Arc::new(StructArray::new(fields, members, None))));
    } else {
        let ids = offsets.iter().map(|o| format!("event {partition}/{o}"));
        let times = offsets.iter().map(|o| i64::from(DAY) * 86_400_000_000 + o);
        let times = TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC");
        columns.push((column::EVENT_ID, Arc::new(StringArray::from_iter_values(ids))));
        columns.push((column::EVENT_TIME, Arc::new(times)));
        let volts = offsets.iter().map(|o| *o as f64 + 0.5);
        columns.push(("voltage_v", Arc::new(Float64Array::from_iter_values(volts))));
        columns.push(("counter", Arc::new(Int64Array::from(offsets.to_vec()))));
    }
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)))
        .expect("columns of one length")
}

/// A stored file of `batch`: of accepted rows if it has an event time.
pub async fn file(lake: &Lake, base: &Base, batch: &RecordBatch) -> NewFile {
    let day = batch.column_by_name(column::EVENT_TIME).map(|_| DAY);
    let mut encoder = lake.format.encoder(&base.schema().expect("schema"), day).expect("encoder");
    encoder.write(batch).expect("rows");
    lake.put_data_file(base, encoder.finish().expect("file")).await.expect("put")
}

/// Ingests offsets `from..until` of a partition, less `absent`, with `rejected` ones.
pub async fn ingest(
    lake: &Lake,
    partition: i32,
    from: i64,
    until: i64,
    rejected: &[i64],
    absent: &[i64],
) -> Base {
    let base = current(lake).await;
    let accepted: Vec<i64> =
        (from..until).filter(|o| !rejected.contains(o) && !absent.contains(o)).collect();
    let mut added = vec![file(lake, &base, &rows(&short(), partition, &accepted, false)).await];
    if !rejected.is_empty() {
        added.push(file(lake, &base, &rows(&short(), partition, rejected, true)).await);
    }
    let step = Step {
        from,
        until,
        rows: accepted.len() as i64,
        rejected: rejected.len() as i64,
        absent: absent.len() as i64,
        ..Step::default()
    };
    let steps: Steps = BTreeMap::from([(testing::source(), BTreeMap::from([(partition, step)]))]);
    let commit_id = format!("{partition}/{from}-{until}");
    let change = Change { commit_id, stage: "ingest", added, ..Change::default() };
    testing::done(testing::advance(lake, base, &change, &steps).await).base
}

/// Ingests offsets `from..until` of partition 0, all of them events of this day, in one file.
pub async fn ingest_on(lake: &Lake, from: i64, until: i64, day: i32) -> Base {
    ingest_in(lake, from, until, day, usize::MAX).await
}

/// The same in files of so many rows.
pub async fn ingest_in(lake: &Lake, from: i64, until: i64, day: i32, rows: usize) -> Base {
    let base = current(lake).await;
    let offsets: Vec<i64> = (from..until).collect();
    let mut added = Vec::new();
    for offsets in offsets.chunks(rows) {
        added.push(file_on(lake, &base, offsets, day).await);
    }
    let step = Step { from, until, rows: until - from, ..Step::default() };
    let steps: Steps = BTreeMap::from([(testing::source(), BTreeMap::from([(0, step)]))]);
    let change = Change {
        commit_id: format!("{from}-{until}"),
        stage: "ingest",
        added,
        ..Change::default()
    };
    testing::done(testing::advance(lake, base, &change, &steps).await).base
}

async fn file_on(lake: &Lake, base: &Base, offsets: &[i64], day: i32) -> NewFile {
    let batch = rows(&short(), 0, offsets, false);
    let times = offsets.iter().map(|o| i64::from(day) * 86_400_000_000 + o);
    let times = TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC");
    let at = batch.schema().index_of(column::EVENT_TIME).expect("a time");
    let mut columns = batch.columns().to_vec();
    columns[at] = Arc::new(times);
    let batch = RecordBatch::try_new(batch.schema(), columns).expect("columns of one length");
    let mut encoder =
        lake.format.encoder(&base.schema().expect("schema"), Some(day)).expect("encoder");
    encoder.write(&batch).expect("rows");
    lake.put_data_file(base, encoder.finish().expect("file")).await.expect("put")
}

pub async fn current(lake: &Lake) -> Base {
    lake.table(&testing::name()).await.expect("the catalog").expect("the table")
}

/// Commits `updates` as they are.
pub async fn update(lake: &Lake, base: &Base, updates: Vec<TableUpdate>) -> Base {
    match lake.backend.commit(&base.name, &base.loaded, updates).await {
        Outcome::Committed(loaded) => Base { name: base.name.clone(), loaded },
        other => panic!("{other:?}"),
    }
}

/// A commit of another engine: files come and go, nothing of Weir's is touched.
pub async fn foreign(lake: &Lake, added: Vec<NewFile>, removed: &[String]) -> Base {
    foreign_on(lake, current(lake).await, added, removed).await
}

/// The same on any table.
pub async fn foreign_on(lake: &Lake, base: Base, added: Vec<NewFile>, removed: &[String]) -> Base {
    let snapshot_id = lake.env.ids.snapshot_id();
    let change = FileChange { snapshot_id, added: &added, removed, cluster: false };
    let mut listed = write_snapshot(lake, &base, &change).await.expect("a snapshot");
    add_totals(&mut listed.summary, base.metadata().current_snapshot().map(|s| &**s));
    add_snapshot(lake, &base, snapshot_id, listed.location, listed.summary).await
}

/// Makes a manifest list the current snapshot, with a foreign summary.
pub async fn add_snapshot(
    lake: &Lake,
    base: &Base,
    snapshot_id: i64,
    manifest_list: String,
    summary: HashMap<String, String>,
) -> Base {
    let metadata = base.metadata();
    let snapshot = Snapshot::builder()
        .with_snapshot_id(snapshot_id)
        .with_parent_snapshot_id(metadata.current_snapshot_id())
        .with_sequence_number(metadata.next_sequence_number())
        .with_timestamp_ms(lake.env.clock.now_ms().max(metadata.last_updated_ms() + 1))
        .with_manifest_list(manifest_list)
        .with_summary(Summary { operation: Operation::Overwrite, additional_properties: summary })
        .with_schema_id(metadata.current_schema_id())
        .build();
    let updates = vec![TableUpdate::AddSnapshot { snapshot }, set_main(snapshot_id)];
    update(lake, base, updates).await
}

/// Moves the main branch.
pub fn set_main(snapshot_id: i64) -> TableUpdate {
    TableUpdate::SetSnapshotRef {
        ref_name: MAIN_BRANCH.into(),
        reference: SnapshotReference::new(snapshot_id, SnapshotRetention::branch(None, None, None)),
    }
}

/// The live data files of the current snapshot, in the order of their commits.
pub async fn live(lake: &Lake) -> Vec<plan::LiveFile> {
    live_of(lake, &current(lake).await).await
}

/// The same of any table.
pub async fn live_of(lake: &Lake, base: &Base) -> Vec<plan::LiveFile> {
    let snapshot = base.metadata().current_snapshot().expect("a snapshot").clone();
    let manifests = plan::manifests(lake, base, &snapshot).await.expect("manifests");
    let mut files = plan::data_files(&lake.io, manifests).await.expect("files");
    files.sort_by_key(|f| f.entry.sequence_number());
    files
}

/// The live file that holds accepted rows and was added last but `back`.
pub async fn accepted_file(lake: &Lake, back: usize) -> String {
    let files = live(lake).await;
    let mut accepted = files.iter().filter(|f| !f.path().contains("null"));
    accepted.nth_back(back).expect("a file").path().to_string()
}

/// Replaces a file by one with other rows, as a copy-on-write delete does.
pub async fn rewrite(lake: &Lake, path: &str, batch: &RecordBatch) -> Base {
    let new = file(lake, &current(lake).await, batch).await;
    foreign(lake, vec![new], &[path.to_string()]).await
}

/// Gives the table no partitioning and another order from now on; the new partitioning's id.
pub async fn repartition(lake: &Lake, order: &str) -> i32 {
    let base = current(lake).await;
    let schema = base.metadata().current_schema().clone();
    let spec = PartitionSpec::builder(schema.clone()).with_spec_id(9).build().expect("a spec");
    let field = schema.field_by_name(order).expect("a column");
    let sort = SortField::builder()
        .source_id(field.id)
        .transform(Transform::Identity)
        .direction(SortDirection::Ascending)
        .null_order(NullOrder::First)
        .build();
    let sort = SortOrder::builder().with_order_id(9).with_sort_field(sort).build(&schema);
    let updates = vec![
        TableUpdate::AddSpec { spec: spec.into_unbound() },
        TableUpdate::SetDefaultSpec { spec_id: -1 },
        TableUpdate::AddSortOrder { sort_order: sort.expect("an order") },
        TableUpdate::SetDefaultSortOrder { sort_order_id: -1 },
    ];
    update(lake, &base, updates).await.metadata().default_partition_spec_id()
}

/// Replaces a file by one with the same rows under a partitioning that has no columns.
pub async fn move_to_spec(lake: &Lake, path: &str, batch: &RecordBatch, spec_id: i32) -> Base {
    let mut new = file(lake, &current(lake).await, batch).await;
    new.file = DataFileBuilder::default()
        .content(DataContentType::Data)
        .file_path(new.file.file_path().to_string())
        .file_format(DataFileFormat::Parquet)
        .partition(Struct::empty())
        .partition_spec_id(spec_id)
        .record_count(new.file.record_count())
        .file_size_in_bytes(new.file.file_size_in_bytes())
        .build()
        .expect("a file");
    new.spec_id = spec_id;
    foreign(lake, vec![new], &[path.to_string()]).await
}

/// Deletes rows of a data file by position, as Spark and Trino do.
pub async fn delete_positions(lake: &Lake, path: &str, positions: &[i64]) -> Base {
    delete_positions_of(lake, &testing::name(), path, positions).await
}

/// The same of any table.
pub async fn delete_positions_of(
    lake: &Lake,
    table: &TableName,
    path: &str,
    positions: &[i64],
) -> Base {
    let base = lake.table(table).await.expect("the catalog").expect("the table");
    let metadata = base.metadata();
    let victim =
        live_of(lake, &base).await.into_iter().find(|f| f.path() == path).expect("the file");
    let bytes = position_deletes(path, positions);
    let folder = format!("{}/data", metadata.location());
    let location = format!("{folder}/deletes-{}.parquet", lake.env.ids.uuid());
    let size = bytes.len() as u64;
    lake.store
        .put(&lake.warehouse.object_path(&location).expect("path"), bytes.into())
        .await
        .expect("put");
    let deletes = DataFileBuilder::default()
        .content(DataContentType::PositionDeletes)
        .file_path(location)
        .file_format(DataFileFormat::Parquet)
        .partition(victim.entry.data_file().partition().clone())
        .partition_spec_id(victim.spec_id)
        .record_count(positions.len() as u64)
        .file_size_in_bytes(size)
        .build()
        .expect("a delete file");
    let snapshot_id = lake.env.ids.snapshot_id();
    let parent = metadata.current_snapshot().expect("a snapshot").clone();
    let mut manifests = plan::manifests(lake, &base, &parent).await.expect("manifests");
    let spec = metadata.partition_spec_by_id(victim.spec_id).expect("spec").as_ref().clone();
    let output = |name: &str| {
        let path = format!("{}/metadata/{name}-{}.avro", metadata.location(), lake.env.ids.uuid());
        lake.io.new_output(&path).expect("an output")
    };
    let mut writer = ManifestWriterBuilder::new(
        output("deletes"),
        Some(snapshot_id),
        metadata.current_schema().clone(),
        spec,
    )
    .build_v2_deletes();
    let sequence = metadata.next_sequence_number();
    writer.add_file(deletes, sequence).expect("an entry");
    manifests.push(writer.write_manifest_file().await.expect("a manifest"));
    let list = output("snap");
    let location = list.location().to_string();
    let mut writer = ManifestListWriter::v2(
        list.writer().await.expect("a writer"),
        snapshot_id,
        Some(parent.snapshot_id()),
        sequence,
    );
    writer.add_manifests(manifests.into_iter()).expect("a list");
    writer.close().await.expect("a list");
    add_snapshot(lake, &base, snapshot_id, location, HashMap::new()).await
}

fn position_deletes(path: &str, positions: &[i64]) -> Bytes {
    let field = |name: &str, kind, id: &str| {
        Field::new(name, kind, false)
            .with_metadata(HashMap::from([("PARQUET:field_id".to_string(), id.to_string())]))
    };
    let schema = Arc::new(ArrowSchema::new(vec![
        field("file_path", DataType::Utf8, "2147483546"),
        field("pos", DataType::Int64, "2147483545"),
    ]));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![path; positions.len()])),
        Arc::new(Int64Array::from(positions.to_vec())),
    ];
    let batch = RecordBatch::try_new(schema.clone(), columns).expect("a batch");
    let mut bytes = Vec::new();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(&mut bytes, schema, None).expect("a writer");
    writer.write(&batch).expect("rows");
    writer.close().expect("a file");
    bytes.into()
}
