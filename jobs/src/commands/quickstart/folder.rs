//! The folder of a quickstart: config, contracts, reference tables, lake, truth and log; everything to
//! go on with. A kill at any moment leaves a folder that the next quickstart takes.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use weir_contract::class::ErrorClass;
use weir_fleet::error::FleetError;
use weir_fleet::world::{World, tables};

use crate::cli;
use crate::failure::Failure;

/// The config, which also shows that the folder is a quickstart's.
pub const CONFIG: &str = "weir.toml";
/// What was done to whom when.
pub const TRUTH: &str = "truth.ndjson";
/// The log: the screen belongs to the figures.
pub const LOG: &str = "weir.log";
/// The files of the reference tables.
const SEEDS: &str = "seeds";
/// The catalog.
const CATALOG: &str = "catalog.db";
/// What a file that is being written has at the end of its name.
const PART: &str = ".part";
/// The key that personal data is hashed with.
const KEY: &str = "hash.key";
/// The first line of the config.
const MARK: &str = "# Written by `weir quickstart`.";

/// Names of contracts with their text, as the repository has it.
macro_rules! contracts {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../../contracts/", $name, ".yaml")))),*]
    };
}
const STREAMS: &[(&str, &str)] = contracts!(
    "store.inventory",
    "store.operations",
    "store.sales",
    "trades",
    "vending.configuration",
    "vending.connectivity",
    "vending.faults",
    "vending.health",
    "vending.inventory",
    "vending.logs",
    "vending.sales",
    "vending.security",
);
const REFERENCES: &[(&str, &str)] =
    contracts!("ref.accounts", "ref.machines", "ref.planogram", "ref.products", "ref.sites");

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
    create(&folder.join("contracts"))?;
    create(&folder.join(SEEDS))?;
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

/// Writes contracts, reference tables and config.
pub fn write(folder: &Path, bootstrap: &str, world: &World) -> Result<(), Failure> {
    for (name, text) in STREAMS.iter().chain(REFERENCES) {
        put(&folder.join("contracts").join(format!("{name}.yaml")), text)?;
    }
    let seeds = folder.join(SEEDS);
    tables::write(world, &seeds)
        .map_err(|error| Failure::fleet(FleetError::file(&seeds, "written", &error)))?;
    let key = folder.join(KEY);
    if !key.exists() {
        put(&key, &random_key()?)?;
    }
    put(&folder.join(CONFIG), &config(bootstrap, &key))
}

/// 32 random bytes in hexadecimal.
fn random_key() -> Result<String, Failure> {
    let source = Path::new("/dev/urandom");
    let mut bytes = [0u8; 32];
    std::fs::File::open(source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| failed(source, "read", &error))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn config(bootstrap: &str, key: &Path) -> String {
    let mut text = format!(
        r#"{MARK} Its broker ended with it; the lake stays.
warehouse = "lake"

[catalog]
uri = "sqlite:///{CATALOG}"

[kafka]
bootstrap_servers = "{bootstrap}"

[ingest]
memory_max = "256MiB"
flush.interval = "1s"

[privacy]
hash_key = "file:{}"
"#,
        key.display()
    );
    for (name, _) in REFERENCES {
        let file = name.trim_start_matches("ref.");
        text += &format!(
            "\n[references.\"{name}\"]\nfile = \"{SEEDS}/{file}.csv\"\n\
             contract = \"contracts/{name}.yaml\"\n"
        );
    }
    for (name, _) in STREAMS {
        text += &format!(
            "\n[streams.\"{name}\"]\ntopic = \"{name}\"\ncontract = \"contracts/{name}.yaml\"\n"
        );
    }
    text
}

/// Writes a file as a whole or not at all.
fn put(path: &Path, text: &str) -> Result<(), Failure> {
    let mut part = path.as_os_str().to_owned();
    part.push(PART);
    std::fs::write(&part, text)
        .and_then(|()| std::fs::rename(&part, path))
        .map_err(|error| failed(path, "written", &error))
}

fn failed(path: &Path, done: &str, error: &std::io::Error) -> Failure {
    Failure::new(ErrorClass::Denied, format!("{} cannot be {done}: {error}", path.display()))
        .next("choose a folder that you may write to, with --folder")
}
