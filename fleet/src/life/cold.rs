//! The refrigerated compartment: air that follows what surrounds it, each cause with its own pace.

use super::fault::FaultKind;
use super::{Body, MINUTE, Voice};
use crate::world::{HOUR, World};

/// Without the compressor the compartment takes the room's temperature in some hours.
const WARMS: i64 = 5 * HOUR / 2;
/// With it, it comes back to its target within the hour.
const COOLS: i64 = 45 * MINUTE;
/// An open door lets the warm air in.
const DOOR: i64 = HOUR;
/// Warmer than the limit for so long, food must not be sold any more.
const HEALTH_TIMER: i64 = 30 * MINUTE;
/// Longer steps would be coarse.
const STEP: i64 = 5 * MINUTE;

/// The compartment.
#[derive(Debug, Clone, Copy)]
pub struct Cold {
    /// Thousandths of a degree Celsius.
    pub milli: i64,
    /// The compressor is dead.
    pub failed: bool,
    at: i64,
    hot_since: Option<i64>,
}

impl Cold {
    /// At its target, tenths of a degree Celsius.
    pub fn new(target: Option<i64>, at: i64) -> Cold {
        Cold { milli: target.unwrap_or(0) * 100, failed: false, at, hot_since: None }
    }

    /// The air moves towards `goal` with time constant `pace`: dT/dt = (goal - T) / pace, by the
    /// implicit method of Euler, which needs the four operations only and never overshoots.
    fn follow(&mut self, until: i64, goal: i64, pace: i64) {
        while self.at < until {
            let step = (until - self.at).min(STEP);
            self.milli += (goal - self.milli) * step / (step + pace);
            self.at += step;
        }
    }
}

impl Body {
    /// Brings the temperature up to date, under what held since the last call: to be called before
    /// the door, the power or the compressor changes.
    pub(super) fn breathe(&mut self, world: &World, now: i64) {
        let Some(target) = self.model().target else { return };
        let ambient = world.ambient(self.build.site, now);
        let runs = !self.cold.failed && !self.on_battery() && self.off.is_none();
        let (goal, pace) = match (self.door_open, runs) {
            (Some(_), _) => (ambient, DOOR),
            (None, true) => (target * 100, COOLS),
            (None, false) => (ambient, WARMS),
        };
        self.cold.follow(now, goal, pace);
    }

    /// The controller looks at the temperature; it says nothing while the door is open.
    pub(super) fn watch_cold(&mut self, world: &World, v: &mut Voice<'_, '_>) {
        self.breathe(world, v.now);
        if self.model().target.is_none() || self.door_open.is_some() {
            return;
        }
        let limit = self.model().limit * 100;
        if self.cold.milli > limit {
            let since = *self.cold.hot_since.get_or_insert(v.now);
            if self.raise(FaultKind::Cooling, None, v) && self.cold.failed {
                self.note_trouble(v.now);
            }
            if v.now - since >= HEALTH_TIMER {
                self.raise(FaultKind::HealthTimer, None, v);
            }
        } else if self.cold.milli < limit - 2000 && self.cold.hot_since.take().is_some() {
            let reason = if self.cold_was_repaired() { "serviced" } else { "recovered" };
            self.clear(FaultKind::HealthTimer, None, reason, v);
            self.clear(FaultKind::Cooling, None, reason, v);
            self.cold_is_well(world, v);
        }
    }

    /// What the sensor in the compartment says, tenths of a degree; with its noise.
    pub(super) fn refrigeration(&self, noise: u64) -> Option<i64> {
        self.model().target.map(|_| (self.cold.milli + (noise % 600) as i64 - 300) / 100)
    }

    /// What the sensor beside the electronics says, tenths of a degree: the room, the waste heat, and
    /// some of what the compartment has too much.
    pub(super) fn cabinet(&self, world: &World, now: i64, noise: u64) -> i64 {
        let too_warm = self.model().target.map_or(0, |target| self.cold.milli - target * 100);
        let milli = world.ambient(self.build.site, now) + 7_000 + too_warm / 4;
        (milli + (noise % 800) as i64 - 400) / 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_compressor_follows_the_exponential() {
        let mut cold = Cold::new(Some(40), 0);
        cold.follow(WARMS, 22_000, WARMS);
        // After one time constant 63 % of the way, within what the steps cost.
        let expected = 4_000 + (18_000.0 * (1.0 - (-1.0f64).exp())) as i64;
        assert!((cold.milli - expected).abs() < 250, "{} {expected}", cold.milli);
        cold.follow(100 * HOUR, 22_000, WARMS);
        assert!((21_900..=22_000).contains(&cold.milli), "{}", cold.milli);
    }
}
