//! The crash suite in CI: faults in lanes side by side, then three readers against the producers' lists; on
//! the local disk, and on S3 and Glue, which fail meanwhile.
//! More faults: `WEIR_CRASH_FAULTS=1000 WEIR_CRASH_LANES=5 WEIR_CRASH_REPORT=FILE tests/run --only crash::on_disk`.

use std::env::VarError;

use anyhow::{Context, Result};
use weir_tests::crash::campaign::{Campaign, campaign};
use weir_tests::crash::place::Where;
use weir_tests::lab::binary;

#[test]
fn on_disk_faults_lose_and_double_nothing() -> Result<()> {
    run(Where::Disk, "on_disk", 60, 3)
}

#[test]
fn on_aws_faults_lose_and_double_nothing() -> Result<()> {
    run(Where::Aws, "on_aws", 6, 1)
}

/// The campaign that the environment asks for, or one of so many faults in so many lanes.
fn run(at: Where, name: &str, faults: u64, lanes: u64) -> Result<()> {
    let asked = Campaign {
        at,
        faults: number("WEIR_CRASH_FAULTS", faults)? as usize,
        lanes: number("WEIR_CRASH_LANES", lanes)? as usize,
        seed: number("WEIR_CRASH_SEED", 1)?,
        weir: binary(),
    };
    let summary = campaign(&asked)?;
    println!("{}", serde_json::to_string_pretty(&summary)?);
    if let Ok(path) = std::env::var("WEIR_CRASH_REPORT") {
        let command = format!(
            "WEIR_CRASH_FAULTS={} WEIR_CRASH_LANES={} WEIR_CRASH_SEED={} tests/run --only crash::{name}",
            asked.faults, asked.lanes, asked.seed
        );
        std::fs::write(&path, summary.page(&asked, &command))
            .with_context(|| format!("cannot write {path}"))?;
    }
    Ok(())
}

fn number(variable: &str, otherwise: u64) -> Result<u64> {
    match std::env::var(variable) {
        Ok(text) => text.parse().with_context(|| format!("{variable}={text} is no number")),
        Err(VarError::NotPresent) => Ok(otherwise),
        Err(error) => Err(error).context(variable.to_string()),
    }
}
