//! Another engine, PyIceberg, commits between our commits; nothing may be lost or doubled.

use anyhow::{Result, ensure};
use serde_json::Value;
use weir_tests::lab::{Lab, TABLE};

/// A lab whose table holds four commits of two partitions.
fn lab(name: &str) -> Result<Lab> {
    let mut lab = Lab::new(name, 2)?;
    for _ in 0..4 {
        lab.produce(0, 60)?;
        lab.produce(1, 40)?;
        lab.ingest(&[])?;
    }
    lab.verify_clean()?;
    Ok(lab)
}

fn rows(lab: &Lab) -> Result<i64> {
    lab.count(&format!("SELECT count(*) AS n FROM {TABLE}"))
}

fn ingest_more(lab: &mut Lab, records: u64) -> Result<Value> {
    lab.produce(0, records)?;
    lab.ingest(&[])
}

fn kinds(findings: &[Value]) -> Vec<&str> {
    findings.iter().filter_map(|finding| finding["kind"].as_str()).collect()
}

#[test]
fn deleted_rows_are_a_finding_until_they_are_acknowledged() -> Result<()> {
    let mut lab = lab("foreign-delete")?;
    let snapshot = lab.foreign(&["delete", "0", "30", "33"])?;
    ingest_more(&mut lab, 25)?;
    let (code, findings) = lab.verify()?;
    ensure!(code == 1, "verify did not notice");
    let text = serde_json::to_string(&findings)?;
    ensure!(text.contains("30") && text.contains("33"), "the offsets are not named: {text}");

    let done = lab.weir(&[
        "verify",
        TABLE,
        "--acknowledge",
        snapshot.trim(),
        "--reason",
        "asked for by the customer",
    ])?;
    ensure!(done.code == Some(0), "{done:#?}");
    lab.verify_clean()?;
    ingest_more(&mut lab, 25)?;
    lab.verify_clean()?;
    ensure!(rows(&lab)? == 400 - 4 + 50);
    // A second time moves nothing.
    let again =
        lab.weir(&["verify", TABLE, "--acknowledge", snapshot.trim(), "--reason", "again"])?;
    ensure!(again.code != Some(2), "{again:#?}");
    lab.verify_clean()
}

#[test]
fn overwritten_rows_are_still_there_once() -> Result<()> {
    let mut lab = lab("foreign-overwrite")?;
    lab.foreign(&["overwrite", "1", "7"])?;
    ingest_more(&mut lab, 30)?;
    ensure!(rows(&lab)? == 430);
    lab.verify_clean()
}

#[test]
fn replaced_files_are_still_there_once() -> Result<()> {
    let mut lab = lab("foreign-rewrite")?;
    lab.foreign(&["rewrite"])?;
    ingest_more(&mut lab, 30)?;
    ensure!(rows(&lab)? == 430);
    lab.verify_clean()
}

#[test]
fn rows_added_by_others_are_a_finding() -> Result<()> {
    let mut lab = lab("foreign-append")?;
    lab.foreign(&["append", "0", "5"])?;
    ingest_more(&mut lab, 30)?;
    let (code, findings) = lab.verify()?;
    ensure!(code == 1 && !findings.is_empty(), "verify did not notice");
    Ok(())
}

#[test]
fn expired_snapshots_do_not_hide_the_head() -> Result<()> {
    let mut lab = lab("foreign-expire")?;
    lab.foreign(&["expire"])?;
    ingest_more(&mut lab, 30)?;
    lab.foreign(&["rewrite"])?;
    lab.foreign(&["expire"])?;
    ingest_more(&mut lab, 30)?;
    ensure!(rows(&lab)? == 460);
    lab.verify_clean()
}

#[test]
fn foreign_properties_are_kept() -> Result<()> {
    let mut lab = lab("foreign-property")?;
    lab.foreign(&["set", "owner", "somebody else"])?;
    ingest_more(&mut lab, 30)?;
    lab.verify_clean()?;
    let text = lab.python(
        "property.py",
        &[&lab.path().join("catalog.db").display().to_string(), TABLE, "owner"],
    )?;
    ensure!(text.trim() == "somebody else", "{text}");
    Ok(())
}

#[test]
fn removed_progress_is_recovered_and_said() -> Result<()> {
    let mut lab = lab("foreign-unset")?;
    lab.foreign(&["unset", "weir.progress"])?;
    let (code, findings) = lab.verify()?;
    ensure!(code == 1, "verify did not notice: {findings:?}");
    lab.produce(0, 30)?;
    let done = lab.weir(&["ingest", "--until-latest"])?;
    ensure!(done.code == Some(0), "{done:#?}");
    ensure!(done.stderr.contains("recovered"), "it was not said: {}", done.stderr);
    ensure!(rows(&lab)? == 430);
    lab.verify_clean()
}

#[test]
fn rolled_back_records_are_read_again() -> Result<()> {
    let mut lab = lab("foreign-rollback")?;
    lab.foreign(&["rollback", "2"])?;
    ensure!(rows(&lab)? == 200);
    let (code, findings) = lab.verify()?;
    ensure!(code == 1, "verify did not notice: {findings:?}");
    ingest_more(&mut lab, 30)?;
    ensure!(rows(&lab)? == 430);
    lab.verify_clean()
}

#[test]
fn rolled_back_records_that_kafka_no_longer_has_stop_the_stream() -> Result<()> {
    let mut lab = lab("foreign-rollback-lost")?;
    lab.foreign(&["rollback", "2"])?;
    lab.client()?.delete_records(&lab.topic, &[(0, 200), (1, 130)])?;
    let stopped = lab.weir(&["ingest", "--until-latest"])?;
    ensure!(stopped.code == Some(1), "{stopped:#?}");
    ensure!(stopped.stderr.contains("--accept lost-offsets"), "{}", stopped.stderr);
    ensure!(rows(&lab)? == 200, "something was read");
    lab.ingest(&["--accept", "lost-offsets"])?;
    ensure!(rows(&lab)? == 200 + 40 + 30);
    lab.verify_clean()?;
    ingest_more(&mut lab, 30)?;
    lab.verify_clean()
}

#[test]
fn every_kind_of_finding_has_a_name() -> Result<()> {
    let lab = lab("foreign-kinds")?;
    lab.foreign(&["append", "0", "5"])?;
    let (_, findings) = lab.verify()?;
    ensure!(kinds(&findings).len() == findings.len(), "{findings:#?}");
    Ok(())
}
