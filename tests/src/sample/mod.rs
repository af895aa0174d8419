//! The sample events that the project makes: the same for the same seed, with values that vary as a
//! fleet's do, valid under `contracts/*.yaml`; and broken ones of every reject class.
//!
//! Events are written byte by byte, because the bench makes millions of them.

use weir_contract::class::RejectClass;
use weir_fleet::malformed::Malformed;
pub use weir_fleet::rng::Rng;
use weir_fleet::text::{decimal, hex, number, time, uuid};

/// The classes that [`bad`] makes: all but `rule_failed`, which depends on a contract's rules.
pub const CLASSES: [RejectClass; 10] = [
    RejectClass::NullValue,
    RejectClass::NotUtf8,
    RejectClass::NotJson,
    RejectClass::DuplicateMember,
    RejectClass::Missing,
    RejectClass::WrongType,
    RejectClass::OutOfRange,
    RejectClass::BadTime,
    RejectClass::TooLarge,
    RejectClass::TooDeep,
];

/// Machines in the sample fleet; ten to a site.
pub const MACHINES: u64 = 5_000;

/// Symbols that are traded.
const SYMBOLS: u64 = 200;

/// The streams that have sample events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// `vending.health`: heartbeats.
    Health,
    /// `vending.sales`: sales.
    Sales,
    /// `trades`: trades of accounts.
    Trades,
}

impl Stream {
    /// The stream of that name.
    pub fn by_name(name: &str) -> Option<Stream> {
        match name {
            "vending.health" => Some(Stream::Health),
            "vending.sales" => Some(Stream::Sales),
            "trades" => Some(Stream::Trades),
            _ => None,
        }
    }

    /// Appends event `i` of the stream to `out`; `time_ms` is the machine's clock (ms since 1970).
    /// Returns the machine's number, for the record's key.
    pub fn write(self, out: &mut Vec<u8>, i: u64, rng: &mut Rng, time_ms: i64) -> u64 {
        match self {
            Stream::Health => write_heartbeat(out, i, rng, time_ms),
            Stream::Sales => write_sale(out, i, rng, time_ms),
            Stream::Trades => write_trade(out, i, rng, time_ms),
        }
    }
}

/// A heartbeat of `vending.health`, about 420 bytes with 17 leaf members.
pub fn heartbeat(i: u64, rng: &mut Rng, time_ms: i64) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    write_heartbeat(&mut out, i, rng, time_ms);
    out
}

/// A sale of `vending.sales`.
pub fn sale(i: u64, rng: &mut Rng, time_ms: i64) -> Vec<u8> {
    let mut out = Vec::with_capacity(640);
    write_sale(&mut out, i, rng, time_ms);
    out
}

/// An event of `stream` that is rejected with `class` and nothing else; no value means a tombstone.
/// `time_ms` must also be (about) the record's Kafka time.
pub fn bad(
    stream: Stream,
    class: RejectClass,
    i: u64,
    rng: &mut Rng,
    time_ms: i64,
) -> Option<Vec<u8>> {
    let mut event = Vec::with_capacity(640);
    stream.write(&mut event, i, rng, time_ms);
    Malformed::Class(class).spoil(&mut event, rng, time_ms).then_some(event)
}

