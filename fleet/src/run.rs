//! A run: everybody lives, whoever is due first acts, and the clock on the wall is followed or not.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::accounts::{self, Account};
use crate::error::FleetError;
use crate::life::{self, Machine};
use crate::names::{self, Name};
use crate::road::{Hazards, Road, Sent};
use crate::sink::Sink;
use crate::stores::{self, Store};
use crate::stream::Stream;
use crate::truth::{Truth, VERSION};
use crate::world::{DAY, World};

/// What to simulate. The same settings give the same bytes, whatever the speed.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Another seed, another world.
    pub seed: u64,
    /// Vending machines, at least one.
    pub machines: u32,
    /// Sites, at least one; every fifth is a store with tills.
    pub sites: u32,
    /// When it begins, ms since 1970.
    pub start: i64,
    /// How much time passes in the world, ms; none: until it is stopped.
    pub duration: Option<i64>,
    /// Events per second of the world's time, about; none: as a heartbeat a minute makes it.
    pub rate: Option<f64>,
    /// Seconds of the world in a second of ours; none: as fast as it goes.
    pub speed_up: Option<f64>,
    /// How often things go wrong: 1 as a rule, 0 never.
    pub trouble: f64,
    /// The share of machines whose clock is wrong.
    pub skewed: f64,
    /// What happens to records on their way.
    pub hazards: Hazards,
}

/// Heartbeats more often than this need more machines, more seldom ones fewer, ms.
const HEARTBEAT: std::ops::RangeInclusive<i64> = 1_000..=3_600_000;
/// The most machines and sites: a machine takes about 4 KiB.
const MACHINES_MAX: u32 = 1_000_000;
const SITES_MAX: u32 = 100_000;
/// How long to sleep at once: so late is a stop heard.
const NAP: Duration = Duration::from_millis(20);
/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// How far a run has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress<'a> {
    /// What was sent.
    pub sent: &'a Sent,
    /// The world's time, ms.
    pub now: i64,
}

/// Checks the settings and makes the world; all mistakes are told at once.
pub fn world(settings: &Settings) -> Result<World, FleetError> {
    let mut wrong = Vec::new();
    let mut need = |holds: bool, what: String| {
        if !holds {
            wrong.push(what);
        }
    };
    let Settings { machines, sites, hazards, .. } = settings;
    need((1..=MACHINES_MAX).contains(machines), format!("machines must be 1 to {MACHINES_MAX}"));
    need((1..=SITES_MAX).contains(sites), format!("sites must be 1 to {SITES_MAX}"));
    need((0.0..=1000.0).contains(&settings.trouble), "trouble must be 0 to 1000".into());
    need(settings.duration.is_none_or(|time| time > 0), "the duration must be above 0".into());
    let speed = settings.speed_up.is_none_or(|speed| (0.001..=1e6).contains(&speed));
    need(speed, "the speed-up must be 0.001 to 1000000, or max".into());
    need(
        settings.speed_up.is_some() || settings.duration.is_some(),
        "as fast as it goes needs a duration".into(),
    );
    // 2020 to 2099, where contracts accept times and dates have four digits.
    let (from, until) = (1_577_836_800_000, 4_102_444_800_000);
    need((from..until).contains(&settings.start), "the start must lie in 2020 to 2099".into());
    let share = |share: f64| (0.0..=1.0).contains(&share);
    need(share(settings.skewed), "the share of skewed clocks must be 0 to 1".into());
    let all = hazards.malformed.values().sum::<f64>() + hazards.duplicates + hazards.reordered;
    let each = hazards.malformed.values().all(|part| share(*part));
    need(
        each && share(hazards.duplicates) && share(hazards.reordered) && share(all),
        "the shares of malformed, duplicate and reordered records must be 0 to 1, and so their sum"
            .into(),
    );
    if !wrong.is_empty() {
        return Err(FleetError::config(wrong.join("; ")));
    }
    let Settings { seed, start, trouble, skewed, .. } = *settings;
    let mut world = World::new(seed, *machines, *sites, start, trouble, skewed);
    if let Some(rate) = settings.rate {
        world.heartbeat = heartbeat(&world, &hazards.streams, rate)?;
    }
    Ok(world)
}

