//! A topic that is not what the table was fed from, or has lost what the table lacks: that stream
//! stops and says what to do, others go on, and what an operator accepts is recorded.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use weir_contract::progress::Partition;
use weir_tests::lab::{Done, Lab, OTHER_STREAM, STREAM};
use weir_tests::sample::Stream;
use weir_tests::stack::{Kafka, KafkaOptions};

use super::{QUICK, expect, holds};

/// A lab of two streams, each with 30 records in its table.
fn lab(name: &str) -> Result<(Lab, String)> {
    let mut lab = Lab::new(name, 2)?;
    let sales = lab.add_other_stream(QUICK)?;
    lab.produce(0, 20)?;
    lab.produce(1, 10)?;
    sell(&mut lab, &sales, 30)?;
    lab.ingest(&[])?;
    Ok((lab, sales))
}

fn sell(lab: &mut Lab, topic: &str, count: u64) -> Result<()> {
    let producer = lab.client()?.producer()?;
    lab.send_to(topic, Stream::Sales, &producer, 0, count)
}

/// Runs for ever with `flags` until the lab's stream has stopped and the other has taken 20 records
/// more; what it said.
fn stops_alone(lab: &mut Lab, sales: &str, flags: &[&str], kind: &str) -> Result<Done> {
    let before = lab.progress()?;
    let mut arguments = vec!["ingest"];
    arguments.extend_from_slice(flags);
    let mut weir = lab.start(&arguments)?;
    weir.until("the stream has stopped", |w| {
        let log = w.log();
        log.iter().any(|l| l["level"] == "ERROR" && l["fields"]["stream"] == STREAM)
    })?;
    sell(lab, sales, 20)?;
    weir.until("the other stream goes on", |w| w.committed(OTHER_STREAM) >= 20)?;
    weir.signal("TERM")?;
    let done = weir.end(Duration::from_secs(10))?.expect(1)?;
    done.says(&["stream of table raw.vending_health stopped", &format!("--accept {kind}")])?;
    let streams = &done.result()?["streams"];
    ensure!(streams[STREAM]["error"]["error_class"] == "bad_data", "{streams}");
    ensure!(streams[OTHER_STREAM]["error"].is_null(), "{streams}");
    ensure!(lab.progress()? == before, "the stopped stream moved its table");
    Ok(done)
}

/// Accepts `kind`, and looks at what was recorded: the table's list, and the sources' partitions.
fn accept(lab: &Lab, flags: &[&str], kind: &str) -> Result<Vec<(String, Vec<Partition>)>> {
    // Something else that is accepted does not help.
    let other = if kind == "lost-offsets" { "other-topic" } else { "lost-offsets" };
    let mut wrong = vec!["ingest", "--until-latest", "--stream", STREAM, "--accept", other];
    wrong.extend_from_slice(flags);
    lab.weir(&wrong)?.expect(1)?;

    let mut right = vec!["--stream", STREAM, "--accept", kind];
    right.extend_from_slice(flags);
    lab.ingest(&right)?;
    let table = lab.table(STREAM)?;
    let accepted = table.metadata().properties().get("weir.accepted").cloned();
    let accepted = accepted.context("nothing is recorded in weir.accepted")?;
    ensure!(accepted.contains(kind), "{accepted}");
    let reasons: Vec<_> = table
        .metadata()
        .snapshots()
        .filter_map(|s| s.summary().additional_properties.get("weir.reason").cloned())
        .collect();
    ensure!(reasons.iter().any(|reason| reason.contains(kind)), "{reasons:?}");
    // Once is enough: the next run needs no word.
    let mut again = vec!["--stream", STREAM];
    again.extend_from_slice(flags);
    expect(&lab.ingest(&again)?, &[("records", 0)])?;
    let sources = lab.progress()?.sources;
    Ok(sources.into_iter().map(|(id, p)| (id, p.into_values().collect())).collect())
}

fn sum(partitions: &[Partition], count: fn(&Partition) -> i64) -> i64 {
    partitions.iter().map(count).sum()
}

/// Of two sources, the one whose id holds `word`, and the other.
fn pick(sources: Vec<(String, Vec<Partition>)>, word: &str) -> Result<[Vec<Partition>; 2]> {
    ensure!(sources.len() == 2, "{sources:?}");
    let (found, rest): (Vec<_>, Vec<_>) =
        sources.into_iter().partition(|(id, _)| id.contains(word));
    ensure!(found.len() == 1, "{found:?}, {rest:?}");
    Ok([found, rest].map(|mut list| list.remove(0).1))
}

#[test]
fn lost_offsets_stop_one_stream_until_they_are_accepted() -> Result<()> {
    let (mut lab, sales) = lab("source-lost")?;
    lab.produce(0, 50)?;
    lab.produce(1, 5)?;
    lab.client()?.delete_records(&lab.topic, &[(0, 45)])?;
    let done = stops_alone(&mut lab, &sales, &[], "lost-offsets")?;
    done.says(&["offsets 20 to 44 (25 offsets)", "raise the topic's retention"])?;
    let sources = accept(&lab, &[], "lost-offsets")?;
    ensure!(sources.len() == 1, "{sources:?}");
    ensure!(sum(&sources[0].1, |p| p.lost) == 25, "{sources:?}");
    holds(&lab, 30 + 55 - 25)
}

