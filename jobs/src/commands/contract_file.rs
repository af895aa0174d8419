//! A stream's contract file, looked at again while the stream runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use weir_contract::contract::Contract;
use weir_ingest::news::News;

use super::contracts;
use crate::config::Property;

/// A contract file, and what it was when it was last read.
pub struct ContractFile {
    path: PathBuf,
    key: Option<Property>,
    seen: Option<(SystemTime, u64)>,
}

impl ContractFile {
    /// The file, read anew when it is first looked at; `key` is that of hashed columns.
    pub fn new(path: PathBuf, key: Option<Property>) -> ContractFile {
        ContractFile { path, key, seen: None }
    }
}

impl News for ContractFile {
    fn look(&mut self) -> Option<Result<Arc<Contract>, String>> {
        let stamp = std::fs::metadata(&self.path).and_then(|m| Ok((m.modified()?, m.len()))).ok();
        if stamp == self.seen {
            return None;
        }
        self.seen = stamp;
        let read = contracts::load(std::slice::from_ref(&self.path), self.key.as_ref());
        let why = |failure: crate::failure::Failure| match failure.places.is_empty() {
            true => failure.what,
            false => format!("{}: {}", failure.what, failure.places.join("; ")),
        };
        match read {
            Ok(contracts) => contracts.into_iter().next().map(Ok),
            Err(failure) => Some(Err(why(failure))),
        }
    }
}
