//! One file per command: read what was asked, call the library, print what came back.

pub mod config;
mod contract_file;
pub mod contracts;
mod csv_events;
mod event_sink;
pub mod evolve;
pub mod infer;
pub mod ingest;
pub mod lag;
pub mod look;
pub mod maintain;
pub mod models;
pub mod query;
pub mod quickstart;
pub mod redrive;
pub mod register;
pub mod rejects;
pub mod retain;
pub mod rollback;
pub mod seed;
pub mod simulate;
mod stream_job;
pub mod tag;
pub mod topics;
pub mod verify;
pub mod whereabouts;

use std::collections::BTreeMap;

use weir_catalog::Lake;
use weir_catalog::session::{At, Session as Sql, SessionOptions};
use weir_contract::class::ErrorClass;
use weir_contract::names::TableName;
use weir_ingest::kafka::KafkaSettings;

use crate::cli::{Command, Contracts};
use crate::config::{Config, Stream};
use crate::failure::Failure;
use crate::lake::{open as lake, tables};
use crate::session::{Done, Session};

/// Runs a command.
pub fn run(command: Command, session: &mut Session) -> Result<Done, Failure> {
    match command {
        Command::Contracts(Contracts::Check(asked)) => contracts::check(&asked, session),
        Command::Contracts(Contracts::Infer(asked)) => infer::run(&asked, session),
        Command::Contracts(Contracts::Plan(asked)) => evolve::plan(&asked, session),
        Command::Contracts(Contracts::Apply(asked)) => evolve::apply(&asked, session),
        Command::Ingest(asked) => ingest::run(&asked, session),
        Command::Seed(asked) => seed::run(&asked, session),
        Command::Lag(asked) => lag::run(&asked, session),
        Command::Topics(asked) => topics::run(&asked, session),
        Command::Verify(asked) => verify::run(&asked, session),
        Command::Tables => look::tables(session),
        Command::Snapshots(asked) => look::snapshots(&asked, session),
        Command::Tag(asked) => tag::run(&asked, session),
        Command::Rollback(asked) => rollback::run(&asked, session),
        Command::Register(asked) => register::run(&asked, session),
        Command::Query(asked) => query::run(&asked, session),
        Command::Quickstart(asked) => quickstart::run(&asked, session),
        Command::Simulate(asked) => simulate::run(&asked, session),
        Command::Rejects(asked) => rejects::run(&asked, session),
        Command::Redrive(asked) => redrive::run(&asked, session),
        Command::Maintain(asked) => maintain::run(&asked, session),
        Command::Retain(asked) => retain::run(&asked, session),
        Command::Where(asked) => whereabouts::run(&asked, session),
        Command::Ls(asked) => models::ls::list(&asked, session),
        Command::Compile(asked) => models::ls::compile(&asked, session),
        Command::Show(asked) => models::show::run(&asked, session),
        Command::Run(asked) => models::build::run(&asked, false, session),
        Command::Build(asked) => models::build::run(&asked, true, session),
        Command::Test(asked) => models::test::run(&asked, session),
        Command::Wait(asked) => models::wait::run(&asked, session),
        Command::Freshness(asked) => models::freshness::run(&asked, session),
        Command::Lineage(asked) => models::lineage::run(&asked, session),
        Command::Config => config::run(session),
    }
}

/// SQL over the lake, with the streams of the config by their names.
async fn sql(config: &Config, lake: &Lake, at: At) -> Result<Sql, Failure> {
    let streams = config.streams.keys().map(|name| (TableName::raw(name), name.clone()));
    let options = SessionOptions { streams: streams.collect(), ..SessionOptions::default() };
    Sql::open_with(lake, at, options).await.map_err(Failure::catalog)
}

/// The streams that were named, or all of the config.
fn selected(config: &Config, names: &[String]) -> Result<Vec<(String, Stream)>, Failure> {
    if config.streams.is_empty() {
        return Err(Failure::config("the config names no stream")
            .next("add [streams.\"<name>\"] with its topic and contract; see docs/reference.md"));
    }
    choose("stream", &config.streams, names)
}

/// Those that were named, or all.
fn choose<T: Clone>(
    what: &str,
    all: &BTreeMap<String, T>,
    names: &[String],
) -> Result<Vec<(String, T)>, Failure> {
    if names.is_empty() {
        return Ok(all.clone().into_iter().collect());
    }
    let mut chosen = BTreeMap::new();
    for name in names {
        let Some(found) = all.get(name) else {
            let known: Vec<&str> = all.keys().map(String::as_str).collect();
            return Err(Failure::config(format!("the config has no {what} {name}"))
                .next(format!("choose one of {}", known.join(", "))));
        };
        chosen.insert(name.clone(), found.clone());
    }
    Ok(chosen.into_iter().collect())
}

/// How to read a stream's topic; `memory` for fetched records, bytes.
fn kafka_settings(
    config: &Config,
    stream: &str,
    topic: &str,
    memory: usize,
) -> Result<KafkaSettings, Failure> {
    Ok(KafkaSettings {
        bootstrap: bootstrap(config)?,
        topic: topic.into(),
        group: format!("{}.{stream}", config.kafka.group_prefix),
        instance: config.kafka.instance.clone(),
        memory,
        properties: crate::kafka::properties(config),
    })
}

/// The brokers of the config.
fn bootstrap(config: &Config) -> Result<String, Failure> {
    config.kafka.bootstrap_servers.clone().ok_or_else(|| {
        Failure::new(ErrorClass::BadConfig, "kafka.bootstrap_servers is not set")
            .next("set it to host:port of a Kafka broker")
    })
}
