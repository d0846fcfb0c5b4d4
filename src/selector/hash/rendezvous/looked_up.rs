//! Members whose ranks are looked up, several at a time.

use super::race::Race;
use crate::selector::hash::permutation::{HALF, Halves, LANES, Permutation, SIZE};

/// The most members that are looked up.
pub(super) const MOST: usize = 2048;

/// Members whose ranks are looked up.
#[derive(Debug)]
pub(super) struct LookedUp {
    pub(super) members: Box<[u32]>,
    /// What is left over of the last ones repeats the last member.
    slots: Box<[Halves]>,
    /// Of 1 ∕ weight ∕ 2²⁰, a bit less; of none if the weights are equal.
    lightness: Box<[[f32; LANES]]>,
}

impl LookedUp {
    pub(super) fn new(slots: &[u32], members: &[u32], weights: Option<&[u32]>) -> Self {
        let lane = |chunk: &[u32], lane: usize| chunk[lane.min(chunk.len() - 1)] as usize;
        let halves = |chunk| Halves::new(|at| slots[lane(chunk, at)]);
        let lightness = |chunk: &[u32], weights: &[u32]| {
            // Less by more than all that is rounded.
            let lightness = |at| (1.0 - 1e-6) / f64::from(weights[lane(chunk, at)]) / f64::from(SIZE);
            std::array::from_fn(|at| lightness(at) as f32)
        };
        let chunks = || members.chunks(LANES);
        Self {
            slots: chunks().map(halves).collect(),
            lightness: weights.map_or_else(Box::default, |weights| {
                chunks().map(|chunk| lightness(chunk, weights)).collect()
            }),
            members: members.into(),
        }
    }

    /// Of equal weights.
    #[inline]
    pub(super) fn first(&self, permutation: &Permutation) -> Option<u32> {
        // What is left of 16 bits beside half a rank is a chunk's number.
        const CHUNKS: usize = 1 << (16 - HALF);
        let mut first = (i32::MAX, usize::MAX);
        for (block, chunks) in self.slots.chunks(CHUNKS).enumerate() {
            // Signed, as that is what all machines compare in vectors.
            let mut least = [i32::MAX >> LANES.ilog2(); LANES];
            for (chunk, slots) in (0..).zip(chunks) {
                let ranks = permutation.ranks(*slots);
                for (lane, least) in least.iter_mut().enumerate() {
                    let low = ranks.low[lane] << (16 - HALF) | chunk;
                    let rank = u32::from(ranks.high[lane]) << 16 | u32::from(low);
                    *least = (*least).min(rank as i32);
                }
            }
            let of_all = (0..LANES).map(|lane| least[lane] * LANES as i32 + lane as i32);
            let least = of_all.fold(i32::MAX, i32::min);
            let index = block * CHUNKS * LANES + least as usize % (CHUNKS * LANES);
            first = first.min((least / (CHUNKS * LANES) as i32, index));
        }
        self.members.get(first.1).copied()
    }

    /// Of different weights: first the least that each chunk's scores can be, then those of the chunks that matter.
    pub(super) fn run(&self, permutation: &Permutation, race: &mut Race<'_, impl Fn(u32) -> bool>) {
        let mut floors = [i32::MAX; MOST / LANES];
        let mut least = (i32::MAX, 0);
        for (index, floor) in floors.iter_mut().enumerate().take(self.slots.len()) {
            *floor = self.floors(index, permutation).1.into_iter().fold(i32::MAX, i32::min);
            least = least.min((*floor, index));
        }
        // The one that most likely has the winner first: then hardly any other one matters.
        self.meet(least, permutation, race);
        let mut score = ceiling(race.score);
        for (index, floor) in floors.iter().enumerate().take(self.slots.len()) {
            if *floor < score && index != least.1 {
                self.meet((*floor, index), permutation, race);
                score = ceiling(race.score);
            }
        }
    }

    /// The ranks of a chunk, and the least that its scores can be: the bits of a number, the lowest of which are the lane.
    #[inline(always)]
    fn floors(&self, index: usize, permutation: &Permutation) -> (Halves, [i32; LANES]) {
        let (ranks, lightness) = (permutation.ranks(self.slots[index]), &self.lightness[index]);
        let mut floors = [0; LANES];
        for (lane, floor) in floors.iter_mut().enumerate() {
            // Numbers that are not negative have the order of their bits.
            let bits = (ranks.get(lane) as i32 as f32 * lightness[lane]).to_bits() as i32;
            *floor = bits & -(LANES as i32) | lane as i32;
        }
        (ranks, floors)
    }

    #[inline]
    fn meet(&self, (floor, index): (i32, usize), permutation: &Permutation, race: &mut Race<'_, impl Fn(u32) -> bool>) {
        let (ranks, floors) = self.floors(index, permutation);
        let mut meet = |lane: usize| {
            // What repeats the last member is that member.
            let member = self.members[(index * LANES + lane).min(self.members.len() - 1)];
            race.meet(member, ranks.get(lane), self.slots[index].get(lane));
            ceiling(race.score)
        };
        let likely = floor as usize % LANES;
        let mut score = meet(likely);
        for (lane, floor) in floors.into_iter().enumerate() {
            if floor < score && lane != likely {
                score = meet(lane);
            }
        }
    }
}

/// What a floor is below that leaves a chance of a lower score.
fn ceiling(score: f64) -> i32 {
    // The next number of 32 bits at least, whatever the lane.
    ((score as f32).to_bits() as i32 | (LANES as i32 - 1)).saturating_add(1)
}
