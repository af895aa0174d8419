//! What a quickstart writes into its folder before it begins: contracts, reference tables, a key, config.

use std::io::Read;
use std::path::Path;

use weir_fleet::error::FleetError;
use weir_fleet::world::{World, tables};

use super::folder::{CATALOG, CONFIG, MARK, failed, put};
use crate::failure::Failure;

/// The folder of the contracts.
pub const CONTRACTS: &str = "contracts";
/// The folder of the files of the reference tables.
pub const SEEDS: &str = "seeds";
/// The key that personal data is hashed with.
const KEY: &str = "hash.key";

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

// `MODELS`: paths of the repository's models with their text, found by the build script.
include!(concat!(env!("OUT_DIR"), "/models.rs"));

/// Writes contracts, reference tables, models and config.
pub fn write(folder: &Path, bootstrap: &str, world: &World) -> Result<(), Failure> {
    for (name, text) in STREAMS.iter().chain(REFERENCES) {
        put(&folder.join(CONTRACTS).join(format!("{name}.yaml")), text)?;
    }
    for (path, text) in MODELS {
        let path = folder.join(super::folder::MODELS).join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| failed(parent, "created", &error))?;
        }
        put(&path, text)?;
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
             contract = \"{CONTRACTS}/{name}.yaml\"\n"
        );
    }
    for (name, _) in STREAMS {
        text += &format!(
            "\n[streams.\"{name}\"]\ntopic = \"{name}\"\ncontract = \"{CONTRACTS}/{name}.yaml\"\n"
        );
    }
    text
}
