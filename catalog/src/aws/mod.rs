//! What S3, Glue and Kafka share: who we are in AWS.
//!
//! Credentials, regions and endpoints are found by AWS's own SDK, as its other tools find them
//! (docs/decisions/0010).

mod credentials;
mod msk;
mod wire;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_glue::config::IdentityCache;
use object_store::{BackoffConfig, ClientOptions};
use weir_contract::class::ErrorClass;

use credentials::Kept;
pub use msk::MskToken;
use wire::Wire;

use crate::error::{CatalogError, Result};
use crate::http;

/// The shortest and the longest pause between two tries.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How the session of a role that is assumed is called.
const SESSION: &str = "weir";

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
    credentials: Kept,
    /// What a client of a service is made from.
    pub(crate) sdk: SdkConfig,
    pub(crate) region: String,
    pub(crate) timeout: Duration,
    pub(crate) retries_max: usize,
}

impl Identity {
    /// The identity by these options. Whoever lends the credentials is asked for them; if he does not
    /// answer now, he is asked again when they are needed.
    ///
    /// Errors: bad config, denied.
    pub async fn new(options: &AwsOptions) -> Result<Identity> {
        let sdk = sdk(options).await?;
        let region = sdk.region().map(ToString::to_string).ok_or_else(|| {
            CatalogError::bad_config(
                "the region is not known: set aws.region or the environment variable AWS_REGION",
            )
        })?;
        let (timeout, retries_max) = (options.timeout, options.retries_max);
        let provider = match &options.role {
            Some(role) => assumed(role, &sdk).await,
            None => sdk.credentials_provider().ok_or_else(|| CatalogError::bug("no chain"))?,
        };
        let from = options.role.as_ref().map(|role| format!("sts:AssumeRole of {}", role.arn));
        let credentials = Kept::new(provider, from, timeout);
        let shared = SharedCredentialsProvider::new(credentials.clone());
        let sdk = sdk.into_builder().credentials_provider(shared).build();
        let identity = Identity { credentials, sdk, region, timeout, retries_max };
        match identity.credentials().await {
            Err(e) if e.class() != ErrorClass::Retry => Err(e),
            _ => Ok(identity),
        }
    }

    /// The credentials as they are good now.
    ///
    /// Errors: bad config, denied, retry (those of a role are not to be had now).
    pub(crate) async fn credentials(&self) -> Result<Credentials> {
        self.credentials.get().await
    }

    /// The same for `object_store`.
    pub(crate) fn for_store(&self) -> Arc<Kept> {
        Arc::new(self.credentials.clone())
    }

    /// Time-outs of every request. Plain HTTP is for endpoints that the config spells so.
    pub(crate) fn client(&self) -> ClientOptions {
        http::options(self.timeout)
    }

    /// How requests of `object_store` that may be repeated are.
    pub(crate) fn retry(&self) -> object_store::RetryConfig {
        object_store::RetryConfig {
            backoff: BackoffConfig { max_backoff: PAUSE_MAX, ..BackoffConfig::default() },
            max_retries: self.retries_max,
            retry_timeout: self.timeout * 3,
        }
    }

    /// Where the bucket is asked: as configured, as the environment of the AWS tools says, or at
    /// Amazon.
    pub(crate) fn s3_endpoint(&self, configured: Option<&str>) -> String {
        let own = || variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL"));
        configured.map(str::to_string).or_else(own).unwrap_or_else(|| {
            let suffix = if self.region.starts_with("cn-") { ".cn" } else { "" };
            format!("https://s3.{}.amazonaws.com{suffix}", self.region)
        })
    }
}

/// What AWS's tools find in the environment, in files, and on the machine.
async fn sdk(options: &AwsOptions) -> Result<SdkConfig> {
    // Not the instance: a machine that is none would be asked in vain for seconds.
    let region = RegionProviderChain::first_try(options.region.clone().map(Region::new))
        .or_else(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new());
    let attempts = u32::try_from(options.retries_max).unwrap_or(u32::MAX).saturating_add(1);
    let retry = RetryConfig::standard()
        .with_max_attempts(attempts)
        .with_initial_backoff(PAUSE)
        .with_max_backoff(PAUSE_MAX);
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(Wire::new(options.timeout)?)
        .region(region)
        .retry_config(retry)
        // Credentials are kept by us, for every service.
        .identity_cache(IdentityCache::no_cache())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    let loader = match &options.keys {
        None => loader,
        Some(AwsKeys { id, secret, token }) => {
            let keys = Credentials::new(id, secret, token.clone(), None, "weir.toml");
            loader.credentials_provider(keys)
        }
    };
    Ok(loader.load().await)
}

/// The credentials of a role, assumed in the name of what the chain gives.
async fn assumed(role: &AwsRole, sdk: &SdkConfig) -> SharedCredentialsProvider {
    let mut at = sdk.to_builder();
    if let Some(endpoint) = &role.sts_endpoint {
        at.set_endpoint_url(Some(endpoint.clone()));
    }
    let mut assume = AssumeRoleProvider::builder(&role.arn).session_name(SESSION);
    if let Some(id) = &role.external_id {
        assume = assume.external_id(id);
    }
    SharedCredentialsProvider::new(assume.configure(&at.build()).build().await)
}

/// An error with its causes, each told once.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut told: Vec<String> = Vec::new();
    let mut cause = Some(error);
    while let Some(e) = cause {
        let text = e.to_string();
        if !told.iter().any(|known| known.contains(&text)) {
            told.push(text);
        }
        cause = e.source();
    }
    told.join(": ")
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

    #[tokio::test]
    async fn china_has_another_name() {
        let at = async |region: &str| {
            let keys = AwsKeys { id: "a".into(), secret: "b".into(), token: None };
            let options = AwsOptions {
                region: Some(region.into()),
                keys: Some(keys),
                role: None,
                timeout: Duration::from_secs(1),
                retries_max: 0,
            };
            Identity::new(&options).await.unwrap().s3_endpoint(None)
        };
        assert_eq!(at("eu-central-1").await, "https://s3.eu-central-1.amazonaws.com");
        assert_eq!(at("cn-north-1").await, "https://s3.cn-north-1.amazonaws.com.cn");
    }
}
