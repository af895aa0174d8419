//! The laptop's lake, a folder and SQLite: opened by Trino and Spark through their JDBC catalogs.

use anyhow::{Result, ensure};

use super::asked::{ENGINES, Engines};
use super::fleet::{At, Fleet};
use super::page::Table;
use super::reading::{history, read};

#[test]
fn the_laptops_lake_is_opened_by_jdbc() -> Result<()> {
    let mut engines = Engines::shared()?;
    // Their catalog has the name that our lake has in the database.
    let mut fleet = Fleet::new("weir", At::Laptop, &mut engines)?;
    let before = history(&mut fleet)?;
    let mut page = Table::new("laptop", &["trino", "spark", "duckdb"]);
    read(&mut engines, &fleet, &mut page, &before)?;
    for (by, table) in ENGINES.iter().zip(["raw.vending_health", "raw.vending_inventory"]) {
        let rows = fleet.count(&format!("SELECT count(*) FROM {table}"))?;
        let named = fleet.named(table);
        engines
            .sql(by, &format!("DELETE FROM {named} WHERE _kafka_partition = 0 AND _offset < 3"))?;
        let after = fleet.count(&format!("SELECT count(*) FROM {table}"))?;
        ensure!(after == rows - 3, "{by}: {rows} rows, then {after}");
        let (code, findings) = fleet.verify(table)?;
        ensure!(code == 1 && !findings.is_empty(), "{by}: verify did not notice");
        let newest = fleet.newest(table)?;
        fleet
            .weir(&["verify", table, "--acknowledge", &newest, "--reason", "a test"])?
            .expect(0)?;
        fleet.live(4, 1, &[])?;
        fleet.verify_clean(table)?;
        page.note(by, "deletes rows; `weir verify` notices, ingest goes on", "yes".into())?;
    }
    page.settle()
}
