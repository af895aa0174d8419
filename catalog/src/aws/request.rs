//! Signed requests to a service of AWS: one call is one request, never repeated here.

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Uri};
use object_store::aws::AwsAuthorizer;
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};

use super::Identity;
use super::lent::LENT;
use crate::error::{CatalogError, Result};
use crate::http::{Answer, Unanswered, connect, send};

/// The client of one service.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    identity: Identity,
    client: HttpClient,
    service: &'static str,
    endpoint: String,
    uri: Uri,
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
        let client = connect(service, identity.timeout)?;
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
            // Who lends nothing now may do so later.
            anonymous: !matches!(e, object_store::Error::Generic { store: LENT, .. }),
            text: format!("no credentials for {}: {e}", self.service),
        })?;
        AwsAuthorizer::new(&credential, self.service, &self.identity.region)
            .authorize(&mut request, None);
        send(&self.client, self.service, &self.endpoint, request).await
    }
}
