//! Credentials of an assumed role.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use object_store::aws::AwsCredential;

use super::lent::{Lender, Loan, NoLoan};
use super::{AwsRole, Identity, Signed};
use crate::error::Result;
use crate::http::form_encoded;
use crate::storage::element;

const SESSION: &str = "weir";

/// Asks STS for the role's credentials, in the name of another identity.
#[derive(Debug)]
pub(super) struct AssumeRole {
    sts: Signed,
    role: AwsRole,
}

impl AssumeRole {
    /// Errors: bad config.
    pub(super) fn new(role: &AwsRole, own: &Identity) -> Result<AssumeRole> {
        let sts = Signed::new(own, "sts", role.sts_endpoint.as_deref())?;
        Ok(AssumeRole { sts, role: role.clone() })
    }
}

#[async_trait]
impl Lender for AssumeRole {
    fn name(&self) -> String {
        format!("sts:AssumeRole of {}", self.role.arn)
    }

    async fn ask(&self) -> Result<Loan, NoLoan> {
        let form = [
            ("Action", "AssumeRole"),
            ("Version", "2011-06-15"),
            ("RoleSessionName", SESSION),
            ("RoleArn", self.role.arn.as_str()),
        ];
        let external = self.role.external_id.iter().map(|id| ("ExternalId", id.as_str()));
        let body = form_encoded(form.into_iter().chain(external));
        let answer = self.sts.post("application/x-www-form-urlencoded", &[], body).await;
        let answer = answer.map_err(|e| NoLoan { why: e.to_string(), passes: !e.anonymous })?;
        let text = String::from_utf8_lossy(&answer.body);
        if answer.status != 200 {
            let code = element(&text, "Code").unwrap_or("no code");
            let message = element(&text, "Message").unwrap_or_default();
            let passes = answer.status >= 500 || code == "Throttling";
            return Err(NoLoan {
                why: format!("status {}, {code}: {message}", answer.status),
                passes,
            });
        }
        let read = credentials(&text, Utc::now());
        read.ok_or_else(|| NoLoan::lasting("an answer without credentials"))
    }
}

/// The credentials of an answer of STS, and how long they live.
fn credentials(xml: &str, now: DateTime<Utc>) -> Option<Loan> {
    let expires = DateTime::parse_from_rfc3339(element(xml, "Expiration")?).ok()?;
    let credential = AwsCredential {
        key_id: element(xml, "AccessKeyId")?.into(),
        secret_key: element(xml, "SecretAccessKey")?.into(),
        token: Some(element(xml, "SessionToken")?.into()),
    };
    Some((credential, Some(left(expires.to_utc(), now))))
}

/// How long it is until a time; nothing if it is over.
pub(super) fn left(expires: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    (expires - now).to_std().unwrap_or_default()
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
        assert_eq!(credential.token.as_deref(), Some("to/k=="));
        assert_eq!(life, Some(Duration::from_secs(3600)));
        assert!(credentials("<Error/>", now).is_none());
    }
}
