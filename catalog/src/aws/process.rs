//! Credentials that a command of the profile prints (`credential_process`).

use std::process::Stdio;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use object_store::aws::AwsCredential;
use serde::Deserialize;

use super::assume_role::left;
use super::lent::{Lender, Loan, NoLoan};

/// Asks a command.
#[derive(Debug)]
pub(super) struct Process {
    profile: String,
    command: String,
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
    pub(super) fn new(profile: &str, command: &str) -> Process {
        Process { profile: profile.into(), command: command.into() }
    }
}

#[async_trait]
impl Lender for Process {
    fn name(&self) -> String {
        format!("credential_process of the profile {:?}", self.profile)
    }

    async fn ask(&self) -> Result<Loan, NoLoan> {
        let mut shell = std::process::Command::new("sh");
        shell.arg("-c").arg(&self.command).stdin(Stdio::null());
        let done = tokio::task::spawn_blocking(move || shell.output()).await;
        let done = done.map_err(|e| NoLoan::lasting(e.to_string()))?;
        let done = done.map_err(|e| NoLoan::lasting(e.to_string()))?;
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
