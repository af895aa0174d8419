//! Loads into real tables: exactly once, by several at a time, and tampered with.

use std::sync::Arc;

use arrow::array::AsArray;
use tempfile::TempDir;
use weir_contract::class::ErrorClass;
use weir_contract::contract::{self, Contract, Field, FieldType, Path, Requirement};
use weir_contract::names::column;
use weir_contract::reference::read;

use super::*;
use crate::files::NewFile;
use crate::foreign::{foreign_on, live_of, update};
use crate::maintain::{Maintain, MaintainOptions};
use crate::session::{At, Session};
use crate::testing;
use crate::verify::{Kind, VerifyOptions, VerifyReport, acknowledge, verify};

fn reference() -> Reference {
    let field = |name: &str, kind, required| Field {
        name: name.into(),
        path: Path { object: None, member: name.into() },
        kind,
        required: if required { Requirement::Always } else { Requirement::Never },
        allowed: Default::default(),
        hashed: false,
        description: String::new(),
    };
    let contract = Contract {
        id: "ref.machines".into(),
        version: "1.0.0".into(),
        fields: vec![
            field("machine_id", FieldType::String, true),
            field("site_id", FieldType::String, false),
            field("price", FieldType::Decimal { precision: 18, scale: 4 }, false),
            field(column::VALID_FROM, FieldType::Timestamp, true),
            field(column::VALID_TO, FieldType::Timestamp, false),
        ],
        kind: contract::Kind::Reference { key: vec![0] },
        ..Contract::default()
    };
    Reference::of(Arc::new(contract)).unwrap()
}

fn lake() -> (TempDir, Lake) {
    let folder = TempDir::new().unwrap();
    let lake = testing::lake(&folder);
    (folder, lake)
}

/// Rows `machine site day`.
fn stated(rows: &[&str]) -> Stated {
    let mut text = "machine_id,site_id,price,valid_from\n".to_string();
    for row in rows {
        let parts: Vec<&str> = row.split(' ').collect();
        text += &format!("{},{},1.25,2026-01-{}T00:00:00Z\n", parts[0], parts[1], parts[2]);
    }
    read(&reference(), text.as_bytes()).unwrap()
}

async fn load(lake: &Lake, rows: &[&str]) -> Seeded {
    seed(lake, &reference(), &stated(rows), SeedOptions::default()).await.unwrap()
}

async fn base(lake: &Lake) -> Base {
    lake.table(&reference().table()).await.unwrap().unwrap()
}

async fn check(lake: &Lake) -> VerifyReport {
    verify(lake, &reference().table(), &VerifyOptions::default()).await.unwrap()
}

async fn lines(lake: &Lake, at: At, sql: &str) -> Vec<String> {
    let answer = Session::open(lake, at).await.unwrap().sql(sql).await.unwrap();
    let text = |batch: &RecordBatch| {
        let column = cast(batch.column(0), &arrow::datatypes::DataType::Utf8).unwrap();
        column.as_string::<i32>().iter().map(|s| s.unwrap_or("-").to_string()).collect::<Vec<_>>()
    };
    answer.batches.iter().flat_map(text).collect()
}

/// A file with the rows that a query gives.
async fn file(lake: &Lake, sql: &str) -> NewFile {
    let answer = Session::open(lake, At::Current).await.unwrap().sql(sql).await.unwrap();
    let base = base(lake).await;
    let mut encoder = lake.format.encoder(&base.schema().unwrap(), None).unwrap();
    for batch in &answer.batches {
        encoder.write(batch).unwrap();
    }
    lake.put_data_file(&base, encoder.finish().unwrap()).await.unwrap()
}

fn kinds(report: &VerifyReport) -> Vec<Kind> {
    report.findings.iter().map(|finding| finding.kind).collect()
}

