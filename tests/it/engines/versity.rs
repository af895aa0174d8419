//! versitygw, a second real server for S3: the same promises as with moto, and the engines read from it.

use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode};
use weir_catalog::storage::S3Store;
use weir_tests::stack::{BUCKET, Versity};

use super::asked::{ENGINES, Engines};
use super::fleet::{At, Fleet};
use super::page::Table;
use crate::backends::place::{fresh, identity, moto, runtime, s3_at};

fn versity() -> Result<&'static Versity> {
    static SHARED: OnceLock<std::result::Result<Versity, String>> = OnceLock::new();
    let made = SHARED.get_or_init(|| Versity::start().map_err(|error| format!("{error:#}")));
    made.as_ref().map_err(|why| anyhow::anyhow!("{why}"))
}

fn store() -> Result<S3Store> {
    Ok(S3Store::new(BUCKET, &identity()?, &s3_at(&versity()?.endpoint()))?)
}

#[test]
fn of_those_who_race_for_a_name_one_wins() -> Result<()> {
    runtime()?.block_on(async {
        for _ in 0..50 {
            let key = fresh();
            let tries = ["one", "two", "three", "four"].map(|bytes| {
                let (store, path) = (store(), Path::from(format!("race/{key}")));
                tokio::spawn(async move {
                    store?.put_opts(&path, bytes.into(), PutMode::Create.into()).await?;
                    anyhow::Ok(bytes)
                })
            });
            let (mut winners, mut losers) = (Vec::new(), 0);
            for tried in tries {
                match tried.await? {
                    Ok(bytes) => winners.push(bytes),
                    Err(error) => {
                        let taken = error.downcast_ref::<Error>();
                        ensure!(matches!(taken, Some(Error::AlreadyExists { .. })), "{error:?}");
                        losers += 1;
                    }
                }
            }
            ensure!(winners.len() == 1 && losers == 3, "{winners:?}");
            let got = store()?.get(&Path::from(format!("race/{key}"))).await?.bytes().await?;
            ensure!(got == winners[0].as_bytes(), "{got:?}");
        }
        Ok(())
    })
}

#[test]
fn it_keeps_the_promises_that_moto_keeps() -> Result<()> {
    crate::backends::s3::promises(&versity()?.endpoint())
}

#[test]
fn a_lake_stands_in_it_and_is_read_from_it() -> Result<()> {
    let mut engines = Engines::shared()?;
    let at = At::Glue { glue: moto()?.endpoint(), s3: versity()?.endpoint() };
    let mut fleet = Fleet::new("versity", at, &mut engines)?;
    fleet.weir(&["seed"])?.expect(0)?;
    fleet.live(1, 4, &[])?;
    fleet.live(2, 2, &[])?;
    runtime()?.block_on(fleet.all_types(2))?;
    fleet.weir(&["verify"])?.expect(0)?;
    fleet.result(&["--set", "maintain.age_min=0s", "maintain"])?;
    fleet.weir(&["verify"])?.expect(0)?;
    let mut page = Table::new("versitygw", &["trino", "spark", "duckdb"]);
    let tables = fleet.tables()?;
    for by in ["trino", "spark", "duckdb"] {
        for table in &tables {
            engines
                .ask(&fleet.about("rows", by, table))
                .with_context(|| format!("{by}: {table}"))?;
        }
        page.note(by, "every row, column and sum of all tables, compacted", "yes".into())?;
    }
    for by in ENGINES {
        let named = fleet.named("raw.vending_health");
        engines
            .sql(by, &format!("DELETE FROM {named} WHERE _kafka_partition = 0 AND _offset = 5"))?;
        page.note(by, "deletes rows", "yes".into())?;
    }
    let (code, findings) = fleet.verify("raw.vending_health")?;
    ensure!(code == 1 && findings.len() == 1, "{findings:#?}");
    page.settle()
}
