//! What an error of S3 means, from its text: the client's error type cannot be named outside of
//! `object_store`, but it always shows the status and S3's own answer.

use std::fmt;

use object_store::Error;
use weir_contract::class::ErrorClass;

/// A refusal that S3 meant: the class that it deserves, and what to do.
#[derive(Debug)]
pub struct Refused {
    /// What the caller can do about it.
    pub class: ErrorClass,
    text: String,
    source: Error,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// The same error, saying which `action` on which `object` it was about and what to do. What
/// callers tell apart (not found, exists) stays what it is; what they do not becomes [`Refused`].
pub(super) fn explain(action: &str, object: &str, error: Error) -> Error {
    if matches!(error, Error::AlreadyExists { .. } | Error::Precondition { .. }) {
        return error;
    }
    let text = error.to_string();
    let answer = Answer::of(&text);
    match judge(action, object, &answer, &text) {
        Some((class, text)) => {
            let source = Box::new(Refused { class, text, source: error });
            Error::Generic { store: "S3", source }
        }
        None => error,
    }
}

/// What S3 answered, as far as the text shows it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answer<'a> {
    status: Option<u16>,
    code: &'a str,
    message: &'a str,
}

impl<'a> Answer<'a> {
    fn of(text: &'a str) -> Answer<'a> {
        let status = text.split_once("status code: ").and_then(|(_, rest)| rest.get(..3));
        Answer {
            status: status.and_then(|digits| digits.parse().ok()),
            code: element(text, "Code").unwrap_or_default(),
            message: element(text, "Message").unwrap_or_default(),
        }
    }
}

/// The text of an XML element without members, as it stands.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0.trim())
}

fn judge(
    action: &str,
    object: &str,
    answer: &Answer<'_>,
    text: &str,
) -> Option<(ErrorClass, String)> {
    let said = match (answer.code, answer.message) {
        ("", _) => answer.status.map_or(String::new(), |status| format!(" (status {status})")),
        (code, "") => format!(" ({code})"),
        (code, message) => format!(" ({code}: {message})"),
    };
    let refused =
        |class, advice: &str| Some((class, format!("{action} on {object}{said}{advice}")));
    if text.contains("/latest/api/token") || text.contains("/latest/meta-data/") {
        return Some((
            ErrorClass::Denied,
            format!(
                "{action} on {object} needs credentials, and there are none: set \
                 aws.access_key_id and aws.secret_access_key, or the environment variables of an \
                 AWS session, or give the machine, task or pod a role (its metadata service does \
                 not answer)"
            ),
        ));
    }
    match (answer.status, answer.code) {
        (_, "NoSuchBucket") => refused(
            ErrorClass::BadConfig,
            "; correct `warehouse` or make the bucket, weir does not",
        ),
        (_, "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraint") => {
            refused(ErrorClass::BadConfig, "; set `aws.region` to the region of the bucket")
        }
        (_, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired") => {
            refused(ErrorClass::Denied, "; the session's credentials have expired, renew them")
        }
        (_, "InvalidAccessKeyId" | "SignatureDoesNotMatch") => {
            refused(ErrorClass::Denied, "; correct the access key and its secret")
        }
        (_, "RequestTimeTooSkewed") => {
            refused(ErrorClass::Denied, "; the clock of this machine is wrong, set it")
        }
        (_, code) if code.starts_with("KMS.") => refused(
            ErrorClass::BadConfig,
            "; correct `s3.kms_key`, or enable the key and let this role use it",
        ),
        (Some(401 | 403), _) => refused(
            ErrorClass::Denied,
            " is denied; allow it to this role (deploy/iam shows the policies, docs/aws.md what \
             they are for)",
        ),
        (Some(416), _) => {
            refused(ErrorClass::BadData, ": the object is shorter than the table says")
        }
        // A redirect without a location is what a bucket of another region answers.
        (None, _) if text.contains("redirect without LOCATION") => {
            refused(ErrorClass::BadConfig, "; set `aws.region` to the region of the bucket")
        }
        // Time-outs, requests under way for the same name and too many requests pass.
        (_, "RequestTimeout" | "SlowDown") | (Some(404 | 408 | 409 | 429), _) | (None, _) => None,
        (Some(400..=499), _) => refused(ErrorClass::Bug, " was refused"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CatalogError;

    fn s3(status: &str, body: &str) -> Error {
        let text = format!(
            "Error performing PUT http://127.0.0.1/b/k in 2ms - Server returned non-2xx status \
             code: {status}: {body}"
        );
        Error::Generic { store: "S3", source: text.into() }
    }

    fn told(error: Error) -> CatalogError {
        CatalogError::storage("writing s3://b/k", explain("s3:PutObject", "s3://b/k", error))
    }

    #[test]
    fn every_refusal_has_its_class_and_names_action_and_key() {
        use ErrorClass::{BadConfig, BadData, Bug, Denied, Retry};
        let code = |code: &str| format!("<Error><Code>{code}</Code><Message>m</Message></Error>");
        for (status, body, class, advice) in [
            ("403 Forbidden", code("AccessDenied"), Denied, "is denied"),
            ("403 Forbidden", String::new(), Denied, "is denied"),
            ("404 Not Found", code("NoSuchBucket"), BadConfig, "correct `warehouse`"),
            ("400 Bad Request", code("AuthorizationHeaderMalformed"), BadConfig, "aws.region"),
            ("400 Bad Request", code("ExpiredToken"), Denied, "expired"),
            ("403 Forbidden", code("InvalidAccessKeyId"), Denied, "access key"),
            ("403 Forbidden", code("RequestTimeTooSkewed"), Denied, "clock"),
            ("400 Bad Request", code("KMS.DisabledException"), BadConfig, "s3.kms_key"),
            ("400 Bad Request", code("InvalidRequest"), Bug, "was refused"),
            ("416 Range", code("InvalidRange"), BadData, "shorter"),
            ("503 Service Unavailable", code("SlowDown"), Retry, ""),
            ("500 Internal Server Error", code("InternalError"), Retry, ""),
            ("429 Too Many Requests", String::new(), Retry, ""),
            ("400 Bad Request", code("RequestTimeout"), Retry, ""),
            ("409 Conflict", code("ConditionalRequestConflict"), Retry, ""),
        ] {
            let error = told(s3(status, &body));
            assert_eq!(error.class(), class, "{status} {body}");
            let text = error.message();
            assert!(text.contains(advice), "{text}");
            if class != Retry {
                assert!(text.contains("s3:PutObject on s3://b/k"), "{text}");
            }
        }
    }

    #[test]
    fn what_callers_tell_apart_stays_what_it_is() {
        let source = || "status code: 404 Not Found: <Code>NoSuchKey</Code>".into();
        let gone = Error::NotFound { path: "k".into(), source: source() };
        assert!(matches!(explain("s3:GetObject", "s3://b/k", gone), Error::NotFound { .. }));
        let there = Error::AlreadyExists { path: "k".into(), source: source() };
        assert!(matches!(explain("s3:PutObject", "s3://b/k", there), Error::AlreadyExists { .. }));
    }

    #[test]
    fn no_credentials_and_no_network_differ() {
        let generic = |text: &str| Error::Generic { store: "S3", source: text.into() };
        let metadata = "Error performing PUT http://169.254.169.254/latest/api/token in 3s - \
                        HTTP error: error sending request";
        assert_eq!(told(generic(metadata)).class(), ErrorClass::Denied);
        let network = "Error performing PUT http://x/b/k in 3s - HTTP error: operation timed out";
        assert_eq!(told(generic(network)).class(), ErrorClass::Retry);
    }
}
