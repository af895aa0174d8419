//! Accounts that trade: by day and on working days, within their terms as a rule.

use crate::data::Data;
use crate::names;
use crate::rng::Rng;
use crate::road::{Line, Origin, Road, Speaker, Voice};
use crate::stream::Kind;
use crate::world::{DAY, HOUR, World, weekday};

/// Trades of an account on a working day.
const TRADES: f64 = 12.0;
/// Events per account and day, about.
pub const EVENTS_PER_DAY: f64 = TRADES * 1.4 * 5.0 / 7.0;
/// Hours of trading (UTC), on working days.
const HOURS: std::ops::Range<i64> = 7 * HOUR..20 * HOUR;
/// An account begins a burst of trades once in so many.
const BURST: u64 = 400;
const NEVER: i64 = i64::MAX;

/// Symbols, and their prices about, hundredths of a dollar.
const SYMBOLS: [(&str, i64); 10] = [
    ("ACME", 14_250),
    ("BREW", 4_180),
    ("COLD", 2_735),
    ("DRNK", 8_810),
    ("ENRG", 1_990),
    ("FLOW", 31_400),
    ("GRAB", 760),
    ("HEAT", 5_525),
    ("ICEX", 12_075),
    ("JUCE", 345),
];

/// What an account may do, as `ref.accounts` says.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// `active`, `suspended` or `closed`.
    pub status: &'static str,
    /// Whose account it is.
    pub kind: &'static str,
    /// Where it is held.
    pub country: &'static str,
    /// A symbol in which it may not trade.
    pub denied: Option<&'static str>,
    /// The most that one trade may be worth, hundredths of a dollar.
    pub trade_limit: i64,
}

/// How many accounts there are.
pub fn count(world: &World) -> u32 {
    20 + world.machines / 10
}

/// The terms of an account.
pub fn terms(world: &World, index: u32) -> Terms {
    let mut rng = Rng::new(world.hash(11, index.into()));
    let kind = rng.pick(&["private", "private", "private", "institutional", "internal"]);
    Terms {
        status: match rng.below(25) {
            0 => "suspended",
            1 => "closed",
            _ => "active",
        },
        kind,
        country: rng.pick(&["AT", "DE", "FR", "GB", "US"]),
        denied: if rng.one_in(8) { Some(rng.pick(&SYMBOLS).0) } else { None },
        trade_limit: if kind == "private" { 2_500_000 } else { 25_000_000 },
    }
}

/// An account.
#[derive(Debug)]
pub struct Account {
    index: u32,
    speaker: u32,
    rng: Rng,
    line: Line,
    terms: Terms,
    due: i64,
    trades: i64,
    /// A trade that is not executed yet, and when that is decided.
    pending: Option<(Deal, i64)>,
    /// Trades that are left of a burst.
    burst: u64,
    burst_since: i64,
}

/// A trade.
#[derive(Debug, Clone, Copy)]
struct Deal {
    number: i64,
    symbol: usize,
    made: i64,
}

impl Account {
    /// Account `index`, which speaks under `speaker`.
    pub fn new(world: &World, index: u32, speaker: u32) -> Account {
        let mut account = Account {
            index,
            speaker,
            rng: Rng::new(world.hash(12, index.into())),
            line: Line::default(),
            terms: terms(world, index),
            due: NEVER,
            trades: 0,
            pending: None,
            burst: 0,
            burst_since: 0,
        };
        account.next_trade(world.start);
        account
    }

    /// When something happens next.
    pub fn next(&self) -> i64 {
        self.pending.map_or(self.due, |(_, decided)| self.due.min(decided))
    }

    /// What is due now.
    pub fn step(&mut self, world: &World, road: &mut Road<'_>) {
        let now = self.next();
        let mut line = self.line;
        let mut voice = Voice {
            road,
            speaker: Speaker {
                number: self.speaker,
                name: names::account(self.index),
                origin: Origin::Desk,
                site: None,
            },
            line: &mut line,
            now,
            leaves: now,
            skew: 0,
            in_maintenance: None,
            fault: None,
        };
        match self.pending {
            Some((deal, decided)) if decided == now => {
                self.pending = None;
                self.decide(deal, &mut voice);
            }
            _ => self.trade(world, &mut voice),
        }
        self.line = line;
    }

