//! Numbers, read from their text: integers and decimals exactly, doubles correctly rounded.

use super::scan::{Stop, not_json};

/// A number's text, taken apart in the one pass that checks its grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    pub start: usize,
    /// The position behind it.
    pub end: usize,
    pub negative: bool,
    /// All digits before the exponent as one integer; meaningless beyond [`Number::EXACT`] digits.
    mantissa: u64,
    /// How many digits `mantissa` has been given.
    digits: usize,
    /// How many of them stand behind the point.
    fraction: i64,
    /// The written exponent, cut at ±10^12.
    exponent: i64,
    /// Neither point nor exponent.
    pub integer: bool,
}

/// Why a number is no decimal of the column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DecimalFault {
    /// It has more digits behind the point than the scale, and they are not zero.
    Scale,
    /// It has more digits than the precision.
    Precision,
}

const EXPONENT_MAX: i64 = 1_000_000_000_000;

impl Number {
    /// Any so many digits fit the mantissa.
    const EXACT: usize = 19;

    /// The value of an integer literal, if it fits.
    #[inline]
    pub fn as_i64(&self) -> Option<i64> {
        if self.digits > Number::EXACT {
            return None;
        }
        if self.negative {
            0i64.checked_sub_unsigned(self.mantissa)
        } else {
            i64::try_from(self.mantissa).ok()
        }
    }

    /// The nearest double; infinite where none is near. `text` is what the number was read from.
    #[inline]
    pub fn as_f64(&self, text: &[u8]) -> f64 {
        let power = self.exponent - self.fraction;
        // Both operands are exact, so the one rounding of the operation is the right one.
        if self.digits <= Number::EXACT && self.mantissa <= 1 << 53 && (-22..=22).contains(&power) {
            let digits = self.mantissa as f64;
            let scale = POWERS[power.unsigned_abs() as usize];
            let value = if power < 0 { digits / scale } else { digits * scale };
            return if self.negative { -value } else { value };
        }
        let literal = text.get(self.start..self.end).unwrap_or_default();
        fast_float2::parse(literal).unwrap_or(f64::NAN)
    }

    /// The value times 10^`scale`, exactly, if it has at most `precision` digits.
    #[inline]
    pub fn as_decimal(&self, text: &[u8], precision: u8, scale: u8) -> Result<i128, DecimalFault> {
        let shift = self.exponent - self.fraction + i64::from(scale);
        let unscaled = if self.digits <= Number::EXACT && (0..=18).contains(&shift) {
            i128::from(self.mantissa) * 10i128.pow(shift as u32)
        } else {
            let literal = text.get(self.start..self.end).unwrap_or_default();
            unscaled(literal, shift)?
        };
        if unscaled >= limit(precision) {
            return Err(DecimalFault::Precision);
        }
        Ok(if self.negative { -unscaled } else { unscaled })
    }
}

/// The first number that has more than `precision` digits.
fn limit(precision: u8) -> i128 {
    10i128.checked_pow(u32::from(precision)).unwrap_or(i128::MAX)
}

/// The digits of a number's text as an integer, times 10^`shift`; without the sign.
fn unscaled(literal: &[u8], mut shift: i64) -> Result<i128, DecimalFault> {
    let digits = || literal.iter().take_while(|b| !matches!(b, b'e' | b'E'));
    let digits = || digits().filter(|b| b.is_ascii_digit()).map(|b| i128::from(b - b'0'));
    // Where the scale has no place for the last digits, they must be zeros.
    let count = digits().count();
    let cut = usize::try_from(-shift.min(0)).unwrap_or(usize::MAX).min(count);
    if digits().skip(count - cut).any(|digit| digit != 0) {
        return Err(DecimalFault::Scale);
    }
    shift = shift.max(0);
    let mut value = 0i128;
    for digit in digits().take(count - cut) {
        let longer = value.checked_mul(10).and_then(|value| value.checked_add(digit));
        value = longer.ok_or(DecimalFault::Precision)?;
    }
    if value == 0 {
        return Ok(0);
    }
    let power = u32::try_from(shift).ok().and_then(|shift| 10i128.checked_pow(shift));
    power.and_then(|power| value.checked_mul(power)).ok_or(DecimalFault::Precision)
}

/// Reads the number that begins at `at`. What follows it is the caller's to check.
#[inline]
pub(super) fn number(text: &[u8], at: usize) -> Result<Number, Stop> {
    let negative = text.get(at) == Some(&b'-');
    let first = at + usize::from(negative);
    let (mut mantissa, mut end) = digits(text, first, 0);
    if end == first {
        return not_json(end, "a digit was expected");
    }
    if text.get(first) == Some(&b'0') && end > first + 1 {
        return not_json(first, "a number with a leading zero");
    }
    let mut number = Number {
        start: at,
        end,
        negative,
        mantissa,
        digits: end - first,
        fraction: 0,
        exponent: 0,
        integer: true,
    };
    if text.get(end) == Some(&b'.') {
        let point = end;
        (mantissa, end) = digits(text, point + 1, mantissa);
        if end == point + 1 {
            return not_json(end, "a digit was expected behind the point");
        }
        number.mantissa = mantissa;
        number.digits += end - point - 1;
        number.fraction = (end - point - 1) as i64;
        number.integer = false;
        number.end = end;
    }
    if let Some(b'e' | b'E') = text.get(end) {
        (number.exponent, number.end) = exponent(text, end + 1)?;
        number.integer = false;
    }
    Ok(number)
}

/// Appends the digits from `at` on to `value` (it wraps), and says where they end.
#[inline(always)]
fn digits(text: &[u8], mut at: usize, mut value: u64) -> (u64, usize) {
    while let Some(&byte) = text.get(at) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    (value, at)
}

