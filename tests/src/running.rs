//! A running process: what it says as it says it, signals to it, its end.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::lab::Done;

/// How long a process may take to do what is waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A process that does not outlive the test.
pub struct Running {
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

impl Running {
    /// Starts `command`; what it says is collected.
    pub fn start(command: &mut Command) -> Result<Running> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start a process")?;
        let stdout = Lines::of(child.stdout.take().context("no stdout")?);
        let stderr = Lines::of(child.stderr.take().context("no stderr")?);
        Ok(Running { child, stdout, stderr })
    }

    /// Sends SIGTERM, SIGINT, SIGSTOP, ... by its name without SIG.
    pub fn signal(&self, name: &str) -> Result<()> {
        signal(self.child.id(), name)
    }

    /// What it has logged so far, as JSON.
    pub fn log(&self) -> Vec<Value> {
        let lines = self.stderr.now();
        lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The events of `stream` by that name (`batch_committed`) so far.
    pub fn events(&self, stream: &str, name: &str) -> Vec<Value> {
        let log = self.log();
        let of = log.iter().filter(|line| line["fields"]["stream"] == stream);
        let details = of.filter_map(|line| line["fields"]["detail"].as_str());
        let events = details.filter_map(|detail| serde_json::from_str::<Value>(detail).ok());
        events.filter(|event| event["event"] == name).collect()
    }

    /// Records of `stream` that it has committed so far, accepted or rejected.
    pub fn committed(&self, stream: &str) -> i64 {
        let records = |event: &Value| event["rows"].as_i64().zip(event["rejected"].as_i64());
        let commits = self.events(stream, "batch_committed");
        commits.iter().filter_map(records).map(|(rows, rejected)| rows + rejected).sum()
    }

    /// Has it said anything so far?
    pub fn has_spoken(&self) -> bool {
        !self.stdout.now().is_empty() || !self.stderr.now().is_empty()
    }

    /// Waits until `done`; fails if it ends before.
    pub fn until(&mut self, what: &str, mut done: impl FnMut(&Running) -> bool) -> Result<()> {
        let begun = Instant::now();
        while !done(self) {
            if let Some(status) = self.child.try_wait()? {
                bail!("ended with {status} before {what}:\n{}", self.said());
            }
            ensure!(begun.elapsed() < PATIENCE, "never: {what}\n{}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Its output, once it has ended by itself.
    pub fn end(mut self, within: Duration) -> Result<Done> {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            ensure!(begun.elapsed() < within, "goes on for more than {within:?}\n{}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        };
        Ok(Done { code: status.code(), stdout: self.stdout.all(), stderr: self.stderr.all() })
    }

    /// The last lines of its stderr so far.
    pub fn said(&self) -> String {
        let lines = self.stderr.now();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A process that is stopped is killed all the same.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines of a pipe, read on a thread so that it never fills up.
struct Lines {
    lines: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Lines {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let to = lines.clone();
        let thread = std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                to.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Lines { lines, thread: Some(thread) }
    }

    fn now(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything, once the pipe is closed.
    fn all(&mut self) -> String {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.now().iter().map(|line| format!("{line}\n")).collect()
    }
}

/// Sends a signal by its name without SIG.
pub fn signal(pid: u32, name: &str) -> Result<()> {
    let mut kill = Command::new("sh");
    kill.args(["-c", r#"kill -"$1" "$2""#, "sh", name]).arg(pid.to_string());
    if !kill.status()?.success() {
        bail!("cannot send SIG{name} to {pid}");
    }
    Ok(())
}
