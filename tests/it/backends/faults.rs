//! What Glue's refusals, silences and lies do to a commit, and what others wrote into its entries.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use weir_catalog::CatalogError;
use weir_catalog::commit::Receipt;
use weir_contract::class::ErrorClass;
use weir_tests::stack::Fault;

use super::place::{Place, TIMEOUT, runtime};
use super::table;
use crate::readers::table::{Filler, RECORDS};

const UPDATE: &str = "glue:UpdateTable";

fn exception(kind: &str) -> String {
    json!({"__type": kind, "Message": "as the test wants it"}).to_string()
}

/// What one fault of one call does to the second commit of a table.
pub async fn commit_with(place: &Place, action: &str, fault: Fault) -> Result<Receipt> {
    let lake = place.lake()?;
    let mut filler = Filler::new()?;
    let base = filler.table(&lake).await?;
    let first = filler.commit(&lake, base, 0, 0).await?;
    place.tap().fault(action, fault);
    let receipt = filler.commit(&lake, first.base, 0, 1).await?;
    let base = place.lake()?.table(&table()).await?.context("the table")?;
    ensure!(base.metadata().snapshots().len() == 2, "{place}: not exactly once");
    ensure!(base.loaded.location == receipt.base.loaded.location, "{place}: not what was told");
    let progress = base.progress()?;
    let until = progress.sources.values().next().context("a source")?[&0].until;
    ensure!(until == 2 * RECORDS, "{place}: at {until}");
    Ok(receipt)
}

fn in_both(action: &str, fault: &Fault, expect: impl Fn(&Receipt) -> bool) -> Result<()> {
    for place in [Place::glue()?, Place::moto()?] {
        let receipt = runtime()?.block_on(commit_with(&place, action, fault.clone()))?;
        ensure!(expect(&receipt), "{place}: {receipt:?}");
        let updates = place.tap().calls().iter().filter(|call| *call == UPDATE).count();
        // The first commit, and each attempt at the second: nothing sends one twice.
        let attempts = 1 + receipt.conflicts + receipt.unknowns + u32::from(!receipt.already);
        let throttled = matches!(fault, Fault::Refuse(400, body) if body.contains("Throttling"));
        let refused = u32::from(throttled && action == UPDATE);
        ensure!(updates as u32 == attempts + refused, "{place}: {updates} updates, {receipt:?}");
    }
    Ok(())
}

#[test]
fn a_commit_whose_answer_was_lost_is_found() -> Result<()> {
    for fault in [
        Fault::CutAfter,
        Fault::LieAfter(500, exception("InternalServiceException")),
        Fault::LieAfter(503, "<html>".into()),
        Fault::LieAfter(400, exception("OperationTimeoutException")),
        Fault::Slow(TIMEOUT + Duration::from_millis(500)),
    ] {
        in_both(UPDATE, &fault, |r| r.unknowns == 1 && r.already && r.conflicts == 0)
            .with_context(|| format!("{fault:?}"))?;
    }
    Ok(())
}

#[test]
fn a_commit_that_got_lost_is_made_again() -> Result<()> {
    for fault in [
        Fault::CutBefore,
        Fault::Hang(TIMEOUT + Duration::from_millis(500)),
        Fault::Refuse(500, exception("InternalServiceException")),
    ] {
        in_both(UPDATE, &fault, |r| r.unknowns == 1 && !r.already && r.conflicts == 0)
            .with_context(|| format!("{fault:?}"))?;
    }
    Ok(())
}

#[test]
fn a_throttled_commit_is_made_again_and_was_never_in_doubt() -> Result<()> {
    let throttled = Fault::Refuse(400, exception("ThrottlingException"));
    in_both(UPDATE, &throttled, |r| r.unknowns == 0 && r.conflicts == 0 && !r.already)?;
    // A look is repeated by the client itself.
    in_both("glue:GetTable", &throttled, |r| r.unknowns == 0 && !r.already)
}

#[test]
fn a_catalog_that_never_answers_is_given_up_in_time() -> Result<()> {
    for fault in [
        Fault::Refuse(400, exception("ThrottlingException")),
        Fault::Refuse(503, "<html>".into()),
        Fault::CutBefore,
    ] {
        for action in [UPDATE, "glue:GetTable"] {
            let place = Place::glue()?;
            let error = runtime()?.block_on(async {
                let lake = place.lake()?;
                let mut filler = Filler::new()?;
                let base = filler.table(&lake).await?;
                place.tap().forget();
                let fault = fault.clone();
                place.tap().weather(move |call| (call == action).then(|| fault.clone()));
                let failed =
                    filler.commit(&lake, base, 0, 0).await.err().context("it was committed")?;
                Ok::<_, anyhow::Error>(failed)
            })?;
            let error = error.downcast_ref::<CatalogError>().context("another error")?;
            ensure!(error.class() == ErrorClass::Retry, "{action} {fault:?}: {error}");
            let calls = place.tap().calls().len();
            ensure!(calls < 100, "{action} {fault:?}: {calls} calls");
            println!("{action} {fault:?}: given up after {calls} calls");
        }
    }
    Ok(())
}

