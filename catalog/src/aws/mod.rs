//! What S3 and Glue share: who we are in AWS, and requests in that name.
//!
//! Credentials, signatures and the HTTP client are `object_store`'s, so that one TLS stack and one
//! chain of credentials serve every service (docs/decisions/0010).

mod assume_role;
mod lent;
mod msk;
mod process;
mod profile;
mod request;
mod sso;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AwsCredential, AwsCredentialProvider};
use object_store::{BackoffConfig, ClientOptions, RetryConfig, StaticCredentialProvider};

use assume_role::AssumeRole;
use lent::Lent;
pub use msk::MskToken;
use profile::Profiles;
pub(crate) use request::Signed;

use crate::error::{CatalogError, Result};
use crate::http;

/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Who we are in AWS, and where.
#[derive(Debug, Clone)]
pub struct AwsOptions {
    /// The region of bucket and catalog; none: `AWS_REGION`, `AWS_DEFAULT_REGION`, or that of the profile.
    pub region: Option<String>,
    /// Keys; none: the chain (environment, profile, web identity, container, instance).
    pub keys: Option<AwsKeys>,
    /// A role to assume with those.
    pub role: Option<AwsRole>,
    /// How long one request may take.
    pub timeout: Duration,
    /// How often a request that failed, and may be repeated, is.
    pub retries_max: usize,
}

/// Static keys.
#[derive(Clone)]
pub struct AwsKeys {
    /// Access key id.
    pub id: String,
    /// Its secret.
    pub secret: String,
    /// Session token of temporary keys.
    pub token: Option<String>,
}

impl fmt::Debug for AwsKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AwsKeys({}, …)", self.id)
    }
}

/// A role to assume.
#[derive(Debug, Clone)]
pub struct AwsRole {
    /// Its ARN.
    pub arn: String,
    /// What the role's trust policy may ask for.
    pub external_id: Option<String>,
    /// Another STS than Amazon's.
    pub sts_endpoint: Option<String>,
}

/// Credentials that renew themselves, a region, and the bounds of a request. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Identity {
    pub(crate) credentials: AwsCredentialProvider,
    pub(crate) region: String,
    pub(crate) timeout: Duration,
    pub(crate) retries_max: usize,
}

impl Identity {
    /// The identity by these options. Nothing is asked of AWS yet.
    ///
    /// Errors: bad config.
    pub fn new(options: &AwsOptions) -> Result<Identity> {
        let profiles = Profiles::of_environment()?;
        let named = || variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
        let region = options.region.clone().or_else(named).or_else(|| profiles.region());
        let region = region.ok_or_else(|| {
            CatalogError::bad_config(
                "the region is not known: set aws.region or the environment variable AWS_REGION",
            )
        })?;
        let credentials: AwsCredentialProvider = match &options.keys {
            Some(keys) => Arc::new(StaticCredentialProvider::new(AwsCredential {
                key_id: keys.id.clone(),
                secret_key: keys.secret.clone(),
                token: keys.token.clone(),
            })),
            None => chain(&region, options)?,
        };
        let (timeout, retries_max) = (options.timeout, options.retries_max);
        let mut identity = Identity { credentials, region, timeout, retries_max };
        if options.keys.is_none() && variable("AWS_ACCESS_KEY_ID").is_none() {
            // As the AWS tools have it: after the variables, before what the machine offers.
            let of_profile = profiles.credentials(&identity)?;
            identity.credentials = of_profile.unwrap_or(identity.credentials);
        }
        if let Some(role) = &options.role {
            let role = AssumeRole::new(role, &identity)?;
            identity.credentials = Arc::new(Lent::by(role));
        }
        Ok(identity)
    }

    /// Time-outs of every request. Plain HTTP is for endpoints that the config spells so.
    pub(crate) fn client(&self) -> ClientOptions {
        http::options(self.timeout)
    }

    /// How requests that may be repeated are.
    pub(crate) fn retry(&self) -> RetryConfig {
        retry(self.timeout, self.retries_max)
    }

    /// Where a service is asked: as configured, as the environment of the AWS tools says, or at
    /// Amazon.
    pub(crate) fn endpoint(&self, service: &str, configured: Option<&str>) -> String {
        let own = || variable(&format!("AWS_ENDPOINT_URL_{}", service.to_uppercase()));
        let given = configured.map(str::to_string).or_else(own);
        let given = given.or_else(|| variable("AWS_ENDPOINT_URL"));
        given.unwrap_or_else(|| amazon(service, &self.region))
    }
}

/// The endpoint of a service of Amazon in a region.
fn amazon(service: &str, region: &str) -> String {
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://{service}.{region}.amazonaws.com{suffix}")
}

/// The credentials that the environment offers: its variables, web identity, container, instance.
fn chain(region: &str, options: &AwsOptions) -> Result<AwsCredentialProvider> {
    // The chain comes with a client of a bucket, which is not used.
    let built = AmazonS3Builder::from_env()
        .with_region(region)
        .with_bucket_name("none")
        .with_client_options(http::options(options.timeout))
        .with_retry(retry(options.timeout, options.retries_max))
        .build();
    let store = built.map_err(|e| {
        CatalogError::bad_config(format!("the credentials of AWS cannot be used: {e}"))
            .with_source(e)
    })?;
    Ok(store.credentials().clone())
}

fn retry(timeout: Duration, retries_max: usize) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig { max_backoff: PAUSE_MAX, ..BackoffConfig::default() },
        max_retries: retries_max,
        retry_timeout: timeout * 3,
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let keys = AwsKeys { id: "AKIA1".into(), secret: "hush".into(), token: Some("tok".into()) };
        let shown = format!("{keys:?}");
        assert!(shown.contains("AKIA1") && !shown.contains("hush") && !shown.contains("tok"));
    }

    #[test]
    fn china_has_another_name() {
        assert_eq!(amazon("glue", "eu-central-1"), "https://glue.eu-central-1.amazonaws.com");
        assert_eq!(amazon("sts", "cn-north-1"), "https://sts.cn-north-1.amazonaws.com.cn");
    }
}
