//! `weir contracts check`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use weir_contract::contract::{Contract, parse};

use crate::cli::Check;
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

/// Reads contracts; all mistakes of all files are told at once.
pub fn load(files: &[PathBuf]) -> Result<Vec<Arc<Contract>>, Failure> {
    let (contracts, mistakes) = read(files);
    match failed(&mistakes) {
        None => Ok(contracts.into_iter().map(|(_, contract)| Arc::new(contract)).collect()),
        Some(failure) => Err(failure),
    }
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