#[cold]
fn exponent(text: &[u8], mut at: usize) -> Result<(i64, usize), Stop> {
    let negative = text.get(at) == Some(&b'-');
    if let Some(b'-' | b'+') = text.get(at) {
        at += 1;
    }
    let start = at;
    let mut value = 0i64;
    while let Some(&byte @ b'0'..=b'9') = text.get(at) {
        value = (value * 10 + i64::from(byte - b'0')).min(EXPONENT_MAX);
        at += 1;
    }
    if at == start {
        return not_json(at, "a digit was expected in the exponent");
    }
    Ok((if negative { -value } else { value }, at))
}

/// The powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Number {
        let number = number(text.as_bytes(), 0).unwrap_or_else(|e| panic!("{text}: {e:?}"));
        assert_eq!(number.end, text.len(), "{text}");
        number
    }

    #[test]
    fn grammar() {
        for bad in ["", "-", "+1", ".5", "1.", "01", "-01", "1e", "1e+", "1.e5", "00", "-a"] {
            assert!(number(bad.as_bytes(), 0).is_err(), "{bad}");
        }
        for good in ["0", "-0", "1.50", "1e5", "1E-5", "0e+07", "-12.25e3"] {
            read(good);
        }
        assert_eq!(number(b"12]", 0).map(|n| n.end), Ok(2));
    }

    #[test]
    fn integers() {
        for value in [0, 1, -1, i64::MAX, i64::MIN, 1234567890123456789] {
            assert_eq!(read(&value.to_string()).as_i64(), Some(value));
        }
        for text in ["9223372036854775808", "-9223372036854775809", "18446744073709551616"] {
            assert_eq!(read(text).as_i64(), None, "{text}");
        }
        assert_eq!(read("100000000000000000000000").as_i64(), None);
        assert!(!read("1e0").integer && !read("1.0").integer && read("-7").integer);
    }

    #[test]
    fn decimals() {
        use DecimalFault::{Precision, Scale};
        let cases: &[(&str, u8, u8, Result<i128, DecimalFault>)] = &[
            ("12345678901234.5678", 18, 4, Ok(123456789012345678)),
            ("-12345678901234.5678", 18, 4, Ok(-123456789012345678)),
            ("99999999999999.9999", 18, 4, Ok(999999999999999999)),
            ("100000000000000", 18, 4, Err(Precision)),
            ("0.00001", 18, 4, Err(Scale)),
            ("0.00010", 18, 4, Ok(1)),
            ("1.50000000000000000000000000000", 18, 4, Ok(15000)),
            ("1.50000000000000000000000000001", 18, 4, Err(Scale)),
            ("1e-2", 18, 4, Ok(100)),
            ("1e-5", 18, 4, Err(Scale)),
            ("10e-5", 18, 4, Ok(1)),
            ("12e2", 18, 4, Ok(12000000)),
            ("1e14", 18, 4, Err(Precision)),
            ("1e13", 18, 4, Ok(100000000000000000)),
            ("0e999999999999999999999", 18, 4, Ok(0)),
            ("0e-999999999999999999999", 18, 4, Ok(0)),
            ("1e999999999999999999999", 18, 4, Err(Precision)),
            ("1e-999999999999999999999", 18, 4, Err(Scale)),
            ("-0.00", 18, 4, Ok(0)),
            ("99999999999999999999999999999999999999", 38, 0, Ok(10i128.pow(38) - 1)),
            ("100000000000000000000000000000000000000", 38, 0, Err(Precision)),
            ("170141183460469231731687303715884105728", 38, 0, Err(Precision)),
            ("0.99999999999999999999999999999999999999", 38, 38, Ok(10i128.pow(38) - 1)),
            ("1", 38, 38, Err(Precision)),
            ("9.9", 1, 0, Err(Scale)),
            ("9.0", 1, 0, Ok(9)),
        ];
        for (text, precision, scale, expected) in cases {
            let read = read(text).as_decimal(text.as_bytes(), *precision, *scale);
            assert_eq!(read, *expected, "{text}");
        }
    }

    #[test]
    fn doubles() {
        for text in ["0.1", "1e22", "1e23", "9007199254740993", "5e-324", "123456789.987654321e-5"]
        {
            let expected: f64 = text.parse().unwrap();
            assert_eq!(read(text).as_f64(text.as_bytes()).to_bits(), expected.to_bits(), "{text}");
        }
        assert_eq!(read("-0").as_f64(b"-0").to_bits(), (-0.0f64).to_bits());
        assert!(read("1e309").as_f64(b"1e309").is_infinite());
        assert_eq!(read("1e-400").as_f64(b"1e-400"), 0.0);
    }

    proptest! {
        #[test]
        fn doubles_round_as_the_standard_library(text in "-?(0|[1-9][0-9]{0,22})(\\.[0-9]{1,20})?(e[+-]?[0-9]{1,3})?") {
            let expected: f64 = text.parse().unwrap();
            prop_assert_eq!(read(&text).as_f64(text.as_bytes()).to_bits(), expected.to_bits());
        }

        #[test]
        fn both_ways_to_a_decimal_agree(
            text in "(0|[1-9][0-9]{0,12})(\\.[0-9]{1,6})?(e[+-]?[0-9]{1,2})?", scale in 0u8..=10,
        ) {
            let number = read(&text);
            let shift = number.exponent - number.fraction + i64::from(scale);
            let slow = unscaled(text.as_bytes(), shift)
                .and_then(|v| if v < limit(38) { Ok(v) } else { Err(DecimalFault::Precision) });
            prop_assert_eq!(number.as_decimal(text.as_bytes(), 38, scale), slow);
        }
    }
}
