//! Signed requests to a service of AWS: one call is one request, never repeated here.

use std::fmt;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Uri};
use object_store::aws::AwsAuthorizer;
use object_store::client::{
    HttpClient, HttpConnector, HttpErrorKind, HttpRequest, HttpRequestBody, ReqwestConnector,
};

use super::Identity;
use super::assume_role::STS;
use crate::error::{CatalogError, Result};

/// The client of one service.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    identity: Identity,
    client: HttpClient,
    service: &'static str,
    endpoint: String,
    uri: Uri,
}

/// What a service answered, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Unanswered {
    /// The request is known not to have reached the service.
    pub(crate) unsent: bool,
    /// There are no credentials to sign it with.
    pub(crate) anonymous: bool,
    text: String,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Signed {
    /// The client of `service`, at the configured endpoint or at Amazon's.
    ///
    /// Errors: bad config.
    pub(crate) fn new(
        identity: &Identity,
        service: &'static str,
        configured: Option<&str>,
    ) -> Result<Signed> {
        let endpoint = identity.endpoint(service, configured);
        let root = format!("{}/", endpoint.trim_end_matches('/'));
        let uri = root.parse::<Uri>().map_err(|e| {
            CatalogError::bad_config(format!("the endpoint {endpoint:?} of {service}: {e}"))
        })?;
        let client = ReqwestConnector::default().connect(&identity.client()).map_err(|e| {
            CatalogError::bad_config(format!("the client of {service} cannot be made: {e}"))
                .with_source(e)
        })?;
        Ok(Signed { identity: identity.clone(), client, service, endpoint, uri })
    }

    /// Posts a body, once.
    pub(crate) async fn post(
        &self,
        content_type: &'static str,
        headers: &[(&'static str, &str)],
        body: String,
    ) -> Result<Answer, Unanswered> {
        let unsent = |text: String| Unanswered { unsent: true, anonymous: false, text };
        let mut request = HttpRequest::new(HttpRequestBody::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).map_err(|e| unsent(e.to_string()))?;
            request.headers_mut().insert(*name, value);
        }
        let credentials = &self.identity.credentials;
        let credential = credentials.get_credential().await.map_err(|e| Unanswered {
            unsent: true,
            // What STS does not answer now it may answer later.
            anonymous: !matches!(e, object_store::Error::Generic { store: STS, .. }),
            text: format!("no credentials for {}: {e}", self.service),
        })?;
        AwsAuthorizer::new(&credential, self.service, &self.identity.region)
            .authorize(&mut request, None);
        let lost = |e: object_store::client::HttpError| Unanswered {
            unsent: e.kind() == HttpErrorKind::Connect,
            anonymous: false,
            text: format!("{} at {} does not answer: {e}", self.service, self.endpoint),
        };
        let response = self.client.execute(request).await.map_err(lost)?;
        let status = response.status().as_u16();
        let body = response.into_body().bytes().await.map_err(lost)?;
        Ok(Answer { status, body })
    }
}
