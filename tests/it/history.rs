//! What was: tags, rollbacks, and the way back of a lost catalog, by the real binary, beside the readers
//! that are not ours.

mod register;
mod rollback;
mod tags;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir_tests::lab::{Lab, TABLE};

/// Small batches.
const QUICK: &str = "\n[ingest]\nflush.interval = \"300ms\"\n";

/// Ids of the standing snapshots, oldest first.
fn snapshots(lab: &Lab) -> Result<Vec<String>> {
    let done = lab.weir(&["snapshots", TABLE])?.expect(0)?;
    let id = |line: &str| -> Result<String> {
        let line: Value = serde_json::from_str(line)?;
        Ok(line["snapshot"].as_str().context("no id")?.to_string())
    };
    done.stdout.lines().map(id).collect()
}

fn rows(lab: &Lab, more: &[&str]) -> Result<i64> {
    let sql = format!("SELECT count(*) AS n FROM {TABLE}");
    let done = lab.weir(&[&["query", &sql][..], more].concat())?.expect(0)?;
    let row: Value = serde_json::from_str(done.stdout.lines().next().context("no row")?)?;
    row["n"].as_i64().context("no number")
}

/// Fails unless PyIceberg and DuckDB read what weir reads, `rows` rows of the current state, and
/// `past` rows of this snapshot.
fn readers_agree(lab: &Lab, rows: i64, past: Option<(&str, i64)>) -> Result<()> {
    let database = lab.path().join("catalog.db").display().to_string();
    let mut arguments = vec![database.as_str(), TABLE];
    arguments.extend(past.map(|(snapshot, _)| snapshot));
    let said: Value = serde_json::from_str(&lab.python("evolve.py", &arguments)?)?;
    ensure!(said["now"]["rows"] == rows, "{said:#}, expected {rows} rows");
    if let Some((snapshot, past)) = past {
        ensure!(said["then"]["rows"] == past, "{said:#}, expected {past} rows of {snapshot}");
    }
    Ok(())
}
