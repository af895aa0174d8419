//! Time travel, names and refusals.

use weir_contract::class::ErrorClass;

use super::*;
use crate::foreign::{current, ingest, lake, update};

async fn offsets(lake: &Lake, at: At) -> Result<(usize, Vec<TableAt>)> {
    let session = Session::open(lake, at).await?;
    let answer = session.sql("select _offset from raw.vending_sales").await?;
    Ok((answer.batches.iter().map(|b| b.num_rows()).sum(), answer.tables))
}

/// Ids and commit times of the standing snapshots, oldest first.
async fn snapshots(lake: &Lake) -> Vec<(i64, i64)> {
    let base = current(lake).await;
    let mut all: Vec<_> =
        base.metadata().snapshots().map(|s| (s.snapshot_id(), s.timestamp_ms())).collect();
    all.sort_by_key(|(_, at)| *at);
    all
}

async fn grown() -> (tempfile::TempDir, Lake, Vec<(i64, i64)>) {
    let (folder, lake, _) = lake().await;
    for from in [0, 2, 4, 6] {
        ingest(&lake, 0, from, from + 2, &[], &[]).await;
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let all = snapshots(&lake).await;
    (folder, lake, all)
}

#[tokio::test]
async fn the_past_by_id_and_by_time() {
    let (_folder, lake, all) = grown().await;
    let (rows, tables) = offsets(&lake, At::Current).await.unwrap();
    assert_eq!((rows, tables[0].snapshot, tables[0].off_by_ms), (8, Some(all[3].0), None));
    let (rows, tables) = offsets(&lake, At::Snapshot(all[0].0)).await.unwrap();
    assert_eq!((rows, tables[0].snapshot), (2, Some(all[0].0)));
    let (rows, tables) = offsets(&lake, At::Time(all[2].1 - 1)).await.unwrap();
    assert_eq!((rows, tables[0].snapshot), (4, Some(all[1].0)));
    assert_eq!(tables[0].off_by_ms, Some(all[2].1 - 1 - all[1].1));
    assert!(tables[0].to_string().contains("before the time asked for"), "{}", tables[0]);
}

#[tokio::test]
async fn a_time_whose_state_has_expired_names_its_neighbours() {
    let (_folder, lake, all) = grown().await;
    let snapshot_ids = vec![all[1].0];
    let expire = iceberg::TableUpdate::RemoveSnapshots { snapshot_ids };
    update(&lake, &current(&lake).await, vec![expire]).await;
    let error = offsets(&lake, At::Time(all[2].1 - 1)).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::BadData);
    for (id, at) in [all[0], all[2]] {
        assert!(error.to_string().contains(&id.to_string()), "{error}");
        assert!(error.to_string().contains(&show_time(at)), "{error}");
    }
    assert_eq!(offsets(&lake, At::Time(all[2].1)).await.unwrap().0, 6);
    let error = offsets(&lake, At::Time(all[0].1 - 1)).await.unwrap_err();
    assert!(error.to_string().contains("was empty"), "{error}");
}

#[tokio::test]
async fn a_snapshot_must_be_of_a_table_that_the_query_reads() {
    let (_folder, lake, all) = grown().await;
    let error = offsets(&lake, At::Snapshot(5)).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::BadConfig);
    assert!(error.to_string().contains("raw.vending_sales"), "{error}");
    let session = Session::open(&lake, At::Snapshot(all[0].0)).await.unwrap();
    let error = session.sql("select 1").await.unwrap_err();
    assert!(error.to_string().contains("does not read"), "{error}");
}

