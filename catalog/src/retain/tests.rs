//! Retention of real tables: what goes is counted, what stays is the same.

use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampMicrosecondArray};
use iceberg::spec::Operation;
use tempfile::TempDir;
use weir_contract::class::ErrorClass;
use weir_contract::contract::Division;

use super::*;
use crate::foreign::{self, current, ingest, short};
use crate::maintain::{Maintain, MaintainOptions};
use crate::testing::{self, DAY, name};
use crate::verify::{VerifyOptions, verify};

const DAY_US: i64 = 86_400_000_000;

fn contract(rows: Option<u32>, rejects: Option<u32>) -> Contract {
    let keep = Keep { rows_days: rows, rejects_days: rejects };
    Contract { keep, ..testing::contract() }
}

fn now_day(lake: &Lake) -> i64 {
    lake.env.clock.now_ms().div_euclid(86_400_000)
}

/// Days from the day of the test data on, so that it is past a retention of that many days.
fn age(lake: &Lake) -> u32 {
    u32::try_from(now_day(lake) - i64::from(DAY)).unwrap()
}

async fn retain(lake: &Lake, contract: &Contract, dry_run: bool) -> Report {
    let retain = Retain { lake, table: name(), contract, dry_run, shutdown: Arc::default() };
    let (report, result) = retain.run().await;
    result.unwrap();
    report
}

async fn clean(lake: &Lake) {
    let report = verify(lake, &name(), &VerifyOptions::default()).await.unwrap();
    assert!(report.ok, "{report}");
}

fn counters(base: &Base) -> (i64, i64, i64) {
    let progress = base.progress().unwrap();
    let p = progress.sources[&testing::source()][&0];
    (p.rows, p.rejected, p.removed)
}

