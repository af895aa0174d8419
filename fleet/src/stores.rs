//! Stores with their tills, which publish to Kafka themselves: shifts, receipts, cash, stock.

use crate::data::Data;
use crate::names;
use crate::rng::Rng;
use crate::road::{Line, Origin, Road, Speaker, Voice};
use crate::stream::Kind;
use crate::text;
use crate::world::{DAY, HOUR, MINUTE, PRODUCTS, SiteKind, World, weekday};

/// Tills of a store.
pub const TILLS: u32 = 3;
/// Speakers of a store: itself, and its tills.
pub const SPEAKERS: u32 = 1 + TILLS;
/// Receipts per till and day of business.
const RECEIPTS: f64 = 220.0;
/// Events per store and day, about.
pub const EVENTS_PER_DAY: f64 = RECEIPTS * TILLS as f64 * 2.0 * 6.0 / 7.0 + 500.0;

const NEVER: i64 = i64::MAX;
const OPENS: i64 = 8 * HOUR;
const CLOSES: i64 = 20 * HOUR;
/// One product after the other says what is there.
const LEVEL_EVERY: i64 = 5 * MINUTE;
const PAR: i64 = 60;
const LOW: i64 = 15;
/// With so much in the drawer some of it is taken to the safe, hundredths.
const DRAWER_MAX: i64 = 35_000;
const FLOAT: i64 = 15_000;

/// A store.
#[derive(Debug)]
pub struct Store {
    site: u32,
    /// The number of its first speaker.
    speaker: u32,
    rng: Rng,
    lines: [Line; SPEAKERS as usize],
    level: i64,
    next_level: usize,
    delivery: i64,
    adjustment: i64,
    deliveries: i64,
    stock: Vec<i64>,
    tills: [Till; TILLS as usize],
}

/// A till.
#[derive(Debug, Default)]
struct Till {
    turn: i64,
    customer: i64,
    fault: i64,
    shifts: i64,
    opened: Option<i64>,
    cashier: u32,
    cash: i64,
    receipts: i64,
    faults: i64,
    /// The device that fails.
    broken: Option<(&'static str, i64)>,
}

/// A line of a receipt.
#[derive(Debug, Clone, Copy)]
struct Item {
    product: usize,
    quantity: i64,
    discount: i64,
}

/// The sites that are stores.
pub fn sites(world: &World) -> impl Iterator<Item = u32> + '_ {
    (0..world.sites.len() as u32).filter(|site| world.sites[*site as usize].kind == SiteKind::Store)
}

impl Store {
    /// The store at a site; its speakers are numbered from `speaker` on.
    pub fn new(world: &World, site: u32, speaker: u32) -> Store {
        let mut rng = Rng::new(world.hash(10, site.into()));
        let start = world.start;
        let clock = world.clock(site);
        let local = clock.local(start);
        let is_open = weekday(local) != 6 && (OPENS..CLOSES).contains(&local.rem_euclid(DAY));
        let mut till = |_| Till {
            turn: match is_open {
                true => start + rng.between(0, 5 * MINUTE),
                false => clock.next(start, OPENS) - rng.between(0, 15 * MINUTE),
            },
            customer: NEVER,
            fault: NEVER,
            cash: FLOAT,
            ..Till::default()
        };
        let tills = std::array::from_fn(&mut till);
        Store {
            site,
            speaker,
            tills,
            lines: Default::default(),
            level: start + rng.between(0, LEVEL_EVERY),
            next_level: 0,
            delivery: clock.next(start, 6 * HOUR),
            adjustment: start + rng.wait(6.0 * HOUR as f64),
            deliveries: 0,
            stock: PRODUCTS.iter().map(|_| rng.between(LOW, PAR)).collect(),
            rng,
        }
    }

    /// When something happens next.
    pub fn next(&self) -> i64 {
        let own = self.level.min(self.delivery).min(self.adjustment);
        self.tills.iter().fold(own, |next, till| next.min(till.next()))
    }

    /// What is due now.
    pub fn step(&mut self, world: &World, road: &mut Road<'_>) {
        let now = self.next();
        let number = self.tills.iter().position(|till| till.next() == now);
        match number {
            Some(number) => self.till_step(number, now, world, road),
            None => self.stock_step(now, world, road),
        }
    }

