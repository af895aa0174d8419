//! Readers that are not ours, PyIceberg, DuckDB and chdb, agree with `weir query`: on every column type,
//! on every snapshot, on what manifests say of files, and while one commits.

pub mod table;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir_tests::lab::{self, Lab};
use weir_tests::running::Running;

use table::AllTypes;

/// Everything that `agree.py` compares; what it says at its end.
fn agree(config: &Path, catalog: &Path, table: &str) -> Result<Value> {
    let text = |path: &Path| path.display().to_string();
    let weir = text(&lab::binary());
    let output = lab::python("agree.py", &[&weir, &text(config), &text(catalog), table])?;
    println!("{output}");
    Ok(serde_json::from_str(output.lines().last().context("agree.py said nothing")?)?)
}

/// The same of chdb and PyIceberg, by `chdb_agree.py`.
fn chdb_agrees(catalog: &Path, table: &str) -> Result<Value> {
    let output = lab::python("chdb_agree.py", &[&catalog.display().to_string(), table])?;
    println!("{output}");
    Ok(serde_json::from_str(output.trim())?)
}

fn at_least(report: &Value, least: &[(&str, i64)]) -> Result<()> {
    for (what, least) in least {
        let found = report[what].as_i64().with_context(|| format!("no {what} in {report}"))?;
        ensure!(found >= *least, "{what}: {found}, expected {least} or more: {report}");
    }
    Ok(())
}

#[test]
fn every_column_type_agrees() -> Result<()> {
    let types = AllTypes::new(5)?;
    let report = agree(&types.config(), &types.catalog(), table::TABLE)?;
    let rows = 5 * table::RECORDS;
    let least =
        [("rows", rows), ("row_groups", 3), ("days", 2), ("snapshots", 5), ("filters", 400)];
    at_least(&report, &least)?;
    at_least(&chdb_agrees(&types.catalog(), table::TABLE)?, &[("rows", rows), ("filters", 80)])
}

#[test]
fn a_lake_from_kafka_agrees() -> Result<()> {
    let mut lab = Lab::new("readers", 3)?;
    for round in 0..8 {
        lab.produce(round % 3, 150)?;
        lab.produce((round + 1) % 3, 50)?;
        // Fewer snapshots than commits: the oldest expire.
        let mut ingest = lab.command(&["ingest", "--until-latest"]);
        let done = lab::done(ingest.env("WEIR__CATALOG__SNAPSHOTS_MAX", "6").output()?);
        ensure!(done.code == Some(0), "{done:#?}");
    }
    let report = agree(&lab.config(), &lab.path().join("catalog.db"), lab::TABLE)?;
    at_least(&report, &[("rows", 1600), ("snapshots", 6), ("rejected", 50), ("filters", 400)])?;
    at_least(&chdb_agrees(&lab.path().join("catalog.db"), lab::TABLE)?, &[("rows", 1600)])?;
    lab.verify_clean()
}

#[test]
fn the_comparison_notices_readers_that_disagree() -> Result<()> {
    let (one, two) = (AllTypes::new(1)?, AllTypes::new(2)?);
    let error = agree(&one.config(), &two.catalog(), table::TABLE).err().context("they agreed")?;
    let text = error.to_string();
    for what in ["all rows", "\"money\"", "values of large", "snapshot"] {
        ensure!(text.contains(what), "{what} was not noticed: {text}");
    }
    Ok(())
}

#[test]
fn the_comparison_notices_manifests_that_are_wrong() -> Result<()> {
    // Files in the place of others: all readers read the same, only the manifests tell.
    let (one, two) = (AllTypes::new(1)?, AllTypes::new(2)?);
    let mut replaced = 0;
    for (folder, from) in data_files(&two.data())? {
        let Some((_, to)) = data_files(&one.data())?.into_iter().find(|(f, _)| *f == folder) else {
            continue;
        };
        std::fs::copy(from, to)?;
        replaced += 1;
    }
    ensure!(replaced > 0, "nothing was replaced");
    let error =
        agree(&one.config(), &one.catalog(), table::TABLE).err().context("nothing noticed")?;
    let text = error.to_string();
    for what in ["size", "rows", "lower", "upper"] {
        ensure!(text.contains(&format!("manifest {what}")), "{what} was not noticed: {text}");
    }
    Ok(())
}

/// The data files below a folder, each with the name of its own.
fn data_files(folder: &Path) -> Result<Vec<(String, std::path::PathBuf)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let day = entry?;
        for file in std::fs::read_dir(day.path())? {
            files.push((day.file_name().display().to_string(), file?.path()));
        }
    }
    files.sort();
    Ok(files)
}

#[test]
fn readers_see_whole_commits_while_one_ingests() -> Result<()> {
    let mut lab = Lab::new("readers-scan", 2)?;
    lab.produce(0, 50)?;
    lab.ingest(&[])?;
    let stop = lab.path().join("stop");
    let scan = |reader: &str| {
        let mut command = Command::new(std::env::var_os("WEIR_PYTHON").context("WEIR_PYTHON")?);
        command.arg(lab::repository().join("tests/readers/scan.py")).arg(reader);
        command.arg(lab::binary()).arg(lab.config()).arg(lab.path().join("catalog.db"));
        Running::start(command.arg(lab::TABLE).arg(&stop))
    };
    let scans = ["weir", "duckdb", "pyiceberg", "weir"].map(|reader| (reader, scan(reader)));
    let mut ingest = lab.command(&["--result-json", "ingest", "--for", "25s"]);
    // Many small commits, and old snapshots expired by most of them.
    ingest.envs([
        ("WEIR__INGEST__FLUSH__INTERVAL", "300ms"),
        ("WEIR__CATALOG__SNAPSHOTS_MAX", "8"),
        ("WEIR__LOG__LEVEL", "warn"),
    ]);
    let ingest = Running::start(&mut ingest)?;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20) {
        lab.produce(0, 60)?;
        lab.produce(1, 40)?;
        std::thread::sleep(Duration::from_millis(150));
    }
    let done = ingest.end(Duration::from_secs(60))?;
    ensure!(done.code == Some(0), "{done:#?}");
    std::fs::write(&stop, "")?;
    let commits = done.result()?["streams"][lab::STREAM]["commits"].as_i64();
    ensure!(commits > Some(15), "too few commits: {done:#?}");
    let rows = lab.count(&format!("SELECT count(*) AS n FROM {}", lab::TABLE))?;
    for (reader, scan) in scans {
        let done = scan?.end(Duration::from_secs(60))?;
        ensure!(done.code == Some(0), "{reader}: {done:#?}");
        println!("{reader}: {}", done.stdout.trim());
        let report = done.result()?;
        ensure!(report["rows"] == rows, "{reader}: {report}, expected {rows} rows at the end");
        at_least(&report, &[("scans", 5), ("counts", 4)])?;
    }
    lab.verify_clean()
}
