//! What goes wrong with a single machine, one trouble at a time: each begins, has its steps, and ends,
//! by itself or because somebody came.

use super::fault::FaultKind;
use super::{Body, NEVER, Off, Trouble as TroubleProcess, Voice};
use crate::data::Data;
use crate::names;
use crate::stream::Kind;
use crate::world::{DAY, HOUR, MINUTE, World};

/// A payment device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    Coins,
    Bills,
    Cashless,
}

impl Device {
    /// Is it needed for this way to pay?
    pub fn takes(self, method: &str) -> bool {
        match self {
            Device::Coins | Device::Bills => method == "cash",
            Device::Cashless => method != "cash",
        }
    }

    /// The fault that it raises.
    pub fn fault(self) -> FaultKind {
        match self {
            Device::Coins => FaultKind::CoinMech,
            Device::Bills => FaultKind::BillValidator,
            Device::Cashless => FaultKind::CashlessReader,
        }
    }
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// The compressor dies.
    Cooling,
    /// The motor of a selection jams.
    Jam(usize),
    /// A payment device fails; a restart mends it, or a visit.
    Device(Device),
    /// The delivery detector goes blind.
    Sensor,
    /// The controller crashes, and the watchdog starts it again.
    Crash,
    /// Somebody breaks the door open.
    Forced,
    /// Somebody of the site has a key and no business with it.
    StaffDoor,
    /// The machine is carried away.
    Theft,
    /// Somebody shakes the machine.
    Shaken,
    /// The firmware is not what was signed.
    Tampered,
}

/// A trouble that lasts.
#[derive(Debug, Clone, Copy)]
pub struct Trouble {
    what: What,
    since: i64,
    step: u32,
    /// When it was noticed: the fault was raised.
    noticed: Option<i64>,
    repaired: Option<i64>,
}

/// Days between troubles of each kind, at a machine; in this order. Livelier than real machines are.
const DAYS: [f64; 10] = [12.0, 14.0, 16.0, 40.0, 25.0, 60.0, 20.0, 150.0, 18.0, 90.0];

/// How far a stolen machine gets in a step, millionths of a degree, at most.
const LEG: i64 = 6_000;
/// Steps of a minute until its battery is flat.
const LEGS: u32 = 30;

impl What {
    fn name(self) -> &'static str {
        match self {
            What::Cooling => "cooling_failure",
            What::Jam(_) => "motor_jam",
            What::Device(_) => "payment_device",
            What::Sensor => "delivery_sensor",
            What::Crash => "crash",
            What::Forced => "door_forced",
            What::StaffDoor => "door_without_visit",
            What::Theft => "theft",
            What::Shaken => "shaken",
            What::Tampered => "firmware_tampered",
        }
    }
}

impl Body {
    /// When the next trouble begins.
    pub(super) fn next_trouble(&mut self, world: &World, from: i64) {
        self.trouble = None;
        let per_day = DAYS.iter().map(|days| 1.0 / days).sum::<f64>() * world.trouble;
        let at = if per_day > 0.0 { from + self.rng.wait(DAY as f64 / per_day) } else { NEVER };
        self.set(TroubleProcess, at);
    }

    /// The trouble has been noticed.
    pub(super) fn note_trouble(&mut self, now: i64) {
        if let Some(trouble) = &mut self.trouble {
            trouble.noticed.get_or_insert(now);
        }
    }

    /// The payment device that fails now.
    pub(super) fn broken_device(&self) -> Option<Device> {
        match self.trouble.map(|trouble| trouble.what) {
            Some(What::Device(device)) => Some(device),
            _ => None,
        }
    }

    /// Is there something to mend?
    pub(super) fn needs_repair(&self) -> bool {
        self.trouble.is_some_and(|t| !matches!(t.what, What::StaffDoor | What::Shaken))
    }

    /// Was the compressor mended?
    pub(super) fn cold_was_repaired(&self) -> bool {
        self.trouble.is_some_and(|t| t.what == What::Cooling && t.repaired.is_some())
    }

    /// The compartment is cold again.
    pub(super) fn cold_is_well(&mut self, world: &World, v: &mut Voice<'_, '_>) {
        if self.cold_was_repaired() {
            self.end_trouble(world, v);
        }
    }