/// The key of a machine's records: `vm-00042`.
pub fn key(machine: u64) -> [u8; 8] {
    let mut key = *b"vm-00000";
    let mut rest = machine;
    for digit in key[3..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

fn write_heartbeat(out: &mut Vec<u8>, i: u64, rng: &mut Rng, time_ms: i64) -> u64 {
    let machine = rng.below(MACHINES);
    envelope(out, "vending.health.heartbeat", machine, i, rng, time_ms);
    let flag = |out: &mut Vec<u8>, name: &[u8], value: bool| {
        out.extend_from_slice(name);
        out.extend_from_slice(if value { b"true" } else { b"false" });
    };
    flag(out, b",\"data\":{\"in_maintenance\":", rng.one_in(500));
    let battery = rng.one_in(200);
    out.extend_from_slice(b",\"power\":\"");
    out.extend_from_slice(if battery { b"battery" } else { b"mains" });
    let volts = if battery { rng.between(110, 130) } else { rng.between(2240, 2360) };
    member(out, b"\",\"voltage_v\":", volts, 1);
    member(out, b",\"temperature_c\":", rng.between(-15, 420), 1);
    flag(out, b",\"door_open\":", rng.one_in(300));
    member(out, b",\"cpu_pct\":", rng.between(10, 985), 1);
    member(out, b",\"memory_pct\":", rng.between(200, 940), 1);
    member(out, b",\"disk_pct\":", rng.between(100, 970), 1);
    out.extend_from_slice(b"}}");
    machine
}

/// Two events speak of one transaction: what both must agree on follows from its number alone.
fn write_sale(out: &mut Vec<u8>, i: u64, rng: &mut Rng, time_ms: i64) -> u64 {
    let mut facts = Rng::new(i / 2);
    let transaction = facts.next();
    let machine = facts.below(MACHINES);
    let product = facts.below(120);
    // A product has its price, which its machine's site may raise a little.
    let price = 90 + (product as i64 * 7) % 260 + 5 * (machine as i64 / 10 % 3);
    let method = facts.pick(&["cash", "card", "card", "card", "qr"]);
    let payment = facts.below(100);
    let (kind, outcome): (_, &[u8]) = match (i % 2, payment) {
        (0, 0..95) => ("vending.sales.payment", b"\"payment_outcome\":\"succeeded\""),
        (0, 95..98) => (
            "vending.sales.payment",
            b"\"payment_outcome\":\"failed\",\"payment_fail_status\":\"declined\"",
        ),
        (0, _) => ("vending.sales.payment", b"\"payment_outcome\":\"cancelled_by_user\""),
        // The second try.
        (_, 95..98) => ("vending.sales.payment", b"\"payment_outcome\":\"succeeded\""),
        (_, 98..) => (
            "vending.sales.refund",
            b"\"refund_outcome\":\"succeeded\",\"refund_reason\":\"cancelled_by_user\"",
        ),
        (_, _) if rng.one_in(40) => (
            "vending.sales.vend",
            b"\"vend_outcome\":\"failed\",\"vend_fail_status\":\"motor_jam\"",
        ),
        (_, _) => ("vending.sales.vend", b"\"vend_outcome\":\"succeeded\""),
    };
    envelope(out, kind, machine, i, rng, time_ms);
    out.extend_from_slice(b",\"data\":{\"in_maintenance\":false,\"transaction_id\":\"tx-");
    hex(out, transaction, 16);
    out.extend_from_slice(b"\",\"selection\":\"");
    out.push(b'A' + (product % 6) as u8);
    number(out, 1 + product % 9);
    out.extend_from_slice(b"\",\"product_id\":\"sku-");
    number(out, 1000 + product);
    member(out, b"\",\"price\":", price, 2);
    out.extend_from_slice(b",\"currency\":\"");
    out.extend_from_slice(["EUR", "USD", "GBP"][(machine / 10 % 3) as usize].as_bytes());
    out.extend_from_slice(b"\",\"payment_method\":\"");
    out.extend_from_slice(method.as_bytes());
    out.extend_from_slice(b"\",");
    out.extend_from_slice(outcome);
    match kind {
        "vending.sales.payment" if outcome.ends_with(b"succeeded\"") => {
            member(out, b",\"paid_amount\":", price, 2);
        }
        "vending.sales.vend" => out.extend_from_slice(b",\"vend_mode\":\"paid\""),
        "vending.sales.refund" => member(out, b",\"refund_amount\":", price, 2),
        _ => {}
    }
    out.extend_from_slice(b"}}");
    machine
}

/// A trade of one of a few symbols by one of many accounts, about 430 bytes.
fn write_trade(out: &mut Vec<u8>, i: u64, rng: &mut Rng, time_ms: i64) -> u64 {
    let account = rng.below(MACHINES);
    out.extend_from_slice(b"{\"specversion\":\"1.0\",\"id\":\"");
    uuid(out, time_ms, i, rng.next());
    out.extend_from_slice(
        b"\",\"source\":\"/trading/desk-1\",\"type\":\"trades.trade\",\"subject\":\"ac-",
    );
    out.extend_from_slice(&key(account)[3..]);
    out.extend_from_slice(b"\",\"time\":\"");
    time(out, time_ms);
    out.extend_from_slice(b"\",\"data\":{\"trade_id\":\"tr-");
    hex(out, rng.next(), 16);
    let symbol = rng.below(SYMBOLS);
    out.extend_from_slice(b"\",\"symbol\":\"S");
    number(out, 100 + symbol);
    out.extend_from_slice(b"\",\"venue\":\"XWEI\",\"side\":\"");
    out.extend_from_slice(if rng.one_in(2) { b"buy" } else { b"sell" });
    let (quantity, price) = (rng.between(1, 500), 1_000 + 37 * symbol as i64 + rng.between(0, 90));
    out.extend_from_slice(b"\",\"quantity\":");
    number(out, quantity as u64);
    member(out, b",\"price\":", price, 2);
    member(out, b",\"amount\":", quantity * price, 2);
    member(out, b",\"fee_amount\":", quantity * price / 1_000, 2);
    out.extend_from_slice(
        b",\"currency\":\"USD\",\"trade_status\":\"pending\",\"account_status\":\"active\"}}",
    );
    account
}

/// The CloudEvents attributes, without the closing brace: `{"specversion":…,"traceid":"…"`.
fn envelope(out: &mut Vec<u8>, kind: &str, machine: u64, i: u64, rng: &mut Rng, time_ms: i64) {
    let name = key(machine);
    out.extend_from_slice(b"{\"specversion\":\"1.0\",\"id\":\"");
    uuid(out, time_ms, i, rng.next());
    out.extend_from_slice(b"\",\"source\":\"/machines/");
    out.extend_from_slice(&name);
    out.extend_from_slice(b"\",\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"subject\":\"");
    out.extend_from_slice(&name);
    out.extend_from_slice(b"\",\"time\":\"");
    time(out, time_ms);
    out.extend_from_slice(b"\",\"receivedat\":\"");
    time(out, time_ms + 40 + rng.below(900) as i64);
    out.extend_from_slice(b"\",\"siteid\":\"site-");
    out.extend_from_slice(&key(machine / 10)[5..]);
    out.extend_from_slice(b"\",\"traceid\":\"");
    hex(out, rng.next(), 16);
    hex(out, rng.next(), 16);
    out.push(b'"');
}

/// `name` (with its punctuation) and a decimal of `scale` digits behind the point.
fn member(out: &mut Vec<u8>, name: &[u8], unscaled: i64, scale: u32) {
    out.extend_from_slice(name);
    decimal(out, unscaled, scale);
}

#[cfg(test)]
mod tests;
