//! Compaction of real tables: the same rows in fewer files, beside writers who get in between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow::array::{AsArray, TimestampMicrosecondArray};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use iceberg::spec::{Literal, Operation, PrimitiveLiteral};
use tempfile::TempDir;
use weir_contract::contract::{Contract, Division};
use weir_contract::progress::Truth;

use super::super::{MaintainOptions, Report};
use super::*;
use crate::Lake;
use crate::env::{Clock, SystemClock};
use crate::evolve::apply;
use crate::foreign::{self, current, ingest, live, short};
use crate::scan::file::rows;
use crate::scan::plan::LiveFile;
use crate::testing::{self, DAY, name};
use crate::verify::{VerifyOptions, verify};

/// A lake whose table has `commits` commits of ten offsets each, one of them rejected.
async fn small_files(commits: i64) -> (TempDir, Lake) {
    let (folder, lake, _) = foreign::lake().await;
    for n in 0..commits {
        ingest(&lake, 0, n * 10, n * 10 + 10, &[n * 10 + 3], &[]).await;
    }
    (folder, lake)
}

fn options() -> MaintainOptions {
    MaintainOptions { memory_bytes: 64 << 20, age_min: std::time::Duration::ZERO }
}

async fn maintain_with(
    lake: &Lake,
    dry_run: bool,
    options: MaintainOptions,
    listen: &mut dyn FnMut(&MaintainEvent),
) -> Report {
    let maintain = Maintain {
        lake,
        table: name(),
        options,
        dry_run,
        until_ms: None,
        shutdown: Default::default(),
        listen,
    };
    let (report, result) = maintain.run().await;
    result.unwrap();
    report
}

async fn maintain(lake: &Lake) -> Report {
    maintain_with(lake, false, options(), &mut |_| {}).await
}

/// Partition and offset → (event time in µs, rejected), of everything that is read.
async fn contents(lake: &Lake) -> BTreeMap<(i32, i64), (Option<i64>, bool)> {
    let base = current(lake).await;
    let mut all = BTreeMap::new();
    for found in files(lake, &base, &Sought::ALL).await.unwrap() {
        let mut rows = rows(lake, &base, &found).await.unwrap();
        while let Some(batch) = rows.try_next().await.unwrap() {
            let column = |name: &str| batch.column_by_name(name).unwrap().clone();
            let (partitions, offsets) = (column(column::PARTITION), column(column::OFFSET));
            let times = column(column::EVENT_TIME);
            let times = times.as_primitive::<TimestampMicrosecondType>();
            for row in 0..batch.num_rows() {
                let time = times.iter().nth(row).flatten();
                let rejected = column(column::ERROR).is_valid(row);
                let offset = offsets.as_primitive::<Int64Type>().value(row);
                let place = (partitions.as_primitive::<Int32Type>().value(row), offset);
                assert!(all.insert(place, (time, rejected)).is_none(), "{place:?} twice");
            }
        }
    }
    all
}

async fn clean(lake: &Lake) {
    let report = verify(lake, &name(), &VerifyOptions::default()).await.unwrap();
    assert!(report.ok, "{report}");
}

