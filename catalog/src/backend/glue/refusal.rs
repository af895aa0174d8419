//! What an answer of Glue means: what happened to the call, its class, and what to do.

use std::error::Error;

use aws_sdk_glue::config::http::HttpResponse;
use aws_sdk_glue::error::{ProvideErrorMetadata, SdkError};
use weir_contract::class::ErrorClass;

use crate::aws::causes;
use crate::backend::refusal::Refusal;
use crate::error::CatalogError;
use crate::http::Unanswered;

/// What the call gave, or what its refusal means.
pub(super) fn told<T, E>(
    action: &str,
    on: &str,
    sent: Result<T, SdkError<E, HttpResponse>>,
) -> Result<T, Refusal>
where
    E: Error + ProvideErrorMetadata + 'static,
{
    let error = match sent {
        Ok(given) => return Ok(given),
        Err(error) => error,
    };
    let text = || format!("{action} on {on}: {}", causes(&error));
    Err(match &error {
        SdkError::ServiceError(refused) => {
            let status = refused.raw().status().as_u16();
            let kind = refused.err().code().unwrap_or_default();
            let message = refused.err().message().unwrap_or("no message");
            refusal(action, on, status, kind, message)
        }
        SdkError::DispatchFailure(lost) => {
            let why = lost.as_connector_error().and_then(|e| e.source()?.downcast_ref());
            match why {
                Some(Unanswered { unsent: true, text, .. }) => {
                    let text = format!("{action} on {on}: {text}");
                    Refusal::Failed(CatalogError::retry(text))
                }
                Some(why) => Refusal::Unknown(format!("{action} on {on}: {why}")),
                None => Refusal::Unknown(text()),
            }
        }
        SdkError::ConstructionFailure(_) => Refusal::Failed(CatalogError::bug(text())),
        SdkError::ResponseError(unread) => {
            let status = unread.raw().status().as_u16();
            Refusal::Unknown(format!("{} (status {status})", text()))
        }
        // Time-outs, and what a later SDK may add.
        _ => Refusal::Unknown(text()),
    })
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
        refusal("glue:UpdateTable", "raw.t", status, kind, "m")
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
    }

    #[test]
    fn what_surely_did_not_land_has_its_class() {
        use ErrorClass::{Bug, Denied, Retry};
        for (kind, class, advice) in [
            ("ThrottlingException", Retry, ""),
            ("AccessDeniedException", Denied, "allow glue:UpdateTable"),
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
