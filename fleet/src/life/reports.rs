//! What a machine reports of its connection, its configuration and its software's log.

use super::{Body, Configuration, LINK_EVERY, LOG_EVERY, Link, Log, Voice};
use crate::data::Data;
use crate::names;
use crate::stream::Kind;
use crate::world::{DAY, PLANOGRAM_VERSION, SiteKind, World};

/// Lines that software writes: level, logger, message.
const LINES: [(&str, &str, &str); 10] = [
    ("info", "vmc.sales", "session closed"),
    ("info", "vmc.audit", "audit data stored"),
    ("info", "net.modem", "network time received"),
    ("info", "ui.display", "screen saver on"),
    ("debug", "mdb.bus", "poll answered"),
    ("debug", "mdb.bus", "tube levels read"),
    ("warn", "mdb.bus", "poll repeated"),
    ("warn", "net.modem", "signal is weak"),
    ("warn", "vmc.storage", "journal is 80 % full"),
    ("error", "mdb.cashless", "session timed out"),
];

impl Body {
    /// How well it is connected, and where it is.
    pub(super) fn link_report(&mut self, v: &mut Voice<'_, '_>) {
        self.set(Link, v.now + LINK_EVERY);
        let noise = self.rng.next();
        let site = v.speaker.site;
        let store = site.filter(|site| site.as_str().starts_with("st-"));
        let now = v.clock(v.now);
        v.say(Kind::LinkReport, |d| {
            if let Some(site) = site {
                d.text("configured_site_id", site.as_str());
            }
            if let Some(store) = store {
                d.text("store_id", store.as_str());
            }
            self.position(noise, now, d);
            self.network(noise, d);
            d.decimal("latency_ms", 180 + (noise >> 20) as i64 % 900, 1)
                .decimal("packet_loss_pct", (noise >> 30) as i64 % 12, 1)
                .integer("sent_bytes", 9_000 + (noise >> 36) as i64 % 9_000)
                .integer("received_bytes", 1_200 + (noise >> 50) as i64 % 4_000);
        });
    }

    /// What GPS says: within some metres of where the machine is.
    pub(super) fn position(&self, noise: u64, now: i64, d: &mut Data<'_>) {
        let (north, east) = self.moved.unwrap_or_default();
        let latitude = self.build.latitude + north + (noise % 81) as i32 - 40;
        let longitude = self.build.longitude + east + (noise >> 8) as i32 % 41;
        d.decimal("latitude_deg", latitude.into(), 6)
            .decimal("longitude_deg", longitude.into(), 6)
            .decimal("gps_accuracy_m", 30 + (noise >> 16) as i64 % 90, 1)
            .time("gps_fixed_at", now - (noise >> 24) as i64 % 30_000);
    }

    /// What carries the connection.
    pub(super) fn network(&self, noise: u64, d: &mut Data<'_>) {
        d.text("network_type", self.build.network);
        match self.build.network {
            "ethernet" => {}
            "wifi" => {
                d.decimal("signal_dbm", -450 - (noise >> 44) as i64 % 300, 1);
            }
            _ => {
                let operator = ["Netz A", "Netz B", "Netz C"][self.index as usize % 3];
                let base = -700 - i64::from(self.index % 25) * 10;
                d.text("network_operator", operator).flag("roaming", self.index.is_multiple_of(40));
                d.decimal("signal_dbm", base - (noise >> 44) as i64 % 60, 1);
            }
        }
    }

    /// A line of the log.
    pub(super) fn log_line(&mut self, v: &mut Voice<'_, '_>) {
        let next = v.now + LOG_EVERY + self.rng.between(-LOG_EVERY / 2, LOG_EVERY / 2);
        self.set(Log, next);
        let noise = self.rng.next();
        // Some say more than others.
        let line = ((noise % 10) * (noise >> 8 & 15) / 15) as usize;
        let (level, logger, message) = LINES[line];
        self.log_lines += 1;
        let uptime = (v.now - self.booted_at) / 1000;
        v.say(Kind::LogLine, |d| {
            d.text("level", level).text("logger", logger).text("message", message);
            self.boot_id(d);
            d.integer("line_number", self.log_lines).integer("uptime_s", uptime);
        });
    }

    /// The software starts.
    pub(super) fn log_startup(&mut self, v: &mut Voice<'_, '_>) {
        v.say(Kind::LogStartup, |d| {
            d.text("level", "info").text("logger", "vmc").text("message", "started");
            self.boot_id(d);
            d.integer("line_number", 0);
            d.text("firmware_version", names::firmware(self.firmware).as_str());
            d.integer("uptime_s", 0);
        });
    }

    /// The software ends in order.
    pub(super) fn log_shutdown(&mut self, reason: &str, v: &mut Voice<'_, '_>) {
        let uptime = (v.now - self.booted_at) / 1000;
        v.say(Kind::LogShutdown, |d| {
            d.text("level", "info").text("logger", "vmc").text("message", "shutting down");
            self.boot_id(d);
            d.integer("uptime_s", uptime).text("shutdown_reason", reason);
        });
    }

    /// The software fails.
    pub(super) fn log_crash(&mut self, v: &mut Voice<'_, '_>) {
        let noise = self.rng.next();
        let uptime = (v.now - self.booted_at) / 1000;
        let error = ["SIGSEGV", "SIGABRT", "OutOfMemory", "AssertionFailed"][noise as usize % 4];
        v.say(Kind::LogCrash, |d| {
            d.text("level", "fatal").text("logger", "vmc").text("message", "the controller failed");
            self.boot_id(d);
            d.text("firmware_version", names::firmware(self.firmware).as_str());
            d.integer("uptime_s", uptime).text("error_type", error);
            d.hex("crash_dump_uri", "s3://crash-dumps/", noise, 16);
            d.integer("crash_dump_bytes", 200_000 + (noise >> 20) as i64 % 4_000_000);
            d.digest("crash_dump_sha256", noise);
        });
    }

    /// Once a day: what runs, and how it is set.
    pub(super) fn configuration_report(&mut self, world: &World, v: &mut Voice<'_, '_>) {
        self.set(Configuration, v.now + DAY);
        let kind = world.sites[self.build.site as usize].kind;
        let qr = self.build.qr;
        v.say(Kind::ConfigurationReport, |d| {
            d.text("firmware_version", names::firmware(self.firmware).as_str());
            d.text("configuration_version", names::configuration(self.configuration).as_str());
            d.text("planogram_version", PLANOGRAM_VERSION)
                .text("controller_model", "Weidling VMC-3");
            let serial = world.hash(7, self.index.into()) as u32;
            d.text("serial_number", names::serial(serial).as_str());
            let flags: &[u8] = match (qr, kind == SiteKind::School) {
                (true, true) => b"{\"qr_payment\":true,\"energy_drinks\":false}",
                (true, false) => b"{\"qr_payment\":true,\"energy_drinks\":true}",
                (false, true) => b"{\"qr_payment\":false,\"energy_drinks\":false}",
                (false, false) => b"{\"qr_payment\":false,\"energy_drinks\":true}",
            };
            d.json("feature_flags", flags);
        });
    }
}