#[tokio::test]
async fn the_same_rows_in_fewer_files() {
    let (_folder, lake) = small_files(6).await;
    let (before, rows) = (current(&lake).await, contents(&lake).await);
    let newest: Vec<i64> =
        live(&lake).await.iter().filter_map(|f| f.entry.sequence_number()).collect();
    let report = maintain(&lake).await;
    let done = &report.compaction;
    assert_eq!((done.files, done.inputs, done.outputs, done.commits), (12, 12, 2, 1), "{report:?}");
    assert_eq!((done.rows, done.lost, done.conflicts), (60, 0, 0));
    assert_eq!(contents(&lake).await, rows);
    clean(&lake).await;

    let after = current(&lake).await;
    let snapshot = after.metadata().current_snapshot().unwrap();
    assert_eq!(snapshot.summary().operation, Operation::Replace);
    assert!(!after.only_appended_since(before.metadata().current_snapshot_id()));
    let (was, is) = (before.progress().unwrap(), after.progress().unwrap());
    assert_eq!((was.sources, was.rev), (is.sources, is.rev));
    assert_eq!(is.snapshot, snapshot.snapshot_id());
    assert!(matches!(after.truth(), Truth::Property(_)));
    // Who reads what is newer passes over them.
    let files = live(&lake).await;
    assert_eq!(files.len(), 2);
    for file in &files {
        assert_eq!(file.entry.sequence_number(), newest.iter().copied().max());
        assert_eq!(file.entry.file_sequence_number, Some(snapshot.sequence_number()));
    }
    // And once more does nothing.
    let again = maintain(&lake).await;
    assert!(again.is_idle(), "{again:?}");
    assert_eq!(current(&lake).await.loaded.location, after.loaded.location);
    // Ingest goes on.
    ingest(&lake, 0, 60, 70, &[], &[]).await;
    clean(&lake).await;
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_the_young_are_left() {
    let (_folder, lake) = small_files(4).await;
    let before = current(&lake).await.loaded.location;
    let dry = maintain_with(&lake, true, options(), &mut |_| {}).await;
    assert_eq!((dry.compaction.inputs, dry.compaction.outputs), (8, 0));
    let hour = MaintainOptions { age_min: std::time::Duration::from_secs(3600), ..options() };
    let young = maintain_with(&lake, false, hour, &mut |_| {}).await;
    assert_eq!((young.compaction.inputs, young.compaction.young), (0, 8));
    assert_eq!(current(&lake).await.loaded.location, before);
}

#[tokio::test]
async fn rows_are_sorted_by_hour_then_key_then_time() {
    let (_folder, lake, base) = foreign::lake().await;
    let us = |hour: i64, minute: i64| {
        i64::from(DAY) * 86_400_000_000 + hour * 3_600_000_000 + minute * 60_000_000
    };
    let events = [
        (0, "b", us(1, 5)),
        (1, "a", us(1, 9)),
        (2, "b", us(0, 7)),
        (3, "a", us(1, 2)),
        (4, "a", us(0, 8)),
    ];
    let mut added = Vec::new();
    for (offset, key, time) in events {
        let batch = foreign::rows(&short(), 0, &[offset], false);
        let time = TimestampMicrosecondArray::from(vec![time]).with_timezone("UTC");
        let keys = arrow::array::BinaryArray::from(vec![key.as_bytes()]);
        let mut columns: Vec<(String, arrow::array::ArrayRef)> = Vec::new();
        for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
            let array = match field.name().as_str() {
                column::EVENT_TIME => std::sync::Arc::new(time.clone()) as _,
                _ => array.clone(),
            };
            columns.push((field.name().clone(), array));
        }
        columns.push((column::KEY.into(), std::sync::Arc::new(keys)));
        let batch = arrow::array::RecordBatch::try_from_iter(columns).unwrap();
        added.push(foreign::file(&lake, &base, &batch).await);
    }
    let change = Change { commit_id: "one".into(), stage: "test", added, ..Change::default() };
    crate::testing::done(
        crate::testing::advance(&lake, base, &change, &crate::testing::steps(0, 0, 5)).await,
    );
    maintain(&lake).await;
    let base = current(&lake).await;
    let found = files(&lake, &base, &Sought::ALL).await.unwrap();
    let [one] = &found[..] else { panic!("{} files", found.len()) };
    let batch = rows(&lake, &base, one).await.unwrap().try_next().await.unwrap().unwrap();
    let offsets = batch.column_by_name(column::OFFSET).unwrap();
    assert_eq!(offsets.as_primitive::<Int64Type>().values(), &[4, 2, 3, 1, 0]);
    assert!(batch.column_by_name("_weir_hour").is_none());
}

