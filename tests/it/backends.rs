//! Every backend keeps the same promises: SQLite, Glue by a stand-in of our own, Glue and S3 by moto,
//! REST by Iceberg's own servlet.

mod end_to_end;
mod faults;
pub mod place;
mod rest;
mod rest_end_to_end;
pub mod s3;
mod who;

use anyhow::{Result, ensure};
use weir_catalog::Lake;
use weir_catalog::backend::Outcome;
use weir_catalog::register::register_all;
use weir_contract::names::TableName;

use crate::readers::table::{Filler, RECORDS, TABLE};
use place::in_all;

/// Processes that commit at once.
const WRITERS: i32 = 4;
/// Commits of each.
const COMMITS: i64 = 3;

fn table() -> TableName {
    TABLE.parse().expect("a name")
}

#[test]
fn a_table_is_made_listed_loaded_and_moved() -> Result<()> {
    in_all(|place| async move {
        let lake = place.lake()?;
        ensure!(lake.tables().await?.is_empty(), "{place}: it is not empty");
        ensure!(lake.table(&table()).await?.is_none(), "{place}: a table that nobody made");
        let mut filler = Filler::new()?;
        let made = filler.table(&lake).await?;
        let again = filler.table(&lake).await?;
        ensure!(made.loaded.location == again.loaded.location, "{place}: made twice");
        ensure!(lake.tables().await? == [table()], "{place}: {:?}", lake.tables().await?);

        let first = filler.commit(&lake, made, 0, 0).await?;
        let second = filler.commit(&lake, first.base, 0, 1).await?;
        // Another process, which knows nothing yet.
        let found = place.lake()?.table(&table()).await?.expect("the table");
        ensure!(found.loaded.location == second.base.loaded.location, "{place}: not the last");
        ensure!(found.metadata() == second.base.metadata(), "{place}: it reads otherwise");
        let root = lake.warehouse.location();
        ensure!(found.metadata().location() == format!("{root}/raw/all_types"), "{place}");
        Ok(())
    })
}

#[test]
fn only_one_of_two_moves_from_one_base_is_acknowledged() -> Result<()> {
    in_all(|place| async move {
        let lake = place.lake()?;
        let mut filler = Filler::new()?;
        let base = filler.table(&lake).await?;
        let base = filler.commit(&lake, base, 0, 0).await?.base;
        let loaded = &base.loaded;
        let first = lake.backend.commit(&table(), loaded, vec![]).await;
        ensure!(matches!(first, Outcome::Committed(_)), "{place}: {first:?}");
        let second = place.lake()?.backend.commit(&table(), loaded, vec![]).await;
        ensure!(matches!(second, Outcome::Conflict(_)), "{place}: {second:?}");
        let third = lake.backend.create(&table(), base.metadata().clone()).await;
        ensure!(matches!(third, Outcome::Conflict(_)), "{place}: {third:?}");
        let nobody: TableName = "raw.nobody".parse().expect("a name");
        let fourth = lake.backend.commit(&nobody, loaded, vec![]).await;
        ensure!(matches!(fourth, Outcome::Conflict(_)), "{place}: {fourth:?}");
        Ok(())
    })
}

#[test]
fn what_was_acknowledged_is_there_after_a_race() -> Result<()> {
    in_all(|place| async move {
        Filler::new()?.table(&place.lake()?).await?;
        let writers = (0..WRITERS).map(|partition| {
            let lake = place.lake();
            tokio::spawn(async move { race(&lake?, partition).await })
        });
        let mut conflicts = 0;
        for writer in writers.collect::<Vec<_>>() {
            conflicts += writer.await??;
        }
        println!("{place}: {conflicts} conflicts");
        ensure!(conflicts > 0, "{place}: nobody met anybody");
        let base = place.lake()?.table(&table()).await?.expect("the table");
        let snapshots = i64::from(WRITERS) * COMMITS;
        ensure!(base.metadata().snapshots().len() as i64 == snapshots, "{place}: commits are lost");
        let progress = base.progress()?;
        let partitions = progress.sources.values().next().expect("a source");
        for partition in 0..WRITERS {
            let until = partitions[&partition].until;
            ensure!(until == COMMITS * RECORDS, "{place}: partition {partition} is at {until}");
        }
        place.verify_clean().await
    })
}

/// Commits of one writer; how often another was first.
async fn race(lake: &Lake, partition: i32) -> Result<u32> {
    let mut filler = Filler::new()?;
    let mut base = filler.table(lake).await?;
    let mut conflicts = 0;
    for number in 0..COMMITS {
        let receipt = filler.commit(lake, base, partition, number).await?;
        conflicts += receipt.conflicts;
        base = receipt.base;
    }
    Ok(conflicts)
}

#[test]
fn a_table_that_the_catalog_lost_is_found_by_its_files() -> Result<()> {
    in_all(|place| async move {
        let lake = place.lake()?;
        let mut filler = Filler::new()?;
        let base = filler.table(&lake).await?;
        let first = filler.commit(&lake, base, 0, 0).await?;
        let second = filler.commit(&lake, first.base, 0, 1).await?;
        place.forget("all_types")?;
        let lake = place.lake()?;
        ensure!(lake.table(&table()).await?.is_none(), "{place}: it is not lost");
        let dry = register_all(&lake, true).await?;
        ensure!(dry.len() == 1 && lake.table(&table()).await?.is_none(), "{place}: {dry:?}");
        let lines = register_all(&lake, false).await?;
        ensure!(lines.len() == 1 && lines[0].table == table(), "{place}: {lines:?}");
        let found = lake.table(&table()).await?.expect("the table");
        let location = &second.base.loaded.location;
        ensure!(found.loaded.location == *location, "{place}: {}", found.loaded.location);
        ensure!(found.metadata() == second.base.metadata(), "{place}: it reads otherwise");
        // Who had it open goes on, and somebody new as well.
        let third = filler.commit(&lake, second.base, 0, 2).await?;
        ensure!(third.conflicts == 0, "{place}: {third:?}");
        place.verify_clean().await
    })
}

#[test]
fn a_lake_refuses_what_stands_elsewhere_by_name() -> Result<()> {
    in_all(|place| async move {
        let lake = place.lake()?;
        Filler::new()?.table(&lake).await?;
        for elsewhere in ["s3://another/raw/t/data/x.parquet", "gs://lake/x", "relative/x"] {
            let error = lake.warehouse.object_path(elsewhere).expect_err("refused").to_string();
            ensure!(error.contains(elsewhere), "{place}: {error}");
        }
        Ok(())
    })
}
