//! Ctrl-C and kills at any moment: an end in order, or a folder that the next run takes as it is.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use weir_tests::lab::{Done, done};
use weir_tests::running::Running;
use weir_tests::sample::Rng;

use super::{HEARTBEATS, accounted, count, number, proven, quickstart};

/// How long an end in order may take.
const END: Duration = Duration::from_secs(90);

/// Is the fleet alive? It tells once a second how much it has sent.
fn sends(running: &Running) -> bool {
    running.said().lines().any(|line| line.contains(" sent,") && !line.contains("  0 events"))
}

/// Are there rows in the lake?
fn has_rows(running: &Running) -> bool {
    running.said().lines().any(|line| line.contains(" sent,") && !line.contains(" 0 rows"))
}

/// Starts it, sends a signal after that time, and waits for its end.
fn signalled(folder: &Path, more: &[&str], after: Duration, name: &str) -> Result<Done> {
    let running = Running::start(&mut quickstart(folder, more))?;
    std::thread::sleep(after);
    running.signal(name)?;
    running.end(END)
}

#[test]
fn an_interrupt_at_any_moment_ends_it_in_order() -> Result<()> {
    const SEED: u64 = 5;
    let folder = tempfile::tempdir()?;
    let folder = folder.path().join("q");
    let mut rng = Rng::new(SEED);
    // While it makes its folder, loads the reference tables, starts the streams.
    let windows = [60, 300, 600, 600, 1_200, 2_400];
    let mut in_order = 0;
    for (round, window) in windows.into_iter().enumerate() {
        let after = Duration::from_millis(rng.below(window));
        println!("seed {SEED}, round {round}: SIGINT after {after:?}");
        let begun = Instant::now();
        let done = signalled(&folder, &["--keep-running"], after, "INT")?;
        println!("  code {:?} after {:?}", done.code, begun.elapsed());
        ensure!(!done.stderr.contains("has a bug"), "{done:#?}");
        // Before it listens, the first milliseconds, it ends as any process does.
        if done.code.is_some() {
            let result = accounted(&done)?;
            println!("  {} records", number(&result, "sent")?);
            in_order += 1;
        }
    }
    ensure!(in_order > windows.len() / 2, "only {in_order} ended in order");
    // The fleet alive: first its streams are about to have tables, then to commit, then under way.
    for window in [400, 1_200, 3_000] {
        let after = Duration::from_millis(rng.below(window));
        println!("seed {SEED}: SIGINT {after:?} after the first events");
        let mut running = Running::start(&mut quickstart(&folder, &["--keep-running"]))?;
        running.until("events are sent", sends)?;
        std::thread::sleep(after);
        running.signal("INT")?;
        let result = accounted(&running.end(END)?)?;
        ensure!(number(&result, "sent")? > 0, "{result}");
    }
    proven(&done(quickstart(&folder, &["--for", "2s"]).output()?))?;
    Ok(())
}

#[test]
fn after_a_kill_at_any_moment_the_next_run_proves_itself() -> Result<()> {
    const SEED: u64 = 7;
    let folder = tempfile::tempdir()?;
    let folder = folder.path().join("q");
    let mut rng = Rng::new(SEED);
    for (round, window) in [60, 300, 600, 1_500].into_iter().enumerate() {
        let after = Duration::from_millis(rng.below(window));
        println!("seed {SEED}, round {round}: SIGKILL after {after:?}");
        let fresh = if round == 2 { "--fresh" } else { "--keep-running" };
        let done = signalled(&folder, &[fresh], after, "KILL")?;
        ensure!(done.code.is_none(), "{done:#?}");
    }
    // And with rows in the lake and more on their way.
    let mut running = Running::start(&mut quickstart(&folder, &["--keep-running"]))?;
    running.until("rows in the lake", has_rows)?;
    std::thread::sleep(Duration::from_millis(rng.below(1_500)));
    running.signal("KILL")?;
    ensure!(running.end(END)?.code.is_none(), "not killed");
    let left = count(&folder, HEARTBEATS)?;
    ensure!(left > 0, "the killed run left nothing");
    proven(&done(quickstart(&folder, &["--for", "3s"]).output()?))?;
    ensure!(count(&folder, HEARTBEATS)? > left, "what the killed run left is gone");
    Ok(())
}
