//! Credentials of an assumed role, renewed before they expire.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use object_store::aws::AwsCredential;
use object_store::{CredentialProvider, Error};
use tokio::sync::Mutex;

use super::{AwsRole, Identity, Signed};
use crate::error::Result;
use crate::http::form_encoded;
use crate::storage::element;

/// Credentials are renewed so long before they expire.
const MARGIN: Duration = Duration::from_secs(5 * 60);
const SESSION: &str = "weir";
/// The name in errors that may pass.
pub(super) const STS: &str = "STS";

/// Asks STS for the role's credentials, in the name of another identity.
#[derive(Debug)]
pub(super) struct AssumeRole {
    sts: Signed,
    role: AwsRole,
    cached: Mutex<Option<(Arc<AwsCredential>, Instant)>>,
}

impl AssumeRole {
    /// Errors: bad config.
    pub(super) fn new(role: &AwsRole, own: Identity) -> Result<AssumeRole> {
        let sts = Signed::new(&own, "sts", role.sts_endpoint.as_deref())?;
        Ok(AssumeRole { sts, role: role.clone(), cached: Mutex::default() })
    }

    /// The credentials and how long they live, or why not and whether that may pass.
    async fn ask(&self) -> Result<(AwsCredential, Duration), (String, bool)> {
        let form = [
            ("Action", "AssumeRole"),
            ("Version", "2011-06-15"),
            ("RoleSessionName", SESSION),
            ("RoleArn", self.role.arn.as_str()),
        ];
        let external = self.role.external_id.iter().map(|id| ("ExternalId", id.as_str()));
        let body = form_encoded(form.into_iter().chain(external));
        let answer = self.sts.post("application/x-www-form-urlencoded", &[], body).await;
        let answer = answer.map_err(|e| (e.to_string(), !e.anonymous))?;
        let text = String::from_utf8_lossy(&answer.body);
        if answer.status != 200 {
            let code = element(&text, "Code").unwrap_or("no code");
            let message = element(&text, "Message").unwrap_or_default();
            let passes = answer.status >= 500 || code == "Throttling";
            return Err((format!("status {}, {code}: {message}", answer.status), passes));
        }
        let read = credentials(&text, Utc::now());
        read.ok_or_else(|| ("an answer without credentials".to_string(), false))
    }
}

#[async_trait]
impl CredentialProvider for AssumeRole {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut cached = self.cached.lock().await;
        let now = Instant::now();
        if let Some((credential, until)) = &*cached
            && *until > now
        {
            return Ok(credential.clone());
        }
        let (credential, life) = self.ask().await.map_err(|(why, passes)| {
            let source = format!("sts:AssumeRole of {} failed: {why}", self.role.arn).into();
            match passes {
                true => Error::Generic { store: STS, source },
                false => Error::Unauthenticated { path: self.role.arn.clone(), source },
            }
        })?;
        let credential = Arc::new(credential);
        // At least for a moment: a role of few minutes would otherwise be asked for at every call.
        let life = life.saturating_sub(MARGIN).max(Duration::from_secs(1));
        *cached = Some((credential.clone(), now + life));
        Ok(credential)
    }
}

/// The credentials of an answer of STS, and how long they live.
fn credentials(xml: &str, now: DateTime<Utc>) -> Option<(AwsCredential, Duration)> {
    let expires = DateTime::parse_from_rfc3339(element(xml, "Expiration")?).ok()?;
    let credential = AwsCredential {
        key_id: element(xml, "AccessKeyId")?.into(),
        secret_key: element(xml, "SecretAccessKey")?.into(),
        token: Some(element(xml, "SessionToken")?.into()),
    };
    Some((credential, (expires.to_utc() - now).to_std().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_sts_is_read() {
        let xml = "<AssumeRoleResponse><AssumeRoleResult><Credentials>\
            <SessionToken>to/k==</SessionToken><SecretAccessKey>se+c</SecretAccessKey>\
            <Expiration>2026-11-28T19:00:00Z</Expiration><AccessKeyId>ASIA1</AccessKeyId>\
            </Credentials></AssumeRoleResult></AssumeRoleResponse>";
        let now = "2026-11-28T18:00:00Z".parse().unwrap();
        let (credential, life) = credentials(xml, now).unwrap();
        assert_eq!((&*credential.key_id, &*credential.secret_key), ("ASIA1", "se+c"));
        assert_eq!((credential.token.as_deref(), life.as_secs()), (Some("to/k=="), 3600));
        assert!(credentials("<Error/>", now).is_none());
    }
}
