//! Credentials that a command of the profile prints (`credential_process`).

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use object_store::aws::AwsCredential;
use serde::Deserialize;

use super::assume_role::left;
use super::lent::{Lender, Loan, NoLoan};

/// How often is looked whether a command has ended.
const PAUSE: Duration = Duration::from_millis(10);

/// Asks a command.
#[derive(Debug)]
pub(super) struct Process {
    profile: String,
    command: String,
    timeout: Duration,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Printed {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<DateTime<Utc>>,
}

impl Process {
    /// A command that may take so long.
    pub(super) fn new(profile: &str, command: &str, timeout: Duration) -> Process {
        Process { profile: profile.into(), command: command.into(), timeout }
    }
}

#[async_trait]
impl Lender for Process {
    fn name(&self) -> String {
        format!("credential_process of the profile {:?}", self.profile)
    }

    async fn ask(&self) -> Result<Loan, NoLoan> {
        let (command, limit) = (self.command.clone(), self.timeout);
        let done = tokio::task::spawn_blocking(move || run(&command, limit)).await;
        let done = done.map_err(|e| NoLoan::lasting(e.to_string()))??;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr);
            return Err(NoLoan::lasting(format!("{}: {}", done.status, said.trim())));
        }
        // What it printed is secret.
        let printed: Printed = serde_json::from_slice(&done.stdout).map_err(|e| {
            NoLoan::lasting(format!("it printed no credentials: line {}", e.line()))
        })?;
        let life = printed.expiration.map(|expires| left(expires, Utc::now()));
        let (key_id, secret_key) = (printed.access_key_id, printed.secret_access_key);
        Ok((AwsCredential { key_id, secret_key, token: printed.session_token }, life))
    }
}

/// Runs a command of the shell, and kills it if it takes too long.
fn run(command: &str, limit: Duration) -> Result<Output, NoLoan> {
    let failed = |e: std::io::Error| NoLoan::lasting(e.to_string());
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).stdin(Stdio::null());
    let mut child = shell.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    let begun = Instant::now();
    while child.try_wait().map_err(failed)?.is_none() {
        if begun.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            return Err(NoLoan { why: format!("no answer within {limit:?}"), passes: true });
        }
        std::thread::sleep(PAUSE);
    }
    child.wait_with_output().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_does_not_end_is_ended() {
        let refused = run("sleep 5", Duration::from_millis(50)).unwrap_err();
        assert!(refused.passes && refused.why.contains("no answer within"), "{refused:?}");
        assert_eq!(run("echo x", Duration::from_secs(10)).unwrap().stdout, b"x\n");
    }
}
