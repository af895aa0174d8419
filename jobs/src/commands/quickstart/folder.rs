//! The folder of a quickstart: config, contracts, lake, truth and log; everything to go on with.

use std::io::Read;
use std::path::{Path, PathBuf};

use weir_fleet::error::FleetError;

use crate::cli;
use crate::failure::Failure;

/// The config, which also shows that the folder is a quickstart's.
pub const CONFIG: &str = "weir.toml";
/// What was done to whom when.
pub const TRUTH: &str = "truth.ndjson";
/// The log: the screen belongs to the figures.
pub const LOG: &str = "weir.log";
/// The key that personal data is hashed with.
const KEY: &str = "hash.key";
/// The first line of the config.
const MARK: &str = "# Written by `weir quickstart`.";

macro_rules! contracts {
    ($($name:literal),* $(,)?) => {
        /// The contracts of the streams, as the repository has them.
        pub const CONTRACTS: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../../../contracts/", $name, ".yaml")))),*];
    };
}
contracts!(
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

/// The folder, made where it is missing; `--fresh` empties what an earlier quickstart left.
pub fn prepare(asked: &cli::Quickstart) -> Result<PathBuf, Failure> {
    let folder = std::path::absolute(&asked.folder)
        .map_err(|error| failed(&asked.folder, "found", &error))?;
    let ours = std::fs::read_to_string(folder.join(CONFIG)).is_ok_and(|t| t.starts_with(MARK));
    let empty = match std::fs::read_dir(&folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(failed(&folder, "read", &error)),
    };
    if !empty && !ours {
        let what = format!("{} holds something else than a quickstart", folder.display());
        return Err(Failure::config(what).next("name another folder with --folder"));
    }
    if asked.fresh && ours {
        std::fs::remove_dir_all(&folder).map_err(|error| failed(&folder, "removed", &error))?;
    }
    std::fs::create_dir_all(&folder).map_err(|error| failed(&folder, "created", &error))?;
    Ok(folder)
}

/// Writes config and contracts. The config comes first: with it the folder is known for ours, whatever
/// happens to the rest.
pub fn write(folder: &Path, bootstrap: &str) -> Result<(), Failure> {
    let (key, contracts) = (folder.join(KEY), folder.join("contracts"));
    put(&folder.join(CONFIG), &config(bootstrap, &key))?;
    if !key.exists() {
        put(&key, &random_key()?)?;
    }
    std::fs::create_dir_all(&contracts).map_err(|error| failed(&contracts, "created", &error))?;
    for (name, text) in CONTRACTS {
        put(&contracts.join(format!("{name}.yaml")), text)?;
    }
    Ok(())
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
uri = "sqlite:///catalog.db"

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
    for (name, _) in CONTRACTS {
        text += &format!(
            "\n[streams.\"{name}\"]\ntopic = \"{name}\"\ncontract = \"contracts/{name}.yaml\"\n"
        );
    }
    text
}

fn put(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| failed(path, "written", &error))
}

fn failed(path: &Path, done: &str, error: &std::io::Error) -> Failure {
    Failure::fleet(FleetError::file(path, done, error))
        .next("choose a folder with room that you may write to, with --folder")
}
