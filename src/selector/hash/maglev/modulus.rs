//! Numbers modulo a prime, without division.

/// A prime, and what divides by it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Modulus {
    prime: u64,
    /// 2⁶⁴ over the prime, rounded down, or of 2 a bit less.
    reciprocal: u64,
}

impl Modulus {
    pub(super) fn new(prime: u32) -> Self {
        let prime = u64::from(prime);
        Self {
            prime,
            reciprocal: u64::MAX / prime,
        }
    }

    /// A quotient by the reciprocal is right or one too small (Granlund and Montgomery, "Division by invariant integers
    /// using multiplication", PLDI 1994, §8).
    #[inline]
    pub(super) fn rest(self, number: u64) -> u64 {
        let quotient = ((u128::from(number) * u128::from(self.reciprocal)) >> 64) as u64;
        let rest = number - quotient * self.prime;
        if rest >= self.prime { rest - self.prime } else { rest }
    }

    /// What a number from 1 up to the prime makes 1 when multiplied by: its power to the prime less 2 (Fermat).
    pub(super) fn inverse(self, number: u64) -> u64 {
        let (mut exponent, mut square, mut power) = (self.prime - 2, number, 1);
        while exponent > 0 {
            if exponent % 2 == 1 {
                power = self.rest(power * square);
            }
            square = self.rest(square * square);
            exponent /= 2;
        }
        power
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{super::LARGEST, *};
    use crate::selector::Generator;

    #[test]
    fn rests_and_inverses_are_exact() {
        for prime in [2, 3, 7, 17, 251, 65_537, LARGEST] {
            let modulus = Modulus::new(prime);
            let prime = u64::from(prime);
            let edges = [0, 1, u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) - 1, prime, prime - 1];
            let mut random = Generator::new(1);
            let multiples = (0..1_000).flat_map(|_| {
                let number = random.next();
                let multiple = number / prime * prime;
                [number, multiple, multiple.wrapping_sub(1)]
            });
            for number in edges.into_iter().chain(multiples) {
                let rest = modulus.rest(number);
                assert_eq!(rest, number % prime, "{number} of {prime}");
                assert!(
                    rest == 0 || modulus.rest(rest * modulus.inverse(rest)) == 1,
                    "{rest} of {prime}"
                );
            }
        }
    }
}
