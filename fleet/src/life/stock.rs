//! Selections and what is in them: levels, low stock, sold out, refills.

use super::{Body, LEVEL_EVERY, Level, Voice};
use crate::data::Data;
use crate::names;
use crate::rng::Rng;
use crate::stream::Kind;
use crate::world::{DAY, Facing, PRODUCTS};

/// A selection.
#[derive(Debug, Clone)]
pub struct Slot {
    /// What the planogram says.
    pub facing: Facing,
    /// Products in it now.
    pub count: i64,
    /// Its motor is jammed.
    pub jammed: bool,
    last_vend: Option<i64>,
    sold_out_since: Option<i64>,
    filled_at: i64,
}

impl Slot {
    /// As full as it happens to be at `start`; some are empty.
    pub fn new(facing: Facing, rng: &mut Rng, start: i64) -> Slot {
        let count = rng.between(0, facing.par).max(rng.between(0, facing.par));
        let sold_out_since = (count == 0).then_some(start);
        let filled_at = start - rng.between(0, 2 * DAY);
        Slot { facing, count, jammed: false, last_vend: None, sold_out_since, filled_at }
    }
}

impl Body {
    /// One selection after the other says how full it is.
    pub(super) fn level_report(&mut self, v: &mut Voice<'_, '_>) {
        self.set(Level, v.now + LEVEL_EVERY);
        let slot = self.next_level;
        self.next_level = (slot + 1) % self.slots.len();
        self.say_stock(Kind::Level, slot, v, |_| {});
    }

    /// A product has left a selection.
    pub(super) fn take_one(&mut self, slot: usize, v: &mut Voice<'_, '_>) {
        let now = v.now;
        let taken = &mut self.slots[slot];
        taken.count = (taken.count - 1).max(0);
        taken.last_vend = Some(now);
        if taken.count == 0 {
            taken.sold_out_since = Some(now);
            self.say_stock(Kind::SoldOut, slot, v, |_| {});
        } else if taken.count == taken.facing.low {
            self.say_stock(Kind::LowStock, slot, v, |_| {});
        }
    }

    /// Brings a selection to its par level.
    pub(super) fn refill(&mut self, slot: usize, v: &mut Voice<'_, '_>) {
        let noise = self.rng.next();
        let before = self.slots[slot].count;
        // What is too old is thrown away.
        let life = PRODUCTS[self.slots[slot].facing.product].shelf_life * DAY;
        let old = v.now - self.slots[slot].filled_at > life / 2;
        let removed = if old { before.min((noise % 3) as i64) } else { 0 };
        let refilled = self.slots[slot].facing.par - before + removed;
        self.slots[slot].count = self.slots[slot].facing.par;
        self.slots[slot].filled_at = v.now;
        self.tell_sold_out(slot, v, Some(v.now));
        let Some(visit) = self.visit.clone() else { return };
        self.say_stock(Kind::Refill, slot, v, |d| {
            visit.id(self.index, d);
            d.text("operator_id", names::operator(visit.operator).as_str());
            d.integer("stock_count_before", before)
                .integer("refilled_count", refilled)
                .integer("removed_count", removed);
        });
    }

    /// For the ground truth: the selection was sold out, until it was refilled.
    pub(super) fn tell_sold_out(&mut self, slot: usize, v: &mut Voice<'_, '_>, until: Option<i64>) {
        let Some(since) = self.slots[slot].sold_out_since.take() else { return };
        let product = self.slots[slot].facing.product as u32;
        v.episode("sold_out", since, until, |d| {
            d.text("selection", names::selection(slot as u32).as_str())
                .text("product_id", names::product(product).as_str());
        });
    }

    fn say_stock(
        &self,
        kind: Kind,
        slot: usize,
        v: &mut Voice<'_, '_>,
        more: impl FnOnce(&mut Data<'_>),
    ) {
        let Slot { facing, count, last_vend, filled_at, .. } = &self.slots[slot];
        let (last_vend, filled_at) = (last_vend.map(|at| v.clock(at)), v.clock(*filled_at));
        v.say(kind, |d| {
            d.text("selection", names::selection(slot as u32).as_str())
                .text("product_id", names::product(facing.product as u32).as_str())
                .integer("stock_count", *count)
                .integer("capacity", facing.capacity)
                .integer("par_level", facing.par)
                .integer("low_stock_level", facing.low)
                .flag("low_stock", *count <= facing.low)
                .flag("sold_out", *count == 0);
            if let Some(at) = last_vend {
                d.time("last_vend_at", at);
            }
            d.date("expires_on", filled_at + PRODUCTS[facing.product].shelf_life * DAY);
            more(d);
        });
    }
}
