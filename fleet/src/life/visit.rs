//! Service visits: somebody comes, opens the door, fills what is missing, mends what is broken.

use super::{Body, DAY, NEVER, Visit as VisitProcess, Voice};
use crate::data::Data;
use crate::names;
use crate::stream::Kind;
use crate::text;
use crate::world::{HOUR, MINUTE, World, weekday};

/// A visit that is under way.
#[derive(Debug, Clone)]
pub struct Visit {
    number: u32,
    /// Who visits.
    pub operator: u32,
    reason: &'static str,
    started: i64,
    step: Step,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Open,
    Fill(usize),
    Mend,
    Close,
    Leave,
}

impl Visit {
    /// The visit's id.
    pub fn id(&self, machine: u32, d: &mut Data<'_>) {
        d.named("visit_id", |out| {
            out.extend_from_slice(names::machine(machine).bytes());
            out.extend_from_slice(b"-v");
            text::number(out, self.number.into());
        });
    }
}

impl Body {
    /// The next visit of the route: in two or three days, by day, not on Sundays.
    pub(super) fn next_visit(&mut self, world: &World, from: i64) {
        let clock = world.clock(self.build.site);
        let hour = 7 * HOUR + self.rng.between(0, 8 * HOUR);
        let mut at = clock.next(from, hour);
        if weekday(clock.local(at)) == 6 {
            at += DAY;
        }
        self.set(VisitProcess, at);
    }

    /// Somebody comes at `at` at the latest.
    pub(super) fn call_for_repair(&mut self, at: i64) {
        if self.visit.is_none() {
            let due = self.due[VisitProcess as usize];
            self.set(VisitProcess, due.min(at));
        }
    }

    /// The next step of a visit, or its beginning.
    pub(super) fn visit_step(&mut self, world: &World, v: &mut Voice<'_, '_>) {
        if self.moved.is_some() {
            // There is nothing to visit.
            return self.next_visit(world, v.now + DAY);
        }
        let Some(visit) = self.visit.clone() else { return self.arrive(v) };
        v.in_maintenance = Some(true);
        let (step, wait) = match visit.step {
            Step::Open => {
                self.open_door("service", "key", Some(&visit), world, v);
                (Step::Fill(0), self.rng.between(20_000, MINUTE))
            }
            Step::Fill(from) => {
                let wanting = |slot: &usize| self.slots[*slot].count < self.slots[*slot].facing.par;
                match (from..self.slots.len()).find(wanting) {
                    Some(slot) => {
                        self.refill(slot, v);
                        (Step::Fill(slot + 1), self.rng.between(6_000, 15_000))
                    }
                    None => (Step::Mend, self.rng.between(30_000, 2 * MINUTE)),
                }
            }
            Step::Mend => {
                self.mend(world, v);
                if visit.reason == "repair" {
                    self.test_vend(world, 0, v);
                }
                (Step::Close, self.rng.between(20_000, MINUTE))
            }
            Step::Close => {
                self.close_door("service", Some(&visit), world, v);
                (Step::Leave, self.rng.between(10_000, 30_000))
            }
            Step::Leave => return self.leave(world, &visit, v),
        };
        self.visit = Some(Visit { step, ..visit });
        self.set(VisitProcess, v.now + wait);
    }

    fn arrive(&mut self, v: &mut Voice<'_, '_>) {
        self.visits += 1;
        let visit = Visit {
            number: self.visits,
            operator: self.build.site % 40 + self.rng.below(3) as u32,
            reason: if self.needs_repair() { "repair" } else { "refill" },
            started: v.now,
            step: Step::Open,
        };
        v.in_maintenance = Some(true);
        let started = v.clock(v.now);
        v.say(Kind::VisitStarted, |d| {
            visit.id(self.index, d);
            d.text("operator_id", names::operator(visit.operator).as_str());
            d.text("visit_reason", visit.reason).time("visit_started_at", started);
        });
        self.visit = Some(visit);
        let wait = self.rng.between(15_000, 40_000);
        self.set(VisitProcess, v.now + wait);
    }

    fn leave(&mut self, world: &World, visit: &Visit, v: &mut Voice<'_, '_>) {
        let (started, ended) = (v.clock(visit.started), v.clock(v.now));
        v.say(Kind::VisitEnded, |d| {
            visit.id(self.index, d);
            d.time("visit_started_at", started).time("visit_ended_at", ended);
        });
        v.episode("visit", visit.started, Some(v.now), |d| {
            visit.id(self.index, d);
            d.text("visit_reason", visit.reason);
        });
        self.visit = None;
        self.set(VisitProcess, NEVER);
        let pause = self.rng.between(DAY, 2 * DAY);
        self.next_visit(world, v.now + pause);
    }

    /// A door opens; without a visit nobody has announced it.
    pub(super) fn open_door(
        &mut self,
        door: &str,
        method: &str,
        visit: Option<&Visit>,
        world: &World,
        v: &mut Voice<'_, '_>,
    ) {
        self.breathe(world, v.now);
        self.door_open = Some(v.now);
        let forced = method == "forced";
        v.say(if forced { Kind::UnauthorisedOpening } else { Kind::DoorOpened }, |d| {
            d.text("door", door).text("opening_method", method);
            if let Some(visit) = visit {
                visit.id(self.index, d);
            }
        });
    }

    /// The door is closed again.
    pub(super) fn close_door(
        &mut self,
        door: &str,
        visit: Option<&Visit>,
        world: &World,
        v: &mut Voice<'_, '_>,
    ) {
        self.breathe(world, v.now);
        let Some(since) = self.door_open.take() else { return };
        let open = v.now - since;
        v.say(Kind::DoorClosed, |d| {
            d.text("door", door).decimal("open_duration_s", open / 100, 1);
            if let Some(visit) = visit {
                visit.id(self.index, d);
            }
        });
    }
}
