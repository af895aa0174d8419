//! Credentials of a role in IAM Identity Center (SSO), in the name of whoever has logged in with `aws sso login`.

use std::path::PathBuf;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use http::{HeaderValue, Method};
use object_store::aws::AwsCredential;
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};
use serde::Deserialize;

use super::assume_role::left;
use super::lent::{Lender, Loan, NoLoan};
use super::{Identity, variable};
use crate::error::Result;
use crate::http::{connect, escaped, send};

/// Where somebody has logged in.
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// The profile that names it, for errors.
    pub(super) profile: String,
    /// Without a slash at its end.
    pub(super) start_url: String,
    /// Where the portal is.
    pub(super) region: String,
    /// The folder in which `aws sso login` leaves tokens.
    pub(super) cache: PathBuf,
}

/// Asks the portal for a role's credentials.
#[derive(Debug)]
pub(super) struct Sso {
    session: Session,
    account: String,
    role: String,
    client: HttpClient,
    portal: String,
}

/// What `aws sso login` leaves.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token {
    start_url: Option<String>,
    access_token: String,
    expires_at: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    role_credentials: RoleCredentials,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RoleCredentials {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    /// ms since 1970.
    expiration: i64,
}

impl Sso {
    /// Errors: bad config.
    pub(super) fn new(
        asking: &Identity,
        session: Session,
        account: &str,
        role: &str,
    ) -> Result<Sso> {
        let client = connect("the portal of IAM Identity Center", asking.timeout)?;
        let amazon = || format!("https://portal.sso.{}.amazonaws.com", session.region);
        let portal = variable("AWS_ENDPOINT_URL_SSO").unwrap_or_else(amazon);
        let (account, role) = (account.to_string(), role.to_string());
        Ok(Sso { session, account, role, client, portal })
    }

    /// The token of whoever has logged in last.
    fn token(&self) -> Result<String, NoLoan> {
        let files = std::fs::read_dir(&self.session.cache).into_iter().flatten().flatten();
        let read = |entry: std::fs::DirEntry| {
            let text = std::fs::read_to_string(entry.path()).ok()?;
            let token: Token = serde_json::from_str(&text).ok()?;
            let expires = DateTime::parse_from_rfc3339(&token.expires_at.replace("UTC", "Z"));
            let url = token.start_url.as_deref()?.trim_end_matches(['/', '#']);
            (url == self.session.start_url).then_some((expires.ok()?.to_utc(), token.access_token))
        };
        let newest = files.filter_map(read).max();
        newest.filter(|(expires, _)| *expires > Utc::now()).map(|(_, token)| token).ok_or_else(
            || {
                NoLoan::lasting(format!(
                    "nobody is logged in at {}, or no longer: aws sso login --profile {}",
                    self.session.start_url, self.session.profile
                ))
            },
        )
    }
}

#[async_trait]
impl Lender for Sso {
    fn name(&self) -> String {
        format!("sso:GetRoleCredentials of {} in {}", self.role, self.account)
    }

    async fn ask(&self) -> Result<Loan, NoLoan> {
        let wrong = |what: String| NoLoan::lasting(what);
        let token = self.token()?;
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = Method::GET;
        let uri = format!(
            "{}/federation/credentials?account_id={}&role_name={}",
            self.portal.trim_end_matches('/'),
            escaped(&self.account),
            escaped(&self.role)
        );
        *request.uri_mut() = uri.parse().map_err(|e| wrong(format!("{uri}: {e}")))?;
        let mut token = HeaderValue::from_str(&token).map_err(|e| wrong(e.to_string()))?;
        token.set_sensitive(true);
        request.headers_mut().insert("x-amz-sso_bearer_token", token);
        let sent = send(&self.client, "the portal of IAM Identity Center", &self.portal, request);
        let answer = sent.await.map_err(|e| NoLoan { why: e.to_string(), passes: true })?;
        if answer.status != 200 {
            let said = String::from_utf8_lossy(&answer.body);
            let passes = answer.status >= 500 || answer.status == 429;
            let why = format!(
                "status {}: {said}; if the login is over: aws sso login --profile {}",
                answer.status, self.session.profile
            );
            return Err(NoLoan { why, passes });
        }
        let read: Answer = serde_json::from_slice(&answer.body)
            .map_err(|e| wrong(format!("an answer without credentials: {e}")))?;
        let RoleCredentials { access_key_id, secret_access_key, session_token, expiration } =
            read.role_credentials;
        let expires = DateTime::from_timestamp_millis(expiration);
        let expires = expires.ok_or_else(|| wrong(format!("an end of {expiration}")))?;
        let token = Some(session_token);
        let lent = AwsCredential { key_id: access_key_id, secret_key: secret_access_key, token };
        Ok((lent, Some(left(expires, Utc::now()))))
    }
}
