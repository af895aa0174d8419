//! Requests to a REST catalog: its configuration, tokens, and which calls are repeated.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Uri};
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};
use serde::Deserialize;
use tokio::sync::OnceCell;

use super::RestOptions;
use super::refusal::{reply, silence};
use super::token::Tokens;
use crate::backend::refusal::{Refusal, pause};
use crate::env::Env;
use crate::error::{CatalogError, Result};
use crate::http::{Answer, Unanswered, connect, escaped, send};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const SERVER: &str = "the catalog";
/// What a catalog asks for beyond this, before the next request, is not heeded.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// One call of the protocol.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Its name in the specification, for errors.
    pub(super) action: &'static str,
    /// What it is about, for errors.
    pub(super) on: String,
    pub(super) method: Method,
    /// Below `/v1/<prefix>`, with a slash at its front.
    pub(super) path: String,
    pub(super) body: Bytes,
}

/// The client of one catalog.
#[derive(Debug)]
pub(super) struct Client {
    options: RestOptions,
    client: HttpClient,
    tokens: Tokens,
    /// What every path begins with; asked for once.
    root: OnceCell<String>,
    env: Env,
}

/// The answer to `getConfig`, as far as it is ours.
#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    defaults: HashMap<String, String>,
    #[serde(default)]
    overrides: HashMap<String, String>,
}

impl Client {
    /// Errors: bad config.
    pub(super) fn new(options: RestOptions, env: Env) -> Result<Client> {
        let client = connect(SERVER, options.timeout)?;
        let uri = options.uri.trim_end_matches('/').to_string();
        let tokens = Tokens::new(options.auth.clone(), client.clone(), &uri);
        let options = RestOptions { uri, ..options };
        Ok(Client { options, client, tokens, root: OnceCell::new(), env })
    }

    /// A call that changes nothing, or nothing more when it is repeated.
    pub(super) async fn ask(&self, call: &Call) -> Result<Bytes, Refusal> {
        let root = self.root().await?;
        self.repeat(root, call).await
    }

    /// A call that is sent once. A refusal for want of a valid token comes before anything is done:
    /// then it is sent once more, with another.
    pub(super) async fn once(&self, call: &Call) -> Result<Bytes, Refusal> {
        let root = self.root().await?;
        let (answer, wait) = self.send(root, call).await;
        if let (Err(refusal), Some(wait)) = (&answer, wait)
            && refusal.passes()
        {
            self.env.clock.sleep(wait).await;
        }
        answer
    }

    async fn root(&self) -> Result<&str, Refusal> {
        let root = self.root.get_or_try_init(|| async {
            let warehouse = self.options.warehouse.as_deref();
            let query = warehouse.map(|name| format!("?warehouse={}", escaped(name)));
            let call = Call {
                action: "getConfig",
                on: format!("the catalog {}", self.options.uri),
                method: Method::GET,
                path: format!("/config{}", query.unwrap_or_default()),
                body: Bytes::new(),
            };
            let body = self.repeat(&format!("{}/v1", self.options.uri), &call).await?;
            root(&self.options.uri, &body).ok_or_else(|| {
                Refusal::Failed(CatalogError::bad_config(format!(
                    "{} does not answer as an Iceberg REST catalog; correct catalog.uri, which ends \
                     where /v1 begins",
                    self.options.uri
                )))
            })
        });
        root.await.map(String::as_str)
    }

    async fn repeat(&self, root: &str, call: &Call) -> Result<Bytes, Refusal> {
        let mut attempt = 0;
        loop {
            let (refusal, wait) = match self.send(root, call).await {
                (Err(refusal), wait) if refusal.passes() => (refusal, wait),
                (answer, _) => return answer,
            };
            if attempt >= self.options.retries_max {
                return Err(refusal);
            }
            attempt += 1;
            match wait {
                Some(wait) => self.env.clock.sleep(wait).await,
                None => pause(&self.env, attempt).await,
            }
        }
    }

    /// One request, and how long the catalog asks to be left alone. With another token once more, if the
    /// first was refused.
    async fn send(&self, root: &str, call: &Call) -> (Result<Bytes, Refusal>, Option<Duration>) {
        let mut renewed = false;
        loop {
            let token = match self.tokens.get().await {
                Ok(token) => token,
                Err(why) => return (Err(silence(call.action, &call.on, &why)), None),
            };
            let answer = match self.request(root, call, token.as_deref()).await {
                Ok(answer) => answer,
                Err(why) => return (Err(silence(call.action, &call.on, &why)), None),
            };
            if matches!(answer.status, 401 | 419) && !renewed {
                renewed = true;
                if self.tokens.refused(token.as_ref()).await {
                    continue;
                }
            }
            let wait = answer.retry_after().map(|wait| wait.min(RETRY_AFTER_MAX));
            return (reply(call.action, &call.on, answer), wait);
        }
    }

    async fn request(
        &self,
        root: &str,
        call: &Call,
        token: Option<&str>,
    ) -> Result<Answer, Unanswered> {
        let unsent = |text: String| Unanswered { unsent: true, anonymous: false, text };
        let mut request = HttpRequest::new(HttpRequestBody::from(call.body.clone()));
        *request.method_mut() = call.method.clone();
        let uri = format!("{root}{}", call.path).parse::<Uri>();
        *request.uri_mut() = uri.map_err(|e| unsent(format!("{root}{}: {e}", call.path)))?;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, JSON);
        headers.insert(CONTENT_TYPE, JSON);
        if let Some(token) = token {
            let bearer = HeaderValue::from_str(&format!("Bearer {token}"));
            let mut bearer = bearer.map_err(|_| Unanswered {
                anonymous: true,
                ..unsent("the token holds a character that no header may have".into())
            })?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        send(&self.client, SERVER, &self.options.uri, request).await
    }
}

/// What the paths of tables begin with: the server may name another address, and a prefix.
fn root(uri: &str, body: &[u8]) -> Option<String> {
    let Config { defaults, overrides } = serde_json::from_slice(body).ok()?;
    let uri = overrides.get("uri").map_or(uri, |uri| uri.trim_end_matches('/'));
    let prefix = overrides.get("prefix").or(defaults.get("prefix"));
    Some(match prefix.map(|prefix| prefix.trim_matches('/')) {
        Some(prefix) if !prefix.is_empty() => format!("{uri}/v1/{prefix}"),
        _ => format!("{uri}/v1"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_names_what_paths_begin_with() {
        let root = |body: &str| root("https://h/api", body.as_bytes());
        assert_eq!(root("{}").unwrap(), "https://h/api/v1");
        let body = r#"{"defaults":{"prefix":"a"},"overrides":{}}"#;
        assert_eq!(root(body).unwrap(), "https://h/api/v1/a");
        let body = r#"{"defaults":{"prefix":"a"},"overrides":{"prefix":"b/c","uri":"https://g/"}}"#;
        assert_eq!(root(body).unwrap(), "https://g/v1/b/c");
        assert!(root("<html>").is_none());
    }
}
