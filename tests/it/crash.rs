//! The crash suite in CI: sixty faults, then three readers against the producer's list.

use anyhow::{Context, Result, ensure};
use weir_tests::crash::{self, Plan};
use weir_tests::lab::{binary, done, python, repository};

#[test]
fn sixty_faults_lose_and_double_nothing() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("weir-crash-").tempdir()?;
    let seed = match std::env::var("WEIR_CRASH_SEED") {
        Ok(seed) => seed.parse().context("WEIR_CRASH_SEED is no number")?,
        Err(_) => 1,
    };
    let plan = Plan {
        faults: 60,
        seed,
        weir: binary(),
        contracts: repository().join("contracts"),
        folder: folder.path().to_path_buf(),
    };
    let outcome =
        crash::run(&plan).with_context(|| format!("WEIR_CRASH_SEED={seed} repeats it"))?;
    println!("{}", serde_json::to_string_pretty(&outcome.report)?);
    outcome.report.check()?;
    crash::settle(&plan, &outcome)?;
    let list = folder.path().join("list.csv");
    crash::write_csv(&outcome.list, &list)?;
    let verify = std::process::Command::new(binary())
        .args(["--config", &outcome.config.display().to_string(), "verify", "--json"])
        .output()?;
    let verify = done(verify);
    ensure!(verify.code == Some(0), "verify disagrees: {verify:#?}");
    let database = folder.path().join("catalog.db").display().to_string();
    let said =
        python("compare.py", &[&database, "raw.vending_health", &list.display().to_string()])?;
    print!("{said}");
    Ok(())
}
