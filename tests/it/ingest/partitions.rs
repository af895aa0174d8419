//! Partitions that are added while ingest runs.

use std::time::Duration;

use anyhow::{Result, ensure};
use weir_tests::lab::{Lab, STREAM};

use super::{QUICK, holds};

#[test]
fn new_partitions_are_read_from_their_beginning() -> Result<()> {
    let mut lab = Lab::new("new-partitions", 1)?;
    // Where a source starts at its end, a partition that appears later still starts at 0.
    lab.write_config(&format!("{QUICK}start = \"latest\"\n"))?;
    lab.produce(0, 25)?;
    let mut weir = lab.start(&["ingest"])?;
    weir.until("it has started", |w| !w.events(STREAM, "partitions_started").is_empty())?;
    lab.produce(0, 50)?;
    weir.until("50 are in the table", |w| w.committed(STREAM) == 50)?;

    lab.client()?.add_partitions(&lab.topic, 3)?;
    // Before anybody has noticed.
    lab.produce(1, 40)?;
    lab.produce(2, 30)?;
    weir.until("120 are in the table", |w| w.committed(STREAM) == 120)?;
    lab.produce(0, 5)?;
    lab.produce(2, 5)?;
    weir.until("130 are in the table", |w| w.committed(STREAM) == 130)?;
    weir.signal("TERM")?;
    weir.end(Duration::from_secs(10))?.expect(0)?;

    let progress = lab.progress()?;
    let starts: Vec<_> =
        progress.sources.values().flatten().map(|(p, s)| (*p, s.start, s.until)).collect();
    ensure!(starts == [(0, 25, 80), (1, 0, 40), (2, 0, 35)], "{starts:?}");
    holds(&lab, 130)
}