    /// Somebody of the store who speaks: itself (none), or a till.
    fn voice<'v, 'a>(
        &'v mut self,
        till: Option<usize>,
        now: i64,
        world: &World,
        road: &'v mut Road<'a>,
    ) -> Voice<'v, 'a> {
        let index = till.map_or(0, |till| till + 1);
        let site = world.sites[self.site as usize].name;
        Voice {
            road,
            speaker: Speaker {
                number: self.speaker + index as u32,
                name: speaker_name(self.site, index as u32),
                origin: till.map_or(Origin::Store, |_| Origin::Till(index as u32)),
                site: Some(site),
            },
            line: &mut self.lines[index],
            now,
            leaves: now,
            skew: 0,
            in_maintenance: None,
            fault: None,
        }
    }

    fn till_step(&mut self, number: usize, now: i64, world: &World, road: &mut Road<'_>) {
        let till = &self.tills[number];
        if till.turn == now {
            match till.opened {
                None => self.open(number, now, world, road),
                Some(opened) => self.close(number, opened, now, world, road),
            }
        } else if till.customer == now {
            self.receipt(number, now, world, road);
        } else {
            self.device(number, now, world, road);
        }
    }

    fn open(&mut self, number: usize, now: i64, world: &World, road: &mut Road<'_>) {
        let closes = world.clock(self.site).next(now, CLOSES) + self.rng.between(0, 10 * MINUTE);
        let cashier = self.site % 30 * 10 + self.rng.below(10) as u32;
        let fault = now + self.rng.wait(9.0 * DAY as f64 / world.trouble.max(1e-9));
        let till = &mut self.tills[number];
        (till.turn, till.opened, till.cashier) = (closes, Some(now), cashier);
        (till.cash, till.receipts, till.shifts) = (FLOAT, 0, till.shifts + 1);
        if till.broken.is_none() {
            till.fault = if fault < closes { fault } else { NEVER };
        }
        self.next_customer(number, now, world);
        let (shift, currency) = (self.tills[number].shifts, world.town(self.site).currency);
        let store = world.sites[self.site as usize].name;
        self.voice(Some(number), now, world, road).say(Kind::TillOpened, |d| {
            d.text("store_id", store.as_str());
            d.text("cashier_id", names::operator(cashier).as_str());
            shift_id(store.as_str(), number, shift, d);
            d.time("opened_at", now).text("currency", currency).money("cash_amount", FLOAT);
        });
    }

    fn close(&mut self, number: usize, opened: i64, now: i64, world: &World, road: &mut Road<'_>) {
        let clock = world.clock(self.site);
        let mut opens = clock.next(now, OPENS) - self.rng.between(0, 15 * MINUTE);
        if weekday(clock.local(opens)) == 6 {
            opens += DAY;
        }
        // Counting by hand is not exact.
        let miscounted = if self.rng.one_in(6) { self.rng.between(-500, 300) } else { 0 };
        let till = &mut self.tills[number];
        let (shift, receipts, cash) = (till.shifts, till.receipts, till.cash);
        let cashier = till.cashier;
        (till.turn, till.opened, till.customer) = (opens, None, NEVER);
        let (store, currency) =
            (world.sites[self.site as usize].name, world.town(self.site).currency);
        let mut voice = self.voice(Some(number), now, world, road);
        voice.say(Kind::TillClosed, |d| {
            d.text("store_id", store.as_str());
            d.text("cashier_id", names::operator(cashier).as_str());
            shift_id(store.as_str(), number, shift, d);
            d.time("opened_at", opened).time("closed_at", now).text("currency", currency);
            d.money("cash_expected_amount", cash)
                .money("cash_counted_amount", (cash + miscounted).max(0))
                .integer("receipt_count", receipts);
        });
        if miscounted != 0 {
            voice.episode("cash_difference", opened, Some(now), |d| {
                d.money("amount", miscounted);
            });
        }
    }

    fn next_customer(&mut self, number: usize, from: i64, world: &World) {
        let clock = world.clock(self.site);
        let busiest = RECEIPTS / SiteKind::Store.mean_demand() / DAY as f64;
        let mut at = from;
        for _ in 0..100 {
            at += self.rng.wait(1.0 / busiest);
            if self.rng.chance(SiteKind::Store.demand(clock.local(at))) {
                break;
            }
        }
        let till = &mut self.tills[number];
        till.customer = if at < till.turn { at } else { NEVER };
    }

