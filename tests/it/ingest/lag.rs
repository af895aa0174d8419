//! `weir lag`: end, head, records and seconds behind, before, during and after.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir_tests::lab::{Lab, STREAM};
use weir_tests::stack::Message;

use super::{QUICK, holds};

/// One partition in the output of `weir lag`.
#[derive(Debug, PartialEq, serde::Deserialize)]
struct Row {
    stream: String,
    partition: i32,
    end: i64,
    head: i64,
    records_behind: i64,
    seconds_behind: Option<i64>,
}

impl Row {
    fn offsets(&self) -> (i64, i64, i64) {
        (self.end, self.head, self.records_behind)
    }

    fn is_even(&self) -> bool {
        self.end == self.head && self.records_behind == 0 && self.seconds_behind == Some(0)
    }
}

/// `weir lag` as JSON.
fn lag(lab: &Lab) -> Result<Vec<Row>> {
    let done = lab.weir(&["--output", "json", "--result-json", "lag"])?.expect(0)?;
    let mut lines: Vec<&str> = done.stdout.lines().collect();
    let result: Value = serde_json::from_str(lines.pop().context("no result")?)?;
    let rows: Vec<Row> = lines.into_iter().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let total: i64 = rows.iter().map(|row| row.records_behind).sum();
    ensure!(result["records_behind"] == total, "{result}, {rows:?}");
    let which: Vec<_> = rows.iter().map(|row| (row.stream.as_str(), row.partition)).collect();
    ensure!(which == [(STREAM, 0), (STREAM, 1), (STREAM, 2)], "{which:?}");
    Ok(rows)
}

#[test]
fn lag_is_told_before_during_and_after() -> Result<()> {
    let mut lab = Lab::new("lag", 3)?;
    lab.write_config(QUICK)?;
    let old_ms = chrono::Utc::now().timestamp_millis() - 600_000;
    let producer = lab.client()?.producer()?;
    let old = Message {
        partition: Some(0),
        value: Some(b"not json"),
        timestamp_ms: Some(old_ms),
        ..Message::default()
    };
    producer.send(&lab.topic, &old)?;
    producer.flush()?;
    lab.produce(0, 29)?;
    lab.produce(1, 10)?;
    lab.client()?.delete_records(&lab.topic, &[(1, 4)])?;

    // There is no lake yet. A partition is as far behind as its oldest record says.
    let before = lag(&lab)?;
    ensure!(before[0].offsets() == (30, 0, 30), "{before:?}");
    ensure!(before[1].offsets() == (10, 4, 6), "{before:?}");
    ensure!(before[2].is_even(), "{before:?}");
    let seconds = before.iter().map(|row| row.seconds_behind.unwrap_or(-1)).collect::<Vec<_>>();
    ensure!((600..1200).contains(&seconds[0]) && (0..300).contains(&seconds[1]), "{before:?}");
    ensure!(!lab.path().join("lake").exists(), "a look made a lake");
    // A first start at the end would leave nothing.
    let set = ["--set", "ingest.start=latest", "--output", "json", "lag"];
    let latest = lab.weir(&set)?.expect(0)?;
    ensure!(latest.stdout.lines().all(|l| l.contains("\"records_behind\":0")), "{latest:#?}");

    // While a commit of a running process is held back.
    let mut weir = lab.start(&["ingest"])?;
    weir.until("all are in the table", |w| w.committed(STREAM) == 36)?;
    let even = lag(&lab)?;
    ensure!(even.iter().all(Row::is_even), "{even:?}");
    let lock = lab.lock_catalog()?;
    lab.produce(2, 8)?;
    let during = lag(&lab)?;
    ensure!(during[2].offsets() == (8, 0, 8), "{during:?}");
    ensure!(during[2].seconds_behind.is_some(), "{during:?}");
    drop(lock);
    weir.until("all are in the table again", |w| w.committed(STREAM) == 44)?;
    weir.signal("TERM")?;
    weir.end(Duration::from_secs(10))?.expect(0)?;

    let after = lag(&lab)?;
    ensure!(after.iter().all(Row::is_even), "{after:?}");
    let human = lab.weir(&["--output", "human", "lag", "--stream", STREAM])?.expect(0)?;
    let words: Vec<Vec<&str>> =
        human.stdout.lines().map(|l| l.split_whitespace().collect()).collect();
    let header = ["stream", "partition", "end", "head", "records_behind", "seconds_behind"];
    ensure!(words[0] == header && words[1] == [STREAM, "0", "30", "30", "0", "0"], "{words:?}");
    ensure!(words.len() == 4, "{words:?}");
    holds(&lab, 44)
}
