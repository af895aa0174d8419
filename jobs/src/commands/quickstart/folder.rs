//! The folder of a quickstart: everything to go on with. A kill at any moment leaves a folder that the
//! next quickstart takes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use weir_fleet::error::FleetError;

use super::contents;
use crate::cli;
use crate::failure::Failure;

/// The config, which also shows that the folder is a quickstart's.
pub const CONFIG: &str = "weir.toml";
/// What was done to whom when.
pub const TRUTH: &str = "truth.ndjson";
/// The log: the screen belongs to the figures.
pub const LOG: &str = "weir.log";
/// The catalog.
pub const CATALOG: &str = "catalog.db";
/// The folder of the models.
pub const MODELS: &str = "transforms/sql";
/// What a file that is being written has at the end of its name.
const PART: &str = ".part";
/// The first line of the config.
pub const MARK: &str = "# Written by `weir quickstart`.";

/// The folder, made where it is missing; `--fresh` empties what an earlier quickstart left.
pub fn prepare(asked: &cli::Quickstart) -> Result<PathBuf, Failure> {
    let folder = std::path::absolute(&asked.folder)
        .map_err(|error| failed(&asked.folder, "found", &error))?;
    let ours = std::fs::read_to_string(folder.join(CONFIG)).is_ok_and(|t| t.starts_with(MARK));
    let held = match held(&folder) {
        Ok(names) => names,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(failed(&folder, "read", &error)),
    };
    if !ours && held.iter().any(|name| name.to_str() != Some(&format!("{CONFIG}{PART}"))) {
        let what = format!("{} holds something else than a quickstart", folder.display());
        return Err(Failure::config(what).next("name another folder with --folder"));
    }
    if asked.fresh && ours {
        empty(&folder, held)?;
    }
    let create = |path: &Path| {
        std::fs::create_dir_all(path).map_err(|error| failed(path, "created", &error))
    };
    create(&folder)?;
    // The mark first: after a kill the folder is known as a quickstart's.
    if !folder.join(CONFIG).exists() {
        put(&folder.join(CONFIG), MARK)?;
    }
    create(&folder.join(contents::CONTRACTS))?;
    create(&folder.join(contents::SEEDS))?;
    Ok(folder)
}

/// The names of what the folder holds.
fn held(folder: &Path) -> std::io::Result<Vec<OsString>> {
    std::fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect()
}

/// Removes what the folder holds: the catalog before the tables that it names, and the config, which
/// shows whose the folder is, last.
fn empty(folder: &Path, mut held: Vec<OsString>) -> Result<(), Failure> {
    held.sort_by_key(|name| (name == CONFIG, name != CATALOG));
    for path in held.iter().map(|name| folder.join(name)) {
        let removed = match path.is_dir() && !path.is_symlink() {
            true => std::fs::remove_dir_all(&path),
            false => std::fs::remove_file(&path),
        };
        removed.map_err(|error| failed(&path, "removed", &error))?;
    }
    Ok(())
}

/// Writes a file as a whole or not at all.
pub fn put(path: &Path, text: &str) -> Result<(), Failure> {
    let mut part = path.as_os_str().to_owned();
    part.push(PART);
    std::fs::write(&part, text)
        .and_then(|()| std::fs::rename(&part, path))
        .map_err(|error| failed(path, "written", &error))
}

/// What cannot be done to a file or folder, and what to do about it.
pub fn failed(path: &Path, done: &str, error: &std::io::Error) -> Failure {
    Failure::fleet(FleetError::file(path, done, error))
        .next("choose a folder with room that you may write to, with --folder")
}