    fn receipt(&mut self, number: usize, now: i64, world: &World, road: &mut Road<'_>) {
        self.next_customer(number, now, world);
        self.tills[number].receipts += 1;
        let kind = match self.rng.below(150) {
            0 => Kind::TillRefund,
            1..3 => Kind::TillVoid,
            _ => Kind::TillSale,
        };
        let lines =
            if kind == Kind::TillSale { 1 + self.rng.below(4).min(self.rng.below(4)) } else { 1 };
        let method = self.rng.pick(&["cash", "cash", "card", "card", "card", "qr", "voucher"]);
        let mut total = 0;
        for line in 1..=lines as i64 {
            let product = self.rng.below(PRODUCTS.len() as u64) as usize;
            let quantity = if self.rng.one_in(6) { self.rng.between(2, 6) } else { 1 };
            let price = PRODUCTS[product].price;
            let discount = if self.rng.one_in(12) { quantity * price / 10 } else { 0 };
            let item = Item { product, quantity, discount };
            total += quantity * price - discount;
            // What is voided never left the shelf; what comes back is not sold again.
            if kind == Kind::TillSale {
                self.stock[product] -= quantity;
            }
            self.say_line(number, kind, line, item, method, now, world, road);
        }
        let till = &mut self.tills[number];
        match (kind, method) {
            (Kind::TillSale, "cash") => till.cash += total,
            (Kind::TillRefund, "cash") => till.cash -= total.min(till.cash),
            _ => {}
        }
        self.cash(number, now, world, road);
    }

    /// Takes what is too much out of the drawer; now and then the drawer opens without a receipt.
    fn cash(&mut self, number: usize, now: i64, world: &World, road: &mut Road<'_>) {
        let (store, currency) =
            (world.sites[self.site as usize].name, world.town(self.site).currency);
        let amount = self.tills[number].cash - FLOAT;
        let opened = self.rng.one_in(300);
        if self.tills[number].cash > DRAWER_MAX {
            self.tills[number].cash = FLOAT;
            self.voice(Some(number), now, world, road).say(Kind::CashRemoved, |d| {
                d.text("store_id", store.as_str()).text("currency", currency);
                d.money("cash_amount", amount);
            });
        } else if amount < -FLOAT / 2 {
            self.tills[number].cash = FLOAT;
            self.voice(Some(number), now, world, road).say(Kind::CashAdded, |d| {
                d.text("store_id", store.as_str()).text("currency", currency);
                d.money("cash_amount", -amount);
            });
        } else if opened {
            self.voice(Some(number), now, world, road).say(Kind::DrawerOpened, |d| {
                d.text("store_id", store.as_str());
            });
        }
    }

    #[allow(clippy::too_many_arguments)] // one receipt line, told once
    fn say_line(
        &mut self,
        number: usize,
        kind: Kind,
        line: i64,
        item: Item,
        method: &str,
        now: i64,
        world: &World,
        road: &mut Road<'_>,
    ) {
        let noise = self.rng.next();
        let (shift, receipt) = (self.tills[number].shifts, self.tills[number].receipts);
        let cashier = self.tills[number].cashier;
        let store = world.sites[self.site as usize].name;
        let currency = world.town(self.site).currency;
        let product = &PRODUCTS[item.product];
        let amount = item.quantity * product.price - item.discount;
        self.voice(Some(number), now, world, road).say(kind, |d| {
            d.text("store_id", store.as_str());
            receipt_id("receipt_id", store.as_str(), number, shift, receipt, d);
            d.integer("line_number", line);
            if kind == Kind::TillRefund {
                let earlier = (receipt - 1 - (noise >> 40) as i64 % 20).max(1);
                receipt_id("original_receipt_id", store.as_str(), number, shift, earlier, d);
                d.text(
                    "refund_reason",
                    ["damaged", "expired", "wrong_product"][noise as usize % 3],
                );
            }
            if (noise >> 8).is_multiple_of(4) {
                d.hex("loyalty_id", "loy-", noise >> 12 & 0xfff, 6);
            }
            d.text("cashier_id", names::operator(cashier).as_str())
                .text("product_id", names::product(item.product as u32).as_str())
                .integer("quantity", item.quantity)
                .text("unit", "piece")
                .money("unit_price", product.price)
                .money("discount_amount", item.discount)
                .money("amount", amount)
                .money("tax_amount", amount * product.tax / (100 + product.tax))
                .text("currency", currency)
                .text("payment_method", method);
        });
    }

