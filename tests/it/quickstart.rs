//! `weir quickstart` as a newcomer meets it: it runs, it proves itself, it ends when told to, and what
//! it left can be looked at.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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

/// What was sent is in the lake, and `weir verify` says so too.
fn proven(done: &Done) -> Result<Value> {
    ensure!(done.code == Some(0), "{done:#?}");
    let result = done.result()?;
    let (sent, rows) = (number(&result, "sent")?, number(&result, "rows")?);
    let rejected = number(&result, "rejected")?;
    ensure!(sent > 500 && rejected > 0, "nothing to see: {result}");
    ensure!(rows + rejected == sent, "{result}");
    ensure!(number(&result, "findings")? == 0, "{result}");
    Ok(result)
}

#[test]
fn it_runs_again_in_the_same_folder_and_anew_in_a_fresh_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path().join("lake of mine");
    let first = done(quickstart(&folder, &["--for", "4s"]).output()?);
    let first = proven(&first)?;
    let count = || -> Result<u64> {
        let config = folder.join("weir.toml");
        let sql = "SELECT count(*) AS n FROM raw.vending_health";
        let done = done(
            Command::new(binary())
                .args(["--output", "json", "--config"])
                .arg(&config)
                .args(["query", sql])
                .output()?,
        );
        ensure!(done.code == Some(0), "{done:#?}");
        number(&serde_json::from_str(done.stdout.trim())?, "n")
    };
    let once = count()?;
    ensure!(once > 0 && once < number(&first, "sent")?, "{once} heartbeats");
    proven(&done(quickstart(&folder, &["--for", "4s"]).output()?))?;
    ensure!(count()? > once, "the second run brought nothing");
    let truth = std::fs::read_to_string(folder.join("truth.ndjson"))?;
    ensure!(truth.lines().count() > 1, "no ground truth: {truth}");
    proven(&done(quickstart(&folder, &["--for", "2s", "--fresh"]).output()?))?;
    ensure!(count()? < once * 2, "the lake was not removed");
    Ok(())
}

#[test]
fn a_signal_ends_it_with_everything_in_the_lake() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut command = quickstart(&folder.path().join("q"), &["--keep-running"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let pid = child.id().to_string();
    std::thread::sleep(Duration::from_secs(5));
    let begun = Instant::now();
    let sent = Command::new("sh").args(["-c", "kill -INT \"$1\"", "sh", &pid]).status()?;
    ensure!(sent.success(), "no signal sent");
    proven(&done(child.wait_with_output()?))?;
    ensure!(begun.elapsed() < Duration::from_secs(90), "it took {:?}", begun.elapsed());
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
