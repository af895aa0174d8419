//! Sweeping by the real binary; that a day has passed is written into what it remembers.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use weir_tests::lab::{Lab, TABLE};

use super::{fingerprint, maintain, small_files};

const DAY: Duration = Duration::from_secs(25 * 3_600);

fn table(lab: &Lab) -> PathBuf {
    lab.path().join("lake/raw/vending_health")
}

/// Makes all files, and what was remembered of them, older by more than a day.
fn let_a_day_pass(lab: &Lab) -> Result<()> {
    let mut folders = vec![table(lab)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let file = std::fs::File::options().write(true).open(&path)?;
            file.set_modified(file.metadata()?.modified()?.min(SystemTime::now()) - DAY)?;
        }
    }
    let memory = table(lab).join("metadata/weir-unreferenced.json");
    let mut seen: Value = serde_json::from_slice(&std::fs::read(&memory)?)?;
    let files = seen["unreferenced"].as_object_mut().context("a memory")?;
    for at in files.values_mut() {
        *at = json!(at.as_i64().context("a time")? - DAY.as_millis() as i64);
    }
    Ok(std::fs::write(memory, seen.to_string())?)
}

#[test]
fn what_a_kill_and_other_engines_leave_is_swept_after_a_day() -> Result<()> {
    let mut lab = small_files("maintain-sweep", 5, 100)?;
    let day = std::fs::read_dir(table(&lab).join("data"))?.next().context("a day")??.path();
    let orphans = [day.join("orphan.parquet"), table(&lab).join("metadata/0-orphan.metadata.json")];
    orphans.iter().try_for_each(|path| std::fs::write(path, "x"))?;
    let stranger = table(&lab).join("data/notes.txt");
    std::fs::write(&stranger, "x")?;
    let rows = fingerprint(&lab)?;

    let first = maintain(&lab, &[])?;
    ensure!(first["sweep"]["files"] == 0 && first["sweep"]["waiting"] == 2, "{first:#}");
    ensure!(first["sweep"]["strangers"] == 1, "{first:#}");
    let_a_day_pass(&lab)?;
    let dry = maintain(&lab, &["--dry-run"])?;
    ensure!(dry["sweep"]["files"] == 2 && orphans[0].exists(), "{dry:#}");
    // What another engine expires is of nobody's from then on, and waits its own day.
    lab.foreign(&["expire"])?;
    let swept = maintain(&lab, &[])?;
    ensure!(swept["sweep"]["files"] == 2, "{swept:#}");
    ensure!(orphans.iter().all(|path| !path.exists()) && stranger.exists());
    let waiting = swept["sweep"]["waiting"].as_u64().unwrap_or_default();
    ensure!(fingerprint(&lab)? == rows, "a reader sees other rows");
    lab.verify_clean()?;

    // Metadata of before the expiry is still logged, and holds what it refers to.
    for _ in 0..22 {
        lab.foreign(&["set", "note", "x"])?;
    }
    maintain(&lab, &[])?;
    let_a_day_pass(&lab)?;
    let swept = maintain(&lab, &[])?;
    ensure!(swept["sweep"]["files"].as_u64().unwrap_or_default() > waiting.max(10), "{swept:#}");
    ensure!(fingerprint(&lab)? == rows, "a reader sees other rows");
    lab.verify_clean()?;
    lab.produce(0, 50)?;
    lab.ingest(&[])?;
    lab.verify_clean()?;
    let count = lab.count(&format!("SELECT count(*) AS n FROM {TABLE}"))?;
    ensure!(count == 800, "{count}");
    Ok(())
}