#[test]
fn a_topic_made_again_stops_one_stream_while_it_runs() -> Result<()> {
    let (mut lab, sales) = lab("source-recreated")?;
    let mut weir = lab.start(&["ingest"])?;
    weir.until("it has started", |w| !w.events(STREAM, "partitions_started").is_empty())?;
    let old = lab.progress()?.sources.into_keys().next().context("no source")?;
    let client = lab.client()?;
    client.delete_topic(&lab.topic)?;
    client.create_topic(&lab.topic, 2, &[])?;
    // More than the old topic held: offsets alone would not tell.
    lab.produce(0, 60)?;
    lab.produce(1, 60)?;
    weir.until("the stream has stopped", |w| {
        let log = w.log();
        log.iter().any(|l| l["level"] == "ERROR" && l["fields"]["stream"] == STREAM)
    })?;
    weir.signal("TERM")?;
    let code = weir.end(Duration::from_secs(10))?.code;
    // Gone when it looked, or made again already.
    ensure!(matches!(code, Some(1 | 2)), "{code:?}");
    holds(&lab, 30)?;

    let done = stops_alone(&mut lab, &sales, &[], "recreated-topic")?;
    done.says(&["the table was fed from", &old])?;
    let lag = lab.weir(&["--output", "json", "lag"])?.expect(1)?;
    lag.says(&["there is no lag between them", "weir ingest", STREAM])?;
    ensure!(lag.stdout.contains(OTHER_STREAM), "the other stream's lag is hidden: {lag:#?}");

    let [before, new] = pick(accept(&lab, &[], "recreated-topic")?, &old)?;
    ensure!(sum(&before, |p| p.until) == 30 && sum(&new, |p| p.until) == 120, "{new:?}");
    ensure!(new.iter().all(|p| p.start == 0), "{new:?}");
    holds(&lab, 30 + 120)
}

#[test]
fn another_cluster_stops_one_stream_until_it_is_accepted() -> Result<()> {
    static SECOND: OnceLock<Kafka> = OnceLock::new();
    let started = Kafka::start_own(&KafkaOptions::default())?;
    let second: &'static Kafka = SECOND.get_or_init(|| started);
    let (mut lab, sales) = lab("source-cluster")?;
    // Both topics are on the new cluster; only one table has its own there already.
    let client = second.client()?;
    client.create_topic(&lab.topic, 1, &[])?;
    client.create_topic(&sales, 1, &[])?;
    let first = std::mem::replace(&mut lab.kafka, second);
    let old = lab.progress()?.sources.into_keys().next().context("no source")?;
    lab.produce(0, 40)?;
    sell(&mut lab, &sales, 5)?;
    let bootstrap = format!("kafka.bootstrap_servers={}", second.bootstrap());
    let moved = ["--set", bootstrap.as_str()];
    let mut accepted = vec!["--stream", OTHER_STREAM, "--accept", "other-cluster"];
    accepted.extend_from_slice(&moved);
    lab.ingest(&accepted)?;

    let done = stops_alone(&mut lab, &sales, &moved, "other-cluster")?;
    done.says(&["the table was fed from", &old, "now leads to"])?;
    let [before, new] = pick(accept(&lab, &moved, "other-cluster")?, &old)?;
    ensure!(sum(&before, |p| p.until) == 30 && sum(&new, |p| p.until) == 40, "{new:?}");
    holds(&lab, 30 + 40)?;

    // Back at the first cluster its source goes on where it was: nothing new to accept.
    lab.kafka = first;
    lab.produce(1, 7)?;
    expect(&lab.ingest(&["--stream", STREAM])?, &[("records", 7)])?;
    holds(&lab, 30 + 40 + 7)
}

#[test]
fn another_topic_stops_one_stream_until_it_is_accepted() -> Result<()> {
    let (mut lab, sales) = lab("source-topic")?;
    let topic = format!("{}-v2", lab.topic);
    lab.client()?.create_topic(&topic, 3, &[])?;
    let producer = lab.client()?.producer()?;
    lab.send_to(&topic, Stream::Health, &producer, 2, 12)?;
    let set = format!("streams.\"{STREAM}\".topic={topic}");
    let moved = ["--set", set.as_str()];
    let done = stops_alone(&mut lab, &sales, &moved, "other-topic")?;
    done.says(&["the table was fed from", &topic])?;
    let [new, before] = pick(accept(&lab, &moved, "other-topic")?, &topic)?;
    ensure!(sum(&before, |p| p.until) == 30 && sum(&new, |p| p.until) == 12, "{new:?}");
    holds(&lab, 30 + 12)
}
