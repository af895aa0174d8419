//! Bearer tokens: one that somebody else renews, or those that the catalog gives for a client's id and
//! secret (OAuth2 client credentials), asked for again before they expire.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Uri};
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::RestAuth;
use crate::http::{Answer, Unanswered, form_encoded, send};

/// Tokens are renewed so long before they expire, or after half of a short life.
const MARGIN: Duration = Duration::from_secs(60);
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
const SERVER: &str = "the token server";

/// The token of every request.
#[derive(Debug)]
pub(super) struct Tokens {
    auth: RestAuth,
    client: HttpClient,
    /// Where tokens are asked for.
    uri: String,
    cached: Mutex<Option<Cached>>,
}

/// No `Debug`: it would show the token.
struct Cached {
    token: Arc<str>,
    /// None: until it is refused.
    until: Option<Instant>,
}

impl std::fmt::Debug for Cached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cached(…)")
    }
}

/// The answer of a token server.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<u64>,
}

/// Its refusal.
#[derive(Deserialize)]
struct Refused {
    error: String,
    error_description: Option<String>,
}

impl Tokens {
    /// `catalog` is the catalog's URI, whose own token server is asked where no other is named.
    pub(super) fn new(auth: RestAuth, client: HttpClient, catalog: &str) -> Tokens {
        let named = match &auth {
            RestAuth::Client { token_uri, .. } => token_uri.clone(),
            _ => None,
        };
        let uri = named.unwrap_or_else(|| format!("{catalog}/v1/oauth/tokens"));
        Tokens { auth, client, uri, cached: Mutex::default() }
    }

    /// The token to send; none where the catalog asks for none. A static one is read anew each time:
    /// somebody else renews it.
    pub(super) async fn get(&self) -> Result<Option<Arc<str>>, Unanswered> {
        let RestAuth::Client { id, secret, scope, .. } = &self.auth else {
            return match &self.auth {
                RestAuth::Token(token) => token.read().map(|t| Some(t.into())).map_err(|why| {
                    denied(format!("the token cannot be read: {why}; correct rest.token"))
                }),
                _ => Ok(None),
            };
        };
        let mut cached = self.cached.lock().await;
        if let Some(Cached { token, until }) = &*cached
            && until.is_none_or(|until| until > Instant::now())
        {
            return Ok(Some(token.clone()));
        }
        let secret = secret.read().map_err(|why| {
            denied(format!("the secret cannot be read: {why}; correct rest.client_secret"))
        })?;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", id),
            ("client_secret", &secret),
            ("scope", scope),
        ];
        let Granted { access_token, expires_in } = self.ask(form_encoded(form)).await?;
        let life = expires_in.map(Duration::from_secs);
        let until = life.map(|life| Instant::now() + life.saturating_sub(MARGIN).max(life / 2));
        let token: Arc<str> = access_token.into();
        *cached = Some(Cached { token: token.clone(), until });
        Ok(Some(token))
    }

    /// The catalog did not accept `token`. Whether another can be had.
    pub(super) async fn refused(&self, token: Option<&Arc<str>>) -> bool {
        let mut cached = self.cached.lock().await;
        match &self.auth {
            RestAuth::None => false,
            RestAuth::Token(now) => token.is_some_and(|t| now.read().is_ok_and(|now| *now != **t)),
            RestAuth::Client { .. } => {
                // Another call may have renewed it meanwhile.
                cached.take_if(|cached| Some(&cached.token) == token);
                true
            }
        }
    }

    async fn ask(&self, form: String) -> Result<Granted, Unanswered> {
        let mut request = HttpRequest::new(HttpRequestBody::from(form));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.parse::<Uri>().map_err(|e| {
            denied(format!("{SERVER}'s address {:?}: {e}; correct rest.token_uri", self.uri))
        })?;
        request.headers_mut().insert(CONTENT_TYPE, FORM);
        // What it was asked for has not been asked of the catalog yet.
        let unsent = |lost| Unanswered { unsent: true, ..lost };
        let answer = send(&self.client, SERVER, &self.uri, request).await.map_err(unsent)?;
        granted(&self.uri, &answer)
    }
}

fn denied(text: String) -> Unanswered {
    Unanswered { unsent: true, anonymous: true, text }
}

/// The token of an answer. What the answer holds besides is not told: it may be a secret.
fn granted(uri: &str, answer: &Answer) -> Result<Granted, Unanswered> {
    if answer.status == 200 {
        return serde_json::from_slice(&answer.body)
            .map_err(|_| denied(format!("{SERVER} at {uri} answers without a token")));
    }
    let refused: Option<Refused> = serde_json::from_slice(&answer.body).ok();
    let why = refused.map_or_else(String::new, |refused| {
        format!(", {}: {}", refused.error, refused.error_description.unwrap_or_default())
    });
    let text = format!("{SERVER} at {uri} gives no token: status {}{why}", answer.status);
    match answer.status {
        429 | 500.. => Err(Unanswered { unsent: true, anonymous: false, text }),
        _ => Err(denied(format!(
            "{text}; correct rest.client_id, rest.client_secret, rest.scope and rest.token_uri"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &'static str) -> Answer {
        Answer { status, headers: Default::default(), body: body.into() }
    }

    #[test]
    fn an_answer_of_a_token_server_is_read() {
        let body = r#"{"access_token":"t","token_type":"Bearer","expires_in":3600,"x":1}"#;
        let token = granted("u", &answer(200, body)).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((&*token.access_token, token.expires_in), ("t", Some(3600)));
        let refused = |status, body| granted("u", &answer(status, body)).err().expect("refused");
        let why = refused(401, r#"{"error":"invalid_client","error_description":"who?"}"#);
        assert!(why.anonymous && why.text.contains("invalid_client: who?"), "{why}");
        assert!(why.text.contains("rest.client_secret"), "{why}");
        let hush = refused(200, r#"{"token":"hush"}"#);
        assert!(hush.anonymous && !hush.text.contains("hush"), "{hush}");
        assert!(!refused(503, "").anonymous && refused(503, "").unsent);
    }
}
