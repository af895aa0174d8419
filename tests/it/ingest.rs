//! `weir ingest` and `weir lag` as their users meet them: the real binary against a real Kafka, in
//! everything that can go wrong beside crashes.

mod end;
mod group;
mod lag;
mod memory;
mod newcomer;
mod no_topic_ids;
mod partitions;
mod signals;
mod sources;

use anyhow::{Result, ensure};
use serde_json::Value;
use weir_tests::lab::{Lab, TABLE};

/// Small batches, and changes of the topic noticed soon.
const QUICK: &str = r#"
[kafka.properties]
"topic.metadata.refresh.interval.ms" = "500"

[ingest]
flush.interval = "300ms"
"#;

/// Rows of the lab's table.
fn rows(lab: &Lab) -> Result<i64> {
    lab.count(&format!("SELECT count(*) AS n FROM {TABLE}"))
}

/// Fails unless the table holds `records` rows and verify finds nothing.
fn holds(lab: &Lab, records: i64) -> Result<()> {
    let rows = rows(lab)?;
    ensure!(rows == records, "the table has {rows} rows, expected {records}");
    lab.verify_clean()
}

/// Fails unless the result has these numbers.
fn expect(result: &Value, numbers: &[(&str, i64)]) -> Result<()> {
    for (name, number) in numbers {
        ensure!(result[name] == *number, "{name} is {}, expected {number}: {result}", result[name]);
    }
    Ok(())
}
