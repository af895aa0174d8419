//! Rollbacks: explained, refused without a yes, and done beside a running ingest.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use weir_tests::lab::{Lab, STREAM, TABLE};

use super::{QUICK, readers_agree, rows, snapshots};

#[test]
fn a_running_ingest_finds_its_head_again() -> Result<()> {
    let mut lab = Lab::new("rollback", 2)?;
    lab.write_config(QUICK)?;
    lab.produce(0, 200)?;
    lab.produce(1, 100)?;
    lab.ingest(&[])?;
    let target = snapshots(&lab)?.pop().context("no snapshot")?;
    let mut weir = lab.start(&["ingest"])?;
    let mut sent = 300;
    for n in 0..3 {
        lab.produce(0, 50)?;
        lab.produce(1, 30)?;
        sent += 80;
        weir.until("it is committed", |w| w.committed(STREAM) == 80 * (n + 1))?;
    }
    let ask = ["rollback", TABLE, "--to", &target];
    let asked = lab.weir(&[&["--result-json"][..], &ask].concat())?.expect(2)?;
    asked.says(&["nothing was changed", "--yes"])?;
    let said = asked.result()?["rollback"].clone();
    ensure!(
        said["effects"][0]["again"][0] == "200" && said["effects"][0]["gone"] == "0",
        "{said:#}"
    );
    ensure!(said["effects"][1]["again"][0] == "100", "{said:#}");
    ensure!(rows(&lab, &[])? == sent, "it was only asked");

    for round in 0..3 {
        // Records are on their way while it happens.
        lab.produce(0, 400)?;
        lab.produce(1, 400)?;
        sent += 800;
        if round > 0 {
            std::thread::sleep(Duration::from_millis(150 * round));
        }
        lab.result(&[&ask[..], &["--yes"]].concat())?;
        lab.produce(0, 10)?;
        lab.produce(1, 10)?;
        sent += 20;
        weir.until("everything is there again", |_| rows(&lab, &[]).is_ok_and(|n| n == sent))?;
        lab.verify_clean()?;
    }
    weir.signal("TERM")?;
    weir.end(Duration::from_secs(10))?.expect(0)?;
    readers_agree(&lab, sent, Some((&target, 300)))?;
    lab.verify_clean()
}

#[test]
fn an_ingest_without_new_records_reads_again_too() -> Result<()> {
    let mut lab = Lab::new("rollback-idle", 1)?;
    lab.write_config(QUICK)?;
    lab.produce(0, 20)?;
    lab.ingest(&[])?;
    let target = snapshots(&lab)?.pop().context("no snapshot")?;
    let mut weir = lab.start(&["ingest"])?;
    lab.produce(0, 20)?;
    weir.until("it is committed", |w| w.committed(STREAM) == 20)?;
    lab.result(&["rollback", TABLE, "--to", &target, "--yes"])?;
    weir.until("the table is looked at", |_| rows(&lab, &[]).is_ok_and(|n| n == 40))?;
    lab.verify_clean()
}

#[test]
fn what_kafka_no_longer_has_is_told_before_and_accepted_after() -> Result<()> {
    let mut lab = Lab::new("rollback-gone", 1)?;
    lab.produce(0, 100)?;
    lab.ingest(&[])?;
    let target = snapshots(&lab)?.pop().context("no snapshot")?;
    lab.produce(0, 100)?;
    lab.ingest(&[])?;
    let last = snapshots(&lab)?.pop().context("no snapshot")?;
    lab.client()?.delete_records(&lab.topic, &[(0, 130)])?;
    let human = lab.weir(&["--output", "human", "rollback", TABLE, "--to", &target])?.expect(2)?;
    ensure!(human.stdout.contains("of these 30 are gone from Kafka"), "{human:#?}");
    lab.result(&["rollback", TABLE, "--to", &target, "--yes"])?;
    lab.verify_clean()?;
    lab.weir(&["ingest", "--until-latest"])?.expect(1)?.says(&["lost-offsets"])?;
    // Forward again: nothing is lost at all.
    lab.result(&["rollback", TABLE, "--to", &last, "--yes"])?;
    lab.ingest(&[])?;
    ensure!(rows(&lab, &[])? == 200);
    lab.verify_clean()?;
    lab.weir(&["rollback", TABLE, "--to", "nowhere"])?.expect(2)?.says(&["no tag nowhere"])?;
    lab.weir(&["rollback", TABLE, "--to", "7"])?.expect(2)?.says(&["no standing snapshot 7"])?;
    Ok(())
}