    /// The next step of the trouble, or its beginning.
    pub(super) fn trouble_step(&mut self, world: &World, v: &mut Voice<'_, '_>) {
        let Some(trouble) = self.trouble else { return self.begin_trouble(world, v) };
        self.trouble = Some(Trouble { step: trouble.step + 1, ..trouble });
        match trouble.what {
            What::Crash => {
                self.boot(world, "watchdog", v);
                self.end_trouble(world, v);
            }
            What::Device(device) => {
                // A restart does it.
                self.log_shutdown("requested", v);
                self.boot(world, "requested", v);
                self.clear(device.fault(), None, "restarted", v);
                self.clear(FaultKind::TransactionFailures, None, "restarted", v);
                self.end_trouble(world, v);
            }
            What::Forced if trouble.step == 0 => {
                self.open_door("cash_box", "forced", None, world, v);
                self.raise(FaultKind::DoorForced, None, v);
                self.note_trouble(v.now);
                let open = self.rng.between(MINUTE, 8 * MINUTE);
                self.set(TroubleProcess, v.now + open);
            }
            What::Forced => {
                self.close_door("cash_box", None, world, v);
                self.wait_for_repair(2 * HOUR, 12 * HOUR, v.now);
            }
            What::StaffDoor => {
                self.close_door("service", None, world, v);
                self.end_trouble(world, v);
            }
            What::Shaken => self.shake(world, trouble.step, v),
            What::Theft => self.carry_away(world, trouble.step, v),
            What::Cooling | What::Jam(_) | What::Sensor | What::Tampered => {
                self.set(TroubleProcess, NEVER);
            }
        }
    }

    fn begin_trouble(&mut self, world: &World, v: &mut Voice<'_, '_>) {
        if self.visit.is_some() || self.power_cut.is_some() || self.update.is_some() {
            return self.set(TroubleProcess, v.now + HOUR);
        }
        let what = self.pick_trouble();
        self.trouble = Some(Trouble { what, since: v.now, step: 0, noticed: None, repaired: None });
        match what {
            What::Cooling => {
                self.breathe(world, v.now);
                self.cold.failed = true;
                self.wait_for_repair(5 * HOUR, 30 * HOUR, v.now);
            }
            What::Jam(slot) => {
                self.slots[slot].jammed = true;
                self.wait_for_repair(6 * HOUR, 40 * HOUR, v.now);
            }
            What::Device(_) if self.rng.one_in(3) => {
                let restart = self.rng.between(HOUR, 10 * HOUR);
                self.set(TroubleProcess, v.now + restart);
            }
            What::Device(_) => self.wait_for_repair(3 * HOUR, 30 * HOUR, v.now),
            What::Sensor => {
                self.raise(FaultKind::DeliverySensor, None, v);
                self.note_trouble(v.now);
                self.wait_for_repair(6 * HOUR, 40 * HOUR, v.now);
            }
            What::Crash => {
                self.log_crash(v);
                self.sale = None;
                let silence = self.rng.between(MINUTE, 3 * MINUTE);
                self.off = Some(Off { until: v.now + silence, by: TroubleProcess });
                self.set(TroubleProcess, v.now + silence);
            }
            What::Forced | What::Shaken | What::Theft => {
                self.say_shock(v);
                let pause = self.rng.between(5_000, 20_000);
                self.set(TroubleProcess, v.now + pause);
            }
            What::StaffDoor => {
                self.open_door("service", "key", None, world, v);
                let open = self.rng.between(MINUTE, 10 * MINUTE);
                self.set(TroubleProcess, v.now + open);
            }
            What::Tampered => {
                self.integrity(false, v);
                self.note_trouble(v.now);
                self.wait_for_repair(HOUR, 6 * HOUR, v.now);
            }
        }
    }

    fn pick_trouble(&mut self) -> What {
        let mut draw = self.rng.unit() * DAYS.iter().map(|days| 1.0 / days).sum::<f64>();
        let kind = DAYS.iter().position(|days| {
            draw -= 1.0 / days;
            draw < 0.0
        });
        let slot = self.rng.below(self.slots.len() as u64) as usize;
        match kind.unwrap_or(DAYS.len()) {
            0 if self.model().target.is_some() => What::Cooling,
            0 | 1 => What::Jam(slot),
            2 if self.build.cash && self.rng.one_in(2) => What::Device(Device::Bills),
            2 if self.build.cash && self.rng.one_in(2) => What::Device(Device::Coins),
            2 => What::Device(Device::Cashless),
            3 => What::Sensor,
            4 => What::Crash,
            5 => What::Forced,
            6 => What::StaffDoor,
            7 => What::Theft,
            8 => What::Shaken,
            _ => What::Tampered,
        }
    }

    /// Nothing more happens until somebody comes, in so long.
    fn wait_for_repair(&mut self, low: i64, high: i64, now: i64) {
        let wait = self.rng.between(low, high);
        self.set(TroubleProcess, NEVER);
        self.call_for_repair(now + wait);
    }

