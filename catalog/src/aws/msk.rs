//! The token with which MSK lets a client in by IAM (OAUTHBEARER): the URL of a request to
//! `kafka-cluster:Connect`, signed for 15 minutes and never sent, in base64.
//!
//! object_store signs such URLs for S3 only, so this one is signed here, by AWS's Signature Version 4
//! (docs/decisions/0021).

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Duration, Utc};
use hmac::{Hmac, Mac};
use object_store::aws::AwsCredential;
use sha2::{Digest, Sha256};

use super::Identity;
use crate::error::{CatalogError, Result};
use crate::http::escaped;

/// How long a token is good, seconds: the most that MSK takes.
const LIFE_S: i64 = 900;
const SERVICE: &str = "kafka-cluster";
const ACTION: &str = "kafka-cluster:Connect";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
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
    /// Errors: denied (no credentials), retry (those of a role are not to be had now).
    pub async fn msk_token(&self) -> Result<MskToken> {
        let credential = self.credentials.get_credential().await.map_err(|e| {
            let text = format!("no credentials of AWS to sign a token for MSK: {e}");
            match e {
                object_store::Error::Generic { .. } => CatalogError::retry(text),
                _ => CatalogError::denied(text),
            }
        })?;
        Ok(token(&credential, &self.region, Utc::now()))
    }
}

fn token(credential: &AwsCredential, region: &str, at: DateTime<Utc>) -> MskToken {
    let url = format!("{}&User-Agent={}", signed_url(credential, region, at), escaped(USER_AGENT));
    let until_ms = (at + Duration::seconds(LIFE_S)).timestamp_millis();
    MskToken { value: URL_SAFE_NO_PAD.encode(url), until_ms }
}

fn signed_url(credential: &AwsCredential, region: &str, at: DateTime<Utc>) -> String {
    let (date, time) = (at.format("%Y%m%d").to_string(), at.format("%Y%m%dT%H%M%SZ").to_string());
    let scope = format!("{date}/{region}/{SERVICE}/aws4_request");
    let mut query = vec![
        ("Action", ACTION.to_string()),
        ("X-Amz-Algorithm", ALGORITHM.into()),
        ("X-Amz-Credential", format!("{}/{scope}", credential.key_id)),
        ("X-Amz-Date", time.clone()),
        ("X-Amz-Expires", LIFE_S.to_string()),
        ("X-Amz-SignedHeaders", "host".into()),
    ];
    if let Some(token) = &credential.token {
        query.push(("X-Amz-Security-Token", token.clone()));
    }
    // The signature is over the query in the order of its names.
    query.sort();
    let query: Vec<_> = query.iter().map(|(k, v)| format!("{k}={}", escaped(v))).collect();
    let query = query.join("&");
    let host = format!("kafka.{region}.amazonaws.com");
    let request = format!("GET\n/\n{query}\nhost:{host}\n\nhost\n{}", hex(&Sha256::digest(b"")));
    let to_sign =
        format!("{ALGORITHM}\n{time}\n{scope}\n{}", hex(&Sha256::digest(request.as_bytes())));
    let mut key = format!("AWS4{}", credential.secret_key).into_bytes();
    for part in [date.as_str(), region, SERVICE, "aws4_request"] {
        key = hmac(&key, part);
    }
    format!("https://{host}/?{query}&X-Amz-Signature={}", hex(&hmac(&key, &to_sign)))
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(token: Option<&str>) -> AwsCredential {
        AwsCredential {
            key_id: "AKIDEXAMPLE".into(),
            secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            token: token.map(Into::into),
        }
    }

    fn at() -> DateTime<Utc> {
        "2026-11-28T22:00:00Z".parse().unwrap()
    }

    /// As botocore's SigV4QueryAuth signs the same (tests/readers/msk.py compares with it again).
    #[test]
    fn a_token_is_a_signed_url() {
        let plain = signed_url(&credential(None), "eu-central-1", at());
        assert_eq!(
            plain.rsplit_once('=').unwrap().1,
            "11d92b13c4dbe209eed8e37927b5858f162b0fa209a8a96654b003fa9229970c"
        );
        let with_token = signed_url(&credential(Some("to/k+n==")), "us-east-1", at());
        assert_eq!(
            with_token.rsplit_once('=').unwrap().1,
            "fcad761f02393a79fc50cde1d0159d97e9e0f232c41a5701d386464a60ac773e"
        );
        let made = token(&credential(None), "eu-central-1", at());
        assert_eq!(made.until_ms, at().timestamp_millis() + 900_000);
        let url = URL_SAFE_NO_PAD.decode(&made.value).unwrap();
        assert_eq!(String::from_utf8(url).unwrap(), format!("{plain}&User-Agent=weir%2F0.1.0"));
    }
}
