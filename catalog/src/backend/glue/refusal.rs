//! What an answer of Glue means: what happened to the call, its class, and what to do.

use serde_json::Value;
use weir_contract::class::ErrorClass;

use crate::backend::refusal::Refusal;
use crate::error::CatalogError;
use crate::http::{Answer, Unanswered};

/// The call's own reply, or what its refusal means.
pub(super) fn reply(action: &str, on: &str, answer: Answer) -> Result<Value, Refusal> {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    if answer.status == 200 {
        let unread = || Refusal::Unknown(format!("{action} on {on}: an answer that is not JSON"));
        return body.ok_or_else(unread);
    }
    let body = body.unwrap_or_default();
    let kind = body["__type"].as_str().unwrap_or_default();
    let kind = kind.rsplit('#').next().unwrap_or_default();
    let message = ["Message", "message"].iter().find_map(|key| body[key].as_str());
    Err(refusal(action, on, answer.status, kind, message.unwrap_or("no message")))
}

/// What it means that there was no answer.
pub(super) fn silence(action: &str, on: &str, why: &Unanswered) -> Refusal {
    let text = format!("{action} on {on}: {why}");
    match (why.unsent, why.anonymous) {
        (_, true) => Refusal::Failed(CatalogError::denied(format!(
            "{text}; set aws.access_key_id and aws.secret_access_key, or give the machine, task or \
             pod a role"
        ))),
        (true, _) => Refusal::Failed(CatalogError::retry(text)),
        (false, _) => Refusal::Unknown(text),
    }
}

fn refusal(action: &str, on: &str, status: u16, kind: &str, message: &str) -> Refusal {
    let text = format!("{action} on {on}: {kind}: {message}");
    let failed =
        |class, advice: &str| Refusal::Failed(CatalogError::new(class, format!("{text}{advice}")));
    match kind {
        "EntityNotFoundException" => Refusal::Missing(text),
        "AlreadyExistsException" => Refusal::Exists(text),
        "ConcurrentModificationException" => Refusal::Beaten(text),
        // Refused before anything was done.
        "ThrottlingException"
        | "TooManyRequestsException"
        | "Throttling"
        | "RequestLimitExceeded"
        | "ResourceNotReadyException" => failed(ErrorClass::Retry, ""),
        "AccessDeniedException" => failed(
            ErrorClass::Denied,
            &format!(
                "; allow {action} to this role, in IAM and in Lake Formation where that governs \
                 the catalog (deploy/iam shows the policies)"
            ),
        ),
        "ExpiredTokenException" | "ExpiredToken" => {
            failed(ErrorClass::Denied, "; the session's credentials have expired, renew them")
        }
        "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "IncompleteSignatureException"
        | "MissingAuthenticationTokenException"
        | "InvalidClientTokenId" => {
            failed(ErrorClass::Denied, "; correct the access key, its secret and aws.region")
        }
        "GlueEncryptionException" | "KMSKeyNotAccessibleFault" => {
            failed(ErrorClass::Denied, "; the catalog is encrypted: allow this role to use its key")
        }
        "ResourceNumberLimitExceededException" => failed(
            ErrorClass::Denied,
            "; a quota of Glue is used up: have it raised (Service Quotas), or delete tables or \
             table versions that nobody needs",
        ),
        // Both come after work may have begun.
        "OperationTimeoutException" | "InternalServiceException" => Refusal::Unknown(text),
        _ if status >= 500 => Refusal::Unknown(format!("{text} (status {status})")),
        "InvalidInputException" | "ValidationException" => {
            failed(ErrorClass::Bug, "; Glue does not take what weir wrote")
        }
        _ => failed(ErrorClass::Bug, &format!(" (status {status})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, kind: &str) -> Refusal {
        let body = format!(r#"{{"__type":"{kind}","Message":"m"}}"#);
        reply("glue:UpdateTable", "raw.t", Answer { status, retry_after: None, body: body.into() })
            .unwrap_err()
    }

    #[test]
    fn only_what_surely_lost_is_a_conflict() {
        assert!(matches!(refused(400, "ConcurrentModificationException"), Refusal::Beaten(_)));
        assert!(matches!(refused(400, "EntityNotFoundException"), Refusal::Missing(_)));
        for (status, kind) in [
            (400, "OperationTimeoutException"),
            (500, "InternalServiceException"),
            (503, ""),
            (502, "whatever"),
        ] {
            assert!(matches!(refused(status, kind), Refusal::Unknown(_)), "{status} {kind}");
        }
        let cut = Answer { status: 200, retry_after: None, body: "<html>".into() };
        assert!(matches!(reply("a", "b", cut), Err(Refusal::Unknown(_))));
    }

    #[test]
    fn what_surely_did_not_land_has_its_class() {
        use ErrorClass::{Bug, Denied, Retry};
        for (kind, class, advice) in [
            ("ThrottlingException", Retry, ""),
            ("AccessDeniedException", Denied, "allow glue:UpdateTable"),
            ("com.amazonaws.glue#AccessDeniedException", Denied, "allow glue:UpdateTable"),
            ("ExpiredTokenException", Denied, "renew"),
            ("UnrecognizedClientException", Denied, "access key"),
            ("GlueEncryptionException", Denied, "key"),
            ("ResourceNumberLimitExceededException", Denied, "quota"),
            ("InvalidInputException", Bug, ""),
            ("SomethingNew", Bug, ""),
        ] {
            let Refusal::Failed(error) = refused(400, kind) else { panic!("{kind}") };
            assert_eq!(error.class(), class, "{kind}");
            assert!(error.message().contains("glue:UpdateTable on raw.t"), "{error}");
            assert!(error.message().contains(advice), "{error}");
        }
    }
}