    fn next_trade(&mut self, from: i64) {
        if self.burst > 0 {
            self.due = from + self.rng.between(200, 2_000);
            return;
        }
        let mean = (HOURS.end - HOURS.start) as f64 / TRADES;
        let at = from + self.rng.wait(mean);
        // The time that is closed is passed over.
        let closed = |at: i64| weekday(at) >= 5 || !HOURS.contains(&at.rem_euclid(DAY));
        self.due = if !closed(at) {
            at
        } else {
            let mut day = at.div_euclid(DAY) * DAY;
            if at >= day + HOURS.start {
                day += DAY;
            }
            while weekday(day) >= 5 {
                day += DAY;
            }
            day + HOURS.start + self.rng.wait(mean).min(HOURS.end - HOURS.start - 1)
        };
    }

    fn trade(&mut self, world: &World, v: &mut Voice<'_, '_>) {
        if self.burst > 0 {
            self.burst -= 1;
            if self.burst == 0 {
                v.episode("trade_burst", self.burst_since, Some(v.now), |_| {});
            }
        } else if world.trouble > 0.0 && self.rng.one_in(BURST) {
            self.burst = 20 + self.rng.below(60);
            self.burst_since = v.now;
        }
        self.next_trade(v.now);
        self.trades += 1;
        let symbol = self.rng.below(SYMBOLS.len() as u64) as usize;
        let deal = Deal { number: self.trades, symbol, made: v.now };
        let (name, _) = SYMBOLS[symbol];
        let price = price(world, symbol, v.now);
        // Most are small; some are more than the account may.
        let budget = self.terms.trade_limit / if self.rng.one_in(60) { 1 } else { 20 };
        let quantity = 1 + self.rng.below((budget * 3 / 2 / price).max(1) as u64) as i64;
        let amount = quantity * price;
        let breach = if self.terms.status != "active" {
            Some("account_status")
        } else if self.terms.denied == Some(name) {
            Some("other")
        } else if amount > self.terms.trade_limit {
            Some("limit")
        } else {
            None
        };
        // The trading system notices it as a rule; rules find what it lets pass.
        let noticed = breach.is_some() && (world.trouble == 0.0 || !self.rng.one_in(4));
        let status = match (noticed, self.rng.below(10)) {
            (true, _) => "rejected",
            (false, 0..6) => "executed",
            (false, _) if self.pending.is_none() => "pending",
            (false, _) => "executed",
        };
        if status == "pending" {
            self.pending = Some((deal, v.now + self.rng.between(300, 30_000)));
        }
        if let Some(reason) = breach.filter(|_| !noticed) {
            v.episode("trade_breach", v.now, Some(v.now), |d| {
                self.trade_id(deal, d);
                d.text("reason", reason);
            });
        }
        let side = self.rng.pick(&["buy", "sell"]);
        let account_status = self.terms.status;
        v.say(Kind::Trade, |d| {
            self.trade_id(deal, d);
            d.text("symbol", name)
                .text("venue", "XWEI")
                .text("side", side)
                .integer("quantity", quantity)
                .money("price", price)
                .money("amount", amount)
                .money("fee_amount", 100 + amount / 1000)
                .text("currency", "USD")
                .text("trade_status", status)
                .text("account_status", account_status);
            match status {
                "rejected" => d.text("status_reason", breach.unwrap_or("other")),
                "executed" => d.time("executed_at", deal.made),
                _ => d,
            };
        });
    }

    /// A pending trade is executed, or not.
    fn decide(&mut self, deal: Deal, v: &mut Voice<'_, '_>) {
        let cancelled = self.rng.one_in(12);
        let now = v.now;
        v.say(Kind::TradeStatus, |d| {
            self.trade_id(deal, d);
            d.text("symbol", SYMBOLS[deal.symbol].0);
            match cancelled {
                true => d.text("trade_status", "cancelled").text("status_reason", "requested"),
                false => d.text("trade_status", "executed").time("executed_at", now),
            };
        });
    }

    fn trade_id(&self, deal: Deal, d: &mut Data<'_>) {
        let number = u64::from(self.index) << 32 | deal.number as u64;
        d.hex("trade_id", "tr-", crate::rng::mix(number ^ deal.made as u64), 16);
    }
}

/// The price of a symbol, hundredths of a dollar: it wanders by the hour and by the minute.
fn price(world: &World, symbol: usize, now: i64) -> i64 {
    let base = SYMBOLS[symbol].1;
    let wander = |every: i64, most: i64| {
        let (step, rest) = (now.div_euclid(every), now.rem_euclid(every));
        let point = |step: i64| {
            (world.hash(13, (symbol as u64) << 56 ^ step as u64) % (2 * most + 1) as u64) as i64
                - most
        };
        (point(step) * (every - rest) + point(step + 1) * rest) / every
    };
    // Parts in ten thousand.
    (base + base * (wander(HOUR, 300) + wander(60_000, 30)) / 10_000).max(1)
}
