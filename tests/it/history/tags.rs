//! Tags by hand: kept over expiry, found by time, read by others.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir_tests::lab::{Lab, TABLE};

use super::{readers_agree, rows, snapshots};

#[test]
fn a_tagged_state_outlives_expiry_and_is_found_by_name_and_time() -> Result<()> {
    let mut lab = Lab::new("tags", 1)?;
    lab.write_config("\n[catalog.ladder]\nhours = 0\n")?;
    lab.produce(0, 40)?;
    lab.ingest(&[])?;
    let first = snapshots(&lab)?.pop().context("no snapshot")?;
    let tagged = lab.result(&["tag", TABLE, "audit"])?["tag"].clone();
    ensure!(tagged["snapshot"] == first && tagged["changed"] == true, "{tagged:#}");
    std::thread::sleep(std::time::Duration::from_millis(5));
    let between = chrono::Utc::now().to_rfc3339();
    for _ in 0..4 {
        lab.produce(0, 10)?;
        lab.ingest(&["--set", "catalog.snapshots_max=2"])?;
    }
    let standing = snapshots(&lab)?;
    ensure!(standing.len() == 3 && standing[0] == first, "{standing:?}");

    // States between have expired: the tag's is the nearest, and that is said.
    let done = lab.weir(&["snapshots", TABLE, "--as-of", &between])?.expect(0)?;
    let found: Value = serde_json::from_str(&done.stdout)?;
    ensure!(found["snapshot"] == first && found["later_expired"] == true, "{found:#}");
    ensure!(found["tags"][0] == "audit", "{found:#}");
    for engine in ["athena", "trino", "spark", "weir"] {
        let sql = found["sql"][engine].as_str().context("no SQL")?;
        ensure!(sql.contains(&first), "{engine}: {sql}");
    }
    let human = lab.weir(&["--output", "human", "snapshots", TABLE, "--as-of", &between])?;
    ensure!(human.stdout.contains("Trino   SELECT"), "{human:#?}");
    ensure!(rows(&lab, &["--as-of", &between])? == 40);
    let done = lab.weir(&["query", "--as-of", &between, &format!("SELECT 1 FROM {TABLE}")])?;
    done.says(&["later ones have expired"])?;
    readers_agree(&lab, 80, Some((&first, 40)))?;

    let taken = lab.weir(&["tag", TABLE, "audit"])?.expect(2)?;
    taken.says(&["has a tag audit at snapshot", "--delete"])?;
    lab.weir(&["tag", TABLE, "weir-day-2026-11-28"])?.expect(2)?.says(&["choose another name"])?;
    lab.result(&["tag", TABLE, "audit", "--delete"])?;
    lab.produce(0, 10)?;
    lab.ingest(&["--set", "catalog.snapshots_max=2"])?;
    ensure!(!snapshots(&lab)?.contains(&first), "the tag is gone and its snapshot stands");
    lab.weir(&["tag", TABLE, "audit", "--delete"])?.expect(2)?.says(&["no tag audit"])?;
    lab.verify_clean()
}