/// Rejected rows of partition 0 with these Kafka times (days ago; none: without), as one commit.
async fn rejects(lake: &Lake, from: i64, days_ago: &[Option<i64>]) -> Base {
    let base = current(lake).await;
    let offsets: Vec<i64> = (from..).take(days_ago.len()).collect();
    let batch = foreign::rows(&short(), 0, &offsets, true);
    let now_us = lake.env.clock.now_ms() * 1_000;
    let times = days_ago.iter().map(|days| days.map(|days| now_us - days * DAY_US));
    let kafka = TimestampMicrosecondArray::from_iter(times).with_timezone("UTC");
    let ingested =
        TimestampMicrosecondArray::from(vec![now_us; offsets.len()]).with_timezone("UTC");
    let names: Vec<String> = batch.schema().fields().iter().map(|f| f.name().clone()).collect();
    let columns = names.into_iter().zip(batch.columns().to_vec());
    let more: [(String, ArrayRef); 2] = [
        (column::KAFKA_TIME.into(), Arc::new(kafka)),
        (column::INGESTED_AT.into(), Arc::new(ingested)),
    ];
    let columns = columns.chain(more).map(|(name, array)| (name, array, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let added = vec![foreign::file(lake, &base, &batch).await];
    let until = from + offsets.len() as i64;
    let step =
        weir_contract::progress::Step { from, until, rejected: until - from, ..Default::default() };
    let steps = BTreeMap::from([(testing::source(), BTreeMap::from([(0, step)]))]);
    let change = Change {
        commit_id: format!("rejects {from}"),
        stage: "ingest",
        added,
        ..Change::default()
    };
    testing::done(testing::advance(lake, base, &change, &steps).await).base
}

#[tokio::test]
async fn days_go_as_a_whole_and_are_counted() {
    let (_folder, lake, _) = foreign::lake().await;
    ingest(&lake, 0, 0, 10, &[3], &[]).await;
    ingest(&lake, 0, 10, 20, &[], &[12]).await;
    let young = contract(Some(age(&lake) + 1), None);
    assert_eq!(retain(&lake, &young, false).await.files, 0);
    let old = contract(Some(age(&lake) - 1), None);
    let before = current(&lake).await.loaded.location;
    let dry = retain(&lake, &old, true).await;
    assert_eq!((dry.rows, dry.rejected, dry.files, dry.commits), (18, 0, 2, 0));
    assert_eq!(current(&lake).await.loaded.location, before);

    let done = retain(&lake, &old, false).await;
    assert_eq!((done.rows, done.rejected, done.files, done.commits), (18, 0, 2, 1), "{done:?}");
    let base = current(&lake).await;
    assert_eq!(counters(&base), (0, 1, 18), "the rejected row stays");
    let summary = base.metadata().current_snapshot().unwrap().summary().clone();
    assert_eq!(summary.operation, Operation::Delete);
    assert!(summary.additional_properties[key::REASON].contains("contract vending.sales@1.0.0"));
    assert_eq!(summary.additional_properties["total-records"], "1");
    clean(&lake).await;
    assert_eq!(retain(&lake, &old, false).await.commits, 0);
    // What comes late comes in, and goes with the next run.
    ingest(&lake, 0, 20, 25, &[], &[]).await;
    clean(&lake).await;
    assert_eq!(retain(&lake, &old, false).await.rows, 5);
    clean(&lake).await;
}

#[tokio::test]
async fn rejects_go_one_by_one_by_their_kafka_time() {
    let (_folder, lake, _): (TempDir, _, _) = foreign::lake().await;
    rejects(&lake, 0, &[Some(40), Some(5), None, Some(31)]).await;
    rejects(&lake, 4, &[Some(50), Some(60)]).await;
    rejects(&lake, 6, &[Some(1), None]).await;
    let contract = contract(None, Some(30));
    let dry = retain(&lake, &contract, true).await;
    assert_eq!((dry.rows, dry.rejected, dry.files, dry.rewritten), (0, 4, 2, 0));
    let done = retain(&lake, &contract, false).await;
    assert_eq!((done.rejected, done.files, done.rewritten, done.commits), (4, 2, 1, 1), "{done:?}");
    let base = current(&lake).await;
    assert_eq!(counters(&base), (0, 4, 4));
    let snapshot = base.metadata().current_snapshot().unwrap();
    assert_eq!(snapshot.summary().operation, Operation::Overwrite);
    // What was left of a file is as old as the file was.
    let files = foreign::live(&lake).await;
    assert_eq!(files[0].entry.sequence_number(), Some(1));
    clean(&lake).await;
    assert_eq!(retain(&lake, &contract, false).await.files, 0);
}

#[tokio::test]
async fn what_others_deleted_before_stays_their_finding() {
    let (_folder, lake, _) = foreign::lake().await;
    ingest(&lake, 0, 0, 10, &[], &[]).await;
    let victim = foreign::accepted_file(&lake, 0).await;
    foreign::delete_positions(&lake, &victim, &[4, 5]).await;
    let done = retain(&lake, &contract(Some(age(&lake) - 1), None), false).await;
    assert_eq!(done.rows, 8);
    assert_eq!(counters(&current(&lake).await), (2, 0, 8));
    let report = verify(&lake, &name(), &VerifyOptions::default()).await.unwrap();
    assert_eq!(report.findings.len(), 1, "{report}");
}

#[tokio::test]
async fn a_contract_without_retention_and_a_table_that_is_not_there() {
    let (_folder, lake, _) = foreign::lake().await;
    ingest(&lake, 0, 0, 10, &[3], &[]).await;
    assert_eq!(retain(&lake, &contract(None, None), false).await, Report::default());
    let (elsewhere, contract) = ("raw.elsewhere".parse().unwrap(), contract(Some(1), None));
    let retain = Retain {
        lake: &lake,
        table: elsewhere,
        contract: &contract,
        dry_run: false,
        shutdown: Arc::default(),
    };
    assert_eq!(retain.run().await.1.unwrap_err().class(), ErrorClass::BadConfig);
}

#[tokio::test]
async fn files_of_another_partitioning_are_read_left_alone_and_counted() {
    let (_folder, lake, base) = foreign::lake().await;
    let by_day = base.metadata().default_partition_spec_id();
    ingest(&lake, 0, 0, 10, &[], &[]).await;
    let spec_id = foreign::repartition(&lake, "counter").await;
    assert_ne!(spec_id, by_day);
    let victim = foreign::accepted_file(&lake, 0).await;
    let offsets: Vec<i64> = (0..10).collect();
    let same = foreign::rows(&short(), 0, &offsets, false);
    foreign::move_to_spec(&lake, &victim, &same, spec_id).await;
    // We go on by days, in the order that the other engine gave the table.
    for n in 1..5 {
        ingest(&lake, 0, n * 10, n * 10 + 10, &[], &[]).await;
    }
    let specs: Vec<i32> = foreign::live(&lake).await.iter().map(|file| file.spec_id).collect();
    assert_eq!(specs, [spec_id, by_day, by_day, by_day, by_day]);
    clean(&lake).await;
    let options = MaintainOptions { memory_bytes: 64 << 20, age_min: std::time::Duration::ZERO };
    let maintain = Maintain {
        lake: &lake,
        table: name(),
        options,
        dry_run: false,
        until_ms: None,
        shutdown: Arc::default(),
        listen: &mut |_| {},
    };
    let (report, result) = maintain.run().await;
    result.unwrap();
    assert_eq!((report.compaction.inputs, report.compaction.other_spec), (4, 1), "{report:?}");
    clean(&lake).await;
    let all = crate::session::Session::open(&lake, crate::session::At::Current).await.unwrap();
    let sum = all.sql("select sum(counter) as s from vending_sales").await.unwrap();
    let sum = arrow::compute::cast(sum.batches[0].column(0), &arrow::datatypes::DataType::Int64);
    let sum = sum.unwrap().as_primitive::<arrow::datatypes::Int64Type>().value(0);
    assert_eq!(sum, (0..50).sum::<i64>());
    // Everything is past its time; what is not in a day's file is told, not taken for nothing.
    let done = retain(&lake, &contract(Some(1), None), false).await;
    assert_eq!((done.rows, done.files, done.other_spec), (40, 1, 1), "{done:?}");
    assert_eq!(foreign::live(&lake).await.len(), 1);
    clean(&lake).await;
}

#[tokio::test]
async fn months_go_when_their_last_day_does() {
    let (_folder, lake, _) = foreign::lake().await;
    let by_month =
        |days| Contract { partitioned_by: Some(Division::Month), ..contract(Some(days), None) };
    // A file of a day, then one of a month of which it has the first day.
    let today = i32::try_from(now_day(&lake)).unwrap();
    let (first, last) = Division::Month.days_of(Division::Month.span_of(today - 70));
    foreign::ingest_on(&lake, 0, 10, first).await;
    crate::evolve::apply(&lake, &by_month(1)).await.unwrap();
    foreign::ingest_on(&lake, 10, 20, first).await;
    let days = |of: i32| u32::try_from(today - of).unwrap();
    let done = retain(&lake, &by_month(days(last)), false).await;
    assert_eq!((done.rows, done.files, done.other_spec), (10, 1, 0), "the day's: {done:?}");
    let done = retain(&lake, &by_month(days(last) - 1), false).await;
    assert_eq!((done.rows, done.files, done.other_spec), (10, 1, 0), "the month's: {done:?}");
    clean(&lake).await;
}
