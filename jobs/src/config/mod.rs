//! The config: `weir.toml`, environment variables and flags, checked as a whole.
//!
//! Text becomes values by the one table of keys ([`keys`], [`value`]); all layers are laid over one
//! another ([`raw`]: default < file < variable < flag); the result is checked across keys and gets
//! its final shape ([`resolve`]). Unknown keys are refused, and all mistakes are told at once.

mod aws;
mod entries;
pub mod keys;
pub mod raw;
pub mod resolve;
mod rest;
mod secret;
mod security;
#[cfg(test)]
mod tests;
pub mod value;

pub use aws::Aws;
pub use entries::Entry;
pub use raw::{Inputs, Mistake};
pub use resolve::{
    Catalog, CatalogPlace, Config, Flush, Ingest, Kafka, Log, Reference, Stream, WarehouseAt,
};
pub use rest::Rest;
pub use secret::{Property, TOKEN, TokenFrom};

use std::path::{Component, Path, PathBuf};

use crate::failure::Failure;

/// A flag that sets a key: how the user wrote it, the key, the value.
pub type Flag = (String, String, String);

/// Reads the file and the environment and resolves them with the flags.
pub fn load(file: &Path, flags: Vec<Flag>) -> Result<Config, Failure> {
    let (inputs, folder) = read(file, flags)?;
    parse(&inputs, &folder).map_err(|mistakes| failure(&mistakes))
}

/// Every key with its value and origin, of a config that is right.
pub fn show(file: &Path, flags: Vec<Flag>) -> Result<Vec<Entry>, Failure> {
    let (inputs, folder) = read(file, flags)?;
    parse(&inputs, &folder).map_err(|mistakes| failure(&mistakes))?;
    Ok(entries::entries(&raw::Raw::collect(&inputs), &folder))
}

/// All that the config is made of, and where its relative paths start.
fn read(file: &Path, flags: Vec<Flag>) -> Result<(Inputs, PathBuf), Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::config(format!("the config cannot be read: {error}"))
            .at(file.display())
            .next("name the right file with --config, or write one: docs/reference.md shows how")
    })?;
    let env = std::env::vars_os()
        .map(|(name, value)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
        })
        .collect();
    let inputs = Inputs { file_name: file.display().to_string(), file: text, env, flags };
    let folder = std::path::absolute(file)
        .map_err(|error| Failure::config(format!("the working folder is unknown: {error}")))?;
    let folder = folder.parent().unwrap_or(Path::new("/")).to_path_buf();
    Ok((inputs, folder))
}

/// Resolves what was read. Pure: `folder` is where relative paths start.
pub fn parse(inputs: &Inputs, folder: &Path) -> Result<Config, Vec<Mistake>> {
    let mut raw = raw::Raw::collect(inputs);
    let config = resolve::resolve(&mut raw, folder);
    match config {
        Some(config) if raw.is_right() => Ok(config),
        _ => Err(raw.into_mistakes()),
    }
}

fn failure(mistakes: &[Mistake]) -> Failure {
    let count = match mistakes.len() {
        1 => "1 mistake".to_string(),
        n => format!("{n} mistakes"),
    };
    mistakes
        .iter()
        .fold(Failure::config(format!("{count} in the config")), |failure, m| failure.at(m))
        .next("correct what is listed; docs/reference.md describes every key")
}

/// `path` from `folder` on, without `.` and `..`.
pub fn join(folder: &Path, path: &str) -> PathBuf {
    let mut joined = PathBuf::new();
    for component in folder.join(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                joined.pop();
            }
            other => joined.push(other),
        }
    }
    joined
}