#[tokio::test]
async fn loads_are_offsets_and_the_truth_is_a_view() {
    let (_folder, lake) = lake();
    let first = load(&lake, &["m-1 a 01", "m-2 a 01"]).await;
    assert_eq!((first.load, first.counts.added), (Some(1), 2));
    let again = load(&lake, &["m-1 a 01", "m-2 a 01"]).await;
    assert_eq!((again.load, again.snapshot, again.counts.unchanged), (None, None, 2));
    let second = load(&lake, &["m-1 b 05"]).await;
    assert_eq!((second.load, second.counts.added, second.counts.ended), (Some(2), 1, 1));

    let progress = base(&lake).await.progress().unwrap();
    let moved = progress.sources["seed/ref.machines"][&0];
    assert_eq!((moved.start, moved.until, moved.rows, moved.extra), (1, 3, 4, 2));
    assert!(check(&lake).await.ok, "{}", check(&lake).await);

    // Where a machine stood when it sold: an event of each day.
    let sql = "select e.day || ' ' || m.machine_id || ' ' || m.site_id \
        from (values (4, timestamp '2026-01-04T23:59:59.999999Z'), (5, timestamp '2026-01-05T00:00:00Z')) \
        as e(day, at) join ref.machines_history m on e.at >= m.valid_from \
        and (m.valid_to is null or e.at < m.valid_to) order by 1";
    assert_eq!(lines(&lake, At::Current, sql).await, ["4 m-1 a", "4 m-2 a", "5 m-1 b", "5 m-2 a"]);
    let count = "select count(*) from ref.machines_history where price = 1.25";
    assert_eq!(lines(&lake, At::Current, count).await, ["3"]);
    let before = At::Snapshot(first.snapshot.unwrap());
    assert_eq!(lines(&lake, before, count).await, ["2"]);
    assert_eq!(lines(&lake, At::Current, "select count(*) from ref.machines").await, ["4"]);
}

