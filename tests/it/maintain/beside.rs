//! Maintenance beside ingest, other engines and itself; and killed at any instant.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir_tests::lab::{Lab, STREAM, TABLE};
use weir_tests::running::Running;
use weir_tests::sample::Rng;

use super::{AT_ONCE, fingerprint, maintain, small_files};

fn start(lab: &Lab) -> Result<Running> {
    lab.start(&[&AT_ONCE[..], &["maintain", TABLE]].concat())
}

/// The names of the events that a run has told so far.
fn events(run: &Running) -> Vec<String> {
    let log = run.log();
    let details = log.iter().filter_map(|line| line["fields"]["detail"].as_str());
    let events = details.filter_map(|detail| serde_json::from_str::<Value>(detail).ok());
    events.filter_map(|event| event["event"].as_str().map(str::to_string)).collect()
}

#[test]
fn two_at_once_do_it_once() -> Result<()> {
    let lab = small_files("maintain-two", 6, 400)?;
    let before = fingerprint(&lab)?;
    let runs = (0..3).map(|_| start(&lab)).collect::<Result<Vec<_>>>()?;
    let mut inputs = 0;
    for run in runs {
        let done = run.end(Duration::from_secs(60))?.expect(0)?;
        inputs += done.result()?["tables"][TABLE]["compaction"]["inputs"].as_i64().unwrap_or(0);
    }
    ensure!(inputs == 12, "{inputs} files were replaced, of 12");
    ensure!(fingerprint(&lab)? == before, "a reader sees other rows");
    lab.verify_clean()
}

#[test]
fn another_engine_that_deletes_between_plan_and_commit_wins() -> Result<()> {
    let lab = small_files("maintain-foreign", 5, 100)?;
    // With the catalog held, the commit waits; the process is stopped before it gets through.
    let held = lab.lock_catalog()?;
    let mut run = start(&lab)?;
    run.until("it commits", |run| events(run).contains(&"commit_started".to_string()))?;
    run.signal("STOP")?;
    drop(held);
    let snapshot = lab.foreign(&["delete", "0", "120", "123"])?;
    run.signal("CONT")?;
    let done = run.end(Duration::from_secs(60))?.expect(0)?;
    let compaction = done.result()?["tables"][TABLE]["compaction"].clone();
    ensure!(compaction["lost"] == 1, "{compaction:#}");
    let rows = lab.count(&format!("SELECT count(*) AS n FROM {TABLE}"))?;
    ensure!(rows == 750 - 4, "{rows}: rows came back to life");
    let (_, findings) = lab.verify()?;
    ensure!(findings.len() == 1, "{findings:#?}");
    let acknowledge = ["verify", TABLE, "--acknowledge", snapshot.trim(), "--reason", "test"];
    lab.weir(&acknowledge)?.expect(0)?;
    lab.verify_clean()?;
    // What it left is compacted by the next run.
    let before = fingerprint(&lab)?;
    maintain(&lab, &[])?;
    ensure!(fingerprint(&lab)? == before, "a reader sees other rows");
    lab.verify_clean()
}

#[test]
fn kills_at_any_instant_beside_ingest_lose_and_double_nothing() -> Result<()> {
    let mut lab = small_files("maintain-kills", 6, 200)?;
    let mut ingest = lab.start(&["--set", "ingest.flush.interval=150ms", "ingest"])?;
    let mut produced = 6 * 300;
    let begun = Instant::now();
    maintain(&lab, &[])?;
    let long_ms = begun.elapsed().as_millis() as u64;
    let mut rng = Rng::new(5);
    let (mut killed_committing, mut ended) = (0, 0);
    for round in 0..30u64 {
        for _ in 0..5 {
            lab.produce((round % 2) as i32, 40)?;
            produced += 40;
            std::thread::sleep(Duration::from_millis(160));
        }
        let mut run = start(&lab)?;
        // A third of the kills strike at any instant, the others while a commit is under way.
        if round % 3 == 0 {
            std::thread::sleep(Duration::from_millis(rng.below(long_ms * 5 / 4)));
        } else {
            let committing = |run: &Running| events(run).contains(&"commit_started".to_string());
            match run.until("a commit", committing) {
                Ok(()) => killed_committing += 1,
                Err(_) => ended += 1,
            }
            std::thread::sleep(Duration::from_millis(rng.below(60)));
        }
        // Dropped, it is killed.
        drop(run);
        if round % 10 == 9 {
            lab.verify_clean()?;
        }
    }
    println!("{killed_committing} killed while a commit was under way, {ended} had ended before");
    ensure!(killed_committing > 5, "{killed_committing}");
    let caught_up = |run: &Running| run.committed(STREAM) >= produced - 6 * 300;
    ingest.until("ingest has caught up", caught_up)?;
    ingest.signal("TERM")?;
    ingest.end(Duration::from_secs(30))?.expect(0)?;
    let rows = lab.count(&format!("SELECT count(*) AS n FROM {TABLE}"))?;
    ensure!(rows == produced, "{rows} of {produced}");
    let before = fingerprint(&lab)?;
    let done = maintain(&lab, &[])?;
    ensure!(fingerprint(&lab)? == before, "a reader sees other rows");
    let files = lab.table(STREAM)?;
    let summary = files.metadata().current_snapshot().context("a snapshot")?.summary();
    let files: i64 = summary.additional_properties["total-data-files"].parse()?;
    ensure!(files < 20, "{files} files are left: {done:#}");
    lab.verify_clean()
}
