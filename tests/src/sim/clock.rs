//! Virtual time, and ids out of the seed.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use uuid::Uuid;
use weir_catalog::env::{Clock, Env, Ids};

use super::rng::Rng;

/// Where virtual time starts: 2025-01-01T00:00:00Z. The Iceberg library stamps property changes with the
/// real clock and refuses to go back: virtual time must be earlier than real time.
pub const EPOCH_MS: i64 = 1_735_689_600_000;

/// The simulation's clock; moves only when the driver moves it.
#[derive(Debug, Clone)]
pub struct SimClock(Arc<AtomicI64>);

impl SimClock {
    /// A clock at [`EPOCH_MS`].
    pub fn new() -> SimClock {
        SimClock(Arc::new(AtomicI64::new(EPOCH_MS)))
    }

    /// Lets time pass.
    pub fn advance(&self, by_ms: i64) {
        self.0.fetch_add(by_ms, Ordering::Relaxed);
    }

    /// Now, ms since 1970.
    pub fn now(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Default for SimClock {
    fn default() -> SimClock {
        SimClock::new()
    }
}

impl Clock for SimClock {
    fn now_ms(&self) -> i64 {
        self.now()
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        let clock = self.clone();
        let ends_ms = self.now() + time.as_millis() as i64;
        async move {
            while clock.now() < ends_ms {
                super::turn().await;
            }
        }
        .boxed()
    }
}

/// A clock that is wrong: so many ms ahead.
#[derive(Debug)]
pub struct Ahead(pub SimClock, pub i64);

impl Clock for Ahead {
    fn now_ms(&self) -> i64 {
        self.0.now() + self.1
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        Clock::sleep(&self.0, time)
    }
}

/// Ids out of the seed's stream.
#[derive(Debug)]
struct SimIds(Rng);

impl Ids for SimIds {
    fn uuid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(
            (u128::from(self.0.bits()) << 64 | u128::from(self.0.bits())).to_be_bytes(),
        )
        .into_uuid()
    }

    fn snapshot_id(&self) -> i64 {
        ((self.0.bits() >> 1) as i64).max(1)
    }
}

/// The environment of one simulation.
pub fn env(clock: &SimClock, rng: &Rng) -> Env {
    Env { clock: Arc::new(clock.clone()), ids: Arc::new(SimIds(rng.clone())) }
}
