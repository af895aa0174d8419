//! The marts once more, by dbt and DuckDB from the same raw tables: the rows are the same.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir_tests::lab;
use weir_tests::stack::Kafka;

/// The file of the real sales, which is not ours to hand on; without it rows of its kind stand in.
const SALES_VARIABLE: &str = "WEIR_TEST_SALES";

#[test]
fn dbt_makes_the_same_marts_of_the_same_raw_tables() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("weir-dbt-").tempdir()?;
    let (weir, kafka) = (lab::binary(), Kafka::shared());
    let mut arguments = vec![weir.to_str().context("path")?, kafka.bootstrap()];
    arguments.push(folder.path().to_str().context("path")?);
    let sales = std::env::var_os(SALES_VARIABLE).map(PathBuf::from);
    if let Some(sales) = &sales {
        arguments.extend(["--sales", sales.to_str().context("path")?]);
    }
    let said = lab::python("../dbt/compare.py", &arguments)?;
    println!("{said}");
    let last = said.lines().last().unwrap_or_default();
    let result: Value = serde_json::from_str(last).with_context(|| said.clone())?;
    ensure!(result["marts"].as_u64() >= Some(24), "{result}");
    ensure!(result["rows"].as_u64() > Some(10_000), "{result}");
    for found in ["differing", "empty", "unnoticed"] {
        ensure!(result[found] == Value::Array(Vec::new()), "{found}: {result}");
    }
    // Every mart is read alike by PyIceberg and by DuckDB.
    let database = folder.path().join("fleet/catalog.db").display().to_string();
    let names = std::fs::read_dir(lab::repository().join("tests/dbt/models/marts"))?;
    let mut arguments = vec![database];
    for name in names {
        let path = name?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        arguments.push(format!("mart.{name}"));
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let said = lab::python("fingerprint.py", &arguments)?;
    ensure!(said.lines().count() + 1 == arguments.len(), "{said}");
    ensure!(!said.contains("\"rows\": 0,"), "{said}");
    Ok(())
}
