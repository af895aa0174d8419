//! `weir rollback`.

use serde_json::json;
use weir_catalog::look::as_of::show_time;
use weir_catalog::look::which::Which;
use weir_catalog::rollback::{Effect, Rollback, plan};
use weir_contract::class::ErrorClass;
use weir_contract::names::TableName;
use weir_ingest::kafka::KafkaSource;
use weir_ingest::source::Source;

use super::{kafka_settings, lake};
use crate::cli;
use crate::config::Config;
use crate::failure::Failure;
use crate::session::{Done, Session};

/// What the look at a topic's ends needs, bytes.
const MEMORY: usize = 8 << 20;

/// Explains a rollback, and does it if it was told to.
pub fn run(asked: &cli::Rollback, session: &mut Session) -> Result<Done, Failure> {
    let table: TableName = asked.table.parse().map_err(|e: String| Failure::config(e))?;
    let to: Which = asked.to.parse().unwrap_or_else(|never| match never {});
    let config = session.config()?;
    let lake = lake(&config, false)?;
    let mut rollback =
        session.block_on(async { plan(&lake, &table, &to).await.map_err(Failure::catalog) })?;
    if rollback.is_done() {
        session.output.object(&json!(rollback))?;
        session.output.result("rollback", json!(rollback));
        session.output.say(format!("{table}: snapshot {} is the current one", rollback.from))?;
        return Ok(Done::Done);
    }
    let kafka = session.block_on(ask_kafka(&config, &table, &mut rollback));
    if let Err(failure) = kafka {
        tracing::warn!(%table, "whether Kafka still has the offsets is not known: {failure}");
    }
    let mut object = json!(rollback);
    object["done"] = json!(asked.yes);
    for line in explain(&rollback) {
        session.output.say(line)?;
    }
    if !asked.yes {
        session.output.object(&object)?;
        session.output.result("rollback", object);
        return Err(Failure::config("nothing was changed: a rollback needs --yes")
            .at(format!("table {table}"))
            .next("read what it does, then run the same command with --yes"));
    }
    let to = rollback.to.snapshot;
    session.block_on(async { rollback.run(&lake).await.map_err(Failure::catalog) })?;
    session.output.object(&object)?;
    session.output.say(format!("{table}: snapshot {to} is the current one now"))?;
    session.output.result("rollback", object);
    Ok(Done::Done)
}

/// Asks the topic of the table's stream which of the offsets it still has.
async fn ask_kafka(
    config: &Config,
    table: &TableName,
    rollback: &mut Rollback,
) -> Result<(), Failure> {
    let Some(effects) = &mut rollback.effects else { return Ok(()) };
    let again: Vec<&mut Effect> = effects.iter_mut().filter(|e| e.again.is_some()).collect();
    let stream = config.streams.iter().find(|(name, _)| TableName::raw(name) == *table);
    let (Some((name, stream)), false) = (stream, again.is_empty()) else { return Ok(()) };
    let failed = |class: ErrorClass, message: String| Failure::new(class, message);
    let kafka = kafka_settings(config, name, &stream.topic, MEMORY)?;
    let mut source = KafkaSource::open(kafka).map_err(|e| failed(e.class, e.message))?;
    let identity = source.identity().await.map_err(|e| failed(e.class, e.message))?;
    let marks = source.watermarks(&identity.partitions).await;
    let marks = marks.map_err(|e| failed(e.class, e.message))?;
    for effect in again {
        // Of a topic that is no more, all offsets are gone.
        let low = match effect.source == identity.source.to_string() {
            true => marks.iter().find(|m| m.partition == effect.partition).map(|m| m.low),
            false => Some(i64::MAX),
        };
        effect.see(low.unwrap_or(i64::MAX));
    }
    Ok(())
}

/// What it does, line by line.
fn explain(rollback: &Rollback) -> Vec<String> {
    let Rollback { table, from, to, undone, effects, rev, .. } = rollback;
    let mut lines = vec![
        format!("{table} goes to snapshot {} of {}", to.snapshot, show_time(to.committed_at_ms)),
        format!("  from snapshot {from}; {undone} snapshots of its history are undone and expire"),
    ];
    let Some(effects) = effects else {
        lines.push(
            "  its progress cannot be told as it is; afterwards it is that snapshot's".into(),
        );
        return lines;
    };
    lines.extend(effects.iter().map(|effect| format!("  {}", line(effect))));
    if let Some((now, then)) = rev.filter(|(now, then)| now > then) {
        lines.push(format!(
            "  rows that redrive accepted in revisions {} to {now} are rejected again: redrive them",
            then + 1
        ));
    }
    lines.push("  whoever reads the table by its vector sees these offsets come again".into());
    lines
}

fn line(effect: &Effect) -> String {
    let Effect { source, partition, rows, rejected, .. } = effect;
    let mut text = format!("{source}, partition {partition}: {rows:+} rows, {rejected:+} rejected");
    if let Some((from, until)) = effect.again {
        let gone = match effect.gone {
            None => String::new(),
            Some(0) => ", which Kafka has".into(),
            Some(gone) => format!(
                "; of these {gone} are gone from Kafka: ingest stops there until --accept \
                 lost-offsets"
            ),
        };
        text += &format!(", offsets {from} until {until} are read again{gone}");
    }
    if effect.head_after.is_none() {
        text += "; the table then no longer knows the partition";
    }
    text
}
