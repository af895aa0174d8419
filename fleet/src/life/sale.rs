//! Customers: they come as the hour of the day and the site have it, choose what is there, pay or fail
//! to, and get their product, or their money back.

use super::fault::FaultKind;
use super::{Body, Customer, NEVER, Sale as SaleProcess, Voice};
use crate::data::Data;
use crate::names;
use crate::rng::mix;
use crate::stream::Kind;
use crate::world::{DAY, World};

/// Payments that fail in a row until the machine reports it; what users cancel does not count.
const FAILURES_IN_A_ROW: i64 = 3;

/// A transaction.
#[derive(Debug, Clone, Copy)]
pub struct Sale {
    slot: usize,
    number: u32,
    price: i64,
    method: &'static str,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Pay,
    Vend,
    Refund(&'static str),
}

/// Payments that failed in a row.
#[derive(Debug, Clone, Copy, Default)]
pub struct Failures {
    count: i64,
    first: i64,
    last: i64,
}

impl Body {
    /// When the next customer comes: a Poisson process at the busiest hour's rate, of which so many
    /// are left out as the hour is quieter.
    pub(super) fn next_customer(&mut self, world: &World, from: i64) {
        let site = &world.sites[self.build.site as usize];
        let busiest = self.build.demand / site.kind.mean_demand();
        let mut at = from;
        // A quiet night is crossed in some dozen draws.
        for _ in 0..1000 {
            at += self.rng.wait(DAY as f64 / busiest);
            let local = world.clock(self.build.site).local(at);
            if self.rng.chance(site.kind.demand(local)) {
                break;
            }
        }
        self.set(Customer, at);
    }

    /// A customer stands before the machine.
    pub(super) fn customer(&mut self, world: &World, v: &mut Voice<'_, '_>) {
        self.next_customer(world, v.now);
        if !self.sells() || self.sale.is_some() {
            return;
        }
        let slots = self.slots.len() as u64;
        // What stands first is liked most. Who finds it sold out takes something else, or leaves.
        let liked = [(); 2].map(|()| self.rng.below(slots).min(self.rng.below(slots)) as usize);
        let there = |slot: &usize| self.slots[*slot].count > 0 && !self.blocked(*slot);
        let Some(slot) = liked.into_iter().find(there) else { return };
        let method = match (self.rng.below(10), self.build.cash, self.build.qr) {
            (0..4, true, _) => "cash",
            (4..6, _, true) => "qr",
            _ => "card",
        };
        self.sales += 1;
        let price = self.slots[slot].facing.price;
        self.sale = Some(Sale { slot, number: self.sales, price, method, step: Step::Pay });
        let think = self.rng.between(4_000, 20_000);
        self.set(SaleProcess, v.now + think);
    }

    /// The controller has noticed that the motor is jammed.
    fn blocked(&self, slot: usize) -> bool {
        self.slots[slot].jammed && self.has(FaultKind::MotorJam)
    }

    /// The next step of the transaction.
    pub(super) fn sale_step(&mut self, world: &World, v: &mut Voice<'_, '_>) {
        let Some(sale) = self.sale else { return self.set(SaleProcess, NEVER) };
        let next = match sale.step {
            Step::Pay => self.pay(world, sale, v),
            Step::Vend => self.vend(world, sale, v),
            Step::Refund(reason) => {
                self.refund(world, sale, reason, v);
                None
            }
        };
        self.sale = next.map(|step| Sale { step, ..sale });
        let wait = self.rng.between(2_000, 7_000);
        self.set(SaleProcess, if next.is_some() { v.now + wait } else { NEVER });
    }

    fn pay(&mut self, world: &World, sale: Sale, v: &mut Voice<'_, '_>) -> Option<Step> {
        let device = self.broken_device();
        let broken = device.is_some_and(|device| device.takes(sale.method)) && !self.rng.one_in(8);
        let failed = match self.rng.below(1000) {
            0..18 => None,
            _ if broken => Some("device"),
            18..32 if sale.method != "cash" => Some("declined"),
            32..35 if sale.method != "cash" => Some("service"),
            35..36 => Some("timeout"),
            _ => return self.paid(world, sale, v),
        };
        v.say(Kind::Payment, |d| {
            self.sale_members(world, sale, d);
            match failed {
                None => d.text("payment_outcome", "cancelled_by_user"),
                Some(why) => d.text("payment_outcome", "failed").text("payment_fail_status", why),
            };
        });
        let Some(_) = failed else {
            // Who pays by card has paid nothing yet.
            return (sale.method == "cash").then_some(Step::Refund("cancelled_by_user"));
        };
        if let Some(device) = device.filter(|_| broken)
            && self.raise(device.fault(), None, v)
        {
            self.note_trouble(v.now);
        }
        self.failed_payment(sale, v);
        None
    }

