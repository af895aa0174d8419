//! `ObjectStore` over a bucket of S3 or of what speaks its language.
//!
//! Objects are written whole, by one request, so that nothing half-written is ever seen. A name
//! that must be new is asked for (`If-None-Match`): where the answer to such a request was lost and
//! its repetition finds the name taken, the bytes that are there decide.

mod explain;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::aws::AmazonS3Builder;
use object_store::client::{HttpError, HttpErrorKind};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result, RetryConfig,
};

pub use explain::Refused;
use explain::explain;

use crate::aws::Identity;
use crate::env::{Clock, Env};
use crate::error::CatalogError;

const PAUSE: Duration = Duration::from_millis(100);

/// How a bucket is reached and written.
#[derive(Debug, Clone, Default)]
pub struct S3Options {
    /// Another endpoint than Amazon's, `http://` or `https://`.
    pub endpoint: Option<String>,
    /// The bucket in the path instead of in the host's name.
    pub path_style: bool,
    /// SSE-KMS with this key; none: as the bucket says.
    pub kms_key: Option<String>,
}

/// Where a bucket is asked for, in the form that the client wants.
fn bucket_endpoint(endpoint: &str, bucket: &str, path_style: bool) -> String {
    match endpoint.trim_end_matches('/').split_once("://") {
        Some((scheme, host)) if !path_style => format!("{scheme}://{bucket}.{host}"),
        _ => endpoint.to_string(),
    }
}

/// Whether a request may have been done without our hearing of it.
fn is_unanswered(error: &Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(e) = cause {
        if let Some(e) = e.downcast_ref::<HttpError>() {
            return matches!(e.kind(), HttpErrorKind::Timeout | HttpErrorKind::Interrupted);
        }
        cause = e.source();
    }
    false
}

/// A bucket. Cheap to clone.
#[derive(Debug, Clone)]
pub struct S3Store {
    inner: Arc<dyn ObjectStore>,
    bucket: String,
    retry: RetryConfig,
    clock: Arc<dyn Clock>,
}

impl S3Store {
    /// The bucket `bucket`, in the name of `identity`.
    ///
    /// Errors: bad config.
    pub fn new(bucket: &str, identity: &Identity, options: &S3Options) -> crate::Result<S3Store> {
        let endpoint = identity.s3_endpoint(options.endpoint.as_deref());
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(&identity.region)
            .with_credentials(identity.for_store())
            .with_endpoint(bucket_endpoint(&endpoint, bucket, options.path_style))
            .with_virtual_hosted_style_request(!options.path_style)
            .with_client_options(identity.client())
            .with_retry(identity.retry());
        if let Some(key) = &options.kms_key {
            builder = builder.with_sse_kms_encryption(key).with_bucket_key(true);
        }
        let inner = builder.build().map_err(|e| {
            CatalogError::bad_config(format!("the storage s3://{bucket} cannot be used: {e}"))
                .with_source(e)
        })?;
        Ok(S3Store::over(Arc::new(inner), bucket, identity.retry(), Env::system().clock))
    }

    /// The same over a client of S3 or what stands for one; `retry` bounds the tries of a put.
    pub fn over(
        inner: Arc<dyn ObjectStore>,
        bucket: &str,
        retry: RetryConfig,
        clock: Arc<dyn Clock>,
    ) -> S3Store {
        S3Store { inner, bucket: bucket.into(), retry, clock }
    }

    fn told<T>(&self, action: &str, key: &str, result: Result<T>) -> Result<T> {
        result.map_err(|e| explain(action, &format!("s3://{}/{key}", self.bucket), e))
    }

    /// Whether the object is what an earlier try of ours would have made it.
    async fn holds(&self, location: &Path, payload: &PutPayload) -> Result<bool> {
        let bytes = self.get(location).await?.bytes().await?;
        let same = bytes.len() == payload.content_length();
        Ok(same && payload.iter().flatten().eq(bytes.iter()))
    }
}

#[async_trait]
impl ObjectStore for S3Store {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let create = options.mode == PutMode::Create;
        let patience_ms = i64::try_from(self.retry.retry_timeout.as_millis()).unwrap_or(i64::MAX);
        let until_ms = self.clock.now_ms().saturating_add(patience_ms);
        let mut attempt = 0;
        loop {
            let put = self.inner.put_opts(location, payload.clone(), options.clone()).await;
            let Err(mut error) = put else { return put };
            // The client does not repeat what it takes for not repeatable.
            let mut passes = create && is_unanswered(&error);
            if create && matches!(error, Error::AlreadyExists { .. }) {
                match self.holds(location, &payload).await {
                    Ok(true) => return Ok(PutResult { e_tag: None, version: None }),
                    Ok(false) => {}
                    // Nobody has the name: a request for it, of ours and unanswered, was under way.
                    Err(Error::NotFound { .. }) => {
                        passes = true;
                        error = Error::Generic { store: "S3", source: Box::new(error) };
                    }
                    // Whose the bytes are is not known.
                    Err(unread) => error = unread,
                }
            }
            let again =
                passes && attempt < self.retry.max_retries && self.clock.now_ms() < until_ms;
            if !again {
                return self.told("s3:PutObject", location.as_ref(), Err(error));
            }
            self.clock.sleep(PAUSE.saturating_mul(1 << attempt.min(6))).await;
            attempt += 1;
        }
    }

    async fn put_multipart_opts(
        &self,
        _location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        // Whoever dies between the parts leaves some that are paid for and that nobody sees.
        Err(Error::NotSupported { source: "an upload in parts is not supported by S3Store".into() })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let got = self.inner.get_opts(location, options).await;
        self.told("s3:GetObject", location.as_ref(), got)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        let deleted = self.inner.delete_stream(locations);
        deleted.map(move |gone| this.told("s3:DeleteObject", "", gone)).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let this = self.clone();
        let under = prefix.map_or(String::new(), ToString::to_string);
        self.inner.list(prefix).map(move |found| this.told("s3:ListBucket", &under, found)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let listed = self.inner.list_with_delimiter(prefix).await;
        self.told("s3:ListBucket", prefix.map_or("", |p| p.as_ref()), listed)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let copied = self.inner.copy_opts(from, to, options).await;
        self.told("s3:PutObject", to.as_ref(), copied)
    }
}

impl fmt::Display for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Store({})", self.bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_stands_before_the_host_or_in_the_path() {
        let endpoint = "https://s3.example.org:8443";
        assert_eq!(bucket_endpoint(endpoint, "b", false), "https://b.s3.example.org:8443");
        assert_eq!(bucket_endpoint(endpoint, "b", true), endpoint);
    }
}
