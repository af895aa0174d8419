//! A broker of before topics had ids: the last record that the table took is compared instead.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use weir_tests::lab::Lab;
use weir_tests::running::PATIENCE;
use weir_tests::stack::Kafka;

use super::{expect, holds};

fn old() -> Result<&'static Kafka> {
    static OLD: OnceLock<Kafka> = OnceLock::new();
    if let Some(kafka) = OLD.get() {
        return Ok(kafka);
    }
    let started = Kafka::start_without_topic_ids()?;
    Ok(OLD.get_or_init(|| started))
}

/// A lab whose table has 30 and 20 records of two partitions; the third is empty.
fn lab(name: &str) -> Result<Lab> {
    let mut lab = Lab::on(old()?, name, 3, &[])?;
    lab.produce(0, 30)?;
    lab.produce(1, 20)?;
    expect(&lab.ingest(&[])?, &[("records", 50)])?;
    Ok(lab)
}

#[test]
fn without_topic_ids_a_restart_compares_the_last_record_and_goes_on() -> Result<()> {
    let mut lab = lab("no-ids")?;
    let progress = lab.progress()?;
    let (id, partitions) = progress.sources.first_key_value().context("no source")?;
    ensure!(id.ends_with("/-"), "{id}");
    let last: Vec<_> = partitions.values().map(|p| p.last.map(|last| last.offset)).collect();
    ensure!(last == [Some(29), Some(19), None], "{last:?}");

    lab.produce(0, 5)?;
    lab.produce(2, 5)?;
    expect(&lab.ingest(&[])?, &[("records", 10)])?;
    holds(&lab, 60)?;
    lab.weir(&["ingest", "--until-latest", "--exit-99-when-idle"])?.expect(99)?;

    // Retention has taken the last record, and nothing that the table lacks.
    lab.client()?.delete_records(&lab.topic, &[(0, 35), (1, 19)])?;
    lab.produce(0, 4)?;
    lab.produce(1, 4)?;
    expect(&lab.ingest(&[])?, &[("records", 8)])?;
    holds(&lab, 68)
}

#[test]
fn without_topic_ids_a_topic_made_again_is_noticed() -> Result<()> {
    let mut lab = lab("no-ids-again")?;
    let before = lab.progress()?;
    let again = |lab: &mut Lab, counts: [u64; 2]| -> Result<()> {
        let client = lab.client()?;
        client.delete_topic(&lab.topic)?;
        // Such a broker says that a topic is gone before it is.
        let begun = Instant::now();
        while let Err(error) = client.create_topic(&lab.topic, 3, &[]) {
            ensure!(begun.elapsed() < PATIENCE, "{error:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
        lab.produce(0, counts[0])?;
        lab.produce(1, counts[1])
    };
    // With more records than the table has taken: only their contents tell.
    again(&mut lab, [40, 30])?;
    let done = lab.weir(&["ingest", "--until-latest"])?.expect(1)?;
    done.says(&["is not the one that the table holds", "--accept other-topic"])?;
    ensure!(lab.progress()? == before, "the stopped stream moved its table");
    // With fewer, the offsets tell.
    again(&mut lab, [10, 30])?;
    let done = lab.weir(&["ingest", "--until-latest"])?.expect(1)?;
    done.says(&["the broker ends at 10", "replaced", "--accept other-topic"])?;
    ensure!(lab.progress()? == before, "the stopped stream moved its table");
    holds(&lab, 50)?;

    // As the message says: a topic of another name.
    let topic = format!("{}-v2", lab.topic);
    lab.client()?.create_topic(&topic, 1, &[])?;
    let producer = lab.client()?.producer()?;
    lab.send_to(&topic, weir_tests::sample::Stream::Health, &producer, 0, 9)?;
    let set = format!("streams.\"vending.health\".topic={topic}");
    expect(&lab.ingest(&["--set", &set, "--accept", "other-topic"])?, &[("records", 9)])?;
    holds(&lab, 59)
}
