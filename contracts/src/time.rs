//! Times (RFC 3339) and dates, as numbers since 1970-01-01.

/// Microseconds of a day.
pub(crate) const DAY_US: i64 = 86_400_000_000;

const FORM: &str = "is not a time of the form 2026-01-31T23:59:59.123Z";
const DATE_FORM: &str = "is not a date of the form 2026-01-31";
const NO_DAY: &str = "names a day that does not exist";
const NO_CLOCK: &str = "names an hour, minute or second that does not exist (24:00 and leap \
                        seconds are refused)";
const NO_ZONE: &str = "has no zone; it must end with Z or an offset such as +02:00";

/// µs since 1970-01-01T00:00:00Z of an RFC 3339 time; digits beyond the sixth behind the point are
/// cut. Else what is wrong with it, to be put behind its text.
#[inline]
pub(crate) fn timestamp(text: &[u8]) -> Result<i64, &'static str> {
    let Some((head, mut tail)) = text.split_first_chunk::<19>() else { return Err(FORM) };
    let (day, clock) = match head.split_first_chunk::<10>() {
        Some((day, [b'T' | b't', clock @ ..])) => (date(day)?, clock),
        _ => return Err(FORM),
    };
    let &[h1, h0, b':', m1, m0, b':', s1, s0] = clock else { return Err(FORM) };
    let (Some(hour), Some(minute), Some(second)) = (two(h1, h0), two(m1, m0), two(s1, s0)) else {
        return Err(FORM);
    };
    if hour > 23 || minute > 59 || second > 59 {
        return Err(NO_CLOCK);
    }
    let mut fraction = 0;
    if let [b'.', rest @ ..] = tail {
        (fraction, tail) = micros(rest)?;
    }
    let offset = zone(tail)?;
    let seconds = i64::from(day) * 86_400 + hour * 3600 + minute * 60 + second - offset * 60;
    Ok(seconds * 1_000_000 + fraction)
}

/// Days since 1970-01-01 of `YYYY-MM-DD`.
pub(crate) fn day(text: &[u8]) -> Result<i32, &'static str> {
    match <&[u8; 10]>::try_from(text) {
        Ok(text) => date(text).map_err(|fault| if fault == FORM { DATE_FORM } else { fault }),
        Err(_) => Err(DATE_FORM),
    }
}

#[inline]
fn date(text: &[u8; 10]) -> Result<i32, &'static str> {
    let &[c1, c0, y1, y0, b'-', m1, m0, b'-', d1, d0] = text else { return Err(FORM) };
    let (Some(century), Some(year)) = (two(c1, c0), two(y1, y0)) else { return Err(FORM) };
    let (Some(month), Some(day)) = (two(m1, m0), two(d1, d0)) else { return Err(FORM) };
    let year = century * 100 + year;
    if !(1..=12).contains(&month) || day < 1 || day > month_days(year, month) {
        return Err(NO_DAY);
    }
    Ok(days(year, month, day))
}

#[inline]
fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar, years from March on, so that the leap
/// day comes last (H. Hinnant, "chrono-compatible low-level date algorithms").
#[inline]
fn days(year: i64, month: i64, day: i64) -> i32 {
    let (year, month) = if month <= 2 { (year + 399, month + 9) } else { (year + 400, month - 3) };
    let (era, year) = (year / 400, year % 400);
    let day = (153 * month + 2) / 5 + day - 1 + year * 365 + year / 4 - year / 100;
    (era * 146_097 + day - 719_468 - 146_097) as i32
}

/// µs of the digits behind the point, and what follows them.
#[inline]
fn micros(text: &[u8]) -> Result<(i64, &[u8]), &'static str> {
    let count = text.iter().take_while(|b| b.is_ascii_digit()).count();
    if count == 0 {
        return Err(FORM);
    }
    let (digits, rest) = text.split_at(count);
    let kept = digits.len().min(6);
    let value = digits[..kept].iter().fold(0, |value, b| value * 10 + i64::from(b - b'0'));
    const SCALE: [i64; 7] = [1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
    Ok((value * SCALE[kept], rest))
}

/// Minutes east of UTC.
#[inline]
fn zone(text: &[u8]) -> Result<i64, &'static str> {
    match *text {
        [b'Z' | b'z'] => Ok(0),
        [] => Err(NO_ZONE),
        [sign @ (b'+' | b'-'), h1, h0, b':', m1, m0] => match (two(h1, h0), two(m1, m0)) {
            (Some(hours @ 0..=23), Some(minutes @ 0..=59)) => {
                Ok((hours * 60 + minutes) * if sign == b'-' { -1 } else { 1 })
            }
            _ => Err(FORM),
        },
        _ => Err(FORM),
    }
}

