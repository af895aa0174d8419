//! A vending machine and its life. Each machine is a handful of processes (heartbeats, customers,
//! visits, troubles, …), each with the time at which it is due; a step runs the one that is due first.
//! A machine looks at nothing but itself and the [`World`], so that it can live ahead of the others or
//! lag behind them: a machine without a connection simply waits, and then tells all that it missed.

mod cold;
mod fault;
mod health;
mod outage;
mod reports;
mod sale;
mod stock;
mod trouble;
mod update;
mod visit;

use crate::names::{self, Name};
use crate::rng::Rng;
use crate::road::{Line, Origin, Road, Speaker, Voice};
use crate::world::{Build, DAY, HOUR, MINUTE, MODELS, Model, World};
use cold::Cold;
use fault::{Fault, FaultKind};
use sale::{Failures, Sale};
use stock::Slot;
use trouble::Trouble;
use update::Update;
use visit::Visit;

/// The processes of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Process {
    Heartbeat,
    Status,
    Link,
    Log,
    Configuration,
    Level,
    Customer,
    Sale,
    Visit,
    Trouble,
    Modem,
    Power,
    Update,
}

use Process::*;

const PROCESSES: [Process; 13] = [
    Heartbeat,
    Status,
    Link,
    Log,
    Configuration,
    Level,
    Customer,
    Sale,
    Visit,
    Trouble,
    Modem,
    Power,
    Update,
];

/// Not due.
const NEVER: i64 = i64::MAX;

const STATUS_EVERY: i64 = 15 * MINUTE;
const LINK_EVERY: i64 = 10 * MINUTE;
const LOG_EVERY: i64 = 15 * MINUTE;
/// One selection after the other.
const LEVEL_EVERY: i64 = 10 * MINUTE;

/// Events per machine and day besides heartbeats and sales, about.
pub const REPORTS_PER_DAY: f64 =
    (DAY / STATUS_EVERY + DAY / LINK_EVERY + DAY / LOG_EVERY + DAY / LEVEL_EVERY) as f64 + 20.0;
/// Customers per machine and day, and events for each, about.
pub const CUSTOMERS_PER_DAY: f64 = 28.5;
/// A payment, and mostly a vend.
pub const EVENTS_PER_CUSTOMER: f64 = 2.0;

/// A machine that is switched off.
#[derive(Debug, Clone, Copy)]
struct Off {
    /// Until then, ms.
    until: i64,
    /// The process that switched it off, and on again.
    by: Process,
}

/// A machine.
#[derive(Debug)]
pub struct Machine {
    line: Line,
    body: Body,
    /// Which process is due first, and when.
    first: (usize, i64),
}

/// All of a machine but its line to Kafka.
#[derive(Debug)]
struct Body {
    index: u32,
    build: Build,
    rng: Rng,
    due: [i64; PROCESSES.len()],
    slots: Box<[Slot]>,
    next_level: usize,
    cold: Cold,
    faults: Vec<Fault>,
    fault_count: u32,
    firmware: u32,
    configuration: u32,
    boots: u32,
    booted_at: i64,
    log_lines: i64,
    door_open: Option<i64>,
    visit: Option<Visit>,
    visits: u32,
    sale: Option<Sale>,
    sales: u32,
    /// Makes the ids of transactions differ from those of another seed or start.
    salt: u64,
    failures: Failures,
    trouble: Option<Trouble>,
    outage: Option<outage::Outage>,
    power_cut: Option<outage::PowerCut>,
    off: Option<Off>,
    /// How far it was carried away, millionths of a degree north and east.
    moved: Option<(i32, i32)>,
    update: Option<Update>,
    /// The last rollout that reached it.
    rollout: Option<u32>,
}

impl Machine {
    /// Machine `index` at the beginning of the world: everything works, stocks are as they happen to
    /// be, and nothing is due before the start.
    pub fn new(world: &World, index: u32) -> Machine {
        let build = world.build(index);
        let mut rng = Rng::new(world.hash(8, index.into()));
        let start = world.start;
        let slots = (0..MODELS[build.model].selections)
            .map(|slot| Slot::new(world.facing(index, &build, slot), &mut rng, start));
        let slots = slots.collect();
        let mut body = Body {
            index,
            build,
            due: [NEVER; PROCESSES.len()],
            slots,
            next_level: 0,
            cold: Cold::new(MODELS[build.model].target, start),
            faults: Vec::new(),
            fault_count: 0,
            firmware: 0,
            configuration: 0,
            boots: 1,
            booted_at: start - rng.between(HOUR, 60 * DAY),
            log_lines: 0,
            door_open: None,
            visit: None,
            visits: 0,
            sale: None,
            sales: 0,
            salt: world.hash(9, start as u64),
            failures: Failures::default(),
            trouble: None,
            outage: None,
            power_cut: None,
            off: None,
            moved: None,
            update: None,
            rollout: None,
            rng,
        };
        body.begin(world);
        let first = body.first();
        Machine { line: Line::default(), body, first }
    }

