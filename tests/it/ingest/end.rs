//! `--until-latest`: the ends of the start, reached whatever stands there.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use weir_tests::lab::{Lab, STREAM};
use weir_tests::running::PATIENCE;
use weir_tests::stack::{Kafka, Producer};

use super::{expect, holds};

#[test]
fn a_run_that_is_never_idle_commits_on() -> Result<()> {
    let mut lab = Lab::new("end-busy", 1)?;
    let run = lab.start(&["--set", "ingest.flush.interval=100ms", "ingest"])?;
    let producer = lab.client()?.producer()?;
    let (begun, mut sent) = (Instant::now(), 0);
    while run.events(STREAM, "batch_committed").len() < 150 {
        ensure!(begun.elapsed() < 2 * PATIENCE, "it commits no more:\n{}", run.said());
        lab.send(&producer, 0, 1)?;
        sent += 1;
        std::thread::sleep(Duration::from_millis(60));
    }
    run.signal("TERM")?;
    run.end(PATIENCE)?.expect(0)?;
    lab.ingest(&[])?;
    holds(&lab, sent)
}

#[test]
fn ends_behind_markers_and_aborted_records_are_reached() -> Result<()> {
    let mut lab = Lab::new("end-markers", 4)?;
    let producer = Producer::transactional(lab.kafka.bootstrap(), &lab.topic)?;
    let transaction = |lab: &mut Lab, partition, count, commit| -> Result<()> {
        producer.begin()?;
        lab.send(&producer, partition, count)?;
        if commit { producer.commit() } else { producer.abort() }
    };
    transaction(&mut lab, 0, 10, true)?; // ends with a marker
    transaction(&mut lab, 1, 10, false)?; // nothing but aborted records and their marker
    lab.produce(2, 7)?;
    transaction(&mut lab, 2, 5, false)?; // ends with aborted records; partition 3 stays empty
    ensure!(lab.client()?.end_offsets(&lab.topic)? == [11, 11, 13, 0]);

    let result = lab.ingest(&[])?;
    expect(&result, &[("records", 17), ("absent", 18)])?;
    ensure!(result["complete"] == true, "{result}");
    let heads: Vec<_> = lab.progress()?.sources.into_values().flatten().collect();
    ensure!(
        heads.iter().map(|(p, state)| (*p, state.until)).collect::<Vec<_>>()
            == [(0, 11), (1, 11), (2, 13), (3, 0)],
        "{heads:?}"
    );
    holds(&lab, 17)?;
    // Nothing is left, and whoever asks is told.
    let idle = lab.weir(&["ingest", "--until-latest", "--exit-99-when-idle"])?;
    idle.expect(99)?;
    expect(&lab.ingest(&[])?, &[("commits", 0), ("records", 0)])?;

    // A marker alone is progress, not idleness.
    transaction(&mut lab, 3, 3, false)?;
    lab.weir(&["ingest", "--until-latest", "--exit-99-when-idle"])?.expect(0)?;
    lab.weir(&["ingest", "--until-latest", "--exit-99-when-idle"])?.expect(99)?;
    holds(&lab, 17)
}

#[test]
fn an_open_transaction_is_left_to_a_later_run() -> Result<()> {
    let mut lab = Lab::new("end-open", 1)?;
    lab.produce(0, 10)?;
    let producer = Producer::transactional(lab.kafka.bootstrap(), &lab.topic)?;
    producer.begin()?;
    lab.send(&producer, 0, 5)?;
    lab.produce(0, 3)?;

    let result = lab.ingest(&[])?;
    expect(&result, &[("records", 10)])?;
    ensure!(result["complete"] == true, "{result}");
    holds(&lab, 10)?;
    lab.weir(&["ingest", "--until-latest", "--exit-99-when-idle"])?.expect(99)?;

    producer.commit()?;
    expect(&lab.ingest(&[])?, &[("records", 8), ("absent", 1)])?;
    holds(&lab, 18)
}

#[test]
fn what_comes_after_the_start_is_left_to_the_next_run() -> Result<()> {
    let mut lab = Lab::new("end-frozen", 2)?;
    lab.produce(0, 20)?;
    lab.ingest(&[])?;
    lab.produce(0, 30)?;
    lab.produce(1, 10)?;

    // The run is held between its start and its commit while more comes.
    let lock = lab.lock_catalog()?;
    let mut weir = lab.start(&["ingest", "--until-latest"])?;
    weir.until("a commit is under way", |w| !w.events(STREAM, "commit_started").is_empty())?;
    lab.produce(0, 15)?;
    lab.produce(1, 5)?;
    std::thread::sleep(Duration::from_millis(300));
    drop(lock);
    let done = weir.end(PATIENCE)?.expect(0)?;
    let result = done.result()?["streams"][STREAM].clone();
    expect(&result, &[("records", 40)])?;
    ensure!(result["complete"] == true, "{result}");
    holds(&lab, 60)?;

    expect(&lab.ingest(&[])?, &[("records", 20)])?;
    holds(&lab, 80)
}

#[test]
fn compacted_topics_have_gaps_that_are_counted() -> Result<()> {
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("min.compaction.lag.ms", "0"),
    ];
    let mut lab = Lab::on(Kafka::shared(), "end-compacted", 1, &configs)?;
    let producer = lab.client()?.producer()?;
    let begun = Instant::now();
    let mut written = 0;
    while first_offset(&lab)? == 0 {
        ensure!(begun.elapsed() < PATIENCE, "the broker never compacted");
        lab.send_keyed(&producer, 0, 60, 3)?;
        written += 60;
        std::thread::sleep(Duration::from_millis(300));
    }
    let result = lab.ingest(&[])?;
    let absent = result["absent"].as_i64().unwrap_or(0);
    ensure!(absent > 0 && result["complete"] == true, "{result}");
    let progress = lab.progress()?;
    let partition = progress.sources.values().flat_map(|p| p.values()).next();
    ensure!(partition.is_some_and(|p| (p.start, p.until) == (0, written)), "{partition:?}");
    holds(&lab, written - absent)
}

/// The first offset of partition 0 that still has a record.
fn first_offset(lab: &Lab) -> Result<i64> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", lab.kafka.bootstrap())
        .set("group.id", &lab.topic)
        .create()?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&lab.topic, 0, Offset::Offset(0))?;
    consumer.assign(&list)?;
    match consumer.poll(Duration::from_secs(3)) {
        Some(first) => Ok(first?.offset()),
        None => Ok(0),
    }
}
