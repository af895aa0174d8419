//! One `weir ingest` process: started, killed, frozen, and listened to through its log.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::running::signal;

/// What all processes said, counted.
#[derive(Debug, Default, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Heard {
    /// Batches in the table.
    pub commits: u64,
    /// Attempts that another writer beat.
    pub conflicts: u64,
    /// Attempts of which no answer told what became of them.
    pub unknowns: u64,
    /// Batches refused because another writer had moved the partitions.
    pub fenced: u64,
    /// Batches thrown away because their partitions were revoked or the batch before was refused.
    pub abandoned: u64,
    /// Partitions started by another process than the one that had them before.
    pub takeovers: u64,
    /// Clients that died and were built anew.
    pub rebuilt: u64,
    /// Failures that passed: the broker or the catalog was away for a while.
    pub interrupted: u64,
    /// Offsets committed that hold no record: markers, aborted and compacted records.
    pub absent: u64,
}

impl Heard {
    /// Adds what others said.
    pub fn add(&mut self, other: &Heard) {
        self.commits += other.commits;
        self.conflicts += other.conflicts;
        self.unknowns += other.unknowns;
        self.fenced += other.fenced;
        self.abandoned += other.abandoned;
        self.takeovers += other.takeovers;
        self.rebuilt += other.rebuilt;
        self.interrupted += other.interrupted;
        self.absent += other.absent;
    }
}

/// What is known of all processes at the moment.
#[derive(Debug, Default)]
pub struct Ear {
    /// The counts.
    pub heard: Heard,
    owners: std::collections::BTreeMap<(String, i64), String>,
    errors: Vec<String>,
}

type Pending = BTreeSet<(String, String)>;

/// A process of the group.
pub struct Weir {
    name: String,
    binary: PathBuf,
    config: PathBuf,
    log: PathBuf,
    child: Option<Child>,
    ear: Arc<Mutex<Ear>>,
    /// Commits begun and not yet heard of again: stream and id.
    pending: Arc<Mutex<Pending>>,
}

impl Weir {
    /// Not started yet. `config` names the process as a static member of the group.
    pub fn new(name: &str, binary: &Path, config: &Path, ear: &Arc<Mutex<Ear>>) -> Weir {
        Weir {
            name: name.into(),
            binary: binary.into(),
            config: config.into(),
            log: config.with_extension("log"),
            child: None,
            ear: ear.clone(),
            pending: Arc::default(),
        }
    }

    /// Starts the process.
    pub fn start(&mut self) -> Result<()> {
        let mut child = Command::new(&self.binary)
            .args(["--log-format", "json", "--config"])
            .arg(&self.config)
            .arg("ingest")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        let stderr = child.stderr.take().context("no stderr")?;
        let mut log = std::fs::File::options().create(true).append(true).open(&self.log)?;
        self.pending = Arc::default();
        let (name, ear, pending) = (self.name.clone(), self.ear.clone(), self.pending.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = std::io::Write::write_all(&mut log, format!("{line}\n").as_bytes());
                hear(&line, &name, &mut lock(&ear), &mut lock(&pending));
            }
        });
        self.child = Some(child);
        Ok(())
    }

    /// SIGKILL. Returns the commits that were under way, stream and id: their outcome is unknown to
    /// their writer.
    pub fn kill(&mut self) -> Result<Vec<(String, String)>> {
        let Some(mut child) = self.child.take() else { return Ok(Vec::new()) };
        child.kill()?;
        child.wait()?;
        // What it had said before it died is still in the pipe.
        std::thread::sleep(Duration::from_millis(30));
        Ok(lock(&self.pending).iter().cloned().collect())
    }

    /// SIGSTOP, or SIGCONT.
    pub fn freeze(&self, freeze: bool) -> Result<()> {
        let Some(child) = &self.child else { bail!("{} is not running", self.name) };
        signal(child.id(), if freeze { "STOP" } else { "CONT" })
    }

    /// SIGTERM; it must be gone within 10 s. Returns how long it took.
    pub fn stop(&mut self) -> Result<Duration> {
        let Some(mut child) = self.child.take() else { bail!("{} is not running", self.name) };
        let begun = Instant::now();
        signal(child.id(), "TERM")?;
        while begun.elapsed() < Duration::from_secs(10) {
            if let Some(status) = child.try_wait()? {
                if !status.success() {
                    bail!("{} ended with {status} after SIGTERM:\n{}", self.name, self.last_said());
                }
                return Ok(begun.elapsed());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        child.kill()?;
        child.wait()?;
        bail!("{} was not out within 10 s of SIGTERM; see {}", self.name, self.log.display())
    }

    /// Fails if the process ended by itself.
    pub fn check(&mut self) -> Result<()> {
        if let Some(child) = &mut self.child
            && let Some(status) = child.try_wait()?
        {
            bail!("{} ended by itself with {status}:\n{}", self.name, self.last_said());
        }
        if let Some(error) = lock(&self.ear).errors.first() {
            bail!("{} logged an error: {error}", self.name);
        }
        Ok(())
    }

    /// The last lines of its log, and where the rest is.
    fn last_said(&self) -> String {
        // What it had said before it ended is still in the pipe.
        std::thread::sleep(Duration::from_millis(30));
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(12)..].join("\n");
        format!("{last}\n(all of it: {})", self.log.display())
    }

    /// Waits until a commit is under way, at most `wait`: its stream and id.
    pub fn await_commit(&self, wait: Duration) -> Option<(String, String)> {
        let begun = Instant::now();
        while begun.elapsed() < wait {
            if let Some(commit) = lock(&self.pending).first() {
                return Some(commit.clone());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        None
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = signal(child.id(), "CONT");
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The guard, whoever died holding it.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes one line of the log: `fields.detail` holds the event.
fn hear(line: &str, name: &str, ear: &mut Ear, pending: &mut Pending) {
    let Ok(line) = serde_json::from_str::<Value>(line) else { return };
    if line["level"] == "ERROR" {
        ear.errors.push(line["fields"]["message"].to_string());
    }
    let Some(detail) = line["fields"]["detail"].as_str() else { return };
    let Ok(event) = serde_json::from_str::<Value>(detail) else { return };
    let commit_id = event["commit_id"].as_str().unwrap_or_default().to_string();
    let stream = line["fields"]["stream"].as_str().unwrap_or_default().to_string();
    match event["event"].as_str().unwrap_or_default() {
        "commit_started" => {
            pending.insert((stream, commit_id));
            return;
        }
        "batch_committed" => {
            ear.heard.commits += 1;
            ear.heard.conflicts += event["conflicts"].as_u64().unwrap_or_default();
            ear.heard.unknowns += event["unknowns"].as_u64().unwrap_or_default();
            ear.heard.absent += event["absent"].as_u64().unwrap_or_default();
        }
        "batch_fenced" => ear.heard.fenced += 1,
        "batch_abandoned" => ear.heard.abandoned += 1,
        "client_rebuilt" => ear.heard.rebuilt += 1,
        "interrupted" => ear.heard.interrupted += 1,
        "partitions_started" => {
            for pair in event["offsets"].as_array().into_iter().flatten() {
                let key = (stream.clone(), pair[0].as_i64().unwrap_or_default());
                let before = ear.owners.insert(key, name.to_string());
                ear.heard.takeovers += u64::from(before.is_some_and(|before| before != name));
            }
        }
        _ => {}
    }
    pending.remove(&(stream, commit_id));
}
