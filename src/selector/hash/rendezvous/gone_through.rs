//! Members that are found by going through the slots of a key's order.

use super::race::Race;
use crate::selector::hash::{
    permutation::{LANES, Permutation, SIZE},
    slots::Taken,
};

/// Members that are found by going through the slots.
#[derive(Debug)]
pub(super) struct GoneThrough {
    taken: Taken,
    heaviest: f64,
    /// How far to go.
    pub(super) patience: u32,
}

impl GoneThrough {
    pub(super) fn new(slots: &[u32], members: &[u32], weights: Option<&[u32]>) -> Self {
        let weight = |member: &u32| weights.map_or(1.0, |weights| f64::from(weights[*member as usize]));
        let total: f64 = members.iter().map(weight).sum();
        let heaviest = members.iter().map(weight).fold(0.0, f64::max);
        Self {
            taken: Taken::new(slots, members),
            heaviest,
            // Of keys that find all open, less than one in e¹⁶ = 9 million goes farther.
            patience: (16.0 * f64::from(SIZE) * heaviest / total).min(f64::from(SIZE)) as u32,
        }
    }

    /// Tells of each member by rank, with its slot, as far as the rank that is answered; whether it came so far.
    #[inline(always)]
    fn go(&self, permutation: &Permutation, mut end: u32, mut meet: impl FnMut(u32, u32) -> u32) -> bool {
        let mut from = 0;
        while from < end.min(self.patience) {
            let numbers = permutation.numbers(from);
            let any = (0..LANES).fold(0, |any, lane| any | self.taken.bit(numbers.get(lane)));
            if any & 1 != 0 {
                for (lane, rank) in (from..).enumerate().take(LANES) {
                    let slot = numbers.get(lane);
                    if self.taken.bit(slot) & 1 != 0 && rank < end {
                        end = meet(rank, slot);
                    }
                }
            }
            from += LANES as u32;
        }
        from >= end.min(SIZE)
    }

    /// Of equal weights.
    #[inline]
    pub(super) fn first(&self, permutation: &Permutation, is_open: impl Fn(u32) -> bool) -> Option<u32> {
        let mut first = None;
        self.go(permutation, u32::MAX, |_, slot| {
            let member = self.taken.holder(slot);
            if is_open(member) {
                first = Some(member);
                return 0;
            }
            u32::MAX
        });
        first
    }

    /// Of different weights.
    pub(super) fn run(&self, permutation: &Permutation, race: &mut Race<'_, impl Fn(u32) -> bool>) -> Option<u32> {
        let end = race.end(self.heaviest);
        let came = self.go(permutation, end, |rank, slot| {
            race.meet(self.taken.holder(slot), rank, slot);
            race.end(self.heaviest)
        });
        race.winner.filter(|_| came)
    }
}
