//! The SDK's requests by the client that every other request of ours takes: one TLS stack, one set of bounds.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::{Headers, HttpError, StatusCode};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use object_store::client::HttpRequestBody;

use crate::error::Result;
use crate::http::{Unanswered, connect, send};

#[derive(Debug, Clone)]
pub(super) struct Wire {
    client: object_store::client::HttpClient,
    /// What the SDK wants to wait for an answer where it is in a hurry: the instance's metadata.
    timeout: Option<Duration>,
}

impl Wire {
    /// Errors: bad config.
    pub(super) fn new(timeout: Duration) -> Result<Wire> {
        Ok(Wire { client: connect("AWS", timeout)?, timeout: None })
    }

    async fn sent(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let lost = |why: Unanswered| ConnectorError::io(why.into());
        let user = |why: String| ConnectorError::user(why.into());
        let request = request.try_into_http1x().map_err(|e| user(e.to_string()))?;
        let (parts, body) = request.into_parts();
        let body = body.bytes().map(Bytes::copy_from_slice);
        let body = body.ok_or_else(|| user("a body that is a stream".into()))?;
        let server = parts.uri.host().unwrap_or_default().to_string();
        let request = http::Request::from_parts(parts, HttpRequestBody::from(body));
        let sending = send(&self.client, "AWS", &server, request);
        let answer = match self.timeout {
            None => sending.await,
            Some(bound) => tokio::time::timeout(bound, sending)
                .await
                .map_err(|e| ConnectorError::timeout(e.into()))?,
        };
        let answer = answer.map_err(lost)?;
        let wrong = |e: HttpError| ConnectorError::other(e.into(), None);
        let status = StatusCode::try_from(answer.status);
        let status = status.map_err(|e| ConnectorError::other(e.into(), None))?;
        let mut response = HttpResponse::new(status, SdkBody::from(answer.body));
        *response.headers_mut() = Headers::try_from(answer.headers).map_err(wrong)?;
        Ok(response)
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().sent(request))
    }
}

impl HttpClient for Wire {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let timeout = settings
            .read_timeout()
            .map(|read| read + settings.connect_timeout().unwrap_or_default());
        SharedHttpConnector::new(Wire { timeout, ..self.clone() })
    }
}