#[test]
fn a_refused_version_is_a_conflict() -> Result<()> {
    let beaten = Fault::Refuse(400, exception("ConcurrentModificationException"));
    in_both(UPDATE, &beaten, |r| r.conflicts == 1 && r.unknowns == 0 && !r.already)
}

#[test]
fn what_is_denied_names_the_action_and_what_to_do() -> Result<()> {
    for (action, kind, advice) in [
        (UPDATE, "AccessDeniedException", "allow glue:UpdateTable"),
        (UPDATE, "ResourceNumberLimitExceededException", "a quota of Glue"),
        ("glue:GetTable", "AccessDeniedException", "allow glue:GetTable"),
        ("glue:GetTable", "ExpiredTokenException", "renew"),
    ] {
        let place = Place::glue()?;
        let fault = Fault::Refuse(400, exception(kind));
        let error = runtime()?.block_on(commit_with(&place, action, fault)).err();
        let error = error.with_context(|| format!("{kind} went by"))?;
        let error = error.downcast_ref::<CatalogError>().context("another error")?;
        ensure!(error.class() == ErrorClass::Denied, "{error}");
        ensure!(error.message().contains(advice), "{error}");
        ensure!(error.message().contains("raw.all_types"), "{error}");
    }
    Ok(())
}

#[test]
fn what_others_wrote_into_an_entry_stays() -> Result<()> {
    let place = Arc::new(Place::glue()?);
    let Place::Glue(server, _) = &*place else { unreachable!() };
    runtime()?.block_on(async {
        let lake = place.lake()?;
        let mut filler = Filler::new()?;
        let base = filler.table(&lake).await?;
        server.meddle("raw", "all_types", |entry| {
            entry["Parameters"]["trino_table_metadata_info_valid_for"] = "x".into();
            entry["Owner"] = "analysts".into();
            let columns = entry["StorageDescriptor"]["Columns"].as_array_mut().expect("columns");
            let bare = columns.iter_mut().find(|c| c.get("Comment").is_none());
            if let Some(column) = bare {
                column["Comment"] = "by hand".into();
            }
        });
        // Another's update that left the pointer: no conflict, and nothing of it is lost.
        let receipt = filler.commit(&lake, base, 0, 0).await?;
        ensure!(receipt.conflicts == 0, "{receipt:?}");
        server.meddle("raw", "all_types", |entry| {
            assert_eq!(entry["Parameters"]["trino_table_metadata_info_valid_for"], "x");
            assert_eq!(entry["Owner"], "analysts");
            assert_eq!(entry["TableType"], "EXTERNAL_TABLE");
            assert_eq!(entry["Parameters"]["table_type"], "ICEBERG");
            let now = receipt.base.loaded.location.as_str();
            assert_eq!(entry["Parameters"]["metadata_location"], now);
            assert!(entry["Parameters"]["previous_metadata_location"].is_string());
            let columns = entry["StorageDescriptor"]["Columns"].as_array().expect("columns");
            let kind = |name: &str| {
                let column = columns.iter().find(|column| column["Name"] == name);
                column.expect("a column")["Type"].as_str().expect("a type").to_string()
            };
            assert_eq!(kind("event_time"), "timestamp");
            assert_eq!(kind("money"), "decimal(18,4)");
            assert!(kind("_error").starts_with("struct<class:string,"));
            assert!(columns.iter().any(|column| column["Comment"] == "by hand"));
        });
        Ok(())
    })
}

#[test]
fn a_table_of_another_kind_or_lake_is_refused_by_name() -> Result<()> {
    let place = Place::glue()?;
    let Place::Glue(server, _) = &place else { unreachable!() };
    runtime()?.block_on(async {
        let lake = place.lake()?;
        Filler::new()?.table(&lake).await?;
        let refused = |why: &'static str| {
            let lake = lake.clone();
            async move {
                let error = lake.table(&table()).await.err().context("it was read")?;
                ensure!(error.class() == ErrorClass::BadConfig, "{error}");
                ensure!(error.message().contains(why), "{error}");
                ensure!(lake.tables().await?.is_empty(), "it is listed");
                Ok(())
            }
        };
        server.meddle("raw", "all_types", |entry| {
            entry["StorageDescriptor"]["Location"] = "s3://lake/other/raw/all_types".into();
        });
        refused("another lake's, at s3://lake/other/raw/all_types").await?;
        server.meddle("raw", "all_types", |entry| {
            entry["Parameters"]["table_type"] = "HIVE".into();
        });
        refused("no Iceberg table").await
    })
}