    /// Its id.
    pub fn name(index: u32) -> Name {
        names::machine(index)
    }

    /// When the next of its events reaches the collector, about: while it is disconnected, once the
    /// connection is back.
    pub fn next(&self) -> i64 {
        self.body.leaves(self.first.1).max(self.line.sent)
    }

    /// Runs the process that is due first.
    pub fn step(&mut self, world: &World, road: &mut Road<'_>) {
        let (process, now) = self.first;
        let body = &mut self.body;
        let latency = body.rng.between(40, 900);
        let mut voice = Voice {
            road,
            speaker: Speaker {
                number: body.index,
                name: Machine::name(body.index),
                origin: Origin::Machine,
                site: Some(world.sites[body.build.site as usize].name),
            },
            line: &mut self.line,
            now,
            leaves: body.leaves(now + latency),
            skew: body.build.skew,
            in_maintenance: Some(body.visit.is_some()),
            fault: None,
        };
        body.run(PROCESSES[process], world, &mut voice);
        self.first = self.body.first();
    }

    /// Tells the ground truth what still lasts when the run ends.
    pub fn end(&mut self, world: &World, road: &mut Road<'_>, now: i64) {
        let body = &mut self.body;
        let mut voice = Voice {
            road,
            speaker: Speaker {
                number: body.index,
                name: Machine::name(body.index),
                origin: Origin::Machine,
                site: Some(world.sites[body.build.site as usize].name),
            },
            line: &mut self.line,
            now,
            leaves: now,
            skew: body.build.skew,
            in_maintenance: None,
            fault: None,
        };
        if body.build.skew != 0 {
            let skew = body.build.skew;
            voice.episode("clock_skew", world.start, None, |d| {
                d.integer("skew_ms", skew);
            });
        }
        body.tell_trouble(&mut voice, None);
        body.tell_outage(&mut voice, None);
        body.tell_power_cut(&mut voice, None);
        body.tell_update(&mut voice, "under_way", None);
        for slot in 0..body.slots.len() {
            body.tell_sold_out(slot, &mut voice, None);
        }
    }
}

impl Body {
    /// When each process is due first.
    fn begin(&mut self, world: &World) {
        let start = world.start;
        let mut phase = |every: i64| start + self.rng.between(0, every - 1);
        let first = [
            (Heartbeat, phase(world.heartbeat)),
            (Status, phase(STATUS_EVERY)),
            (Link, phase(LINK_EVERY)),
            (Log, phase(LOG_EVERY)),
            (Configuration, phase(DAY)),
            (Level, phase(LEVEL_EVERY)),
        ];
        for (process, at) in first {
            self.set(process, at);
        }
        self.set(Customer, start);
        self.next_customer(world, start);
        // The first visits are spread over three days, as if the routes had been driven before.
        let from = start + self.rng.between(0, 2 * DAY);
        self.next_visit(world, from);
        self.next_trouble(world, start);
        self.next_outage(world, start);
        self.set(Update, world.rollout(self.index, None).at);
        self.next_power_cut(world, start);
    }

    fn first(&self) -> (usize, i64) {
        let mut first = (0, self.due[0]);
        for (process, due) in self.due.iter().enumerate().skip(1) {
            if *due < first.1 {
                first = (process, *due);
            }
        }
        first
    }

    fn set(&mut self, process: Process, at: i64) {
        self.due[process as usize] = at;
    }

    /// When what is said at `time` leaves the machine.
    fn leaves(&self, time: i64) -> i64 {
        self.outage.as_ref().map_or(time, |outage| time.max(outage.until))
    }

    fn model(&self) -> &'static Model {
        &MODELS[self.build.model]
    }

    fn run(&mut self, process: Process, world: &World, v: &mut Voice<'_, '_>) {
        // The modem has a battery of its own: what it kept leaves when it can, on or off.
        let sleeps = |off: &Off| off.by != process && process != Modem && v.now < off.until;
        if let Some(off) = self.off.filter(sleeps) {
            // It wakes up with the others, not all at the same instant.
            return self.set(process, off.until + 1000 + 700 * process as i64);
        }
        match process {
            Heartbeat => self.heartbeat(world, v),
            Status => self.status(world, v),
            Link => self.link_report(v),
            Log => self.log_line(v),
            Configuration => self.configuration_report(world, v),
            Level => self.level_report(v),
            Customer => self.customer(world, v),
            Sale => self.sale_step(world, v),
            Visit => self.visit_step(world, v),
            Trouble => self.trouble_step(world, v),
            Modem => self.modem_step(world, v),
            Power => self.power_step(world, v),
            Update => self.update_step(world, v),
        }
    }

    /// Is it fed by its battery?
    fn on_battery(&self) -> bool {
        self.power_cut.is_some() || self.moved.is_some()
    }

    /// Can a customer buy?
    fn sells(&self) -> bool {
        self.visit.is_none()
            && self.door_open.is_none()
            && !self.on_battery()
            && !self.update.as_ref().is_some_and(Update::restarts)
            && !self.has(FaultKind::HealthTimer)
    }
}
