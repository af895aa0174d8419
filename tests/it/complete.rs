//! Up to when streams and models are complete: what a scheduler waits for. Quiet and not ingested differ.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use weir_tests::lab::{self, Done, Lab, STREAM, TABLE};

const BEATS: &str = "\
{{ config(materialized='table') }}
select event_type, count(*) as events from {{ source('raw', 'vending_health') }} group by event_type
";
const NOTE: &str = "\
models:
  - name: beats
    description: Events by type.
    config:
      meta:
        owner: operations
        readers: [the tests]
        freshness: {warn_after: {count: 30, period: minute}, error_after: {count: 1, period: hour}}
";
/// What complete rows lag behind covered streams by default.
const LATENESS: TimeDelta = TimeDelta::minutes(5);

/// A stream of two partitions, and a mart of it.
fn lab(name: &str) -> Result<Lab> {
    let lab = Lab::new(name, 2)?;
    let marts = lab.path().join("transforms/sql/marts");
    std::fs::create_dir_all(&marts)?;
    std::fs::write(marts.join("beats.sql"), BEATS)?;
    std::fs::write(marts.join("beats.yml"), NOTE)?;
    Ok(lab)
}

fn wait(lab: &Lab, until: DateTime<Utc>) -> Result<Done> {
    lab.weir(&["--result-json", "wait", "beats", "--until", &until.to_rfc3339()])
}

/// Relation → up to when it is complete, and its status.
fn fresh(lab: &Lab, relation: &str) -> Result<(Option<DateTime<Utc>>, String)> {
    let done = lab.weir(&["--output", "json", "freshness"])?;
    let rows = done.stdout.lines().map(serde_json::from_str::<Value>);
    let rows: Vec<Value> = rows.collect::<Result<_, _>>()?;
    let row = rows.iter().find(|row| row["relation"] == relation);
    let row = row.with_context(|| format!("{relation} is not listed: {done:?}"))?;
    let time = row["complete_until"].as_str().map(|time| time.parse()).transpose()?;
    Ok((time, row["status"].as_str().unwrap_or_default().into()))
}

fn snapshots(lab: &Lab) -> Result<usize> {
    Ok(lab.table(STREAM)?.metadata().snapshots().len())
}

#[test]
fn quiet_and_not_ingested_differ() -> Result<()> {
    let mut lab = lab("complete")?;
    let began = Utc::now();
    wait(&lab, began)?.expect(2)?.says(&["there is no"])?;
    lab.ingest(&[])?;
    let (covered, _) = fresh(&lab, TABLE)?;
    let quiet = covered.context("a topic without records is covered, too")?;
    ensure!(quiet > began - TimeDelta::seconds(30) && quiet < Utc::now(), "{quiet}");
    wait(&lab, began)?.expect(75)?.says(&["mart.beats has not been built", "weir run"])?;

    // Times are shown in whole seconds.
    std::thread::sleep(Duration::from_millis(1_100));
    lab.produce(0, 40)?;
    lab.ingest(&[])?;
    lab.weir(&["run"])?.expect(0)?;
    let (covered, status) = fresh(&lab, TABLE)?;
    ensure!(covered > Some(quiet) && status == "pass", "{covered:?} {status}");
    let (complete, _) = fresh(&lab, "mart.beats")?;
    ensure!(complete == covered.map(|at| at - LATENESS), "{complete:?} of {covered:?}");
    wait(&lab, complete.context("not known")?)?.expect(0)?;
    let tomorrow = Utc::now() + TimeDelta::days(1);
    wait(&lab, tomorrow)?.expect(75)?.says(&["not yet until", "holds all that came until"])?;

    // While nothing comes, the time goes on without snapshots, and the table need not be built again.
    let before = snapshots(&lab)?;
    std::thread::sleep(Duration::from_millis(1_100));
    lab.ingest(&[])?;
    ensure!(fresh(&lab, TABLE)?.0 > covered && snapshots(&lab)? == before, "{before}");
    ensure!(fresh(&lab, "mart.beats")?.0 > complete, "{complete:?}");
    lab.verify_clean()?;

    // What is in the stream and not in the model holds it back, and is named.
    lab.produce(1, 40)?;
    lab.ingest(&[])?;
    wait(&lab, Utc::now() - LATENESS)?.expect(75)?.says(&[
        "raw.vending_health has records that mart.beats is not made of",
        "weir run --select",
    ])?;
    lab.weir(&["run"])?.expect(0)?;
    let (complete, status) = fresh(&lab, "mart.beats")?;
    wait(&lab, complete.context("not known")?)?.expect(0)?;
    ensure!(status == "pass", "{status}");
    stale(&lab)
}

