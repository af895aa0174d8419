//! Events that must be rejected: a good event, spoiled in one way.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use weir_contract::class::RejectClass;

use crate::rng::Rng;
use crate::stream::{Kind, Stream};
use crate::text;

/// A way to spoil an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Malformed {
    /// As this class of rejects says.
    Class(RejectClass),
    /// The machine's clock was never set: its times are of 1970.
    Clock1970,
}

impl Malformed {
    /// Every way.
    pub const ALL: [Malformed; 12] = [
        Malformed::Class(RejectClass::NullValue),
        Malformed::Class(RejectClass::NotUtf8),
        Malformed::Class(RejectClass::NotJson),
        Malformed::Class(RejectClass::DuplicateMember),
        Malformed::Class(RejectClass::Missing),
        Malformed::Class(RejectClass::WrongType),
        Malformed::Class(RejectClass::OutOfRange),
        Malformed::Class(RejectClass::BadTime),
        Malformed::Class(RejectClass::TooLarge),
        Malformed::Class(RejectClass::TooDeep),
        Malformed::Class(RejectClass::RuleFailed),
        Malformed::Clock1970,
    ];

    /// The name in flags and in the ground truth.
    pub fn name(self) -> &'static str {
        match self {
            Malformed::Class(class) => class.name(),
            Malformed::Clock1970 => "clock_1970",
        }
    }

    /// The class with which it is rejected.
    pub fn class(self) -> RejectClass {
        match self {
            Malformed::Class(class) => class,
            Malformed::Clock1970 => RejectClass::BadTime,
        }
    }

    /// Can an event of this kind be spoiled so? Hardly a rule binds the log.
    pub fn fits(self, kind: Kind) -> bool {
        self != Malformed::Class(RejectClass::RuleFailed)
            || kind.stream() != Stream::Logs
            || kind == Kind::LogCrash
    }

    /// Spoils `event`, a CloudEvent in structured JSON whose first members are `specversion` and `id`,
    /// and whose time is `time_ms`. False: what is left is a record without a value.
    pub fn spoil(self, event: &mut Vec<u8>, rng: &mut Rng, time_ms: i64) -> bool {
        let class = match self {
            Malformed::Class(class) => class,
            Malformed::Clock1970 => {
                set_time(event, rng.below(DAY_MS as u64) as i64);
                return true;
            }
        };
        match class {
            RejectClass::NullValue => {
                event.clear();
                return false;
            }
            RejectClass::NotUtf8 => replace(event, b"\"source\":\"/", b"\"source\":\"/\xff\xfe"),
            RejectClass::NotJson => not_json(event, rng),
            RejectClass::DuplicateMember => {
                replace(event, b",\"subject\":", b",\"subject\":\"vm-twice\",\"subject\":")
            }
            RejectClass::Missing => replace(event, b"\"id\":", b"\"old_id\":"),
            RejectClass::WrongType => replace_any(event, &WRONG_TYPE),
            RejectClass::OutOfRange => replace_any(event, &OUT_OF_RANGE),
            RejectClass::BadTime => bad_time(event, rng, time_ms),
            RejectClass::TooLarge => {
                let mut note = b",\"note\":\"".to_vec();
                note.resize(note.len() + 20_000, b'x');
                note.extend_from_slice(b"\",\"data\":");
                replace(event, b",\"data\":", &note)
            }
            RejectClass::TooDeep => {
                let nest = [&b",\"nest\":"[..], &[b'['; 64], &[b']'; 64], b",\"data\":"].concat();
                replace(event, b",\"data\":", &nest)
            }
            RejectClass::RuleFailed => replace_any(event, &RULE_FAILED),
        }
        true
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Malformed {
    type Err = String;

    fn from_str(text: &str) -> Result<Malformed, String> {
        Malformed::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            let names = Malformed::ALL.map(Malformed::name).join(", ");
            format!("no kind of malformed record is called {text:?}; choose of {names}")
        })
    }
}

/// Replacements; the first that fits is made.
type Edits = [(&'static [u8], &'static [u8])];

const WRONG_TYPE: [(&[u8], &[u8]); 3] = [
    (b"\"door_open\":", b"\"door_open\":1,\"was\":"),
    (b"\"currency\":", b"\"currency\":978,\"was\":"),
    (b"\"subject\":", b"\"subject\":7,\"was\":"),
];

const OUT_OF_RANGE: [(&[u8], &[u8]); 3] = [
    // Infinite as a double.
    (b"\"voltage_v\":", b"\"voltage_v\":1e999,\"was\":"),
    // More digits behind the point than the column has; rounding would change money.
    (b"\"price\":", b"\"price\":0.00001,\"was\":"),
    (b"\"id\":", b"\"id\":\"\",\"was\":"),
];