#[tokio::test]
async fn more_rows_than_the_memory_holds_are_spilled_and_become_several_files() {
    let (_folder, lake, _) = foreign::lake().await;
    for n in 0..4 {
        ingest(&lake, 0, n * 200_000, (n + 1) * 200_000, &[], &[]).await;
    }
    let base = current(&lake).await;
    let before: u64 =
        files(&lake, &base, &Sought::ALL).await.unwrap().iter().map(Found::bytes).sum();
    let target = (before / 5 * 2).to_string();
    let updates = std::collections::HashMap::from([(TARGET_PROPERTY.to_string(), target)]);
    foreign::update(&lake, &base, vec![iceberg::TableUpdate::SetProperties { updates }]).await;
    let little = MaintainOptions { memory_bytes: 64 << 20, ..options() };
    let report = maintain_with(&lake, false, little, &mut |_| {}).await;
    assert_eq!(report.compaction.inputs, 4, "{report:?}");
    assert!((2..4).contains(&report.compaction.outputs), "{report:?}");
    assert_eq!(report.compaction.rows, 800_000);
    clean(&lake).await;
}

#[tokio::test]
async fn what_others_touch_between_plan_and_commit_is_left_to_them() {
    let (_folder, lake) = small_files(5).await;
    let rows = contents(&lake).await;
    let victim = foreign::accepted_file(&lake, 0).await;
    let (other, path) = (lake.clone(), victim.clone());
    let mut meddled = false;
    // Just before the first commit another engine deletes rows of one file, and ingest appends.
    let mut listen = move |event: &MaintainEvent| {
        if matches!(event, MaintainEvent::CommitStarted { .. })
            && !std::mem::replace(&mut meddled, true)
        {
            let (lake, path) = (other.clone(), path.clone());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(async {
                    ingest(&lake, 1, 0, 10, &[], &[]).await;
                    foreign::delete_positions(&lake, &path, &[0]).await;
                });
            })
            .join()
            .unwrap();
        }
    };
    let report = maintain_with(&lake, false, options(), &mut listen).await;
    let done = &report.compaction;
    assert!(done.conflicts > 0 || done.lost > 0, "{report:?}");
    assert_eq!(done.lost, 1, "the group of accepted rows was given up: {report:?}");
    // The rejects, which nobody touched, are compacted with the files that were written for them.
    assert_eq!((done.inputs, done.outputs), (5, 1), "{report:?}");
    let after = contents(&lake).await;
    assert_eq!(after.len(), rows.len() - 1 + 10);
}

#[tokio::test]
async fn of_two_at_once_each_group_is_done_once() {
    let (_folder, lake) = small_files(8).await;
    let rows = contents(&lake).await;
    let runs = (0..3).map(|_| maintain(&lake));
    let reports: Vec<Report> = futures::future::join_all(runs).await;
    let inputs: u64 = reports.iter().map(|r| r.compaction.inputs).sum();
    assert_eq!(inputs, 16, "{reports:?}");
    assert_eq!(contents(&lake).await, rows);
    clean(&lake).await;
}

#[tokio::test]
async fn files_of_which_others_deleted_rows_are_left_alone() {
    let (_folder, lake) = small_files(5).await;
    let victim = foreign::accepted_file(&lake, 1).await;
    foreign::delete_positions(&lake, &victim, &[2]).await;
    let rows = contents(&lake).await;
    let report = maintain(&lake).await;
    // The delete file does not say to which of the day's files it applies.
    assert_eq!((report.compaction.inputs, report.compaction.with_deletes), (5, 5), "{report:?}");
    assert!(live(&lake).await.iter().any(|file| file.path() == victim));
    assert_eq!(contents(&lake).await, rows);
    // What is missing is told as before, by its doer.
    let found = verify(&lake, &name(), &VerifyOptions::default()).await.unwrap();
    assert_eq!(found.findings.len(), 1, "{found}");
}

