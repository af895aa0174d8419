//! What became of a call to a catalog that did not do what it was asked, and when it may be made again.

use std::time::Duration;

use weir_contract::class::ErrorClass;

use crate::env::Env;
use crate::error::CatalogError;

const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Why a call did not do what it was asked.
#[derive(Debug)]
pub(in crate::backend) enum Refusal {
    /// There is no such namespace or table.
    Missing(String),
    /// There is such a namespace or table already.
    Exists(String),
    /// Another writer was first: known, since each call is sent once.
    Beaten(String),
    /// It may have been done all the same.
    Unknown(String),
    /// It is known not to have been done.
    Failed(CatalogError),
}

impl Refusal {
    /// The refusal as an error of a call that changes nothing.
    pub(in crate::backend) fn into_error(self) -> CatalogError {
        match self {
            Refusal::Failed(error) => error,
            Refusal::Missing(text)
            | Refusal::Exists(text)
            | Refusal::Beaten(text)
            | Refusal::Unknown(text) => CatalogError::retry(text),
        }
    }

    /// Whether a call that changes nothing may be made again.
    pub(in crate::backend) fn passes(&self) -> bool {
        match self {
            Refusal::Unknown(_) => true,
            Refusal::Failed(error) => error.class() == ErrorClass::Retry,
            _ => false,
        }
    }
}

/// Between half and all of a time that doubles with every attempt.
pub(in crate::backend) async fn pause(env: &Env, attempt: usize) {
    let longest = PAUSE.saturating_mul(1 << attempt.min(10)).min(PAUSE_MAX);
    let jitter = f64::from(env.ids.uuid().as_u128() as u16) / f64::from(u16::MAX);
    env.clock.sleep(longest.mul_f64(0.5 + jitter / 2.0)).await;
}