    /// Somebody is here and mends what is broken.
    pub(super) fn mend(&mut self, world: &World, v: &mut Voice<'_, '_>) {
        self.breathe(world, v.now);
        self.clear_serviced(v);
        self.slots.iter_mut().for_each(|slot| slot.jammed = false);
        let Some(trouble) = self.trouble else { return };
        if let Some(trouble) = &mut self.trouble {
            trouble.repaired = Some(v.now);
        }
        match trouble.what {
            What::Cooling => {
                self.cold.failed = false;
                // It is over once the compartment is cold again, if it ever was too warm.
                if !self.has(FaultKind::Cooling) {
                    self.end_trouble(world, v);
                }
            }
            What::Tampered => {
                self.boot(world, "requested", v);
                self.end_trouble(world, v);
            }
            What::Jam(_) | What::Device(_) | What::Sensor | What::Forced => {
                self.end_trouble(world, v);
            }
            What::Crash | What::StaffDoor | What::Theft | What::Shaken => {}
        }
    }

    fn end_trouble(&mut self, world: &World, v: &mut Voice<'_, '_>) {
        self.tell_trouble(v, Some(v.now));
        self.next_trouble(world, v.now);
    }

    /// For the ground truth.
    pub(super) fn tell_trouble(&mut self, v: &mut Voice<'_, '_>, until: Option<i64>) {
        let Some(trouble) = self.trouble else { return };
        v.episode(trouble.what.name(), trouble.since, until, |d| {
            match trouble.what {
                What::Jam(slot) => {
                    d.text("selection", names::selection(slot as u32).as_str());
                }
                What::Device(device) => {
                    d.text("eva_dts_code", device.fault().code());
                }
                _ => {}
            }
            let mut time = |name, at: Option<i64>| {
                if let Some(at) = at {
                    d.time(name, at);
                }
            };
            time("noticed_at", trouble.noticed);
            time("repaired_at", trouble.repaired);
        });
    }

    fn say_shock(&mut self, v: &mut Voice<'_, '_>) {
        let noise = self.rng.next();
        v.say(Kind::Shock, |d| {
            d.decimal("peak_acceleration_g", 15 + (noise % 60) as i64, 1).decimal(
                "tilt_deg",
                (noise >> 8) as i64 % 150,
                1,
            );
        });
    }

    fn shake(&mut self, world: &World, step: u32, v: &mut Voice<'_, '_>) {
        let noise = self.rng.next();
        v.say(Kind::Vibration, |d| {
            d.decimal("vibration_rms_g", 3 + (noise % 15) as i64, 1).decimal(
                "vibration_duration_s",
                10 + (noise >> 8) as i64 % 200,
                1,
            );
        });
        self.note_trouble(v.now);
        if step > (noise >> 16) as u32 % 4 {
            return self.end_trouble(world, v);
        }
        let pause = self.rng.between(5_000, 40_000);
        self.set(TroubleProcess, v.now + pause);
    }

    /// A stolen machine: its plug is pulled, it moves until its battery is flat, and stands where it
    /// belongs again days later.
    fn carry_away(&mut self, world: &World, step: u32, v: &mut Voice<'_, '_>) {
        if step > LEGS {
            self.moved = None;
            self.boot(world, "power_on", v);
            return self.end_trouble(world, v);
        }
        if step == 0 {
            self.breathe(world, v.now);
            self.moved = Some((0, 0));
            self.sale = None;
            self.say_power_cut(v.now, v);
            self.note_trouble(v.now);
        } else if let Some((north, east)) = &mut self.moved {
            *north += self.rng.between(LEG / 3, LEG) as i32;
            *east += self.rng.between(LEG / 3, LEG) as i32;
            self.say_moved(v);
        }
        if step == LEGS {
            self.breathe(world, v.now);
            let until = v.now + self.rng.between(2 * DAY, 5 * DAY);
            self.off = Some(Off { until, by: TroubleProcess });
            return self.set(TroubleProcess, until);
        }
        let pause = self.rng.between(50_000, 70_000);
        self.set(TroubleProcess, v.now + pause);
    }

    fn say_moved(&mut self, v: &mut Voice<'_, '_>) {
        let (noise, now) = (self.rng.next(), v.clock(v.now));
        let (north, east) = self.moved.unwrap_or_default();
        // A millionth of a degree is 0.111 m to the north, and at these latitudes about 0.073 m to
        // the east. The root is taken in whole numbers.
        let (north, east) = (i64::from(north) * 111, i64::from(east) * 73);
        let distance = (north * north + east * east).isqrt() / 100;
        v.say(Kind::Moved, |d: &mut Data<'_>| {
            self.position(noise, now, d);
            d.decimal("distance_m", distance, 1);
            self.network(noise, d);
        });
    }
}
