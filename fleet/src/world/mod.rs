//! The world in which the fleet lives: sites, models, planograms, and what happens to many machines
//! at once. All of it follows from the seed, so that nothing needs to be kept or handed around.

mod place;
mod product;
pub mod tables;

use crate::names::{self, Name};
use crate::rng::{Rng, mix};
pub use place::{Clock, SiteKind, TOWNS, Town, weekday};
pub use product::{PRODUCTS, Product};

/// A minute in ms.
pub const MINUTE: i64 = 60_000;
/// An hour in ms.
pub const HOUR: i64 = 60 * MINUTE;
/// A day in ms.
pub const DAY: i64 = 24 * HOUR;

/// Where machines or tills stand.
#[derive(Debug)]
pub struct Site {
    /// Its id.
    pub name: Name,
    /// What it is.
    pub kind: SiteKind,
    /// Its town, an index of [`TOWNS`].
    pub town: usize,
    /// Degrees north, in millionths.
    pub latitude: i32,
    /// Degrees east, in millionths.
    pub longitude: i32,
}

/// A model of machine.
#[derive(Debug)]
pub struct Model {
    /// `machine_kind` of the reference table.
    pub kind: &'static str,
    /// Maker, invented.
    pub manufacturer: &'static str,
    /// The maker's name for it.
    pub name: &'static str,
    /// Selections.
    pub selections: u32,
    /// What the refrigerated compartment shall have, tenths of a degree Celsius; none without one.
    pub target: Option<i64>,
    /// Above it goods spoil, tenths of a degree Celsius.
    pub limit: i64,
    /// The categories that it sells.
    categories: &'static [&'static str],
}

/// The models of the fleet.
pub const MODELS: [Model; 4] = [
    Model {
        kind: "snack",
        manufacturer: "Nordvend",
        name: "Spiral 40",
        selections: 40,
        target: None,
        limit: 0,
        categories: &["snack", "sweets"],
    },
    Model {
        kind: "drinks",
        manufacturer: "Nordvend",
        name: "Frost 30",
        selections: 30,
        target: Some(40),
        limit: 80,
        categories: &["soft_drink", "water", "juice", "energy_drink"],
    },
    Model {
        kind: "combi",
        manufacturer: "Automata",
        name: "Duo 36",
        selections: 36,
        target: Some(40),
        limit: 80,
        categories: &["soft_drink", "water", "snack", "sweets", "dairy"],
    },
    Model {
        kind: "fresh_food",
        manufacturer: "Automata",
        name: "Fresco 24",
        selections: 24,
        target: Some(30),
        limit: 70,
        categories: &["fresh_food", "dairy", "juice", "water"],
    },
];

/// What a machine is from the day it was installed.
#[derive(Debug, Clone, Copy)]
pub struct Build {
    /// Its model, an index of [`MODELS`].
    pub model: usize,
    /// Its site.
    pub site: u32,
    /// Takes coins and bills.
    pub cash: bool,
    /// Takes codes; every machine takes cards.
    pub qr: bool,
    /// What carries its connection.
    pub network: &'static str,
    /// Customers per day on average.
    pub demand: f64,
    /// Its clock is wrong by so much, ms.
    pub skew: i64,
    /// Degrees north, in millionths.
    pub latitude: i32,
    /// Degrees east, in millionths.
    pub longitude: i32,
}

/// A line of the planogram.
#[derive(Debug, Clone, Copy)]
pub struct Facing {
    /// The product, an index of [`PRODUCTS`].
    pub product: usize,
    /// The most that the selection can hold.
    pub capacity: i64,
    /// What a refill shall bring it to.
    pub par: i64,
    /// At this count or below a refill is due.
    pub low: i64,
    /// Hundredths of the site's currency.
    pub price: i64,
}

/// A rollout to the whole fleet.
#[derive(Debug, Clone, Copy)]
pub struct Rollout {
    /// Its number, from 0.
    pub number: u32,
    /// `firmware` or `configuration`.
    pub kind: &'static str,
    /// When this machine's turn comes.
    pub at: i64,
}

/// The first rollout begins so long after the start, and one follows another.
const ROLLOUT_FIRST: i64 = 10 * MINUTE;
const ROLLOUT_EVERY: i64 = 7 * DAY;
/// A rollout takes so long to reach every machine.
const ROLLOUT_TAKES: i64 = 6 * HOUR;
/// A site has a power cut once in so many days.
const POWER_CUT_DAYS: f64 = 20.0;

/// The world.
#[derive(Debug)]
pub struct World {
    seed: u64,
    /// When it begins, ms since 1970.
    pub start: i64,
    /// How often things go wrong: 1 as a rule, 0 never.
    pub trouble: f64,
    /// How often a machine sends a heartbeat, ms.
    pub heartbeat: i64,
    /// How many machines there are.
    pub machines: u32,
    /// The sites.
    pub sites: Vec<Site>,
    /// The share of machines whose clock is wrong.
    skewed: f64,
    clocks: Vec<Clock>,
}