/// When a run begins whose events are to reach the present, ms: with `now` at its end, so that no event
/// lies in the future of the clock on the wall, which contracts would refuse.
pub fn start(duration: Option<i64>, speed_up: Option<f64>, now: i64) -> Result<i64, FleetError> {
    match (duration, speed_up) {
        (Some(duration), None) => Ok(now - duration),
        (Some(duration), Some(speed)) => Ok(now - duration + (duration as f64 / speed) as i64),
        (None, Some(speed)) if speed <= 1.0 => Ok(now),
        (None, _) => Err(FleetError::config(
            "faster than the clock on the wall, the run needs a duration or a start: its events would \
             lie in the future",
        )),
    }
}

/// How often machines must send a heartbeat so that the whole fleet makes `rate` events per second.
fn heartbeat(world: &World, streams: &[Stream], rate: f64) -> Result<i64, FleetError> {
    if !streams.contains(&Stream::Health) {
        return Err(FleetError::config(
            "the rate is that of the heartbeats: it needs the stream vending.health",
        ));
    }
    let machines = f64::from(world.machines);
    let stores = stores::sites(world).count() as f64;
    let customers = life::CUSTOMERS_PER_DAY * life::EVENTS_PER_CUSTOMER;
    let mut others = machines * (life::REPORTS_PER_DAY + customers);
    others += stores * stores::EVENTS_PER_DAY;
    others += f64::from(accounts::count(world)) * accounts::EVENTS_PER_DAY;
    // With some streams left out it is less; by how much matters little beside the heartbeats.
    others *= streams.len() as f64 / Stream::ALL.len() as f64;
    let per_second =
        |every: i64| machines / (every as f64 / 1000.0) + others / (DAY as f64 / 1000.0);
    let (least, most) = (per_second(*HEARTBEAT.end()), per_second(*HEARTBEAT.start()));
    if !(least..=most).contains(&rate) {
        return Err(FleetError::config(format!(
            "{} machines make {least:.2} to {most:.0} events per second; choose a rate between, or \
             other machines",
            world.machines
        )));
    }
    let heartbeats = rate - others / (DAY as f64 / 1000.0);
    Ok(((machines * 1000.0 / heartbeats) as i64).clamp(*HEARTBEAT.start(), *HEARTBEAT.end()))
}

/// All who live in the world.
struct Population {
    machines: Vec<Machine>,
    stores: Vec<Store>,
    store_sites: Vec<u32>,
    accounts: Vec<Account>,
}

impl Population {
    fn new(world: &World) -> Population {
        let store_sites: Vec<u32> = stores::sites(world).collect();
        let first_store = world.machines;
        let first_account = first_store + store_sites.len() as u32 * stores::SPEAKERS;
        let numbered = |(i, site): (usize, &u32)| {
            Store::new(world, *site, first_store + i as u32 * stores::SPEAKERS)
        };
        Population {
            machines: (0..world.machines).map(|i| Machine::new(world, i)).collect(),
            stores: store_sites.iter().enumerate().map(numbered).collect(),
            accounts: (0..accounts::count(world))
                .map(|i| Account::new(world, i, first_account + i))
                .collect(),
            store_sites,
        }
    }

    fn len(&self) -> usize {
        self.machines.len() + self.stores.len() + self.accounts.len()
    }

    fn next(&self, who: usize) -> i64 {
        let (store, account) = self.places(who);
        match (self.machines.get(who), self.stores.get(store)) {
            (Some(machine), _) => machine.next(),
            (None, Some(store)) => store.next(),
            (None, None) => self.accounts[account].next(),
        }
    }

    fn step(&mut self, who: usize, world: &World, road: &mut Road<'_>) {
        let (store, account) = self.places(who);
        match (self.machines.get_mut(who), self.stores.get_mut(store)) {
            (Some(machine), _) => machine.step(world, road),
            (None, Some(store)) => store.step(world, road),
            (None, None) => self.accounts[account].step(world, road),
        }
    }

    fn places(&self, who: usize) -> (usize, usize) {
        let store = who.wrapping_sub(self.machines.len());
        (store, store.wrapping_sub(self.stores.len()))
    }

    fn speakers(&self) -> usize {
        self.machines.len() + self.stores.len() * stores::SPEAKERS as usize + self.accounts.len()
    }

    fn name(&self, speaker: u32) -> Name {
        let machines = self.machines.len() as u32;
        let tills = self.stores.len() as u32 * stores::SPEAKERS;
        if speaker < machines {
            Machine::name(speaker)
        } else if speaker < machines + tills {
            let (store, index) =
                ((speaker - machines) / stores::SPEAKERS, (speaker - machines) % stores::SPEAKERS);
            stores::speaker_name(self.store_sites[store as usize], index)
        } else {
            names::account(speaker - machines - tills)
        }
    }
}

