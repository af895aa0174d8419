//! Whether something fails, by the seed's choice, and how often what happened.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::audit::Counts;
use super::clock::SimClock;
use super::rng::Rng;
use super::turn;

/// The faults of one simulation: cheap to clone, one state.
#[derive(Debug, Clone)]
pub struct Faults {
    clock: SimClock,
    rng: Rng,
    healed: Arc<AtomicBool>,
    troubled: Arc<AtomicBool>,
    counts: Arc<Mutex<Counts>>,
}

impl Faults {
    /// Faults by the choices of `rng`.
    pub fn new(clock: SimClock, rng: Rng) -> Faults {
        let (healed, troubled, counts) = (Arc::default(), Arc::default(), Arc::default());
        Faults { clock, rng, healed, troubled, counts }
    }

    /// None from here on.
    pub fn heal(&self) {
        self.healed.store(true, Ordering::Relaxed);
    }

    /// From here on the catalog fails more often than at other times, or as before.
    pub fn trouble(&self, troubled: bool) {
        self.troubled.store(troubled, Ordering::Relaxed);
    }

    /// True once in `times`, unless faults are over.
    pub fn one_in(&self, times: u64) -> bool {
        !self.healed.load(Ordering::Relaxed) && self.rng.one_in(times)
    }

    /// The same for the catalog, which may be in trouble.
    pub fn of_catalog(&self, times: u64) -> bool {
        match self.troubled.load(Ordering::Relaxed) {
            true => self.rng.one_in(times.div_ceil(8)),
            false => self.one_in(times),
        }
    }

    /// Gives the driver a turn, and once in `times` takes so long at most.
    pub async fn slow(&self, times: u64, longest_ms: u64) {
        turn().await;
        if self.one_in(times) {
            let wait = Duration::from_millis(self.rng.below(longest_ms));
            weir_catalog::env::Clock::sleep(&self.clock, wait).await;
        }
    }

    /// A time at most so far away, ms.
    pub fn soon_ms(&self, longest_ms: u64) -> i64 {
        self.clock.now() + self.rng.below(longest_ms) as i64
    }

    /// Now, ms.
    pub fn now_ms(&self) -> i64 {
        self.clock.now()
    }

    /// Writes down that it happened.
    pub fn count(&self, what: &'static str) {
        self.lock().many(what, 1);
    }

    /// How often each thing happened.
    pub fn counts(&self) -> Counts {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
