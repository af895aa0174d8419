//! Typed text: sizes, durations, times, versions, exact numbers, names.

use chrono::DateTime;

use super::model::Policy;

/// A size such as `16KiB`, in bytes.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let factor = |unit: &str| match unit {
        "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        _ => None,
    };
    quantity(text, factor).and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(|| {
        "a size is a whole number and B, KiB or MiB; for example \"16KiB\"".to_owned()
    })
}

/// A duration such as `90s`, in µs.
pub(super) fn duration_us(text: &str) -> Result<i64, String> {
    let factor = |unit: &str| match unit {
        "ms" => Some(1_000),
        "s" => Some(1_000_000),
        "m" => Some(60_000_000),
        "h" => Some(3_600_000_000),
        "d" => Some(86_400_000_000),
        _ => None,
    };
    quantity(text, factor).ok_or_else(|| {
        "a duration is a whole number and ms, s, m, h or d; for example \"1h\"".to_owned()
    })
}

fn quantity(text: &str, factor: impl Fn(&str) -> Option<i64>) -> Option<i64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    number.parse::<i64>().ok()?.checked_mul(factor(unit)?)
}

/// An RFC 3339 time with a zone, in µs since 1970-01-01T00:00:00Z.
pub(super) fn time_us(text: &str) -> Result<i64, String> {
    DateTime::parse_from_rfc3339(text).map(|time| time.timestamp_micros()).map_err(|_| {
        "a time is RFC 3339 with a zone; for example \"2020-01-01T00:00:00Z\"".to_owned()
    })
}

/// A policy.
pub(super) fn policy(text: &str) -> Result<Policy, String> {
    match text {
        "keep" => Ok(Policy::Keep),
        "hash" => Ok(Policy::Hash),
        "drop" => Ok(Policy::Drop),
        _ => Err("a policy is keep, hash or drop".into()),
    }
}

/// A whole number in decimal digits.
pub(crate) fn integer(text: &str) -> Result<i128, String> {
    text.parse::<i128>().map_err(|_| "a whole number in decimal digits is needed".to_owned())
}

/// A finite double.
pub(crate) fn double(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err("a finite number is needed".to_owned()),
    }
}

/// The unscaled value of a decimal at `scale`, exactly, with at most `precision` digits.
pub(crate) fn decimal(text: &str, precision: u8, scale: u8) -> Result<i128, String> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits_valid = whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
    if !digits_valid || whole.len() + fraction.len() == 0 {
        return Err("a number in decimal digits, without an exponent, is needed".to_owned());
    }
    let fraction = fraction.trim_end_matches('0');
    let scale = usize::from(scale);
    if fraction.len() > scale {
        return Err(format!("the column has only {scale} digits behind the point"));
    }
    let padding = "0".repeat(scale - fraction.len());
    let digits = format!("{whole}{fraction}{padding}");
    let digits = digits.trim_start_matches('0');
    if digits.len() > usize::from(precision) {
        return Err(format!("it does not fit decimal({precision},{scale})"));
    }
    // At most 38 digits, which an i128 holds.
    let unscaled = digits.bytes().fold(0i128, |sum, b| sum * 10 + i128::from(b - b'0'));
    Ok(if negative { -unscaled } else { unscaled })
}

/// `decimal(p,s)` → (p, s); `None` if the text has another form. The numbers are not checked.
pub(super) fn decimal_type(text: &str) -> Option<(u32, u32)> {
    let (precision, scale) = text.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
    Some((precision.trim().parse().ok()?, scale.trim().parse().ok()?))
}

/// Is it MAJOR.MINOR.PATCH of Semantic Versioning 2.0, pre-release and build allowed?
pub(super) fn is_version(text: &str) -> bool {
    let number = |s: &str| {
        !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit()) && (s == "0" || !s.starts_with('0'))
    };
    let word = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let (rest, build) = text.split_once('+').map_or((text, None), |(a, b)| (a, Some(b)));
    let (core, pre) = rest.split_once('-').map_or((rest, None), |(a, b)| (a, Some(b)));
    // A numeric identifier of a pre-release has no leading zero.
    let pre_word = |s: &str| word(s) && (!s.bytes().all(|b| b.is_ascii_digit()) || number(s));
    core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(|p| p.split('.').all(pre_word))
        && build.is_none_or(|b| b.split('.').all(word))
}

/// Is it lower snake case that begins with a letter?
pub(crate) fn is_name(text: &str) -> bool {
    text.len() <= NAME_MAX
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Greatest length of a contract's id and of a column's name: every catalog holds it.
pub(crate) const NAME_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_have_units_and_do_not_overflow() {
        assert_eq!(size("16KiB"), Ok(16 << 10));
        assert_eq!(size("0B"), Ok(0));
        for bad in ["", "16", "KiB", "16kb", "-1B", "1.5MiB", "16 KiB", "9223372036854775807MiB"] {
            assert!(size(bad).is_err(), "{bad:?}");
        }
        assert_eq!(duration_us("250ms"), Ok(250_000));
        assert_eq!(duration_us("2d"), Ok(172_800_000_000));
        assert!(duration_us("1w").is_err());
        assert!(duration_us("9223372036854775807d").is_err());
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(decimal("12345678901234.5678", 18, 4), Ok(123_456_789_012_345_678));
        assert_eq!(decimal("-0.10", 3, 1), Ok(-1));
        assert_eq!(decimal("+.5", 2, 1), Ok(5));
        assert_eq!(decimal("000", 1, 0), Ok(0));
        assert_eq!(decimal(&"9".repeat(38), 38, 0), Ok(10i128.pow(38) - 1));
        for bad in ["0.00001", "123456789012345", "1e3", "", ".", "-", "1_0", ".nan"] {
            assert!(decimal(bad, 18, 4).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn versions() {
        for good in ["0.0.0", "1.20.300", "1.0.0-rc.1", "1.0.0+b-7", "1.0.0-a+1"] {
            assert!(is_version(good), "{good}");
        }
        for bad in ["1.0", "v1.0.0", "1.0.0.0", "01.0.0", "1.0.0-", "1.0.0-01", "1.0.x", ""] {
            assert!(!is_version(bad), "{bad}");
        }
    }
}