/// Complete rows are at least five minutes old: more than a minute is promised in vain.
fn stale(lab: &Lab) -> Result<()> {
    let note = lab.path().join("transforms/sql/marts/beats.yml");
    let promise = |limits: &str| {
        let (before, _) = NOTE.split_once("freshness:").context("NOTE promises nothing")?;
        Ok::<_, anyhow::Error>(std::fs::write(&note, format!("{before}freshness: {limits}\n"))?)
    };
    promise("{warn_after: {count: 1, period: minute}}")?;
    ensure!(fresh(lab, "mart.beats")?.1 == "warn", "{:?}", fresh(lab, "mart.beats")?);
    lab.weir(&["freshness"])?.expect(0)?;
    promise("{error_after: {count: 1, period: minute}}")?;
    ensure!(fresh(lab, "mart.beats")?.1 == "error", "{:?}", fresh(lab, "mart.beats")?);
    lab.weir(&["freshness"])?.expect(1)?.says(&["1 of 2 are stale", "`weir lag` tells"])?;
    lab.weir(&["freshness", "--select", "tag:none"])?.expect(0)?;
    // What a stream promises stands in its contract.
    let latency = "slaProperties:\n  - {property: latency, value: 1, unit: s}\n";
    let contract = lab.path().join("vending.health.yaml");
    let text = std::fs::read_to_string(lab::repository().join("contracts/vending.health.yaml"))?;
    let at = text.find("slaProperties:").unwrap_or(text.len());
    ensure!(at == text.len(), "the contract promises something by itself");
    std::fs::write(&contract, text + latency)?;
    lab.write_config("")?;
    std::thread::sleep(Duration::from_secs(1));
    ensure!(fresh(lab, TABLE)?.1 == "error", "{:?}", fresh(lab, TABLE)?);
    Ok(())
}

#[test]
fn what_a_transaction_holds_back_is_not_covered() -> Result<()> {
    let mut lab = lab("complete-open")?;
    lab.produce(0, 10)?;
    lab.ingest(&[])?;
    let (before, _) = fresh(&lab, TABLE)?;
    let producer = weir_tests::stack::Producer::transactional(lab.kafka.bootstrap(), &lab.topic)?;
    producer.begin()?;
    lab.send(&producer, 1, 10)?;
    std::thread::sleep(Duration::from_millis(1_100));
    lab.ingest(&[])?;
    ensure!(fresh(&lab, TABLE)?.0 == before, "an open transaction was passed over");
    producer.commit()?;
    lab.ingest(&[])?;
    ensure!(fresh(&lab, TABLE)?.0 > before, "it is still held back");
    Ok(())
}

#[test]
fn a_scheduler_waits_while_others_work_and_a_rollback_takes_coverage_away() -> Result<()> {
    let mut lab = lab("complete-wait")?;
    lab.produce(0, 10)?;
    lab.ingest(&[])?;
    lab.weir(&["run"])?.expect(0)?;
    let (before, _) = fresh(&lab, "mart.beats")?;
    let until = before.context("not known")? + TimeDelta::milliseconds(500);
    let until = until.to_rfc3339();
    let waiting = lab.start(&["wait", "beats", "--until", &until, "--for", "2m"])?;
    std::thread::sleep(Duration::from_secs(1));
    lab.produce(0, 10)?;
    lab.ingest(&[])?;
    lab.weir(&["run"])?.expect(0)?;
    let done = waiting.end(Duration::from_secs(60))?;
    ensure!(done.code == Some(0), "{done:#?}");

    let first = lab.table(STREAM)?;
    let mut ids: Vec<_> =
        first.metadata().snapshots().map(|s| (s.sequence_number(), s.snapshot_id())).collect();
    ids.sort_unstable();
    let back = ids[ids.len() - 2].1.to_string();
    lab.weir(&["rollback", TABLE, "--to", &back, "--yes"])?.expect(0)?;
    ensure!(fresh(&lab, TABLE)?.0.is_none(), "what was rolled back is still covered");
    lab.ingest(&[])?;
    ensure!(fresh(&lab, TABLE)?.0.is_some(), "it was read again");
    Ok(())
}
