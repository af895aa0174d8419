//! `weir contracts check`, and how commands read contracts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use weir_contract::contract::{Contract, Kind, parse};
use weir_contract::privacy::HashKey;

use crate::cli::Check;
use crate::config::{Config, Property};
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
        true => files_of(session.config()?),
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

fn files_of(config: Config) -> Vec<PathBuf> {
    let streams = config.streams.into_values().map(|stream| stream.contract);
    streams.chain(config.references.into_values().map(|of| of.contract)).collect()
}

/// Reads the contracts of streams, to ask them something: they have no key to hash with. All mistakes of
/// all files are told at once.
pub fn of_streams(files: &[PathBuf]) -> Result<Vec<Contract>, Failure> {
    let (contracts, mistakes) = read(files);
    match failed(&mistakes) {
        Some(failure) => Err(failure),
        None => contracts.into_iter().map(|(file, contract)| of_stream(file, contract)).collect(),
    }
}

/// The same with the key that they hash with, if they hash.
pub fn load(files: &[PathBuf], key: Option<&Property>) -> Result<Vec<Arc<Contract>>, Failure> {
    let finish = |(mut contract, file): (Contract, &PathBuf)| {
        if contract.hashes() {
            let key = hash_key(&contract, key).map_err(|f| f.at(file.display()))?;
            contract.hash_key = Some(key);
        }
        Ok(Arc::new(contract))
    };
    of_streams(files)?.into_iter().zip(files).map(finish).collect()
}

/// Reads the contract of one stream, to ask it something.
pub fn one(file: &Path) -> Result<Contract, Failure> {
    of_stream(file, any(file)?)
}

/// Reads one contract, whatever it is of.
pub fn any(file: &Path) -> Result<Contract, Failure> {
    let files = [file.to_path_buf()];
    let (contracts, mistakes) = read(&files);
    match (failed(&mistakes), contracts.into_iter().next()) {
        (None, Some((_, contract))) => Ok(contract),
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
