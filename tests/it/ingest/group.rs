//! Several processes on one topic: partitions that go while a batch of them is open, a process that
//! wakes up and finds itself replaced, and too many of them.

use std::time::Duration;

use anyhow::{Result, ensure};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use weir_tests::lab::{Lab, STREAM};
use weir_tests::running::Running;

use super::holds;

const OUT: Duration = Duration::from_secs(10);

/// A session that ends soon, and the interval of batches.
fn config(interval: &str) -> String {
    format!(
        r#"
[kafka.properties]
"session.timeout.ms" = "1500"
"heartbeat.interval.ms" = "300"

[ingest]
flush.interval = "{interval}"
"#
    )
}

/// Partitions that the process has been told to start, less those taken back.
fn held(weir: &Running) -> usize {
    let revoked = weir.events(STREAM, "partitions_revoked");
    let gone: usize = revoked.iter().map(|e| e["partitions"].as_array().map_or(0, Vec::len)).sum();
    let mut started: Vec<i64> = weir
        .events(STREAM, "partitions_started")
        .iter()
        .flat_map(|e| e["offsets"].as_array().cloned().unwrap_or_default())
        .filter_map(|pair| pair[0].as_i64())
        .collect();
    started.sort_unstable();
    started.dedup();
    started.len().saturating_sub(gone)
}

#[test]
fn a_batch_of_revoked_partitions_is_abandoned_and_read_by_the_other() -> Result<()> {
    let mut lab = Lab::new("group-revoked", 4)?;
    // Batches that only their age would end, late.
    lab.write_config(&config("40s"))?;
    let mut first = lab.start(&["ingest"])?;
    first.until("it holds all", |w| held(w) == 4)?;
    for partition in 0..4 {
        lab.produce(partition, 100)?;
    }
    first.until("it reads", |w| !w.events(STREAM, "first_fetch").is_empty())?;
    let mut second = lab.start(&["ingest"])?;
    second.until("it holds two", |w| held(w) == 2)?;
    first.until("its batch is abandoned", |w| !w.events(STREAM, "batch_abandoned").is_empty())?;
    let told = first.events(STREAM, "batch_abandoned");
    ensure!(told[0]["reason"].as_str().is_some_and(|r| r.contains("revoked")), "{told:?}");
    ensure!(told[0]["records"].as_i64() > Some(0), "{told:?}");

    second.until("it reads", |w| !w.events(STREAM, "first_fetch").is_empty())?;
    let mut all = 0;
    for process in [first, second] {
        process.signal("TERM")?;
        let result = process.end(OUT)?.expect(0)?.result()?["streams"][STREAM].clone();
        all += result["rows"].as_i64().unwrap_or(0) + result["rejected"].as_i64().unwrap_or(0);
    }
    holds(&lab, all)?;
    lab.ingest(&[])?;
    holds(&lab, 400)
}

#[test]
fn a_process_that_was_replaced_while_it_slept_is_fenced() -> Result<()> {
    let mut lab = Lab::new("group-fenced", 2)?;
    lab.write_config(&config("1s"))?;
    let mut sleeper = lab.start(&["ingest"])?;
    sleeper.until("it holds all", |w| held(w) == 2)?;
    let mut sent = 0;
    let mut fenced = 0;
    for _ in 0..5 {
        // Records that it has read and not yet committed.
        lab.produce(0, 50)?;
        lab.produce(1, 50)?;
        sent += 100;
        std::thread::sleep(Duration::from_millis(500));
        sleeper.signal("STOP")?;
        let mut heir = lab.start(&["ingest"])?;
        heir.until("the heir has all", |w| w.committed(STREAM) >= 1)?;
        let behind = |lab: &Lab| -> Result<i64> {
            let sources = lab.progress()?.sources;
            Ok(sent - sources.values().flatten().map(|(_, p)| p.until).sum::<i64>())
        };
        while behind(&lab)? > 0 {
            heir.until("it runs", |_| true)?;
            std::thread::sleep(Duration::from_millis(100));
        }
        sleeper.signal("CONT")?;
        sleeper.until("it holds some again", |w| {
            w.events(STREAM, "batch_fenced").len() + w.events(STREAM, "batch_abandoned").len() > 0
        })?;
        heir.signal("TERM")?;
        heir.end(OUT)?.expect(0)?;
        fenced = sleeper.events(STREAM, "batch_fenced").len();
        if fenced > 0 {
            break;
        }
    }
    ensure!(fenced > 0, "five times it had not yet read what it was to be fenced for");
    lab.produce(0, 10)?;
    lab.produce(1, 10)?;
    sent += 20;
    let begun = std::time::Instant::now();
    while lab.progress()?.records() < i128::from(sent) {
        ensure!(begun.elapsed() < Duration::from_secs(60), "it never went on");
        std::thread::sleep(Duration::from_millis(100));
    }
    sleeper.signal("TERM")?;
    let done = sleeper.end(OUT)?.expect(0)?;
    let result = done.result()?["streams"][STREAM].clone();
    ensure!(result["fenced"].as_i64() > Some(0), "{result}");
    holds(&lab, sent)
}

/// Members of the lab's group that hold partitions and do nothing else, until the scope ends.
fn with_members(lab: &Lab, count: usize, test: impl FnOnce() -> Result<()>) -> Result<()> {
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| -> Result<()> {
                let member: BaseConsumer = ClientConfig::new()
                    .set("bootstrap.servers", lab.kafka.bootstrap())
                    .set("group.id", format!("{}.{STREAM}", lab.topic))
                    .set("partition.assignment.strategy", "cooperative-sticky")
                    .set("enable.auto.commit", "false")
                    .create()?;
                member.subscribe(&[&lab.topic])?;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let _ = member.poll(Duration::from_millis(50));
                }
                Ok(())
            });
        }
        let tested = test();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        tested
    })
}

#[test]
fn more_than_four_members_are_a_warning() -> Result<()> {
    let lab = Lab::new("group-many", 8)?;
    let mut weir = lab.start(&["ingest"])?;
    with_members(&lab, 3, || {
        weir.until("each of four holds two", |w| held(w) == 2)?;
        // Longer than the question takes: four are well.
        std::thread::sleep(Duration::from_secs(3));
        ensure!(weir.events(STREAM, "many_members").is_empty(), "four are too many");
        with_members(&lab, 1, || {
            weir.until("a warning", |w| !w.events(STREAM, "many_members").is_empty())
        })
    })?;
    let told = weir.events(STREAM, "many_members");
    ensure!(told[0]["members"] == 5, "{told:?}");
    let log = weir.log();
    let line = log.iter().find(|l| l["fields"]["message"].to_string().contains("5 processes"));
    ensure!(line.is_some_and(|l| l["level"] == "WARN"), "{line:?}");
    weir.signal("TERM")?;
    weir.end(OUT)?.expect(0)?;
    Ok(())
}
