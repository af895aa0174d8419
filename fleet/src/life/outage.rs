//! What cuts a machine off: a dead modem, which silences it and then lets it tell everything at once;
//! and a power cut, which befalls all machines of a site.

use super::fault::FaultKind;
use super::{Body, Modem, NEVER, Off, Power, Voice};
use crate::stream::Kind;
use crate::world::{DAY, MINUTE, World};

/// A machine loses its connection once in so many days.
const OUTAGE_DAYS: f64 = 8.0;
/// How long the battery feeds the controller.
const BATTERY: i64 = 20 * MINUTE;

/// A lost connection.
#[derive(Debug, Clone, Copy)]
pub struct Outage {
    since: i64,
    /// When the connection is back, and what was kept is sent.
    pub until: i64,
    events_before: u32,
    reason: &'static str,
    /// It has been written down; that is sent with all else, once the connection is back.
    noted: bool,
}

/// A power cut.
#[derive(Debug, Clone, Copy)]
pub struct PowerCut {
    since: i64,
    until: i64,
}

impl Body {
    /// When the connection is lost next.
    pub(super) fn next_outage(&mut self, world: &World, from: i64) {
        let mean = OUTAGE_DAYS * DAY as f64 / world.trouble;
        let at = if world.trouble > 0.0 { from + self.rng.wait(mean) } else { NEVER };
        self.set(Modem, at);
    }

    /// The connection is lost, or back.
    pub(super) fn modem_step(&mut self, world: &World, v: &mut Voice<'_, '_>) {
        if let Some(outage) = self.outage.filter(|outage| !outage.noted) {
            return self.note_outage(outage, v);
        }
        if let Some(outage) = self.outage {
            let waiting = v.line.events.wrapping_sub(outage.events_before);
            let (lost, back) = (v.clock(outage.since), v.clock(v.now));
            let noise = self.rng.next();
            v.say(Kind::Connected, |d| {
                self.network(noise, d);
                d.time("disconnected_at", lost)
                    .time("connected_at", back)
                    .integer("buffered_count", waiting.into());
            });
            self.clear(FaultKind::NoConnection, None, "recovered", v);
            self.tell_outage(v, Some(v.now));
            return self.next_outage(world, v.now);
        }
        if self.off.is_some() {
            return self.next_outage(world, v.now);
        }
        // From minutes to hours: every doubling is as likely.
        let lasts = ((5 * MINUTE) << self.rng.below(7)) + self.rng.between(0, 5 * MINUTE);
        let reason = self.rng.pick(&["modem", "modem", "no_signal", "network", "sim"]);
        self.outage = Some(Outage {
            since: v.now,
            until: v.now + lasts,
            events_before: v.line.events,
            reason,
            noted: false,
        });
        // At once by the machine's clock, but what is said from now on waits.
        self.set(Modem, v.now + 1);
    }

    fn note_outage(&mut self, outage: Outage, v: &mut Voice<'_, '_>) {
        let lost = v.clock(outage.since);
        v.say(Kind::Disconnected, |d| {
            d.time("disconnected_at", lost).text("disconnect_reason", outage.reason);
        });
        self.raise(FaultKind::NoConnection, None, v);
        self.outage = Some(Outage { noted: true, ..outage });
        self.set(Modem, outage.until.max(v.now + 1));
    }

    /// For the ground truth; the outage is over then.
    pub(super) fn tell_outage(&mut self, v: &mut Voice<'_, '_>, until: Option<i64>) {
        let Some(outage) = self.outage.take() else { return };
        let waiting = v.line.events.wrapping_sub(outage.events_before);
        v.episode("modem_dead", outage.since, until, |d| {
            d.text("reason", outage.reason).integer("late_events", waiting.into());
        });
    }

    /// When the site's next power cut begins.
    pub(super) fn next_power_cut(&mut self, world: &World, from: i64) {
        let next = world.power_cut(self.build.site, from);
        self.set(Power, next.map_or(NEVER, |(from, _)| from));
    }

    /// The power goes, the battery is flat, or the power is back.
    pub(super) fn power_step(&mut self, world: &World, v: &mut Voice<'_, '_>) {
        self.breathe(world, v.now);
        let Some(cut) = self.power_cut else { return self.power_goes(world, v) };
        if v.now < cut.until {
            self.log_shutdown("power", v);
            self.off = Some(Off { until: cut.until, by: Power });
            return self.set(Power, cut.until);
        }
        let was_off = self.off.is_some();
        self.tell_power_cut(v, Some(v.now));
        let (since, back) = (v.clock(cut.since), v.clock(v.now));
        if was_off {
            self.boot(world, "power_on", v);
        }
        v.say(Kind::PowerRestored, |d| {
            d.time("power_cut_at", since).time("power_restored_at", back);
        });
        self.next_power_cut(world, v.now);
    }

    fn power_goes(&mut self, world: &World, v: &mut Voice<'_, '_>) {
        // What the site's schedule says about the cut that begins about now. A machine that was off or
        // away notices nothing of it.
        let cut = world.power_cut(self.build.site, v.now - 1);
        let Some((since, until)) = cut.filter(|(since, _)| *since == v.now) else {
            return self.next_power_cut(world, v.now);
        };
        if self.moved.is_some() {
            return self.next_power_cut(world, v.now);
        }
        self.power_cut = Some(PowerCut { since, until });
        self.sale = None;
        self.say_power_cut(since, v);
        self.set(Power, until.min(since + BATTERY));
    }

    /// The controller notices that the supply is gone.
    pub(super) fn say_power_cut(&mut self, since: i64, v: &mut Voice<'_, '_>) {
        let (since, charge) = (v.clock(since), self.rng.between(600, 1000));
        v.say(Kind::PowerCut, |d| {
            d.time("power_cut_at", since).decimal("battery_pct", charge, 1);
        });
    }

    /// For the ground truth; the cut is over then.
    pub(super) fn tell_power_cut(&mut self, v: &mut Voice<'_, '_>, until: Option<i64>) {
        let Some(cut) = self.power_cut.take() else { return };
        let site = v.speaker.site;
        v.episode("power_cut", cut.since, until, |d| {
            if let Some(site) = site {
                d.text("site_id", site.as_str());
            }
        });
    }
}
