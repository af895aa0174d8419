//! Requests over HTTP by `object_store`'s client: one call is one request, never repeated here.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::RETRY_AFTER;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, ReqwestConnector,
};

use crate::error::{CatalogError, Result};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept: less than servers do, so that no commit is sent into one that
/// is being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// What a server answered, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// How long the server asks to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let seconds = self.headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
        Some(Duration::from_secs(seconds))
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Unanswered {
    /// The request is known not to have reached the server.
    pub(crate) unsent: bool,
    /// There are no credentials to send it with.
    pub(crate) anonymous: bool,
    pub(crate) text: String,
}

impl std::error::Error for Unanswered {}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Time-outs of a request. Plain HTTP is for endpoints that the config spells so.
pub(crate) fn options(timeout: Duration) -> ClientOptions {
    ClientOptions::new()
        .with_timeout(timeout)
        .with_connect_timeout(CONNECT_TIMEOUT.min(timeout))
        .with_pool_idle_timeout(IDLE_TIMEOUT)
        .with_allow_http(true)
}

/// A client for `server`, which names it in errors.
///
/// Errors: bad config.
pub(crate) fn connect(server: &str, timeout: Duration) -> Result<HttpClient> {
    ReqwestConnector::default().connect(&options(timeout)).map_err(|e| {
        CatalogError::bad_config(format!("the client of {server} cannot be made: {e}"))
            .with_source(e)
    })
}

/// Sends a request, once. `server` and `endpoint` name it in errors.
pub(crate) async fn send(
    client: &HttpClient,
    server: &str,
    endpoint: &str,
    request: HttpRequest,
) -> Result<Answer, Unanswered> {
    let lost = |e: HttpError| Unanswered {
        unsent: e.kind() == HttpErrorKind::Connect,
        anonymous: false,
        text: format!("{server} at {endpoint} does not answer: {e}"),
    };
    let response = client.execute(request).await.map_err(lost)?;
    let (parts, body) = response.into_parts();
    let body = body.bytes().await.map_err(lost)?;
    Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
}

/// The body of a form.
pub(crate) fn form_encoded<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pairs = pairs.into_iter().map(|(k, v)| format!("{k}={}", escaped(v)));
    pairs.collect::<Vec<_>>().join("&")
}

/// A text as one segment of a path, or one value of a query or form.
pub(crate) fn escaped(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    let one = |b: u8| if plain(b) { char::from(b).into() } else { format!("%{b:02X}") };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_escape_what_is_not_plain() {
        let form = form_encoded([("RoleArn", "arn:aws:iam::1:role/a b")]);
        assert_eq!(form, "RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fa%20b");
    }
}
