//! Rollouts: new firmware or configuration reaches one machine after the other, and fails on some.

use super::{Body, Off, Update as UpdateProcess, Voice};
use crate::data::Data;
use crate::names;
use crate::stream::Kind;
use crate::text;
use crate::world::{HOUR, MINUTE, Rollout, World};

/// An update that is under way.
#[derive(Debug, Clone, Copy)]
pub struct Update {
    rollout: Rollout,
    since: i64,
    fate: Fate,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Succeeds,
    /// At a stage, for a reason.
    Fails(&'static str, &'static str),
    RolledBack,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Download,
    Restart,
    Trial,
}

impl Update {
    /// Is the machine about to restart, or on trial?
    pub fn restarts(&self) -> bool {
        self.step != Step::Download
    }

    /// Does the new version behave badly?
    pub fn unhealthy(&self) -> bool {
        self.step == Step::Trial
    }
}

impl Body {
    /// The next step of an update, or its beginning.
    pub(super) fn update_step(&mut self, world: &World, v: &mut Voice<'_, '_>) {
        let Some(update) = self.update else { return self.begin_update(world, v) };
        match update.step {
            Step::Download => self.downloaded(world, update, v),
            Step::Restart => {
                self.set_version(update.rollout);
                self.boot(world, "update", v);
                if update.fate == Fate::RolledBack {
                    self.update = Some(Update { step: Step::Trial, ..update });
                    let trial = self.rng.between(5 * MINUTE, 15 * MINUTE);
                    return self.set(UpdateProcess, v.now + trial);
                }
                self.end_update(world, Kind::UpdateSucceeded, "succeeded", v);
            }
            Step::Trial => {
                self.firmware -= 1;
                self.boot(world, "update", v);
                self.end_update(world, Kind::UpdateRolledBack, "rolled_back", v);
            }
        }
    }

    fn begin_update(&mut self, world: &World, v: &mut Voice<'_, '_>) {
        if self.trouble.is_some() || self.visit.is_some() || self.on_battery() {
            // Updates wait for quiet machines.
            return self.set(UpdateProcess, v.now + HOUR);
        }
        let rollout = world.rollout(self.index, self.rollout);
        self.rollout = Some(rollout.number);
        // Nothing fails where nothing shall.
        let draw = (self.rng.below(1000) as f64 / world.trouble) as u64;
        let fate = match (draw, rollout.kind) {
            (0..15, _) => Fate::Fails("download", "download_failed"),
            (15..22, _) => Fate::Fails("verify", "signature_invalid"),
            (22..30, _) => Fate::Fails("install", "no_space"),
            (30..55, "firmware") => Fate::RolledBack,
            _ => Fate::Succeeds,
        };
        let update = Update { rollout, since: v.now, fate, step: Step::Download };
        self.say_update(Kind::UpdateStarted, update, v);
        self.update = Some(update);
        let takes = self.rng.between(30_000, 4 * MINUTE);
        self.set(UpdateProcess, v.now + takes);
    }

    fn downloaded(&mut self, world: &World, update: Update, v: &mut Voice<'_, '_>) {
        if let Fate::Fails(..) = update.fate {
            return self.end_update(world, Kind::UpdateFailed, "failed", v);
        }
        if update.rollout.kind == "configuration" {
            self.set_version(update.rollout);
            return self.end_update(world, Kind::UpdateSucceeded, "succeeded", v);
        }
        self.log_shutdown("update", v);
        self.breathe(world, v.now);
        self.sale = None;
        let until = v.now + self.rng.between(40_000, 90_000);
        self.off = Some(Off { until, by: UpdateProcess });
        self.update = Some(Update { step: Step::Restart, ..update });
        self.set(UpdateProcess, until);
    }

    fn set_version(&mut self, rollout: Rollout) {
        match rollout.kind {
            "firmware" => self.firmware += 1,
            _ => self.configuration += 1,
        }
    }

    fn end_update(&mut self, world: &World, kind: Kind, outcome: &str, v: &mut Voice<'_, '_>) {
        if let Some(update) = self.update {
            self.say_update(kind, update, v);
        }
        self.tell_update(v, outcome, Some(v.now));
        let next = world.rollout(self.index, self.rollout).at;
        self.set(UpdateProcess, next.max(v.now + MINUTE));
    }

    /// For the ground truth; the update is over then.
    pub(super) fn tell_update(&mut self, v: &mut Voice<'_, '_>, outcome: &str, until: Option<i64>) {
        let Some(update) = self.update.take() else { return };
        v.episode("update", update.since, until, |d| {
            rollout_id(update.rollout, d);
            d.text("update_kind", update.rollout.kind).text("outcome", outcome);
        });
    }

    fn say_update(&self, kind: Kind, update: Update, v: &mut Voice<'_, '_>) {
        let rollout = update.rollout;
        // Once it has succeeded, what runs is the new one.
        let done = u32::from(kind == Kind::UpdateSucceeded);
        let (from, to) = match rollout.kind {
            "firmware" => {
                let from = self.firmware - done;
                (names::firmware(from), names::firmware(from + 1))
            }
            _ => {
                let from = self.configuration - done;
                (names::configuration(from), names::configuration(from + 1))
            }
        };
        let (since, now) = (v.clock(update.since), v.clock(v.now));
        let failure = match (kind, update.fate) {
            (Kind::UpdateFailed, Fate::Fails(stage, why)) => Some((stage, why)),
            (Kind::UpdateRolledBack, _) => Some(("health_check", "unhealthy")),
            _ => None,
        };
        v.say(kind, |d| {
            d.text("firmware_version", names::firmware(self.firmware).as_str());
            d.named("update_id", |out| {
                out.extend_from_slice(names::machine(self.index).bytes());
                out.extend_from_slice(b"-u");
                text::number(out, rollout.number.into());
            });
            rollout_id(rollout, d);
            d.text("update_kind", rollout.kind)
                .text("from_version", from.as_str())
                .text("to_version", to.as_str())
                .integer("attempt_number", 1)
                .time("update_started_at", since);
            if kind != Kind::UpdateStarted {
                d.time("update_ended_at", now);
            }
            if let Some((stage, why)) = failure {
                d.text("update_stage", stage).text("update_fail_status", why);
            }
        });
    }
}

fn rollout_id(rollout: Rollout, d: &mut Data<'_>) {
    d.named("rollout_id", |out| {
        out.extend_from_slice(b"rollout-");
        text::number(out, rollout.number.into());
    });
}
