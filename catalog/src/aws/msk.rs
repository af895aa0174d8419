//! The token with which MSK lets a client in by IAM (OAUTHBEARER): the URL of a request to
//! `kafka-cluster:Connect`, signed for 15 minutes and never sent, in base64.
//!
//! Signed by the crate with which the SDK of AWS signs (docs/decisions/0021).

use std::error::Error;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};

use super::Identity;
use crate::error::{CatalogError, Result};
use crate::http::escaped;

/// How long a token is good: the longest that MSK takes.
const LIFE: Duration = Duration::from_secs(900);
const SERVICE: &str = "kafka-cluster";
const ACTION: &str = "kafka-cluster:Connect";
/// Not signed: for the cluster's logs.
const USER_AGENT: &str = concat!("weir/", env!("CARGO_PKG_VERSION"));

/// A token of MSK.
#[derive(Clone, PartialEq, Eq)]
pub struct MskToken {
    /// What is sent.
    pub value: String,
    /// Until when it is good, ms since 1970.
    pub until_ms: i64,
}

impl Identity {
    /// A token in the name of this identity, from now on.
    ///
    /// Errors: those of credentials, and bug.
    pub async fn msk_token(&self) -> Result<MskToken> {
        let credential = self.credentials().await?;
        token(&credential, &self.region, Utc::now())
            .map_err(|e| CatalogError::bug(format!("a token for MSK cannot be signed: {e}")))
    }
}

type Signed<T> = std::result::Result<T, Box<dyn Error>>;

fn token(credential: &Credentials, region: &str, at: DateTime<Utc>) -> Signed<MskToken> {
    let url = signed_url(credential, region, at)?;
    let url = format!("{url}&User-Agent={}", escaped(USER_AGENT));
    let until_ms = (at + LIFE).timestamp_millis();
    Ok(MskToken { value: URL_SAFE_NO_PAD.encode(url), until_ms })
}

fn signed_url(credential: &Credentials, region: &str, at: DateTime<Utc>) -> Signed<String> {
    let identity = credential.clone().into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(LIFE);
    let params = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(SERVICE)
        .time(SystemTime::from(at))
        .settings(settings)
        .build()?
        .into();
    let url = format!("https://kafka.{region}.amazonaws.com/?Action={}", escaped(ACTION));
    let request = SignableRequest::new("GET", &url, [].into_iter(), SignableBody::Bytes(b""))?;
    let (signed, _) = sign(request, &params)?.into_parts();
    let mut request = http::Request::get(&url).body(())?;
    signed.apply_to_request_http1x(&mut request);
    Ok(request.uri().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(token: Option<&str>) -> Credentials {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        Credentials::new("AKIDEXAMPLE", secret, token.map(Into::into), None, "test")
    }

    fn at() -> DateTime<Utc> {
        "2026-11-28T22:00:00Z".parse().unwrap()
    }

    /// As botocore's SigV4QueryAuth signs the same (tests/readers/msk.py compares with it again).
    #[test]
    fn a_token_is_a_signed_url() {
        let plain = signed_url(&credential(None), "eu-central-1", at()).unwrap();
        let signed =
            "&X-Amz-Signature=11d92b13c4dbe209eed8e37927b5858f162b0fa209a8a96654b003fa9229970c";
        assert!(plain.contains(signed), "{plain}");
        let with_token = signed_url(&credential(Some("to/k+n==")), "us-east-1", at()).unwrap();
        let signed =
            "&X-Amz-Signature=fcad761f02393a79fc50cde1d0159d97e9e0f232c41a5701d386464a60ac773e";
        assert!(with_token.contains(signed), "{with_token}");
        let made = token(&credential(None), "eu-central-1", at()).unwrap();
        assert_eq!(made.until_ms, at().timestamp_millis() + 900_000);
        let url = URL_SAFE_NO_PAD.decode(&made.value).unwrap();
        assert_eq!(String::from_utf8(url).unwrap(), format!("{plain}&User-Agent=weir%2F0.1.0"));
    }
}
