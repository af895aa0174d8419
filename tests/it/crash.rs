//! The crash suite in CI: sixty faults in three lanes, then three readers against the producers' lists.
//! More faults: `WEIR_CRASH_FAULTS=1000 WEIR_CRASH_LANES=5 WEIR_CRASH_REPORT=FILE tests/run --only crash::`.

use std::env::VarError;

use anyhow::{Context, Result};
use weir_tests::crash::campaign::{Campaign, campaign};
use weir_tests::lab::binary;

#[test]
fn faults_lose_and_double_nothing() -> Result<()> {
    let asked = Campaign {
        faults: number("WEIR_CRASH_FAULTS", 60)? as usize,
        lanes: number("WEIR_CRASH_LANES", 3)? as usize,
        seed: number("WEIR_CRASH_SEED", 1)?,
        weir: binary(),
    };
    let summary = campaign(&asked)?;
    println!("{}", serde_json::to_string_pretty(&summary)?);
    if let Ok(path) = std::env::var("WEIR_CRASH_REPORT") {
        let command = format!(
            "WEIR_CRASH_FAULTS={} WEIR_CRASH_LANES={} WEIR_CRASH_SEED={} tests/run --only crash::",
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
