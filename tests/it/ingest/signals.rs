//! SIGTERM and SIGINT while there is much to do.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use weir_tests::lab::{Lab, STREAM};
use weir_tests::running::Running;

use super::{QUICK, holds};

/// What is promised between the first signal and the end.
const OUT: Duration = Duration::from_secs(10);

fn stopping(weir: &Running) -> bool {
    let said = |line: &Value| {
        line["fields"]["message"].as_str().is_some_and(|m| m.starts_with("stopping"))
    };
    weir.log().iter().any(said)
}

#[test]
fn a_signal_under_load_commits_what_is_open() -> Result<()> {
    for signal in ["TERM", "INT"] {
        let mut lab = Lab::new("signal-load", 2)?;
        lab.write_config(QUICK)?;
        let mut weir = lab.start(&["ingest"])?;
        let stop = AtomicBool::new(false);
        let (sent, done) = std::thread::scope(|scope| {
            let feeder = scope.spawn(|| -> Result<i64> {
                let producer = lab.client()?.producer()?;
                let mut sent = 0;
                while !stop.load(Ordering::Relaxed) {
                    for partition in [0, 1] {
                        lab.send(&producer, partition, 200)?;
                        sent += 200;
                    }
                }
                Ok(sent)
            });
            let ended = weir
                .until("three commits", |w| w.events(STREAM, "batch_committed").len() >= 3)
                .and_then(|()| weir.signal(signal))
                .and_then(|()| weir.end(OUT));
            stop.store(true, Ordering::Relaxed);
            let sent = feeder.join().unwrap_or_else(|_| anyhow::bail!("the feeder panicked"))?;
            anyhow::Ok((sent, ended?.expect(0)?))
        })?;
        let result = done.result()?["streams"][STREAM].clone();
        // Whatever it said it committed is what the table holds.
        let committed = result["rows"].as_i64().zip(result["rejected"].as_i64());
        let committed = committed.map_or(0, |(rows, rejected)| rows + rejected);
        ensure!(committed > 0 && result["abandoned"] == 0, "{result}");
        holds(&lab, committed)?;
        lab.ingest(&[])?;
        holds(&lab, sent)?;
    }
    Ok(())
}

#[test]
fn a_commit_that_cannot_end_in_time_is_abandoned_whole() -> Result<()> {
    let mut lab = Lab::new("signal-stuck", 1)?;
    lab.produce(0, 40)?;
    lab.ingest(&[])?;
    lab.produce(0, 60)?;
    let lock = lab.lock_catalog()?;
    let mut weir = lab.start(&["ingest", "--until-latest"])?;
    weir.until("a commit is under way", |w| !w.events(STREAM, "commit_started").is_empty())?;
    weir.signal("INT")?;
    let done = weir.end(OUT)?.expect(75)?;
    done.says(&["before it had reached the ends", "run the same command again"])?;
    ensure!(done.result()?["streams"][STREAM]["rows"] == 0, "{done:#?}");
    drop(lock);
    holds(&lab, 40)?;
    lab.ingest(&[])?;
    holds(&lab, 100)
}

#[test]
fn a_second_signal_ends_it_at_once() -> Result<()> {
    let mut lab = Lab::new("signal-twice", 1)?;
    // Such a process does not leave its group: the next one waits for the end of its session.
    let session = "[kafka.properties]\n\"session.timeout.ms\" = \"6000\"";
    lab.write_config(&QUICK.replace("[kafka.properties]", session))?;
    lab.produce(0, 40)?;
    lab.ingest(&[])?;
    lab.produce(0, 60)?;
    for (first, second, code) in [("TERM", "TERM", 143), ("TERM", "INT", 130)] {
        let lock = lab.lock_catalog()?;
        let mut weir = lab.start(&["ingest"])?;
        weir.until("a commit is under way", |w| !w.events(STREAM, "commit_started").is_empty())?;
        weir.signal(first)?;
        weir.until("it is stopping", stopping)?;
        weir.signal(second)?;
        // Far less than the commit would have waited.
        weir.end(Duration::from_secs(4))?.expect(code)?;
        drop(lock);
        holds(&lab, 40)?;
    }
    lab.ingest(&[])?;
    holds(&lab, 100)
}
