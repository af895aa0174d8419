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

/// Paths of models with their text, as the repository has it.
macro_rules! models {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../transforms/sql/", $path)))),*]
    };
}
const MODELS: &[(&str, &str)] = models!(
    "marts/dimensions/dim_date.sql",
    "marts/dimensions/dim_date.yml",
    "marts/dimensions/dim_machine.sql",
    "marts/dimensions/dim_machine.yml",
    "marts/dimensions/dim_product.sql",
    "marts/dimensions/dim_product.yml",
    "marts/dimensions/dim_site.sql",
    "marts/dimensions/dim_site.yml",
    "marts/operations/availability_daily.sql",
    "marts/operations/availability_daily.yml",
    "marts/operations/availability_machine_monthly.sql",
    "marts/operations/availability_machine_monthly.yml",
    "marts/operations/availability_region_monthly.sql",
    "marts/operations/availability_region_monthly.yml",
    "marts/operations/availability_site_monthly.sql",
    "marts/operations/availability_site_monthly.yml",
    "marts/operations/fct_downtime.sql",
    "marts/operations/fct_downtime.yml",
    "marts/operations/machine_health_hourly.sql",
    "marts/operations/machine_health_hourly.yml",
    "marts/operations/machine_last_seen.sql",
    "marts/operations/machine_last_seen.yml",
    "marts/operations/temperature_deviation_hourly.sql",
    "marts/operations/temperature_deviation_hourly.yml",
    "marts/sales/fct_payments.sql",
    "marts/sales/fct_payments.yml",
    "marts/sales/fct_vends.sql",
    "marts/sales/fct_vends.yml",
    "marts/sales/payer_patterns_daily.sql",
    "marts/sales/payer_patterns_daily.yml",
    "marts/sales/payment_patterns_daily.sql",
    "marts/sales/payment_patterns_daily.yml",
    "marts/sales/payment_reconciliation.sql",
    "marts/sales/payment_reconciliation.yml",
    "marts/sales/revenue_daily.sql",
    "marts/sales/revenue_daily.yml",
    "marts/sales/revenue_region_daily.sql",
    "marts/sales/revenue_region_daily.yml",
    "marts/stock/demand_daily.sql",
    "marts/stock/demand_daily.yml",
    "marts/stock/fct_stock_outs.sql",
    "marts/stock/fct_stock_outs.yml",
    "marts/stock/inventory_level.sql",
    "marts/stock/inventory_level.yml",
    "marts/stock/lost_sales.sql",
    "marts/stock/lost_sales.yml",
    "marts/stock/refill_list.sql",
    "marts/stock/refill_list.yml",
    "marts/trading/fct_trades.sql",
    "marts/trading/fct_trades.yml",
    "marts/trading/positions.sql",
    "marts/trading/positions.yml",
    "marts/trading/trade_checks.sql",
    "marts/trading/trade_checks.yml",
    "marts/trading/trades_1m.sql",
    "marts/trading/trades_1m.yml",
    "marts/windows/sales_last_hour.sql",
    "marts/windows/sales_last_hour.yml",
    "marts/windows/vending_sessions.sql",
    "marts/windows/vending_sessions.yml",
    "marts/windows/window_completeness.sql",
    "marts/windows/window_completeness.yml",
    "project.yml",
    "staging/stg_store_inventory.sql",
    "staging/stg_store_inventory.yml",
    "staging/stg_store_operations.sql",
    "staging/stg_store_operations.yml",
    "staging/stg_store_sales.sql",
    "staging/stg_store_sales.yml",
    "staging/stg_trades.sql",
    "staging/stg_trades.yml",
    "staging/stg_vending_configuration.sql",
    "staging/stg_vending_configuration.yml",
    "staging/stg_vending_connectivity.sql",
    "staging/stg_vending_connectivity.yml",
    "staging/stg_vending_faults.sql",
    "staging/stg_vending_faults.yml",
    "staging/stg_vending_health.sql",
    "staging/stg_vending_health.yml",
    "staging/stg_vending_inventory.sql",
    "staging/stg_vending_inventory.yml",
    "staging/stg_vending_logs.sql",
    "staging/stg_vending_logs.yml",
    "staging/stg_vending_sales.sql",
    "staging/stg_vending_sales.yml",
    "staging/stg_vending_security.sql",
    "staging/stg_vending_security.yml",
);

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_of_the_repository_comes_along() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../transforms/sql"));
        let mut there = Vec::new();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    // What `weir compile` writes.
                    true if path == root.join("target") => {}
                    true => folders.push(path),
                    false => there.push(path.strip_prefix(root).unwrap().display().to_string()),
                }
            }
        }
        there.sort();
        let written: Vec<&str> = MODELS.iter().map(|(path, _)| *path).collect();
        assert_eq!(written, there);
    }
}
