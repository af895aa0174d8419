//! Credentials that somebody lends for a while: kept, and asked for again before they expire.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use object_store::aws::AwsCredential;
use object_store::{CredentialProvider, Error};
use tokio::sync::Mutex;

/// Credentials are renewed so long before they expire.
const MARGIN: Duration = Duration::from_secs(5 * 60);
/// The name in errors that may pass.
pub(super) const LENT: &str = "lent credentials";

/// Credentials and how long they live; none: for ever.
pub(super) type Loan = (AwsCredential, Option<Duration>);

/// Why there are no credentials.
#[derive(Debug)]
pub(super) struct NoLoan {
    pub(super) why: String,
    /// The same question may be answered later.
    pub(super) passes: bool,
}

impl NoLoan {
    /// What stays so until somebody changes something.
    pub(super) fn lasting(why: impl Into<String>) -> NoLoan {
        NoLoan { why: why.into(), passes: false }
    }
}

/// Who lends credentials.
#[async_trait]
pub(super) trait Lender: Debug + Send + Sync {
    /// What is asked, for errors: `sts:AssumeRole of arn:…`.
    fn name(&self) -> String;

    /// Asks, once.
    async fn ask(&self) -> Result<Loan, NoLoan>;
}

/// Credentials of a lender.
#[derive(Debug)]
pub(super) struct Lent<L> {
    lender: L,
    /// Until when they are good; none: for ever.
    cached: Mutex<Option<(Arc<AwsCredential>, Option<Instant>)>>,
}

impl<L> Lent<L> {
    pub(super) fn by(lender: L) -> Lent<L> {
        Lent { lender, cached: Mutex::default() }
    }
}

#[async_trait]
impl<L: Lender> CredentialProvider for Lent<L> {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut cached = self.cached.lock().await;
        let now = Instant::now();
        if let Some((credential, until)) = &*cached
            && until.is_none_or(|until| until > now)
        {
            return Ok(credential.clone());
        }
        let (credential, life) = self.lender.ask().await.map_err(|NoLoan { why, passes }| {
            let name = self.lender.name();
            let source = format!("{name} failed: {why}").into();
            match passes {
                true => Error::Generic { store: LENT, source },
                false => Error::Unauthenticated { path: name, source },
            }
        })?;
        let credential = Arc::new(credential);
        // At least for a moment: what lives for few minutes would otherwise be asked for at every call.
        let until = life.map(|life| now + life.saturating_sub(MARGIN).max(Duration::from_secs(1)));
        *cached = Some((credential.clone(), until));
        Ok(credential)
    }
}
