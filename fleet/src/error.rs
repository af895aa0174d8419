//! What can go wrong while simulating.

use std::fmt;
use std::io;
use std::path::Path;

use weir_contract::class::ErrorClass;

/// A run that did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FleetError {
    /// Decides the exit code.
    pub class: ErrorClass,
    /// What happened, where, and what to do next.
    pub message: String,
    /// Whoever read the output is gone, and with him the purpose.
    pub reader_gone: bool,
}

impl FleetError {
    /// An error of this class.
    pub fn new(class: ErrorClass, message: impl fmt::Display) -> FleetError {
        FleetError { class, message: message.to_string(), reader_gone: false }
    }

    /// Wrong settings or a wrong mapping.
    pub fn config(message: impl fmt::Display) -> FleetError {
        FleetError::new(ErrorClass::BadConfig, message)
    }

    /// A file that cannot be read or written; `doing` is what cannot be done with it.
    pub fn file(path: &Path, doing: &str, error: &io::Error) -> FleetError {
        let (class, advice) = match error.kind() {
            io::ErrorKind::NotFound if doing == "written" => {
                (ErrorClass::BadConfig, "; create its folder, or name another")
            }
            io::ErrorKind::NotFound
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::NotADirectory => (ErrorClass::BadConfig, ""),
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => {
                (ErrorClass::Retry, "; free some space there, or raise the limit")
            }
            _ => (ErrorClass::Denied, ""),
        };
        let reader_gone = error.kind() == io::ErrorKind::BrokenPipe;
        let message = format!("{} cannot be {doing}: {error}{advice}", path.display());
        FleetError { reader_gone, ..FleetError::new(class, message) }
    }
}