/// Each breaks a rule of the contract in whose events it fits; of `vending.logs` only crashes are bound
/// by one. Where an event has none of the columns of a rule, two are put in that contradict each other.
const RULE_FAILED: [(&[u8], &[u8]); 21] = [
    (b"\"motors_faulty_count\":", b"\"motors_faulty_count\":900,\"was\":"),
    (b"\"paid_amount\":", b"\"refund_amount\":9999,\"non_refunded_amount\":1,\"paid_amount\":"),
    (b"\"stock_count\":", b"\"stock_count\":9999,\"was\":"),
    (b"\"cleared_at\":", b"\"cleared_at\":\"2020-01-01T00:00:00Z\",\"was\":"),
    (b"\"raised_at\":", b"\"cleared_at\":\"2020-01-01T00:00:00Z\",\"raised_at\":"),
    (b"\"last_failed_at\":", b"\"last_failed_at\":\"2020-01-01T00:00:00Z\",\"was\":"),
    (b"\"update_ended_at\":", b"\"update_ended_at\":\"2020-01-01T00:00:00Z\",\"was\":"),
    (
        b"\"update_started_at\":",
        b"\"update_ended_at\":\"2020-01-01T00:00:00Z\",\"update_started_at\":",
    ),
    (b"\"tax_amount\":", b"\"tax_amount\":99999,\"was\":"),
    (b"\"low_stock_level\":", b"\"low_stock_level\":9999,\"was\":"),
    (b"\"closed_at\":", b"\"closed_at\":\"2020-01-01T00:00:00Z\",\"was\":"),
    (b"\"opened_at\":", b"\"closed_at\":\"2020-01-01T00:00:00Z\",\"opened_at\":"),
    (b"\"amount\":", b"\"amount\":0,\"was\":"),
    (b"\"connected_at\":", b"\"connected_at\":\"2020-01-01T00:00:00Z\",\"was\":"),
    (b"\"disconnected_at\":", b"\"connected_at\":\"2020-01-01T00:00:00Z\",\"disconnected_at\":"),
    (b"\"level\":\"fatal\"", b"\"level\":\"info\""),
    (b"\"trade_status\":", b"\"quantity\":1,\"price\":5,\"amount\":1,\"trade_status\":"),
    (b"\"vend_outcome\":", b"\"paid_amount\":0,\"change_amount\":1,\"vend_outcome\":"),
    (b"\"payment_method\":", b"\"paid_amount\":0,\"change_amount\":1,\"payment_method\":"),
    (b"\"power\":", b"\"motors_installed_count\":1,\"motors_faulty_count\":2,\"power\":"),
    // Of vending.security, vending.configuration, vending.connectivity and store.operations.
    (
        b"\"data\":{",
        b"\"data\":{\"first_failed_at\":\"2026-01-01T00:00:00Z\",\
          \"last_failed_at\":\"2020-01-01T00:00:00Z\",\
          \"update_started_at\":\"2026-01-01T00:00:00Z\",\
          \"update_ended_at\":\"2020-01-01T00:00:00Z\",\
          \"disconnected_at\":\"2026-01-01T00:00:00Z\",\
          \"connected_at\":\"2020-01-01T00:00:00Z\",\
          \"opened_at\":\"2026-01-01T00:00:00Z\",\
          \"closed_at\":\"2020-01-01T00:00:00Z\",",
    ),
];

const DAY_MS: i64 = 86_400_000;

fn not_json(event: &mut Vec<u8>, rng: &mut Rng) {
    match rng.below(4) {
        0 => event.truncate(event.len() / 2),
        1 => event.extend_from_slice(b"{}"),
        2 => replace(event, b"\"data\":", b"\"nan\":NaN,\"data\":"),
        _ => {
            event.insert(0, b'[');
            event.push(b']');
        }
    }
}

fn bad_time(event: &mut Vec<u8>, rng: &mut Rng, time_ms: i64) {
    match rng.below(4) {
        0 => replace(event, b"\"time\":\"", b"\"time\":\"yesterday\",\"was\":\""),
        // A clock that was never set.
        1 => set_time(event, rng.below(DAY_MS as u64) as i64),
        2 => set_time(event, time_ms + 30 * DAY_MS),
        // Without a zone.
        _ => {
            if let Some(at) = find(event, b"\"time\":\"") {
                event.remove(at + b"\"time\":\"0000-00-00T00:00:00.000".len());
            }
        }
    }
}

/// Writes another time over the event's own.
fn set_time(event: &mut [u8], time_ms: i64) {
    let mut now = Vec::with_capacity(32);
    text::time(&mut now, time_ms);
    if let Some(at) = find(event, b"\"time\":\"") {
        let from = at + b"\"time\":\"".len();
        event[from..from + now.len()].copy_from_slice(&now);
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// Replaces the first `from`.
fn replace(text: &mut Vec<u8>, from: &[u8], to: &[u8]) {
    let at = find(text, from);
    debug_assert!(at.is_some(), "no {} to replace", String::from_utf8_lossy(from));
    if let Some(at) = at {
        text.splice(at..at + from.len(), to.iter().copied());
    }
}

fn replace_any(text: &mut Vec<u8>, edits: &'static Edits) {
    let fitting = edits.iter().find(|(from, _)| find(text, from).is_some());
    if let Some((from, to)) = fitting {
        replace(text, from, to);
    }
}

/// What a user writes: a share for one kind (`not_json=0.01`), or for all of them together (`0.01`).
pub type Share = (Option<Malformed>, f64);

/// Reads a [`Share`].
pub fn share(text: &str) -> Result<Share, String> {
    let (kind, number) = match text.split_once('=') {
        Some((kind, number)) => (Some(kind.parse()?), number),
        None => (None, text),
    };
    match number.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok((kind, share)),
        _ => Err(format!("{number:?} is no share from 0 to 1, for example 0.001")),
    }
}

/// The share of each kind, in the order in which they were written: the later wins.
pub fn shares(written: &[Share]) -> BTreeMap<Malformed, f64> {
    let mut shares = BTreeMap::new();
    for (kind, share) in written {
        match kind {
            Some(kind) => {
                shares.insert(*kind, *share);
            }
            None => {
                shares =
                    Malformed::ALL.map(|kind| (kind, share / Malformed::ALL.len() as f64)).into()
            }
        }
    }
    shares
}
