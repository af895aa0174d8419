//! Credentials of whoever lends them: kept, asked for again before they expire, the same for every service.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_glue::error::{ConnectorError, ErrorMetadata};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use tokio::sync::Mutex;
use weir_contract::class::ErrorClass;

use super::{causes, variable};
use crate::error::{CatalogError, Result};

/// Credentials are renewed so long before they expire.
const MARGIN: Duration = Duration::from_secs(5 * 60);
/// What lives for less is asked for again after this time, not at every call.
const KEPT_MIN: Duration = Duration::from_secs(1);
/// What refusals of IAM Identity Center speak of.
const LOGIN: [&str; 3] = ["sso", "access token", "session token not found"];
/// The codes of refusals that pass.
const PASSING: [&str; 6] = [
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "InternalFailure",
    "ServiceUnavailable",
];

/// What the chain or a role gives.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    provider: SharedCredentialsProvider,
    /// What is asked, for errors: `sts:AssumeRole of arn:…`; none: the chain.
    from: Option<String>,
    /// How long the answer may take.
    timeout: Duration,
    lent: Arc<Mutex<Option<Lent>>>,
}

/// Credentials, and until when they are good; none: for ever.
type Lent = (Credentials, Option<SystemTime>);

impl Kept {
    pub(super) fn new(
        provider: SharedCredentialsProvider,
        from: Option<String>,
        timeout: Duration,
    ) -> Kept {
        Kept { provider, from, timeout, lent: Arc::default() }
    }

    pub(super) async fn get(&self) -> Result<Credentials> {
        let mut lent = self.lent.lock().await;
        let now = SystemTime::now();
        if let Some((credentials, until)) = &*lent
            && until.is_none_or(|until| until > now)
        {
            return Ok(credentials.clone());
        }
        let asked = tokio::time::timeout(self.timeout, self.provider.provide_credentials()).await;
        let asked =
            asked.unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(self.timeout)));
        let credentials = asked.map_err(|e| self.none(e))?;
        let until = credentials.expiry().map(|end| (end - MARGIN).max(now + KEPT_MIN));
        *lent = Some((credentials.clone(), until));
        Ok(credentials)
    }

    /// Why there are no credentials, and what to do.
    fn none(&self, error: CredentialsError) -> CatalogError {
        let from = self.from.as_deref().unwrap_or("the chain of AWS's tools");
        let why = causes(&error);
        let text = format!("no credentials of AWS from {from}: {why}");
        let advice = match &error {
            CredentialsError::CredentialsNotLoaded(_) => {
                "; set aws.access_key_id and aws.secret_access_key, or give the machine, task or \
                 pod a role"
            }
            _ if LOGIN.iter().any(|word| text.to_lowercase().contains(word)) => {
                let profile = variable("AWS_PROFILE").map(|name| format!(" --profile {name}"));
                let profile = profile.unwrap_or_default();
                &format!("; if nobody is logged in, or no longer: aws sso login{profile}")
            }
            _ => "",
        };
        CatalogError::new(class(&error), format!("{text}{advice}")).with_source(error)
    }
}

/// Whether the same question may be answered later.
fn class(error: &CredentialsError) -> ErrorClass {
    match error {
        CredentialsError::InvalidConfiguration(_) => return ErrorClass::BadConfig,
        CredentialsError::CredentialsNotLoaded(_) => return ErrorClass::Denied,
        CredentialsError::ProviderTimedOut(_) => return ErrorClass::Retry,
        _ => {}
    }
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(e) = cause {
        let refused = e.downcast_ref::<ErrorMetadata>();
        let passes = refused.is_some_and(|e| e.code().is_none_or(|code| PASSING.contains(&code)));
        if passes || e.is::<ConnectorError>() {
            return ErrorClass::Retry;
        }
        cause = e.source();
    }
    ErrorClass::Denied
}

impl ProvideCredentials for Kept {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            self.get().await.map_err(CredentialsError::provider_error)
        })
    }
}

#[async_trait]
impl CredentialProvider for Kept {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let lent = self.get().await.map_err(|e| match e.class() {
            ErrorClass::Retry => object_store::Error::Generic { store: "S3", source: e.into() },
            _ => object_store::Error::Unauthenticated { path: "S3".into(), source: e.into() },
        })?;
        Ok(Arc::new(AwsCredential {
            key_id: lent.access_key_id().into(),
            secret_key: lent.secret_access_key().into(),
            token: lent.session_token().map(Into::into),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_may_be_tried_again() {
        let said = |code: Option<&str>| {
            let said = ErrorMetadata::builder();
            let said = code.into_iter().fold(said, |said, code| said.code(code));
            class(&CredentialsError::provider_error(said.build()))
        };
        for code in [None, Some("Throttling"), Some("InternalFailure")] {
            assert_eq!(said(code), ErrorClass::Retry, "{code:?}");
        }
        assert_eq!(said(Some("AccessDenied")), ErrorClass::Denied);
        let cut = ConnectorError::io("reset".into());
        assert_eq!(class(&CredentialsError::provider_error(cut)), ErrorClass::Retry);
        assert_eq!(class(&CredentialsError::unhandled("no vault")), ErrorClass::Denied);
        assert_eq!(class(&CredentialsError::invalid_configuration("x")), ErrorClass::BadConfig);
    }
}
