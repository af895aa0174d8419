//! The error of the lake: a class that decides what happens next, and a message that says what
//! happened, where, and what to do.

use std::error::Error as StdError;
use std::fmt::Display;
use std::io;

use weir_contract::class::ErrorClass;

use crate::storage::Refused;

/// A failed operation on the lake.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CatalogError {
    class: ErrorClass,
    message: String,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Result of an operation on the lake.
pub type Result<T, E = CatalogError> = std::result::Result<T, E>;

impl CatalogError {
    /// An error of `class`.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> CatalogError {
        CatalogError { class, message: message.into(), source: None }
    }

    /// The same call may succeed later.
    pub fn retry(message: impl Into<String>) -> CatalogError {
        CatalogError::new(ErrorClass::Retry, message)
    }

    /// The lake is not what it must be.
    pub fn bad_data(message: impl Into<String>) -> CatalogError {
        CatalogError::new(ErrorClass::BadData, message)
    }

    /// The command, the config or a contract is wrong.
    pub fn bad_config(message: impl Into<String>) -> CatalogError {
        CatalogError::new(ErrorClass::BadConfig, message)
    }

    /// Permissions do not allow it.
    pub fn denied(message: impl Into<String>) -> CatalogError {
        CatalogError::new(ErrorClass::Denied, message)
    }

    /// Weir itself is wrong.
    pub fn bug(message: impl Into<String>) -> CatalogError {
        CatalogError::new(ErrorClass::Bug, message)
    }

    /// Keeps what caused the error.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What the caller can do about it.
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    /// What happened, without the cause.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// `what` failed in the storage.
    pub fn storage(what: impl Display, error: object_store::Error) -> CatalogError {
        let class = storage_class(&error);
        CatalogError::new(class, format!("{what}: {}", plainly(&error))).with_source(error)
    }

    /// `what` failed in the Iceberg library; the class is the storage's where that was the cause.
    pub fn iceberg(what: impl Display, error: iceberg::Error) -> CatalogError {
        CatalogError::reading(what, error)
    }

    /// `what` failed in a library that reads files; the class is the storage's where that was the
    /// cause: what is not reached is not damaged.
    pub fn reading(
        what: impl Display,
        error: impl StdError + Send + Sync + 'static,
    ) -> CatalogError {
        let message = format!("{what}: {}", plainly(&error));
        CatalogError::new(read_class(&error), message).with_source(error)
    }
}

/// An error without the layers around what the storage said and means, where it said that.
fn plainly(error: &(dyn StdError + 'static)) -> String {
    let mut cause = Some(error);
    while let Some(e) = cause {
        if let Some(refused) = e.downcast_ref::<Refused>() {
            return refused.to_string();
        }
        cause = e.source();
    }
    error.to_string()
}

/// The class of an error of a library that reads files.
pub(crate) fn read_class(error: &(dyn StdError + 'static)) -> ErrorClass {
    let mut cause = Some(error);
    while let Some(e) = cause {
        if let Some(e) = e.downcast_ref::<object_store::Error>() {
            return storage_class(e);
        }
        cause = e.source();
    }
    ErrorClass::BadData
}

fn storage_class(error: &object_store::Error) -> ErrorClass {
    match error {
        object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. } => ErrorClass::Denied,
        object_store::Error::InvalidPath { .. } | object_store::Error::NotFound { .. } => {
            ErrorClass::BadData
        }
        object_store::Error::Generic { source, .. } => {
            let refused = source.downcast_ref::<Refused>().map(|refused| refused.class);
            refused.unwrap_or(match source.downcast_ref::<io::Error>().map(io::Error::kind) {
                Some(io::ErrorKind::ReadOnlyFilesystem) => ErrorClass::Denied,
                // A file that is shorter than its readers were told.
                Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput) => {
                    ErrorClass::BadData
                }
                _ => ErrorClass::Retry,
            })
        }
        _ => ErrorClass::Bug,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_storage_decides_the_class_of_an_iceberg_error() {
        let denied = object_store::Error::PermissionDenied {
            path: "a".into(),
            source: Box::new(io::Error::from(io::ErrorKind::PermissionDenied)),
        };
        let error = iceberg::Error::new(iceberg::ErrorKind::Unexpected, "x").with_source(denied);
        assert_eq!(CatalogError::iceberg("reading", error).class(), ErrorClass::Denied);

        let error = iceberg::Error::new(iceberg::ErrorKind::DataInvalid, "not json");
        let error = CatalogError::iceberg("reading m.json", error);
        assert_eq!(error.class(), ErrorClass::BadData);
        assert!(error.to_string().starts_with("reading m.json: "), "{error}");
    }
}
