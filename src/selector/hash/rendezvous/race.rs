//! Members' draws for a key, against each other.

use crate::selector::{Generator, hash::permutation::SIZE};

/// The least score so far.
pub(super) struct Race<'a, F> {
    key: u64,
    /// Empty if they are equal.
    weights: &'a [u32],
    is_open: &'a F,
    pub(super) score: f64,
    pub(super) winner: Option<u32>,
}

impl<'a, F: Fn(u32) -> bool> Race<'a, F> {
    pub(super) fn new(key: u64, weights: &'a [u32], is_open: &'a F) -> Self {
        Self {
            key,
            weights,
            is_open,
            score: f64::INFINITY,
            winner: None,
        }
    }

    #[inline]
    pub(super) fn meet(&mut self, member: u32, rank: u32, slot: u32) {
        let weight = self
            .weights
            .get(member as usize)
            .map_or(1.0, |weight| f64::from(*weight));
        // −ln(1 − u) is at least u.
        if f64::from(rank) / f64::from(SIZE) / weight >= self.score || !(self.is_open)(member) {
            return;
        }
        // What is drawn is the rank and a fraction: there are shares that are less than one slot's.
        let fraction = Generator::new(self.key.rotate_left(32) ^ u64::from(slot)).next() >> 32;
        let drawn = (f64::from(rank) + (fraction as f64 + 0.5) / 2_f64.powi(32)) / f64::from(SIZE);
        let score = -(-drawn).ln_1p() / weight;
        if score < self.score {
            (self.score, self.winner) = (score, Some(member));
        }
    }

    /// From which rank on a weight can't win any more.
    pub(super) fn end(&self, weight: f64) -> u32 {
        // The 2 is for what is rounded.
        (-(-self.score * weight).exp_m1() * f64::from(SIZE) + 2.0) as u32
    }
}
