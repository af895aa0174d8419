//! Events that must be rejected, one or more ways for every reject class.

use weir_contract::class::RejectClass;

use super::{Rng, Stream, text};

/// The classes that [`bad`] makes: all but `rule_failed`, which needs a contract with rules.
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

const DAY_MS: i64 = 86_400_000;

/// An event of `stream` that is rejected with `class` and nothing else; no value means a tombstone.
/// `time_ms` must also be (about) the record's Kafka time.
pub fn bad(
    stream: Stream,
    class: RejectClass,
    i: u64,
    rng: &mut Rng,
    time_ms: i64,
) -> Option<Vec<u8>> {
    let mut good = Vec::with_capacity(640);
    stream.write(&mut good, i, rng, time_ms);
    Some(match class {
        RejectClass::NullValue => return None,
        RejectClass::NotUtf8 => replace(&good, b"/machines/", b"/mach\xff\xfenes/"),
        RejectClass::NotJson => not_json(good, rng),
        RejectClass::DuplicateMember => {
            replace(&good, b",\"subject\":", b",\"subject\":\"vm-twice\",\"subject\":")
        }
        RejectClass::Missing => replace(&good, b"\"id\":", b"\"old_id\":"),
        RejectClass::WrongType => match stream {
            Stream::Health => replace(&good, b"\"door_open\":", b"\"door_open\":1,\"was\":"),
            Stream::Sales => replace(&good, b"\"currency\":", b"\"currency\":978,\"was\":"),
        },
        RejectClass::OutOfRange => match stream {
            // Infinite as a double.
            Stream::Health => replace(&good, b"\"voltage_v\":", b"\"voltage_v\":1e999,\"was\":"),
            // More digits behind the point than the column has; rounding would change money.
            Stream::Sales => {
                replace(&good, b"\"currency\":", b"\"change_amount\":0.00001,\"currency\":")
            }
        },
        RejectClass::BadTime => bad_time(&good, rng, time_ms),
        RejectClass::TooLarge => {
            let mut note = b"\"note\":\"".to_vec();
            note.resize(note.len() + 20_000, b'x');
            note.extend_from_slice(b"\",\"siteid\":");
            replace(&good, b"\"siteid\":", &note)
        }
        RejectClass::TooDeep => {
            let mut nest = b"\"nest\":".to_vec();
            nest.extend([b'['; 64]);
            nest.extend([b']'; 64]);
            nest.extend_from_slice(b",\"siteid\":");
            replace(&good, b"\"siteid\":", &nest)
        }
        // No sample contract has rules: there is no such event.
        RejectClass::RuleFailed => good,
    })
}

fn not_json(mut good: Vec<u8>, rng: &mut Rng) -> Vec<u8> {
    match rng.below(4) {
        0 => good.truncate(good.len() / 2),
        1 => good.extend_from_slice(b"{}"),
        2 => good = replace(&good, b"\"data\":", b"\"nan\":NaN,\"data\":"),
        _ => good = [b"[", &good[..], b"]"].concat(),
    }
    good
}

fn bad_time(good: &[u8], rng: &mut Rng, time_ms: i64) -> Vec<u8> {
    let mut was = b"\"time\":\"".to_vec();
    text::time(&mut was, time_ms);
    let mut now = b"\"time\":\"".to_vec();
    match rng.below(4) {
        0 => now.extend_from_slice(b"yesterday"),
        // A clock that was never set.
        1 => text::time(&mut now, rng.below(DAY_MS as u64) as i64),
        2 => text::time(&mut now, time_ms + 30 * DAY_MS),
        _ => {
            // Without a zone.
            text::time(&mut now, time_ms);
            now.pop();
        }
    }
    replace(good, &was, &now)
}

/// Replaces the first `from`, which must be there.
fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = text.windows(from.len()).position(|window| window == from);
    assert!(at.is_some(), "the event has no {}", String::from_utf8_lossy(from));
    let at = at.unwrap_or_default();
    [&text[..at], to, &text[at + from.len()..]].concat()
}