#[tokio::test]
async fn manifests_are_clustered_with_the_numbers_of_their_files() {
    let (_folder, lake) = small_files(9).await;
    let hour = MaintainOptions { age_min: std::time::Duration::from_secs(3600), ..options() };
    let facts = |files: &[crate::scan::plan::LiveFile]| {
        let fact = |f: &crate::scan::plan::LiveFile| {
            let entry = &f.entry;
            let numbers = (entry.sequence_number(), entry.file_sequence_number);
            (f.path().to_string(), numbers, entry.snapshot_id())
        };
        files.iter().map(fact).collect::<std::collections::BTreeSet<_>>()
    };
    let before = live(&lake).await;
    let report = maintain_with(&lake, false, hour.clone(), &mut |_| {}).await;
    assert_eq!((report.manifests.before, report.manifests.after), (9, 1), "{report:?}");
    assert_eq!(facts(&live(&lake).await), facts(&before));
    let base = current(&lake).await;
    assert_eq!(base.metadata().current_snapshot().unwrap().summary().operation, Operation::Replace);
    clean(&lake).await;
    assert!(maintain_with(&lake, false, hour, &mut |_| {}).await.is_idle());
    // Rejects stand side by side.
    let snapshot = base.metadata().current_snapshot().unwrap();
    let manifests = crate::manifests::manifests_of(&lake, base.metadata(), snapshot).await.unwrap();
    let entries = manifests[0].load_manifest(&lake.io).await.unwrap();
    let days: Vec<bool> =
        entries.entries().iter().map(|e| e.data_file().partition()[0].is_some()).collect();
    assert!(days.is_sorted(), "{days:?}");
}

#[tokio::test]
async fn clustered_manifests_have_days_of_their_own() {
    let (_folder, lake, _) = foreign::lake().await;
    const COMMITS: i64 = 15;
    for n in 0..COMMITS {
        // Late and early days in turn.
        let day = DAY + i32::try_from(n * 7 % COMMITS).unwrap();
        foreign::ingest_on(&lake, n * 10, n * 10 + 10, day).await;
    }
    let base = current(&lake).await;
    let manifests = async |base: &Base| {
        let snapshot = base.metadata().current_snapshot().unwrap().clone();
        crate::manifests::manifests_of(&lake, base.metadata(), &snapshot).await.unwrap()
    };
    let bytes: i64 = manifests(&base).await.iter().map(|m| m.manifest_length).sum();
    let property = ("commit.manifest.target-size-bytes".to_string(), (bytes / 3 + 1).to_string());
    let updates = vec![iceberg::TableUpdate::SetProperties { updates: [property].into() }];
    foreign::update(&lake, &base, updates).await;
    let hour = MaintainOptions { age_min: std::time::Duration::from_secs(3600), ..options() };
    let report = maintain_with(&lake, false, hour, &mut |_| {}).await;
    assert_eq!((report.manifests.before, report.manifests.after), (15, 3), "{report:?}");
    let mut ranges = Vec::new();
    for manifest in manifests(&current(&lake).await).await {
        let loaded = manifest.load_manifest(&lake.io).await.unwrap();
        let day = |entry: &iceberg::spec::ManifestEntryRef| match &entry.data_file().partition()[0]
        {
            Some(Literal::Primitive(PrimitiveLiteral::Int(day))) => *day,
            other => panic!("{other:?}"),
        };
        let days: Vec<i32> = loaded.entries().iter().map(day).collect();
        assert!(days.is_sorted() && days.len() == 5, "{days:?}");
        ranges.push((days[0], days[4]));
    }
    ranges.sort_unstable();
    assert!(ranges.windows(2).all(|two| two[0].1 < two[1].0), "{ranges:?}");
    clean(&lake).await;
}

/// Time that goes on when somebody says so.
#[derive(Debug)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn sleep(
        &self,
        time: std::time::Duration,
    ) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        SystemClock.sleep(time)
    }
}

#[tokio::test]
async fn what_is_committed_when_the_time_is_over_stays_and_the_next_run_goes_on() {
    let (_folder, mut lake) = small_files(9).await;
    // With those of rejected rows as many as one commit takes; the other day's are left for a second one.
    foreign::ingest_in(&lake, 90, 1_090, DAY - 1, 1).await;
    let before = contents(&lake).await;
    let clock = Arc::new(Hand(AtomicI64::new(lake.env.clock.now_ms())));
    lake.env.clock = clock.clone();
    let until_ms = Some(clock.now_ms() + 60_000);
    let mut commits = 0;
    let mut listen = |event: &MaintainEvent| {
        if matches!(event, MaintainEvent::Committed { .. }) {
            commits += 1;
            clock.0.fetch_add(120_000, Ordering::Relaxed);
        }
    };
    let maintain = Maintain {
        lake: &lake,
        table: name(),
        options: options(),
        dry_run: false,
        until_ms,
        shutdown: Arc::default(),
        listen: &mut listen,
    };
    let (report, result) = maintain.run().await;
    result.unwrap();
    assert!(report.stopped && report.compaction.commits == 1 && commits == 1, "{report:?}");
    assert_eq!((report.compaction.inputs, live(&lake).await.len()), (1_009, 2 + 9), "{report:?}");
    clean(&lake).await;
    let next = maintain_with(&lake, false, options(), &mut |_| {}).await;
    assert_eq!((next.stopped, next.compaction.inputs), (false, 9), "{next:?}");
    assert!(maintain_with(&lake, false, options(), &mut |_| {}).await.is_idle());
    assert_eq!(contents(&lake).await, before);
    clean(&lake).await;
}

