//! A permutation of 2²⁰ numbers for each key: a Feistel network of four rounds (Luby and Rackoff, "How to construct
//! pseudorandom permutations from pseudorandom functions", SIAM Journal on Computing 17 (2), 1988).

use crate::selector::Generator;

/// How many numbers are permuted.
pub(super) const SIZE: u32 = 1 << (2 * HALF);
/// The bits of half a number.
pub(super) const HALF: u32 = 10;
/// How many are permuted at once: what a compiler makes vectors of.
pub(super) const LANES: usize = 16;

/// Numbers below [`SIZE`], in two halves.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Halves {
    pub(super) high: [u16; LANES],
    pub(super) low: [u16; LANES],
}

impl Halves {
    pub(super) fn new(number: impl Fn(usize) -> u32) -> Self {
        Self {
            high: std::array::from_fn(|lane| split(number(lane)).0),
            low: std::array::from_fn(|lane| split(number(lane)).1),
        }
    }

    #[inline(always)]
    pub(super) fn get(&self, lane: usize) -> u32 {
        join(self.high[lane], self.low[lane])
    }
}

/// An order of all numbers, by a key: which rank a number has in it, and which number has a rank.
///
/// Each round adds to one half a function of the other one, ax + b modulo 2¹⁶ less its lowest bits, with an a and a b of
/// the key: 16 bits wide, as that is the widest multiplication that every x86-64 and every aarch64 does in vectors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Permutation([Round; 4]);

#[derive(Clone, Copy, Debug)]
struct Round {
    factor: u16,
    offset: u16,
}

impl Permutation {
    #[inline]
    pub(super) fn new(key: u64) -> Self {
        let mut bits = Generator::new(key);
        let (first, last) = (bits.next(), bits.next());
        let round = |bits: u64| Round {
            factor: bits as u16 | 1,
            offset: (bits >> 16) as u16,
        };
        Self([round(first), round(first >> 32), round(last), round(last >> 32)])
    }

    /// The ranks of some numbers.
    #[inline(always)]
    pub(super) fn ranks(&self, mut numbers: Halves) -> Halves {
        for (high, low) in numbers.high.iter_mut().zip(&mut numbers.low) {
            (*high, *low) = self.forth(*high, *low);
        }
        numbers
    }

    /// The numbers at so many ranks, from a multiple of [`LANES`] on.
    #[inline(always)]
    pub(super) fn numbers(&self, from: u32) -> Halves {
        let (first_high, first_low) = split(from);
        let mut numbers = Halves::default();
        for lane in 0..LANES {
            (numbers.high[lane], numbers.low[lane]) = self.back(first_high, first_low | lane as u16);
        }
        numbers
    }

    /// The rank of one number.
    #[inline]
    pub(super) fn rank(&self, number: u32) -> u32 {
        let (high, low) = split(number);
        let (high, low) = self.forth(high, low);
        join(high, low)
    }

    #[inline(always)]
    fn forth(&self, high: u16, low: u16) -> (u16, u16) {
        let high = high ^ self.mixed(0, low);
        let low = low ^ self.mixed(1, high);
        let high = high ^ self.mixed(2, low);
        let low = low ^ self.mixed(3, high);
        (high, low)
    }

    #[inline(always)]
    fn back(&self, high: u16, low: u16) -> (u16, u16) {
        let low = low ^ self.mixed(3, high);
        let high = high ^ self.mixed(2, low);
        let low = low ^ self.mixed(1, high);
        let high = high ^ self.mixed(0, low);
        (high, low)
    }

    #[inline(always)]
    fn mixed(&self, round: usize, half: u16) -> u16 {
        let Round { factor, offset } = self.0[round];
        half.wrapping_mul(factor).wrapping_add(offset) >> (16 - HALF)
    }
}

fn split(number: u32) -> (u16, u16) {
    ((number >> HALF) as u16, (number & ((1 << HALF) - 1)) as u16)
}

#[inline(always)]
fn join(high: u16, low: u16) -> u32 {
    u32::from(high) << HALF | u32::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_one_rank_and_both_ways_agree() {
        for key in [0, 1, u64::MAX, 0x5eed] {
            let permutation = Permutation::new(key);
            let mut seen = vec![false; SIZE as usize];
            for from in (0..SIZE).step_by(LANES) {
                let numbers = permutation.numbers(from);
                let ranks = permutation.ranks(numbers);
                for lane in 0..LANES {
                    let number = numbers.get(lane);
                    assert!(!std::mem::replace(&mut seen[number as usize], true));
                    assert_eq!(ranks.get(lane), from + lane as u32);
                    assert_eq!(permutation.rank(number), from + lane as u32);
                }
            }
        }
    }
}
