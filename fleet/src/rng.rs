//! Pseudo-random numbers: a seed, a sequence, the same on every machine. Only integer arithmetic and
//! the four operations of IEEE 754 are used, which are exact everywhere; a platform's `ln` is not.

/// Pseudo-random numbers (SplitMix64).
#[derive(Debug, Clone)]
pub struct Rng(u64);

/// A well-mixed number for each number.
pub fn mix(value: u64) -> u64 {
    Rng(value).next()
}

impl Rng {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// The next 64 bits.
    #[allow(clippy::should_implement_trait)] // a sequence without end, not an iterator
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound` (at least 1).
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64) as i64
    }

    /// True once in `n` calls.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// True in `share` of the calls, 0 to 1.
    pub fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// From 0 to below 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// One of them.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    /// A waiting time with this mean, exponentially distributed: at least 1, at most 44 means.
    pub fn wait(&mut self, mean: f64) -> i64 {
        // In (0, 1], so that the logarithm is finite.
        let unit = ((self.next() >> 12) + 1) as f64 / (1u64 << 52) as f64;
        ((-ln(unit) * mean) as i64).max(1)
    }
}

/// The natural logarithm of a positive normal number, good to 1e-9, by exact operations only.
fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let exponent = (bits >> 52) as i64 - 1023;
    let mantissa = f64::from_bits(bits & ((1 << 52) - 1) | 1023 << 52);
    // ln m = 2 artanh((m - 1) / (m + 1)); within sqrt(2) of 1 the series converges fast.
    let (mantissa, exponent) = if mantissa > std::f64::consts::SQRT_2 {
        (mantissa / 2.0, exponent + 1)
    } else {
        (mantissa, exponent)
    };
    let t = (mantissa - 1.0) / (mantissa + 1.0);
    let s = t * t;
    let series =
        t * (1.0 + s * (1.0 / 3.0 + s * (0.2 + s * (1.0 / 7.0 + s * (1.0 / 9.0 + s / 11.0)))));
    exponent as f64 * std::f64::consts::LN_2 + 2.0 * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_good_to_nine_digits() {
        let mut rng = Rng::new(1);
        for _ in 0..100_000 {
            let x = rng.unit() + f64::MIN_POSITIVE;
            assert!((ln(x) - x.ln()).abs() < 1e-8, "{x}");
        }
    }

    #[test]
    fn waits_have_their_mean() {
        let mut rng = Rng::new(2);
        let mean = (0..100_000).map(|_| rng.wait(60_000.0) as f64).sum::<f64>() / 1e5;
        assert!((59_000.0..61_000.0).contains(&mean), "{mean}");
    }
}