    fn paid(&mut self, world: &World, sale: Sale, v: &mut Voice<'_, '_>) -> Option<Step> {
        self.failures.count = 0;
        self.clear(FaultKind::TransactionFailures, None, "recovered", v);
        // Cash comes in coins and bills.
        let up_to = |coin: i64| (sale.price + coin - 1) / coin * coin;
        let paid = match sale.method {
            "cash" => self.rng.pick(&[sale.price, up_to(50), up_to(100), up_to(200), up_to(500)]),
            _ => sale.price,
        };
        v.say(Kind::Payment, |d| {
            self.sale_members(world, sale, d);
            d.text("payment_outcome", "succeeded").money("paid_amount", paid);
            if sale.method == "cash" {
                d.money("change_amount", paid - sale.price);
            }
        });
        Some(Step::Vend)
    }

    /// Counts a payment that failed; the machine reports when too many did, one after the other.
    fn failed_payment(&mut self, sale: Sale, v: &mut Voice<'_, '_>) {
        if self.failures.count == 0 {
            self.failures.first = v.now;
        }
        self.failures.count += 1;
        self.failures.last = v.now;
        if self.failures.count != FAILURES_IN_A_ROW {
            return;
        }
        let Failures { count, first, last } = self.failures;
        let (first_at, last_at) = (v.clock(first), v.clock(last));
        v.say(Kind::PaymentFailures, |d| {
            d.integer("failed_payment_count", count)
                .time("first_failed_at", first_at)
                .time("last_failed_at", last_at);
            self.transaction_id(sale, d);
        });
        self.raise(FaultKind::TransactionFailures, None, v);
        let device = self.broken_device().map_or("none", |device| device.fault().code());
        v.episode("payment_failures", first, Some(last), |d| {
            d.integer("failed_payment_count", count).text("broken_device", device);
        });
    }

    fn vend(&mut self, world: &World, sale: Sale, v: &mut Voice<'_, '_>) -> Option<Step> {
        let failed = if self.slots[sale.slot].jammed {
            Some("motor_jam")
        } else if self.rng.one_in(if self.has(FaultKind::DeliverySensor) { 4 } else { 400 }) {
            Some("not_delivered")
        } else {
            None
        };
        v.say(Kind::Vend, |d| {
            self.sale_members(world, sale, d);
            d.text("vend_mode", "paid");
            match failed {
                None => d.text("vend_outcome", "succeeded"),
                Some(why) => d.text("vend_outcome", "failed").text("vend_fail_status", why),
            };
        });
        if failed.is_none() {
            self.take_one(sale.slot, v);
        } else if failed == Some("motor_jam")
            && self.raise(FaultKind::MotorJam, Some(sale.slot as u32), v)
        {
            self.note_trouble(v.now);
        }
        failed.map(|_| Step::Refund("vend_failed"))
    }

    fn refund(&mut self, world: &World, sale: Sale, reason: &str, v: &mut Voice<'_, '_>) {
        let failed = self.rng.one_in(40);
        v.say(Kind::Refund, |d| {
            self.sale_members(world, sale, d);
            d.text("refund_outcome", if failed { "failed" } else { "succeeded" })
                .text("refund_reason", reason)
                .money("refund_amount", if failed { 0 } else { sale.price })
                .money("non_refunded_amount", if failed { sale.price } else { 0 });
        });
    }

    /// The technician lets a selection turn once; nobody pays.
    pub(super) fn test_vend(&mut self, world: &World, slot: usize, v: &mut Voice<'_, '_>) {
        self.sales += 1;
        let price = self.slots[slot].facing.price;
        let sale = Sale { slot, number: self.sales, price, method: "", step: Step::Vend };
        v.say(Kind::Vend, |d| {
            self.sale_members(world, sale, d);
            d.text("vend_mode", "test").text("vend_outcome", "succeeded");
        });
    }

    fn transaction_id(&self, sale: Sale, d: &mut Data<'_>) {
        let number = u64::from(self.index) << 32 | u64::from(sale.number);
        d.hex("transaction_id", "tx-", mix(self.salt ^ number), 16);
    }

    fn sale_members(&self, world: &World, sale: Sale, d: &mut Data<'_>) {
        self.transaction_id(sale, d);
        let product = self.slots[sale.slot].facing.product as u32;
        d.text("selection", names::selection(sale.slot as u32).as_str())
            .text("product_id", names::product(product).as_str())
            .money("price", sale.price)
            .text("currency", world.town(self.build.site).currency);
        if !sale.method.is_empty() {
            d.text("payment_method", sale.method);
        }
        if matches!(sale.method, "card" | "qr") {
            // Customers come back.
            let payer = mix(u64::from(self.build.site) << 32 | u64::from(sale.number % 500));
            d.hex("payer_id", "tok_", payer, 16);
        }
    }
}
