//! `weir where`.

use weir_catalog::locate::{self, Search};
use weir_catalog::look::no_table;
use weir_catalog::{Base, Lake};
use weir_contract::class::ErrorClass;
use weir_contract::names::TableName;

use super::lake;
use crate::answer::{Answer, HITS};
use crate::cli;
use crate::config::Config;
use crate::failure::Failure;
use crate::session::{Done, Session};

/// Rows of a trace or event that are listed.
const HITS_MAX: usize = 1_000;

/// Finds records, or what is in a file or a snapshot.
pub fn run(asked: &cli::Where, session: &mut Session) -> Result<Done, Failure> {
    let config = session.config()?;
    let lake = lake(&config, false)?;
    let tables = tables(&config, asked.stream.as_deref())?;
    let found = session.block_on(look(asked, &lake, &tables))?;
    if found.is_empty() {
        let failure = Failure::new(ErrorClass::BadData, "nothing like that was found")
            .next("check the id; `weir snapshots <table>` lists the snapshots that stand");
        return Err(tables.iter().fold(failure, |f, (table, _)| f.at(format!("table {table}"))));
    }
    session.output.result("found", found.len());
    if asked.trace.is_some() || asked.event.is_some() {
        let rows = found.iter().map(|(_, answer)| answer.cells()).collect::<Vec<_>>();
        session.output.table(&HITS, &rows)?;
        return Ok(Done::Done);
    }
    for (table, answer) in &found {
        session.output.object(&answer.json(table)?)?;
        session.output.say(answer.human(table)?)?;
    }
    Ok(Done::Done)
}

/// The tables that the argument names, a stream, a table or a topic, each with its topic if that was
/// named; all streams' if there is none.
fn tables(
    config: &Config,
    named: Option<&str>,
) -> Result<Vec<(TableName, Option<String>)>, Failure> {
    let Some(named) = named else {
        return Ok(config.streams.keys().map(|name| (TableName::raw(name), None)).collect());
    };
    if config.streams.contains_key(named) {
        return Ok(vec![(TableName::raw(named), None)]);
    }
    let of_topic: Vec<_> = (config.streams.iter())
        .filter(|(_, stream)| stream.topic == named)
        .map(|(name, _)| (TableName::raw(name), Some(named.to_string())))
        .collect();
    if !of_topic.is_empty() {
        return Ok(of_topic);
    }
    let unknown = |_| {
        let known: Vec<&str> = config.streams.keys().map(String::as_str).collect();
        Failure::config(format!("{named} is no stream, topic or table of the config"))
            .next(format!("choose one of {}", known.join(", ")))
    };
    named.parse().map(|table| vec![(table, None)]).map_err(unknown)
}

async fn look(
    asked: &cli::Where,
    lake: &Lake,
    tables: &[(TableName, Option<String>)],
) -> Result<Vec<(TableName, Answer)>, Failure> {
    let mut found = Vec::new();
    for (table, topic) in tables {
        match lake.table(table).await.map_err(Failure::catalog)? {
            Some(base) => {
                let answers = one(asked, lake, &base, topic.as_deref()).await?;
                found.extend(answers.into_iter().map(|answer| (table.clone(), answer)));
            }
            None if asked.stream.is_some() => return Err(Failure::catalog(no_table(table))),
            None => {}
        }
    }
    Ok(found)
}

/// What was asked for, in one table.
async fn one(
    asked: &cli::Where,
    lake: &Lake,
    base: &Base,
    topic: Option<&str>,
) -> Result<Vec<Answer>, Failure> {
    let failed = Failure::catalog;
    if let (Some(partition), Some(offset)) = (asked.partition, asked.offset) {
        let places = locate::record(lake, base, topic, partition, offset).await.map_err(failed)?;
        return Ok(places.into_iter().map(Answer::Place).collect());
    }
    if let Some(path) = &asked.file {
        let file = locate::file(lake, base, path).await.map_err(failed)?;
        return Ok(file.map(Answer::File).into_iter().collect());
    }
    if let Some(id) = asked.snapshot {
        let brought = locate::snapshot(lake, base, id).await.map_err(failed)?;
        return Ok(brought
            .map(|brought| Answer::Snapshot(Box::new(brought)))
            .into_iter()
            .collect());
    }
    let search = match (&asked.trace, &asked.event) {
        (Some(trace), _) => Search::Trace(trace.clone()),
        (None, event) => Search::Event(event.clone().unwrap_or_default()),
    };
    let hits = locate::search(lake, base, &search, HITS_MAX).await.map_err(failed)?;
    Ok(hits.into_iter().map(Answer::Hit).collect())
}
