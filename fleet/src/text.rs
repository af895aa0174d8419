//! Numbers, ids, times and strings as JSON text, without allocation.

/// Two digits at once: the text of 00 to 99.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut i = 0;
    while i < 100 {
        pairs[i] = [b'0' + (i / 10) as u8, b'0' + (i % 10) as u8];
        i += 1;
    }
    pairs
};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A whole number.
pub fn number(out: &mut Vec<u8>, value: u64) {
    let mut text = [0u8; 20];
    let mut at = text.len();
    let mut rest = value;
    loop {
        at -= 1;
        text[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&text[at..]);
}

/// `unscaled` / 10^`scale`, with all its digits behind the point: (1250, 2) is 12.50.
pub fn decimal(out: &mut Vec<u8>, unscaled: i64, scale: u32) {
    if unscaled < 0 {
        out.push(b'-');
    }
    let (value, unit) = (unscaled.unsigned_abs(), 10u64.pow(scale));
    number(out, value / unit);
    out.push(b'.');
    let mut place = unit / 10;
    while place > 0 {
        out.push(b'0' + (value / place % 10) as u8);
        place /= 10;
    }
}

/// The lowest `digits` hexadecimal digits.
pub fn hex(out: &mut Vec<u8>, value: u64, digits: u32) {
    let mut text = [0u8; 16];
    for (i, digit) in text.iter_mut().enumerate() {
        *digit = HEX[(value >> (60 - 4 * i)) as usize & 15];
    }
    out.extend_from_slice(&text[16 - digits as usize..]);
}

/// A version 7 UUID: the time, then the event's number (so that no two are alike), then chance.
pub fn uuid(out: &mut Vec<u8>, time_ms: i64, i: u64, random: u64) {
    let time = time_ms as u64;
    hex(out, time >> 16, 8);
    out.push(b'-');
    hex(out, time, 4);
    out.push(b'-');
    hex(out, 0x7000 | (i >> 36 & 0xfff), 4);
    out.push(b'-');
    hex(out, 0x8000 | (i >> 22 & 0x3fff), 4);
    out.push(b'-');
    hex(out, (i & 0x3f_ffff) << 26 | random >> 38, 12);
}

/// `2026-11-21T10:15:30.123Z`; of years 0 to 9999.
pub fn time(out: &mut Vec<u8>, time_ms: i64) {
    let (days, ms) = (time_ms.div_euclid(86_400_000), time_ms.rem_euclid(86_400_000) as usize);
    // Days to a date of the Gregorian calendar, in eras of 400 years that begin in March.
    let z = days + 719_468;
    let (era, day_of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * from_march + 2) / 5 + 1) as usize;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 } as usize;
    let year = (year_of_era + era * 400 + i64::from(month <= 2)) as usize;

    let mut text = *b"0000-00-00T00:00:00.000Z";
    let mut put = |at: usize, pair: usize| text[at..at + 2].copy_from_slice(&PAIRS[pair % 100]);
    put(0, year / 100);
    put(2, year);
    put(5, month);
    put(8, day);
    put(11, ms / 3_600_000);
    put(14, ms / 60_000 % 60);
    put(17, ms / 1000 % 60);
    put(20, ms % 1000 / 10);
    text[22] = b'0' + (ms % 10) as u8;
    out.extend_from_slice(&text);
}

/// A JSON string, quoted and escaped.
pub fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                hex(out, u64::from(byte), 2);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// A signed whole number.
pub fn integer(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    number(out, value.unsigned_abs());
}

/// How many decimal digits `value` has.
pub fn digits(value: u64) -> usize {
    value.checked_ilog10().unwrap_or(0) as usize + 1
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, SecondsFormat};

    use super::*;
    use crate::rng::Rng;

    fn text(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn times_are_the_calendars() {
        let mut rng = Rng::new(3);
        for _ in 0..20_000 {
            let ms = rng.below(4_102_444_800_000 * 2) as i64 - 4_000_000_000_000;
            let expected = DateTime::from_timestamp_millis(ms).unwrap();
            let expected = expected.to_rfc3339_opts(SecondsFormat::Millis, true);
            assert_eq!(text(|out| time(out, ms)), expected);
        }
    }

    #[test]
    fn decimals_keep_their_digits() {
        assert_eq!(text(|out| decimal(out, 1250, 2)), "12.50");
        assert_eq!(text(|out| decimal(out, -5, 1)), "-0.5");
        assert_eq!(text(|out| decimal(out, 7, 2)), "0.07");
    }

    #[test]
    fn strings_are_escaped_as_json_wants() {
        let hard = "a\"b\\c\nd\u{1f}é";
        let back: String = serde_json::from_str(&text(|out| string(out, hard))).unwrap();
        assert_eq!(back, hard);
    }
}
