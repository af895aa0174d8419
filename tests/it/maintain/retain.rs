//! Retention by the real binary.

use anyhow::{Result, ensure};
use weir_tests::lab::{Lab, STREAM, TABLE};
use weir_tests::sample::{Rng, heartbeat};
use weir_tests::stack::Message;

use super::{AT_ONCE, maintain};

/// Records of so many days ago, each tenth without a machine.
fn produce_of(lab: &Lab, days_ago: i64, count: u64, rng: &mut Rng) -> Result<()> {
    let producer = lab.client()?.producer()?;
    let time_ms = chrono::Utc::now().timestamp_millis() - days_ago * 86_400_000;
    for i in 0..count {
        let value = heartbeat(i, rng, time_ms);
        let value = if i % 10 == 9 { b"{}".to_vec() } else { value };
        let message = Message {
            partition: Some(0),
            value: Some(&value),
            timestamp_ms: Some(time_ms),
            ..Message::default()
        };
        producer.send(&lab.topic, &message)?;
    }
    producer.flush()
}

#[test]
fn rows_go_by_day_and_rejects_by_kafka_time() -> Result<()> {
    let lab = Lab::new("retain", 1)?;
    let promise =
        "version: 1.0.0\nslaProperties:\n  - property: retention\n    value: 3\n    unit: d\n";
    lab.write_contract("version: 1.0.0\n", promise)?;
    let mut rng = Rng::new(3);
    for days_ago in [6, 5, 1, 0] {
        produce_of(&lab, days_ago, 100, &mut rng)?;
        lab.ingest(&[])?;
    }
    // Rejects of all days in one file.
    lab.result(&[&AT_ONCE[..], &["maintain", TABLE]].concat())?;
    let dry = lab.result(&["retain", "--dry-run"])?["streams"][STREAM].clone();
    ensure!(dry["rows"] == 180 && dry["rejected"] == 20 && dry["commits"] == 0, "{dry:#}");
    let done = lab.result(&["retain"])?["streams"][STREAM].clone();
    ensure!(done["rows"] == 180 && done["rejected"] == 20, "{done:#}");
    ensure!(done["rewritten"] == 1 && done["commits"] == 1, "{done:#}");
    let count = |of: &str| lab.count(&format!("SELECT count(*) AS n FROM {TABLE} WHERE {of}"));
    ensure!(count("_error IS NULL")? == 180 && count("_error IS NOT NULL")? == 20);
    lab.verify_clean()?;
    lab.weir(&["retain", "--exit-99-when-idle"])?.expect(99)?;
    let gone = lab.weir(&["--output", "human", "where", TABLE, "0", "3"])?;
    ensure!(gone.stdout.contains("removed: its row was deleted, by retention"), "{gone:#?}");
    // Ingest and maintenance go on.
    produce_of(&lab, 0, 50, &mut rng)?;
    lab.ingest(&[])?;
    maintain(&lab, &[])?;
    lab.verify_clean()
}

#[test]
fn what_cannot_be_promised_is_refused() -> Result<()> {
    let lab = Lab::new("retain-wrong", 1)?;
    lab.ingest(&[])?;
    let kept = lab.weir(&["--output", "human", "retain"])?;
    ensure!(kept.stdout.contains("its contract has no retention"), "{kept:#?}");
    let promise =
        "version: 1.0.0\nslaProperties:\n  - property: retention\n    value: 3\n    unit: m\n";
    lab.write_contract("version: 1.0.0\n", promise)?;
    lab.weir(&["retain"])?.expect(2)?.says(&["`unit` of the retention", "vending.health.yaml:"])
}