#[tokio::test]
async fn only_reading() {
    let (_folder, lake, _) = grown().await;
    let session = Session::open(&lake, At::Current).await.unwrap();
    for sql in [
        "create table t as select 1",
        "create view v as select 1",
        "drop table raw.vending_sales",
        "insert into raw.vending_sales (_offset) values (1)",
        "delete from raw.vending_sales",
        "copy (select 1) to '/tmp/weir-must-not-exist.parquet'",
        "set datafusion.execution.batch_size = 1",
        "explain insert into raw.vending_sales (_offset) values (1)",
        "create external table x stored as parquet location '/tmp/x'",
    ] {
        let error = session.sql(sql).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::BadConfig, "{sql}");
        let refused = error.to_string().contains("only reads");
        assert!(refused || error.to_string().contains("not"), "{sql}: {error}");
    }
    assert!(!std::path::Path::new("/tmp/weir-must-not-exist.parquet").exists());
    assert_eq!(offsets(&lake, At::Current).await.unwrap().0, 8);
}

#[tokio::test]
async fn what_does_not_exist_is_the_query_s_mistake() {
    let (_folder, lake, _) = grown().await;
    let session = Session::open(&lake, At::Current).await.unwrap();
    for sql in [
        "select * from raw.nothing",
        "select * from nowhere.nothing",
        "select nothing from vending_sales",
        "select from where",
        "select * from '/etc/passwd.csv'",
        "select 1; select 2",
    ] {
        let error = session.sql(sql).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::BadConfig, "{sql}: {error}");
        assert!(!error.to_string().contains("planning"), "{sql}: {error}");
    }
    for table in ["raw.nothing", "nowhere.nothing"] {
        let error = session.sql(&format!("select * from {table}")).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("there is no table {table}; `weir tables` lists them")
        );
    }
    let named = session.sql("with here as (select 1 as a) select a from here").await.unwrap();
    assert_eq!(named.batches[0].num_rows(), 1);
    let shown = session.sql("show tables").await.unwrap();
    assert!(shown.batches.iter().any(|b| b.num_rows() > 0));
}

#[tokio::test]
async fn a_result_has_a_bound() {
    let (_folder, lake, _) = grown().await;
    let options = SessionOptions { result_bytes_max: 16, ..SessionOptions::default() };
    let session = Session::open_with(&lake, At::Current, options).await.unwrap();
    let error = session.sql("select * from vending_sales").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::BadConfig, "{error}");
    assert!(error.to_string().contains("16 bytes"), "{error}");
}

#[tokio::test]
async fn rejects_are_a_view_over_all_raw_tables() {
    let (_folder, lake, _) = lake().await;
    let session = Session::open(&lake, At::Current).await.unwrap();
    let rows = async |sql: &str| {
        let answer = session.sql(sql).await.unwrap();
        answer.batches.iter().map(|b| b.num_rows()).sum::<usize>()
    };
    assert_eq!(rows("select * from ops.rejects").await, 0);
    ingest(&lake, 0, 0, 10, &[3, 4], &[]).await;
    ingest(&lake, 1, 0, 10, &[9], &[]).await;
    assert_eq!(rows("select * from ops.rejects").await, 3);
    let sql = "select stream, source, _kafka_partition, _offset, class, event_time, _value \
               from ops.rejects where class = 'not_json' and _offset > 3 and _kafka_partition = 0 \
               and stream = 'vending_sales' and source like '%vending.sales%' order by _offset";
    assert_eq!(rows(sql).await, 1);
    // Files of accepted rows are not even opened.
    let plan = session.sql("explain select _offset from ops.rejects").await.unwrap();
    let plan = arrow::util::pretty::pretty_format_batches(&plan.batches).unwrap().to_string();
    assert!(!plan.contains("event_day=2026"), "{plan}");
    assert!(plan.contains("event_day=null"), "{plan}");
    assert!(rows("show tables").await > 1);

    // Before the first commit there was nothing.
    let before = Session::open(&lake, At::Time(0)).await.unwrap();
    let answer = before.sql("select class, _offset from ops.rejects").await.unwrap();
    assert_eq!(answer.batches.iter().map(|b| b.num_rows()).sum::<usize>(), 0);
}
