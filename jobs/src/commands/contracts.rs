//! `weir contracts check` and `weir contracts infer`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use weir_contract::contract::{Contract, Kind, parse};
use weir_contract::infer::Observer;
use weir_contract::privacy::HashKey;
use weir_ingest::kafka::KafkaSource;

use super::kafka_settings;
use crate::cli::{Check, Infer};
use crate::config::Property;
use crate::failure::Failure;
use crate::output::Column;
use crate::session::{Done, Session};

const COLUMNS: [Column; 5] = [
    Column::text("file"),
    Column::text("contract"),
    Column::text("version"),
    Column::number("columns"),
    Column::number("event_types"),
];

/// Checks contract files; all mistakes of all files are told at once.
pub fn check(asked: &Check, session: &mut Session) -> Result<Done, Failure> {
    let files = match asked.files.is_empty() {
        true => session.config()?.streams.into_values().map(|stream| stream.contract).collect(),
        false => asked.files.clone(),
    };
    if files.is_empty() {
        return Err(Failure::config("there is no contract to check")
            .next("name files, or add a stream to weir.toml"));
    }
    let (contracts, mistakes) = read(&files);
    let rows: Vec<Vec<Value>> =
        contracts.iter().map(|(file, contract)| row(file, contract)).collect();
    session.output.result("checked", files.len());
    session.output.result("contracts", rows.len());
    session.output.table(&COLUMNS, &rows)?;
    failed(&mistakes).map_or(Ok(Done::Done), Err)
}

/// What the fetches of a look need, bytes.
const MEMORY: usize = 16 << 20;

/// Drafts a contract from the newest records of a topic.
pub fn infer(asked: &Infer, session: &mut Session) -> Result<Done, Failure> {
    let config = session.config()?;
    let settings = kafka_settings(&config, &asked.topic, &asked.topic, MEMORY)?;
    let failed = |error: weir_ingest::source::SourceError| Failure::new(error.class, error.message);
    let mut observer = Observer::new();
    let mut source = KafkaSource::open(settings).map_err(failed)?;
    source.sample(asked.records, &mut |value| observer.observe(value)).map_err(failed)?;
    if observer.records() == 0 {
        return Err(Failure::config(format!("topic {} holds no record to look at", asked.topic))
            .next("send some events to the topic first"));
    }
    session.output.result("records", observer.records());
    session.output.line(observer.draft(&asked.topic).trim_end())?;
    Ok(Done::Done)
}

/// Reads the contracts of streams, and the key that they hash with, if they hash; all mistakes of all
/// files are told at once.
pub fn load(files: &[PathBuf], key: Option<&Property>) -> Result<Vec<Arc<Contract>>, Failure> {
    let (contracts, mistakes) = read(files);
    if let Some(failure) = failed(&mistakes) {
        return Err(failure);
    }
    let finish = |(file, contract): (&PathBuf, Contract)| {
        let mut contract = of_stream(file, contract)?;
        if contract.hashes() {
            let key = hash_key(&contract, key).map_err(|f| f.at(file.display()))?;
            contract.hash_key = Some(key);
        }
        Ok(Arc::new(contract))
    };
    contracts.into_iter().map(finish).collect()
}

/// Reads one contract, to ask it something; it has no key to hash with.
pub fn one(file: &Path) -> Result<Contract, Failure> {
    let files = [file.to_path_buf()];
    let (contracts, mistakes) = read(&files);
    match (failed(&mistakes), contracts.into_iter().next()) {
        (None, Some((file, contract))) => of_stream(file, contract),
        (failure, _) => Err(failure.unwrap_or_else(|| Failure::config("no contract"))),
    }
}

fn of_stream(file: &Path, contract: Contract) -> Result<Contract, Failure> {
    if contract.kind == Kind::Stream {
        return Ok(contract);
    }
    Err(Failure::config("the contract is one of a reference table, not of a stream")
        .at(file.display())
        .next("name the contract of a stream"))
}

fn hash_key(contract: &Contract, key: Option<&Property>) -> Result<HashKey, Failure> {
    let next = "set `privacy.hash_key` to \"env:NAME\" or \"file:/path\" of a key of at least 16 \
                bytes; `openssl rand -hex 32` makes one";
    let Some(reference) = key else {
        let what = format!("contract {} hashes personal data, and there is no key", contract.id);
        return Err(Failure::config(what).next(next));
    };
    let key = reference.read().and_then(|key| HashKey::new(key.as_bytes()));
    key.map_err(|why| Failure::config(format!("`privacy.hash_key`: {why}")).next(next))
}

fn read(files: &[PathBuf]) -> (Vec<(&PathBuf, Contract)>, Vec<String>) {
    let (mut contracts, mut mistakes) = (Vec::new(), Vec::new());
    for file in files {
        let name = file.display().to_string();
        match std::fs::read_to_string(file) {
            Err(error) => mistakes.push(format!("{name}: the file cannot be read: {error}")),
            Ok(text) => match parse(&name, &text) {
                Ok(contract) => contracts.push((file, contract)),
                Err(found) => mistakes.extend(found.iter().map(ToString::to_string)),
            },
        }
    }
    (contracts, mistakes)
}

fn failed(mistakes: &[String]) -> Option<Failure> {
    let count = match mistakes.len() {
        0 => return None,
        1 => "1 mistake".to_string(),
        n => format!("{n} mistakes"),
    };
    let failure = Failure::config(format!("{count} in data contracts"))
        .next("correct what is listed; docs/contracts.md is the guide");
    Some(mistakes.iter().fold(failure, Failure::at))
}

fn row(file: &Path, contract: &Contract) -> Vec<Value> {
    vec![
        json!(file.display().to_string()),
        json!(contract.id),
        json!(contract.version),
        json!(contract.fields.len()),
        json!(contract.event_types.len()),
    ]
}