#[tokio::test]
async fn a_dry_run_and_an_empty_file_leave_nothing() {
    let (_folder, lake) = lake();
    let options = SeedOptions { dry_run: true, ..SeedOptions::default() };
    let dry = seed(&lake, &reference(), &stated(&["m-1 a 01"]), options).await.unwrap();
    assert_eq!((dry.load, dry.snapshot, dry.counts.added), (Some(1), None, 1));
    assert_eq!(load(&lake, &[]).await.load, None);
    assert!(lake.tables().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_full_file_ends_what_it_does_not_name() {
    let (_folder, lake) = lake();
    load(&lake, &["m-1 a 01", "m-2 a 01"]).await;
    let options = SeedOptions { full: true, ..SeedOptions::default() };
    let full = seed(&lake, &reference(), &stated(&["m-1 a 01"]), options).await.unwrap();
    assert_eq!((full.counts.ended, full.counts.unchanged), (1, 1));
    let sql = "select machine_id from ref.machines_history where valid_to is null";
    assert_eq!(lines(&lake, At::Current, sql).await, ["m-1"]);
    let again = seed(&lake, &reference(), &stated(&["m-1 a 01"]), options).await.unwrap();
    assert_eq!(again.load, None);
}

#[tokio::test]
async fn of_several_at_a_time_each_is_planned_on_what_the_others_left() {
    let (_folder, lake) = lake();
    let loads = (0..6).map(|n| {
        let lake = lake.clone();
        tokio::spawn(
            async move { load(&lake, &[format!("m-{n} a 01").as_str(), "m-x a 01"]).await },
        )
    });
    let mut numbers = Vec::new();
    for done in futures::future::join_all(loads).await {
        numbers.extend(done.unwrap().load);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
    let sql = "select machine_id from ref.machines order by 1";
    let expected = ["m-0", "m-1", "m-2", "m-3", "m-4", "m-5", "m-x"];
    assert_eq!(lines(&lake, At::Current, sql).await, expected);
    assert!(check(&lake).await.ok);
}

#[tokio::test]
async fn compaction_leaves_the_loads_as_they_are() {
    let (_folder, lake) = lake();
    for n in 0..5 {
        load(&lake, &[&format!("m-{n} a 01"), "m-x b 02"]).await;
    }
    let sql = "select * from ref.machines order by machine_id";
    let before = lines(&lake, At::Current, sql).await;
    let maintain = Maintain {
        lake: &lake,
        table: reference().table(),
        options: MaintainOptions { age_min: std::time::Duration::ZERO, ..Default::default() },
        dry_run: false,
        until_ms: None,
        shutdown: Default::default(),
        listen: &mut |_| {},
    };
    let (report, result) = maintain.run().await;
    result.unwrap();
    assert_eq!((report.compaction.inputs, report.compaction.outputs), (5, 1), "{report:?}");
    assert_eq!(lines(&lake, At::Current, sql).await, before);
    assert!(check(&lake).await.ok);
    assert_eq!(load(&lake, &["m-9 a 01"]).await.load, Some(6));
    assert!(check(&lake).await.ok);
}

#[tokio::test]
async fn verify_finds_rows_that_others_deleted_until_they_are_acknowledged() {
    let (_folder, lake) = lake();
    load(&lake, &["m-1 a 01", "m-2 a 01", "m-3 a 01"]).await;
    load(&lake, &["m-4 a 01"]).await;
    let now = base(&lake).await;
    let old = live_of(&lake, &now).await[0].path().to_string();
    let rest = file(&lake, "select * from ref.machines where machine_id in ('m-1', 'm-3')").await;
    let after = foreign_on(&lake, now, vec![rest], &[old]).await;
    let report = check(&lake).await;
    assert_eq!(kinds(&report), [Kind::LoadRows], "{report}");
    let finding = serde_json::to_value(&report.findings[0]).unwrap();
    assert!(finding["message"].as_str().unwrap().contains("holds 3 rows"), "{finding}");
    assert!(report.to_string().contains("offsets 1"), "{report}");

    let id = after.metadata().current_snapshot_id().unwrap();
    let done = acknowledge(&lake, &reference().table(), id, "asked to").await.unwrap();
    assert_eq!((done.rows.as_str(), done.already), ("1", false));
    assert!(check(&lake).await.ok);
    assert!(acknowledge(&lake, &reference().table(), id, "asked to").await.unwrap().already);
    // The file still says it, so it comes again.
    assert_eq!(load(&lake, &["m-1 a 01", "m-2 a 01", "m-3 a 01"]).await.counts.added, 1);
    assert!(check(&lake).await.ok);
}

#[tokio::test]
async fn verify_finds_rows_that_others_added_and_changed() {
    let (_folder, lake) = lake();
    load(&lake, &["m-1 a 01", "m-1 b 05"]).await;
    let doubled = file(&lake, "select * from ref.machines where site_id = 'a'").await;
    foreign_on(&lake, base(&lake).await, vec![doubled], &[]).await;
    assert_eq!(kinds(&check(&lake).await), [Kind::LoadRows, Kind::LoadRows]);

    let (_folder, lake) = self::lake();
    load(&lake, &["m-1 a 01", "m-1 b 05"]).await;
    let old = live_of(&lake, &base(&lake).await).await[0].path().to_string();
    let longer = "select machine_id, site_id, price, valid_from, \
        arrow_cast(null, 'Timestamp(Microsecond, Some(\"UTC\"))') as valid_to, _load from ref.machines";
    let longer = file(&lake, longer).await;
    foreign_on(&lake, base(&lake).await, vec![longer], &[old]).await;
    assert_eq!(kinds(&check(&lake).await), [Kind::IntervalsOverlap]);
    let stated = stated(&["m-2 a 01"]);
    let refused = seed(&lake, &reference(), &stated, SeedOptions::default()).await.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::BadData, "{refused}");

    let (_folder, lake) = self::lake();
    load(&lake, &["m-1 a 01"]).await;
    let strange = "select 'm-9' as machine_id, valid_from, _load + 7 as _load from ref.machines";
    let strange = file(&lake, strange).await;
    foreign_on(&lake, base(&lake).await, vec![strange], &[]).await;
    assert_eq!(kinds(&check(&lake).await), [Kind::OffsetOutside]);

    let (_folder, lake) = self::lake();
    load(&lake, &["m-1 a 01"]).await;
    let path = live_of(&lake, &base(&lake).await).await[0].path().to_string();
    std::fs::remove_file(path.trim_start_matches("file://")).unwrap();
    assert!(kinds(&check(&lake).await).contains(&Kind::FileMissing));
}

#[tokio::test]
async fn a_key_is_for_ever() {
    let (_folder, lake) = lake();
    load(&lake, &["m-1 a 01"]).await;
    let mut contract = Contract::clone(&reference().contract);
    contract.kind = contract::Kind::Reference { key: vec![0, 1] };
    let other = Reference::of(Arc::new(contract)).unwrap();
    let error = seed(&lake, &other, &stated(&[]), SeedOptions::default()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::BadConfig);
    assert!(error.to_string().contains("machine_id"), "{error}");
    // Without the property there is no view, and verify says why it cannot tell.
    let removals = vec![weir_contract::names::key::REFERENCE_KEY.to_string()];
    let gone = iceberg::TableUpdate::RemoveProperties { removals };
    update(&lake, &base(&lake).await, vec![gone]).await;
    let unknown = verify(&lake, &reference().table(), &VerifyOptions::default()).await;
    assert_eq!(unknown.unwrap_err().class(), ErrorClass::BadConfig);
}
