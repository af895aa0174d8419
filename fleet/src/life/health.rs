//! Heartbeats, status reports and boots.

use super::fault::FaultKind;
use super::{Body, Heartbeat, STATUS_EVERY, Status, Voice};
use crate::data::Data;
use crate::names;
use crate::stream::Kind;
use crate::world::{HOUR, World};

impl Body {
    /// Alive, and the vital figures.
    pub(super) fn heartbeat(&mut self, world: &World, v: &mut Voice<'_, '_>) {
        let every = world.heartbeat;
        let next = v.now + every + self.rng.between(-(every / 50), every / 50);
        self.set(Heartbeat, next);
        self.watch_cold(world, v);
        let (noise, now) = (self.rng.next(), v.now);
        v.say(Kind::Heartbeat, |d| {
            self.vitals(world, now, noise, d);
            self.controller(noise, now, d);
        });
    }

    /// The whole state.
    pub(super) fn status(&mut self, world: &World, v: &mut Voice<'_, '_>) {
        self.set(Status, v.now + STATUS_EVERY);
        self.watch_cold(world, v);
        let noise = self.rng.next();
        let now = v.now;
        v.say(Kind::Status, |d| {
            d.text("working_status", self.working_status());
            d.list("eva_dts_active_codes", self.codes());
            d.text("firmware_version", names::firmware(self.firmware).as_str());
            d.integer("uptime_s", (now - self.booted_at) / 1000);
            self.vitals(world, now, noise, d);
            let jammed = self.slots.iter().filter(|slot| slot.jammed).count();
            d.integer("motors_installed_count", self.slots.len() as i64)
                .integer("motors_faulty_count", jammed as i64);
            let state = |absent, kind| match (absent, self.has(kind)) {
                (true, _) => "absent",
                (false, true) => "faulty",
                (false, false) => "ok",
            };
            d.text("coin_sensor_status", state(!self.build.cash, FaultKind::CoinMech))
                .text("bill_sensor_status", state(!self.build.cash, FaultKind::BillValidator))
                .text("product_sensor_status", state(false, FaultKind::DeliverySensor));
            self.controller(noise, now, d);
        });
    }

    /// The controller starts.
    pub(super) fn boot(&mut self, world: &World, reason: &str, v: &mut Voice<'_, '_>) {
        self.breathe(world, v.now);
        self.off = None;
        self.boots += 1;
        self.booted_at = v.now;
        self.log_lines = 0;
        let noise = self.rng.next();
        let now = v.now;
        v.say(Kind::Boot, |d| {
            d.text("working_status", "initializing").text("boot_reason", reason);
            d.text("firmware_version", names::firmware(self.firmware).as_str())
                .integer("uptime_s", 0);
            self.vitals(world, now, noise, d);
        });
        self.log_startup(v);
        self.integrity(true, v);
    }

    fn vitals(&self, world: &World, now: i64, noise: u64, d: &mut Data<'_>) {
        let battery = self.on_battery();
        d.text("power", if battery { "battery" } else { "mains" });
        let base = match (battery, world.town(self.build.site).country) {
            (true, _) => 120,
            (false, "US") => 1200,
            (false, _) => 2300,
        };
        d.decimal("voltage_v", base + (noise % 41) as i64 - 20, 1);
        d.decimal("temperature_c", self.cabinet(world, now, noise >> 8), 1);
        if let Some(temperature) = self.refrigeration(noise >> 16) {
            d.decimal("refrigeration_temperature_c", temperature, 1);
        }
        d.flag("door_open", self.door_open.is_some());
    }

    fn controller(&self, noise: u64, now: i64, d: &mut Data<'_>) {
        let unhealthy = self.update.as_ref().is_some_and(|update| update.unhealthy());
        let cpu = if unhealthy { 950 } else { 90 } + (noise >> 24) as i64 % 50;
        // What leaks is lost until the next boot.
        let leaked = ((now - self.booted_at) / HOUR / 2).min(400);
        let memory = 310 + leaked + (noise >> 32) as i64 % 30;
        let disk = 350 + i64::from(self.index % 300) + (noise >> 40) as i64 % 20;
        d.decimal("cpu_pct", cpu, 1).decimal("memory_pct", memory, 1).decimal("disk_pct", disk, 1);
    }

    fn working_status(&self) -> &'static str {
        if self.visit.is_some() {
            "cleaning"
        } else if self.has(FaultKind::HealthTimer) || self.on_battery() {
            "out_of_order"
        } else if self.has(FaultKind::Cooling) {
            "waiting_for_temperature"
        } else if self.sale.is_some() {
            "busy"
        } else {
            "ready"
        }
    }

    /// The firmware is compared with what was signed.
    pub(super) fn integrity(&mut self, passed: bool, v: &mut Voice<'_, '_>) {
        let firmware = self.firmware;
        let index = u64::from(self.index);
        v.say(Kind::FirmwareIntegrity, |d| {
            d.text("firmware_version", names::firmware(firmware).as_str());
            d.text("integrity_outcome", if passed { "passed" } else { "failed" });
            d.digest("expected_sha256", firmware.into());
            d.digest("actual_sha256", if passed { firmware.into() } else { 1 << 32 | index });
        });
    }

    /// The id of the software's present run.
    pub(super) fn boot_id(&self, d: &mut Data<'_>) {
        d.named("boot_id", |out| {
            out.extend_from_slice(names::machine(self.index).bytes());
            out.extend_from_slice(b"-b");
            crate::text::number(out, self.boots.into());
        });
    }
}
