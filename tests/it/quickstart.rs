//! `weir quickstart` as a newcomer meets it: it runs, it proves itself, it ends when told to, and what
//! it left can be looked at.

mod clone;
mod signals;

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir_tests::lab::{Done, as_anybody, binary, done, on_a_full_disk, permissions};

fn quickstart(folder: &Path, more: &[&str]) -> Command {
    quickstart_by(Command::new(binary()), folder, more)
}

fn quickstart_by(mut command: Command, folder: &Path, more: &[&str]) -> Command {
    command.args(["--result-json", "quickstart", "--folder"]).arg(folder).args(more);
    command
}

fn number(result: &Value, name: &str) -> Result<u64> {
    result[name].as_u64().with_context(|| format!("no {name} in {result}"))
}

/// It ended in order, and what was sent is in the lake.
fn accounted(done: &Done) -> Result<Value> {
    ensure!(done.code == Some(0), "{done:#?}");
    let result = done.result()?;
    let in_lake = number(&result, "rows")? + number(&result, "rejected")?;
    ensure!(in_lake == number(&result, "sent")?, "{result}");
    ensure!(number(&result, "findings")? == 0, "{result}");
    Ok(result)
}

/// The same of a run that has something to show.
fn proven(done: &Done) -> Result<Value> {
    let result = accounted(done)?;
    ensure!(number(&result, "sent")? > 500, "nothing to see: {result}");
    ensure!(number(&result, "rejected")? > 0, "nothing to see: {result}");
    Ok(result)
}

/// The first number that a query over the folder's lake answers.
fn count(folder: &Path, sql: &str) -> Result<u64> {
    let mut command = Command::new(binary());
    command.args(["--output", "json", "--config"]).arg(folder.join("weir.toml"));
    let done = done(command.args(["query", sql]).output()?).expect(0)?;
    let row: Value = serde_json::from_str(done.stdout.trim())?;
    let value = row.as_object().and_then(|row| row.values().next());
    value.and_then(Value::as_u64).with_context(|| format!("no number in {row}"))
}

const HEARTBEATS: &str = "SELECT count(*) FROM raw.vending_health";

#[test]
fn it_runs_again_in_the_same_folder_and_anew_in_a_fresh_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path().join("lake of mine");
    let first = done(quickstart(&folder, &["--for", "4s", "--output", "human"]).output()?);
    for title in ["What the machines say", "Takings by region", "Faults", "fell silent"] {
        ensure!(first.stdout.contains(title), "no {title:?} in {}", first.stdout);
    }
    let first = proven(&first)?;
    ensure!(number(&first, "loads")? == 5, "{first}");
    let once = count(&folder, HEARTBEATS)?;
    ensure!(once > 0 && once < number(&first, "sent")?, "{once} heartbeats");

    let second = proven(&done(quickstart(&folder, &["--for", "4s"]).output()?))?;
    ensure!(number(&second, "loads")? == 0, "the same files were loaded again: {second}");
    ensure!(count(&folder, HEARTBEATS)? > once, "the second run brought nothing");
    let truth = std::fs::read_to_string(folder.join("truth.ndjson"))?;
    ensure!(truth.lines().count() > 1, "no ground truth: {truth}");

    let third = proven(&done(quickstart(&folder, &["--for", "2s", "--fresh"]).output()?))?;
    ensure!(number(&third, "loads")? == 5, "{third}");
    ensure!(count(&folder, HEARTBEATS)? < once * 2, "the lake was not removed");
    Ok(())
}

#[test]
fn the_reference_tables_know_the_fleet_that_speaks() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path().join("q");
    proven(&done(quickstart(&folder, &["--for", "4s"]).output()?))?;
    ensure!(count(&folder, "SELECT count(*) FROM ref.machines")? == 500);
    ensure!(count(&folder, "SELECT count(*) FROM ref.sites")? == 50);
    let sales = "SELECT count(*) FROM raw.vending_sales WHERE _error IS NULL";
    // As of the sale's time one machine at one site, in a region and with the currency of its town.
    let joined = "SELECT count(*) FROM raw.vending_sales sale \
        JOIN ref.machines_history machine ON machine.machine_id = sale.machine_id \
        AND sale.event_time >= machine.valid_from \
        AND (machine.valid_to IS NULL OR sale.event_time < machine.valid_to) \
        JOIN ref.sites_history site ON site.site_id = machine.site_id \
        AND sale.event_time >= site.valid_from \
        AND (site.valid_to IS NULL OR sale.event_time < site.valid_to) \
        WHERE sale._error IS NULL AND site.region IS NOT NULL \
        AND coalesce(sale.currency, site.currency) = site.currency";
    let (sales, joined) = (count(&folder, sales)?, count(&folder, joined)?);
    ensure!(sales > 0 && joined == sales, "of {sales} sales {joined} have their site");
    Ok(())
}

#[test]
fn a_folder_that_is_not_its_own_is_left_alone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("thesis.txt"), "years of work")?;
    for more in [&[][..], &["--fresh"]] {
        let done = done(quickstart(folder.path(), more).output()?);
        ensure!(done.code == Some(2), "{done:#?}");
        ensure!(done.stderr.contains("holds something else than a quickstart"), "{done:#?}");
        ensure!(done.stderr.contains("--folder"), "{done:#?}");
    }
    ensure!(folder.path().join("thesis.txt").exists());
    let file = folder.path().join("thesis.txt");
    let done = done(quickstart(&file, &[]).output()?);
    ensure!(done.code == Some(2) && done.stderr.contains("thesis.txt"), "{done:#?}");
    Ok(())
}

#[test]
fn two_at_once_find_ports_of_their_own() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let start = |name: &str| {
        let mut command = quickstart(&folder.path().join(name), &["--for", "4s"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    };
    for child in [start("one")?, start("other")?] {
        proven(&done(child.wait_with_output()?))?;
    }
    Ok(())
}

#[test]
fn a_folder_without_permission_or_room_says_so() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let closed = folder.path().join("closed");
    std::fs::create_dir(&closed)?;
    permissions(&closed, 0o555)?;
    let denied = quickstart_by(as_anybody(), &closed.join("q"), &[]).output()?;
    done(denied).expect(1)?.says(&["closed/q", "Permission denied", "may write to", "--folder"])?;

    // Room for nothing; then for all but what grows while it runs.
    let small = folder.path().join("small");
    for blocks in [8, 100] {
        let full = quickstart_by(on_a_full_disk(blocks), &small, &["--for", "2s"]).output()?;
        done(full).expect(75)?.says(&["File too large", "free some space"])?;
    }
    proven(&done(quickstart(&small, &["--for", "2s", "--fresh"]).output()?))?;
    Ok(())
}
