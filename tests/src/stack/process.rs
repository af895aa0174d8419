//! A server as a child process that never outlives its parent, and what it needs of the machine.

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

/// A running server. Dropped, it is killed.
pub(super) struct Server {
    child: Child,
    watchdog: Child,
}

impl Server {
    /// Starts `command`; its output goes to the end of `log`. When this process dies, however it
    /// dies, the server is killed and the folder `data` is removed.
    pub(super) fn start(mut command: Command, log: &Path, data: &Path) -> Result<Server> {
        let out = File::options().create(true).append(true).open(log)?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("cannot start {:?}", command.get_program()))?;
        // The pipe to the watchdog's stdin closes when this process ends: then `read` returns.
        let watchdog = Command::new("sh")
            .args(["-c", r#"trap '' INT TERM HUP; read -r _; kill -9 "$1"; rm -rf "$2""#, "sh"])
            .arg(child.id().to_string())
            .arg(data)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match watchdog {
            Ok(watchdog) => Ok(Server { child, watchdog }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error).context("cannot start sh, which watches over the server")
            }
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn exited(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// SIGTERM, then SIGKILL where the server is still there after `patience`.
    pub(super) fn stop(mut self, patience: Duration) -> io::Result<()> {
        // The child has not been waited for, so that its process id cannot be another's.
        let pid = self.child.id().to_string();
        Command::new("sh").args(["-c", r#"kill -TERM "$1""#, "sh", &pid]).status()?;
        let deadline = Instant::now() + patience;
        while self.child.try_wait()?.is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.kill();
        Ok(())
    }

    fn kill(&mut self) {
        // The watchdog first: it must not kill a process id that is free again.
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `count` loopback ports that nobody listens on, below the range from which the system takes the
/// ports of outgoing connections: a client that retries while the server is down would otherwise
/// one day connect to itself and keep the server from coming back.
pub(super) fn free_ports(count: usize) -> Result<Vec<u16>> {
    let mut held = Vec::new();
    for _ in 0..2000 {
        if held.len() == count {
            break;
        }
        let port = 20_000 + (unique() % 12_000) as u16;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            held.push((port, listener));
        }
    }
    if held.len() < count {
        bail!("no free port on 127.0.0.1 between 20000 and 32000");
    }
    Ok(held.into_iter().map(|(port, _)| port).collect())
}

/// Fails where somebody listens on a port that the caller asked for.
pub(super) fn require_free(port: u16) -> Result<()> {
    match TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => Ok(()),
        Err(error) => bail!(
            "port {port} of 127.0.0.1 cannot be taken: {error}; end what listens there, or name \
             another with --port; without --port a free one is found"
        ),
    }
}

/// A number that differs between calls and between processes.
pub(super) fn unique() -> u64 {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    crate::sample::Rng::new(time ^ (u64::from(std::process::id()) << 40) ^ (count << 20)).next()
}

/// Fails with the command that installs `package` where `program` cannot be run.
pub(super) fn require(program: &str, version_flag: &str, package: &str) -> Result<()> {
    let found = Command::new(program)
        .arg(version_flag)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match found {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => bail!("`{program} {version_flag}` failed ({status}): is {package} whole?"),
        Err(_) => bail!("{program} is not installed; install it with: apt install {package}"),
    }
}

/// The last lines of a log file.
pub(super) fn tail(log: &Path, lines: usize) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_and_differ() {
        let ports = free_ports(3).unwrap();
        assert!(ports[0] != ports[1] && ports[1] != ports[2] && ports[0] != ports[2]);
        for port in ports {
            TcpListener::bind(("127.0.0.1", port)).unwrap();
        }
    }

    #[test]
    fn a_missing_program_is_named_with_its_package() {
        let error = require("no-such-program", "--version", "some-package").unwrap_err();
        assert!(error.to_string().contains("apt install some-package"), "{error}");
    }

    #[test]
    fn a_dropped_server_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sleep");
        command.arg("1000");
        let server = Server::start(command, &folder.path().join("log"), folder.path()).unwrap();
        let proc = format!("/proc/{}", server.pid());
        assert!(Path::new(&proc).exists());
        drop(server);
        assert!(!Path::new(&proc).exists());
    }

    #[test]
    fn a_server_goes_when_its_parent_is_killed() {
        // The parent here is a shell that holds the watchdog's pipe, as a test runner would.
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let mut command = Command::new("sleep");
        command.arg("1000");
        let mut server = Server::start(command, &folder.path().join("log"), &data).unwrap();
        drop(server.watchdog.stdin.take()); // what the system does when this process dies
        let deadline = Instant::now() + Duration::from_secs(10);
        while server.exited().unwrap().is_none() || data.exists() {
            assert!(Instant::now() < deadline, "the watchdog did not act");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