#[inline(always)]
fn two(tens: u8, ones: u8) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| i64::from(tens) * 10 + i64::from(ones))
}

/// An instant as RFC 3339 with microseconds, for messages.
pub(crate) fn render(us: i64) -> String {
    match chrono::DateTime::from_timestamp_micros(us) {
        Some(time) => time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
        None => format!("{us} µs since 1970"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times() {
        let cases: &[(&str, Result<i64, &str>)] = &[
            ("1970-01-01T00:00:00Z", Ok(0)),
            ("2026-11-21T10:15:30.123Z", Ok(1_795_256_130_123_000)),
            ("2026-11-21t10:15:30.123z", Ok(1_795_256_130_123_000)),
            ("2026-11-21T12:15:30.123+02:00", Ok(1_795_256_130_123_000)),
            ("2026-11-21T05:45:30.123-04:30", Ok(1_795_256_130_123_000)),
            ("2026-11-21T10:15:30.123-00:00", Ok(1_795_256_130_123_000)),
            ("2026-11-21T10:15:30.1Z", Ok(1_795_256_130_100_000)),
            ("2026-11-21T10:15:30.1234569999Z", Ok(1_795_256_130_123_456)),
            ("1969-12-31T23:59:59.9999999Z", Ok(-1)),
            ("2024-02-29T00:00:00Z", Ok(1_709_164_800_000_000)),
            ("2000-02-29T00:00:00Z", Ok(951_782_400_000_000)),
            ("0000-01-01T00:00:00Z", Ok(-62_167_219_200_000_000)),
            ("9999-12-31T23:59:59.999999Z", Ok(253_402_300_799_999_999)),
            ("2026-02-29T00:00:00Z", Err(NO_DAY)),
            ("1900-02-29T00:00:00Z", Err(NO_DAY)),
            ("2026-04-31T00:00:00Z", Err(NO_DAY)),
            ("2026-00-10T00:00:00Z", Err(NO_DAY)),
            ("2026-13-10T00:00:00Z", Err(NO_DAY)),
            ("2026-01-00T00:00:00Z", Err(NO_DAY)),
            ("2026-11-21T10:15:60Z", Err(NO_CLOCK)),
            ("2026-11-21T24:00:00Z", Err(NO_CLOCK)),
            ("2026-11-21T10:60:00Z", Err(NO_CLOCK)),
            ("2026-11-21T10:15:30", Err(NO_ZONE)),
            ("2026-11-21T10:15:30.123", Err(NO_ZONE)),
            ("2026-11-21T10:15:30.Z", Err(FORM)),
            ("2026-11-21T10:15:30+0200", Err(FORM)),
            ("2026-11-21T10:15:30+24:00", Err(FORM)),
            ("2026-11-21T10:15:30+02:60", Err(FORM)),
            ("2026-11-21T10:15:30ZZ", Err(FORM)),
            ("2026-11-21 10:15:30Z", Err(FORM)),
            ("2026-11-21", Err(FORM)),
            ("", Err(FORM)),
            ("20261121T101530Z", Err(FORM)),
            ("+2026-11-21T10:15:30Z", Err(FORM)),
            ("2026-11-21T1a:15:30Z", Err(FORM)),
            ("２026-11-21T10:15:30Z", Err(FORM)),
        ];
        for (text, expected) in cases {
            assert_eq!(timestamp(text.as_bytes()), *expected, "{text}");
        }
    }

    #[test]
    fn dates() {
        assert_eq!(day(b"1970-01-02"), Ok(1));
        assert_eq!(day(b"1969-12-31"), Ok(-1));
        assert_eq!(day(b"2026-02-29"), Err(NO_DAY));
        for bad in ["2026-2-9", "2026-02-09T", "2026/02/09", "", "2026-02-0x"] {
            assert_eq!(day(bad.as_bytes()), Err(DATE_FORM), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_chrono(us in -62_167_219_200_000_000i64..=253_402_300_799_999_999) {
            prop_assert_eq!(timestamp(render(us).as_bytes()), Ok(us));
            let day_text = render(us)[..10].to_owned();
            prop_assert_eq!(day(day_text.as_bytes()).map(i64::from), Ok(us.div_euclid(DAY_US)));
        }
    }
}