/// Lets the world live until its time is over or `stop` is set. Then everything that was sent has
/// arrived, and the ground truth is complete. `listen` hears of the progress once a second.
pub fn simulate(
    settings: &Settings,
    world: &World,
    sink: &mut dyn Sink,
    truth: Truth,
    stop: &AtomicBool,
    listen: &mut dyn FnMut(&Progress<'_>),
) -> Result<Sent, FleetError> {
    let mut people = Population::new(world);
    let mut road = Road::new(settings.seed, &settings.hazards, people.speakers(), sink, truth);
    head(settings, world, &mut road.truth);
    let mut queue: BinaryHeap<Reverse<(i64, u32)>> =
        (0..people.len()).map(|who| Reverse((people.next(who), who as u32))).collect();
    let end = settings.duration.map_or(i64::MAX, |time| settings.start + time);
    let mut pace = Pace::new(settings);
    let mut now = settings.start;
    while let Some(mut first) = queue.peek_mut() {
        let Reverse((due, who)) = *first;
        if !pace.follow(due.min(end), stop, &mut road, listen)? {
            break;
        }
        if due >= end {
            now = end;
            break;
        }
        now = due;
        road.advance(now)?;
        people.step(who as usize, world, &mut road);
        *first = Reverse((people.next(who as usize), who));
    }
    for machine in &mut people.machines {
        machine.end(world, &mut road, now);
    }
    let sent = road.finish(|speaker| people.name(speaker))?;
    tail(&sent, now, &mut road.truth)?;
    Ok(sent)
}

fn head(settings: &Settings, world: &World, truth: &mut Truth) {
    truth.line("run", |d| {
        d.integer("version", VERSION)
            .integer("seed", settings.seed as i64)
            .integer("machines", settings.machines.into())
            .integer("sites", settings.sites.into())
            .integer("heartbeat_ms", world.heartbeat)
            .time("from", settings.start);
    });
}

fn tail(sent: &Sent, now: i64, truth: &mut Truth) -> Result<(), FleetError> {
    truth.line("end", |d| {
        d.time("until", now)
            .integer("records", sent.records as i64)
            .integer("duplicates", sent.duplicates as i64)
            .integer("reordered", sent.reordered as i64)
            .integer("rejected", sent.malformed.values().sum::<u64>() as i64);
    });
    truth
        .finish()
        .map_err(|error| FleetError::file(Path::new("the ground truth"), "written", &error))
}

/// Keeps the world's time behind the clock on the wall.
struct Pace {
    start: i64,
    /// Seconds of the world in a second of ours.
    speed: Option<f64>,
    began: Instant,
    told: Instant,
    turns: u32,
}

impl Pace {
    fn new(settings: &Settings) -> Pace {
        let (start, speed) = (settings.start, settings.speed_up);
        let now = Instant::now();
        Pace { start, speed, began: now, told: now, turns: 0 }
    }

    /// Waits until it is time for what is due; false if the run was stopped.
    fn follow(
        &mut self,
        due: i64,
        stop: &AtomicBool,
        road: &mut Road<'_>,
        listen: &mut dyn FnMut(&Progress<'_>),
    ) -> Result<bool, FleetError> {
        self.turns = self.turns.wrapping_add(1);
        // Asking the wall's clock costs much of what an event costs.
        if self.speed.is_none() && !self.turns.is_multiple_of(256) {
            return Ok(true);
        }
        loop {
            if stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let passed = self.began.elapsed();
            let Some(speed) = self.speed else {
                self.tell(due, road, listen);
                return Ok(true);
            };
            let time = self.start + (passed.as_secs_f64() * 1000.0 * speed) as i64;
            self.tell(time.min(due), road, listen);
            if time >= due {
                return Ok(true);
            }
            road.advance(time)?;
            road.idle()?;
            let rest = Duration::from_secs_f64((due - time) as f64 / 1000.0 / speed);
            std::thread::sleep(rest.clamp(Duration::from_micros(200), NAP));
        }
    }

    fn tell(&mut self, now: i64, road: &Road<'_>, listen: &mut dyn FnMut(&Progress<'_>)) {
        if self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            listen(&Progress { sent: road.sent(), now });
        }
    }
}