impl World {
    /// A world after these numbers; the shares are 0 to 1.
    pub fn new(
        seed: u64,
        machines: u32,
        sites: u32,
        start: i64,
        trouble: f64,
        skewed: f64,
    ) -> World {
        let mut rng = Rng::new(mix(seed));
        let site = |index: u32| {
            // Every fifth is a store, the first among them.
            let kind = match index % 5 {
                0 => SiteKind::Store,
                _ => SiteKind::ALL[1 + rng.below(5) as usize],
            };
            let town = rng.below(TOWNS.len() as u64) as usize;
            Site {
                name: names::site(index, kind == SiteKind::Store),
                kind,
                town,
                latitude: TOWNS[town].latitude + rng.between(-40_000, 40_000) as i32,
                longitude: TOWNS[town].longitude + rng.between(-60_000, 60_000) as i32,
            }
        };
        World {
            seed,
            start,
            trouble,
            heartbeat: MINUTE,
            machines,
            sites: (0..sites).map(site).collect(),
            skewed,
            clocks: TOWNS.iter().map(|town| Clock::new(town.zone, start)).collect(),
        }
    }

    /// A number of its own for each purpose and thing.
    pub fn hash(&self, purpose: u64, thing: u64) -> u64 {
        mix(mix(self.seed ^ purpose << 48) ^ thing)
    }

    /// The clock on a site's wall.
    pub fn clock(&self, site: u32) -> &Clock {
        &self.clocks[self.sites[site as usize].town]
    }

    /// A site's town.
    pub fn town(&self, site: u32) -> &'static Town {
        &TOWNS[self.sites[site as usize].town]
    }

    /// What the machine is.
    pub fn build(&self, machine: u32) -> Build {
        let mut rng = Rng::new(self.hash(1, machine.into()));
        let site = (u64::from(machine) * self.sites.len() as u64 / u64::from(self.machines)) as u32;
        let place = &self.sites[site as usize];
        let network = rng.pick(&["lte", "lte", "lte_m", "nb_iot", "nr", "wifi", "ethernet", "gsm"]);
        let skewed = rng.chance(self.skewed);
        Build {
            model: rng.pick(&[0, 0, 1, 1, 1, 2, 2, 3]),
            site,
            cash: !rng.one_in(4),
            qr: rng.one_in(3),
            network,
            // Few sell much, many sell little: the product of two draws.
            demand: 6.0 + 90.0 * rng.unit() * rng.unit(),
            // Within what the contracts accept, and no less than a second.
            skew: if skewed { rng.between(-20 * MINUTE, 20 * MINUTE) | 1024 } else { 0 },
            latitude: place.latitude + rng.between(-300, 300) as i32,
            longitude: place.longitude + rng.between(-300, 300) as i32,
        }
    }

    /// What selection `index` of a machine is to hold.
    pub fn facing(&self, machine: u32, build: &Build, index: u32) -> Facing {
        let mut rng = Rng::new(self.hash(2, u64::from(machine) << 8 | u64::from(index)));
        let categories = MODELS[build.model].categories;
        let product = loop {
            let product = rng.below(PRODUCTS.len() as u64) as usize;
            if categories.contains(&PRODUCTS[product].category) {
                break product;
            }
        };
        let capacity = rng.pick(&[8, 10, 12, 16]);
        // What a site's owner takes is on the price.
        let markup = (self.hash(3, build.site.into()) % 5) as i64 * 10;
        Facing {
            product,
            capacity,
            par: capacity - rng.between(0, 2),
            low: capacity / 4,
            price: PRODUCTS[product].price + markup,
        }
    }

    /// The rollout that follows number `after` at a machine; the first without one.
    pub fn rollout(&self, machine: u32, after: Option<u32>) -> Rollout {
        let number = after.map_or(0, |number| number + 1);
        let turn = self.hash(4, u64::from(number) << 32 | u64::from(machine)) >> 1;
        Rollout {
            number,
            kind: if number.is_multiple_of(2) { "firmware" } else { "configuration" },
            at: self.start
                + ROLLOUT_FIRST
                + i64::from(number) * ROLLOUT_EVERY
                + turn as i64 % ROLLOUT_TAKES,
        }
    }

    /// The site's next power cut that begins after `time_ms`: from, until.
    pub fn power_cut(&self, site: u32, time_ms: i64) -> Option<(i64, i64)> {
        let today = time_ms.div_euclid(DAY);
        (today..today + 400).find_map(|day| {
            let mut rng = Rng::new(self.hash(5, u64::from(site) << 32 | day as u64 & 0xffff_ffff));
            let happens = rng.chance(self.trouble / POWER_CUT_DAYS);
            let from = day * DAY + rng.between(0, DAY - 1);
            (happens && from > time_ms).then(|| (from, from + rng.between(2 * MINUTE, 90 * MINUTE)))
        })
    }

    /// The temperature of the air at a site, thousandths of a degree Celsius: warmest at four.
    pub fn ambient(&self, site: u32, time_ms: i64) -> i64 {
        let day = self.clock(site).local(time_ms).rem_euclid(DAY);
        // A triangle wave of 3 degrees up and down around 21 to 24.
        let from_peak = (day - 16 * HOUR).abs().min(DAY - (day - 16 * HOUR).abs());
        let base = 21_000 + (self.hash(6, site.into()) % 3_000) as i64;
        base + 3_000 - from_peak * 6_000 / (DAY / 2)
    }
}

/// The planogram that is in force everywhere.
pub const PLANOGRAM_VERSION: &str = "pg-1";