#[tokio::test]
async fn files_that_waited_half_a_day_are_not_brought_in() {
    let (_folder, lake) = small_files(1).await;
    let base = current(&lake).await;
    let mut file = foreign::file(&lake, &base, &foreign::rows(&short(), 0, &[10], false)).await;
    file.put_at_ms -= 13 * 3_600_000;
    let change =
        Change { commit_id: "late".into(), stage: "test", added: vec![file], ..Change::default() };
    let steps = crate::testing::steps(0, 10, 11);
    let refused = crate::testing::advance(&lake, base, &change, &steps).await.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Retry);
    assert!(refused.message().contains("13 hours ago"), "{refused}");
}

#[tokio::test]
async fn files_of_days_become_those_of_months_where_the_contract_says_so() {
    let (_folder, lake, _) = foreign::lake().await;
    let by = |division| Contract { partitioned_by: Some(division), ..testing::contract() };
    // Two files of each of three days, and two of rejected rows: none has enough for a group.
    for n in 0..6 {
        foreign::ingest_on(&lake, n * 10, n * 10 + 10, DAY + n as i32 % 3).await;
    }
    ingest(&lake, 0, 60, 70, &[63], &[]).await;
    assert_eq!(maintain(&lake).await.compaction.inputs, 0);
    apply(&lake, &by(Division::Month)).await.unwrap();
    // And one of the next month.
    foreign::ingest_on(&lake, 70, 80, DAY + 30).await;
    let (rows, of_days) = (contents(&lake).await, live(&lake).await);
    assert_eq!(of_days.iter().filter(|file| file.spec_id == 0).count(), 8);
    let done = maintain(&lake).await.compaction;
    assert_eq!((done.inputs, done.outputs, done.other_spec), (7, 1, 0), "{done:?}");
    assert_eq!(contents(&lake).await, rows);
    clean(&lake).await;
    let month = Some(Literal::int(Division::Month.span_of(DAY)));
    let files = live(&lake).await;
    let of_month =
        |file: &&LiveFile| file.entry.data_file().partition().fields() == [month.clone()];
    let large: Vec<_> = files.iter().filter(of_month).collect();
    assert_eq!((files.len(), large.len(), large[0].entry.record_count()), (3, 1, 69));
    assert!(large[0].path().contains("/data/event_month=2026-11/"), "{}", large[0].path());
    assert!(maintain(&lake).await.is_idle());

    // Days again: what is of a month stays, since its rows are of several days.
    let (location, steps) = {
        let done = apply(&lake, &by(Division::Day)).await.unwrap();
        (current(&lake).await.loaded.location, done.steps)
    };
    assert_eq!(steps[0].to_string(), "partition new files by day, not by month");
    assert_eq!(current(&lake).await.metadata().default_partition_spec_id(), 0, "the first one");
    assert!(apply(&lake, &by(Division::Day)).await.unwrap().steps.is_empty());
    assert_eq!(current(&lake).await.loaded.location, location);
    for n in 8..12 {
        foreign::ingest_on(&lake, n * 10, n * 10 + 10, DAY).await;
    }
    let done = maintain(&lake).await.compaction;
    assert_eq!((done.inputs, done.outputs, done.other_spec), (4, 1, 2), "{done:?}");
    clean(&lake).await;
    // A contract that says nothing leaves it as it is.
    assert!(apply(&lake, &testing::contract()).await.unwrap().steps.is_empty());
}