    /// A device of the till fails, or works again.
    fn device(&mut self, number: usize, now: i64, world: &World, road: &mut Road<'_>) {
        let store = world.sites[self.site as usize].name;
        let lasts = self.rng.between(3 * MINUTE, 2 * HOUR);
        let device = self.rng.pick(&["printer", "scanner", "card_terminal", "drawer", "network"]);
        let till = &mut self.tills[number];
        let ended = till.broken.take();
        if ended.is_none() {
            till.faults += 1;
            till.broken = Some((device, now));
        }
        till.fault = if ended.is_none() { now + lasts } else { NEVER };
        let (fault, component) = (till.faults, ended.map_or(device, |(device, _)| device));
        let kind = if ended.is_some() { Kind::TillFaultCleared } else { Kind::TillFaultRaised };
        let mut voice = self.voice(Some(number), now, world, road);
        voice.say(kind, |d| {
            d.text("store_id", store.as_str());
            d.named("fault_id", |out| {
                out.extend_from_slice(store.bytes());
                out.extend_from_slice(b"-");
                text::number(out, number as u64 + 1);
                out.extend_from_slice(b"-f");
                text::integer(out, fault);
            });
            d.text("component", component);
        });
        if let Some((component, since)) = ended {
            voice.episode("till_fault", since, Some(now), |d| {
                d.text("component", component);
            });
        }
    }

    fn stock_step(&mut self, now: i64, world: &World, road: &mut Road<'_>) {
        if self.level == now {
            self.level = now + LEVEL_EVERY;
            let product = self.next_level;
            self.next_level = (product + 1) % PRODUCTS.len();
            // At night somebody counts what the books say by day.
            let hour = world.clock(self.site).local(now).rem_euclid(DAY) / HOUR;
            let kind = if hour == 21 { Kind::StoreCounted } else { Kind::StoreLevel };
            self.say_stock(kind, product, now, world, road, |_| {});
        } else if self.delivery == now {
            self.deliver(now, world, road);
        } else {
            self.adjustment = now + self.rng.wait(6.0 * HOUR as f64);
            let product = self.rng.below(PRODUCTS.len() as u64) as usize;
            let change = -self.rng.between(1, 4).min(self.stock[product].max(1));
            let reason = self.rng.pick(&["damaged", "expired", "stolen", "moved"]);
            self.stock[product] += change;
            self.say_stock(Kind::StoreAdjustment, product, now, world, road, |d| {
                d.integer("change_quantity", change).text("adjustment_reason", reason);
            });
        }
    }

    /// The lorry brings what is short.
    fn deliver(&mut self, now: i64, world: &World, road: &mut Road<'_>) {
        self.delivery = world.clock(self.site).next(now, 6 * HOUR);
        self.deliveries += 1;
        let (number, currency) = (self.deliveries, world.town(self.site).currency);
        let store = world.sites[self.site as usize].name;
        for (product, what) in PRODUCTS.iter().enumerate() {
            let short = PAR - self.stock[product];
            if short < PAR / 3 {
                continue;
            }
            self.stock[product] += short;
            self.say_stock(Kind::StoreDelivery, product, now, world, road, |d| {
                d.integer("change_quantity", short);
                d.named("delivery_id", |out| {
                    out.extend_from_slice(store.bytes());
                    out.extend_from_slice(b"-d");
                    text::integer(out, number);
                });
                d.text("supplier_id", "sup-1")
                    .money("unit_cost", what.price * 4 / 10)
                    .text("currency", currency)
                    .date("expires_on", now + what.shelf_life * DAY);
            });
        }
    }

    fn say_stock(
        &mut self,
        kind: Kind,
        product: usize,
        now: i64,
        world: &World,
        road: &mut Road<'_>,
        more: impl FnOnce(&mut Data<'_>),
    ) {
        let count = self.stock[product];
        self.voice(None, now, world, road).say(kind, |d| {
            d.text("product_id", names::product(product as u32).as_str())
                .text("location", "shelf")
                .integer("stock_quantity", count)
                .text("unit", "piece")
                .integer("par_level", PAR)
                .integer("low_stock_level", LOW);
            more(d);
        });
    }
}

impl Till {
    fn next(&self) -> i64 {
        self.turn.min(self.customer).min(self.fault)
    }
}

/// The name of a store's speaker: 0 is the store, then its tills.
pub fn speaker_name(site: u32, index: u32) -> names::Name {
    if index == 0 { names::site(site, true) } else { names::till(site, index) }
}

fn shift_id(store: &str, till: usize, shift: i64, d: &mut Data<'_>) {
    d.named("shift_id", |out| shift_text(store, till, shift, out));
}

fn receipt_id(name: &str, store: &str, till: usize, shift: i64, receipt: i64, d: &mut Data<'_>) {
    d.named(name, |out| {
        shift_text(store, till, shift, out);
        out.extend_from_slice(b"-r");
        text::integer(out, receipt);
    });
}

fn shift_text(store: &str, till: usize, shift: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(store.as_bytes());
    out.push(b'-');
    text::number(out, till as u64 + 1);
    out.extend_from_slice(b"-s");
    text::integer(out, shift);
}
