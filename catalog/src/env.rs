//! What the outside world decides: time and randomness. Everything on the commit path takes both
//! from here, so that a simulation can drive it from one seed.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use uuid::Uuid;

/// Wall-clock time and waiting.
pub trait Clock: Send + Sync + Debug {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn now_ms(&self) -> i64;
    /// Completes after `duration` of this clock's time.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// Fresh identifiers.
pub trait Ids: Send + Sync + Debug {
    /// A new UUID; names of files are made from it.
    fn uuid(&self) -> Uuid;
    /// A new snapshot id: positive, never zero.
    fn snapshot_id(&self) -> i64;
}

/// Clock and ids, passed to everything that needs them.
#[derive(Debug, Clone)]
pub struct Env {
    /// Wall-clock time and waiting.
    pub clock: Arc<dyn Clock>,
    /// Fresh identifiers.
    pub ids: Arc<dyn Ids>,
}

impl Env {
    /// The machine's clock and random ids.
    pub fn system() -> Env {
        Env { clock: Arc::new(SystemClock), ids: Arc::new(RandomIds) }
    }
}

/// The machine's clock; sleeps on tokio's timer.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        chrono::Utc::now().timestamp_millis()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Random ids: UUID version 7, so that files sort by the time of their making.
#[derive(Debug, Clone, Copy)]
pub struct RandomIds;

impl Ids for RandomIds {
    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn snapshot_id(&self) -> i64 {
        loop {
            let (high, low) = Uuid::new_v4().as_u64_pair();
            let id = ((high ^ low) & (i64::MAX as u64)) as i64;
            if id != 0 {
                return id;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshot_ids_are_positive_and_differ() {
        let ids: Vec<i64> = (0..1000).map(|_| RandomIds.snapshot_id()).collect();
        assert!(ids.iter().all(|id| *id > 0));
        assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), ids.len());
    }
}
