//! What an answer of a REST catalog means: what happened to the call, its class, and what to do.

use bytes::Bytes;
use serde::Deserialize;
use weir_contract::class::ErrorClass;

use crate::backend::refusal::Refusal;
use crate::error::CatalogError;
use crate::http::{Answer, Unanswered};

/// The body of a refusal.
#[derive(Deserialize, Default)]
struct Refused {
    error: ErrorModel,
}

#[derive(Deserialize, Default)]
struct ErrorModel {
    #[serde(default)]
    message: Option<String>,
    #[serde(rename = "type", default)]
    kind: String,
}

/// The call's own reply, or what its refusal means.
pub(super) fn reply(action: &str, on: &str, answer: Answer) -> Result<Bytes, Refusal> {
    match answer.status {
        200..=299 => Ok(answer.body),
        status => {
            let refused = serde_json::from_slice::<Refused>(&answer.body).ok();
            Err(refusal(action, on, status, refused.map(|refused| refused.error)))
        }
    }
}

/// What it means that there was no answer.
pub(super) fn silence(action: &str, on: &str, why: &Unanswered) -> Refusal {
    let text = format!("{action} on {on}: {why}");
    match (why.unsent, why.anonymous) {
        (_, true) => Refusal::Failed(CatalogError::denied(text)),
        (true, _) => Refusal::Failed(CatalogError::retry(text)),
        (false, _) => Refusal::Unknown(text),
    }
}

fn refusal(action: &str, on: &str, status: u16, told: Option<ErrorModel>) -> Refusal {
    let spoken = told.is_some();
    let ErrorModel { message, kind } = told.unwrap_or_default();
    let message = message.unwrap_or_else(|| "no message".into());
    let text = format!("{action} on {on}: status {status}, {kind}: {message}");
    let failed =
        |class, advice: &str| Refusal::Failed(CatalogError::new(class, format!("{text}{advice}")));
    match status {
        // After work may have begun; of 503 too the protocol does not say that it had not.
        500.. => Refusal::Unknown(text),
        429 => failed(ErrorClass::Retry, ""),
        401 | 419 => failed(
            ErrorClass::Denied,
            "; the catalog does not know us: correct rest.token, or rest.client_id and \
             rest.client_secret",
        ),
        403 => failed(
            ErrorClass::Denied,
            &format!("; allow {action} to this principal in the catalog"),
        ),
        404 if spoken => Refusal::Missing(text),
        409 if kind == "AlreadyExistsException" => Refusal::Exists(text),
        409 if spoken => Refusal::Beaten(text),
        404 | 405 => failed(
            ErrorClass::BadConfig,
            "; no Iceberg REST catalog answers so: correct catalog.uri, which ends where /v1 begins",
        ),
        406 => failed(ErrorClass::BadConfig, "; the catalog does not offer what weir needs"),
        400 | 422 => failed(ErrorClass::Bug, "; the catalog does not take what weir wrote"),
        _ => failed(ErrorClass::Bug, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, kind: &str) -> Refusal {
        let body =
            format!(r#"{{"error":{{"message":"m","type":"{kind}","code":{status},"stack":[]}}}}"#);
        let answer = Answer { status, headers: Default::default(), body: body.into() };
        reply("updateTable", "raw.t", answer).unwrap_err()
    }

    #[test]
    fn only_what_surely_lost_is_a_conflict() {
        assert!(matches!(refused(409, "CommitFailedException"), Refusal::Beaten(_)));
        assert!(matches!(refused(409, "AlreadyExistsException"), Refusal::Exists(_)));
        assert!(matches!(refused(404, "NoSuchTableException"), Refusal::Missing(_)));
        for status in [500, 502, 503, 504, 507] {
            let refusal = refused(status, "CommitStateUnknownException");
            assert!(matches!(refusal, Refusal::Unknown(_)), "{status}");
        }
        // Something on the way that is no catalog.
        for (status, unknown) in [(404, false), (409, false), (502, true)] {
            let answer = Answer { status, headers: Default::default(), body: "<html>".into() };
            match reply("updateTable", "raw.t", answer) {
                Err(Refusal::Unknown(_)) => assert!(unknown, "{status}"),
                Err(Refusal::Failed(_)) => assert!(!unknown, "{status}"),
                other => panic!("{status}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_surely_did_not_land_has_its_class() {
        use ErrorClass::{BadConfig, Bug, Denied, Retry};
        for (status, class, advice) in [
            (429, Retry, ""),
            (401, Denied, "rest.client_secret"),
            (419, Denied, "rest.token"),
            (403, Denied, "allow updateTable"),
            (405, BadConfig, "catalog.uri"),
            (400, Bug, "weir wrote"),
            (418, Bug, ""),
        ] {
            let Refusal::Failed(error) = refused(status, "X") else { panic!("{status}") };
            assert_eq!(error.class(), class, "{status}");
            assert!(error.message().contains("updateTable on raw.t"), "{error}");
            assert!(error.message().contains(advice), "{error}");
        }
    }
}
