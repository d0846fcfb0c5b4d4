//! How members claim the entries of Maglev's table.

use super::modulus::Modulus;
use crate::{
    backend::Backend,
    key::xxh64,
    selector::{Members, roster::At},
};

/// Where a member looks for an entry next, and how far it goes on from there: the paper's permutation, walked.
#[derive(Clone, Copy)]
struct Walk {
    place: u32,
    skip: u32,
}

/// Which entries are claimed, a bit each, so that all of it stays near; and the entries themselves, which are only
/// written.
struct Claims {
    taken: Box<[u64]>,
    entries: Box<[At]>,
    left: u32,
    modulus: Modulus,
    /// How many free entries are few, and those, once they are.
    few: u32,
    last: Vec<u32>,
}

impl Claims {
    fn new(size: u32) -> Self {
        Self {
            taken: vec![0; size.div_ceil(64) as usize].into(),
            entries: vec![At(0); size as usize].into(),
            left: size,
            modulus: Modulus::new(size),
            // A walk comes to one of so many after size ∕ few steps. About here, all of them are looked at as soon.
            few: size.isqrt() / 2,
            last: Vec::new(),
        }
    }

    /// The first free entry on the member's walk becomes its own. There has to be one, which every walk comes to, as
    /// the size is prime.
    #[inline]
    fn claim(&mut self, walk: &mut Walk, member: At) {
        let size = self.entries.len() as u32;
        if self.left <= self.few {
            return self.claim_of_few(walk, member);
        }
        loop {
            let place = walk.place;
            walk.place += walk.skip;
            if walk.place >= size {
                walk.place -= size;
            }
            let (word, bit) = (&mut self.taken[(place / 64) as usize], 1 << (place % 64));
            if *word & bit == 0 {
                *word |= bit;
                self.entries[place as usize] = member;
                break;
            }
        }
        self.left -= 1;
    }

    /// Finds out for each free entry how many steps away it is. Without this half of all steps would be taken for the
    /// last hundredth of the entries.
    #[cold]
    fn claim_of_few(&mut self, walk: &mut Walk, member: At) {
        let size = self.entries.len() as u32;
        if self.last.is_empty() {
            let is_free = |place: &u32| self.taken[(*place / 64) as usize] & (1 << (*place % 64)) == 0;
            self.last = (0..size).filter(is_free).collect();
        }
        let inverse = self.modulus.inverse(walk.skip.into());
        let steps = |place: u32| {
            let distance = u64::from(place + size - walk.place);
            self.modulus.rest(self.modulus.rest(distance) * inverse)
        };
        let nearest = self.last.iter().enumerate().min_by_key(|(_, place)| steps(**place));
        if let Some((index, place)) = nearest.map(|(index, place)| (index, *place)) {
            self.last.swap_remove(index);
            self.entries[place as usize] = member;
            walk.place = self.modulus.rest(u64::from(place + walk.skip)) as u32;
        }
        self.left -= 1;
    }
}

/// The entries of a table whose size is prime; none for no members.
///
/// The paper's listing 1, with Envoy's weights (`OriginalMaglevTable::constructImplementationInternals`).
pub(super) fn entries<B: Backend, M>(members: &Members<'_, B, M>, order: &[At], size: u32) -> Box<[At]> {
    if members.is_empty() {
        return Box::default();
    }
    let walks: Vec<Walk> = order
        .iter()
        .map(|at| {
            let id = members.backend(*at).id().as_bytes();
            let size = u64::from(size);
            Walk {
                place: (xxh64(0, id) % size) as u32,
                skip: (xxh64(1, id) % (size - 1)) as u32 + 1,
            }
        })
        .collect();
    let mut claims = Claims::new(size);
    if members.equal_weights() {
        in_turn(&mut claims, walks, order);
    } else {
        let weights: Vec<u32> = order.iter().map(|at| members.weight(*at)).collect();
        by_weight(&mut claims, walks, order, &weights);
    }
    claims.entries
}

/// Everybody claims one entry a round.
fn in_turn(claims: &mut Claims, mut walks: Vec<Walk>, order: &[At]) {
    loop {
        for (walk, member) in walks.iter_mut().zip(order) {
            if claims.left == 0 {
                return;
            }
            claims.claim(walk, *member);
        }
    }
}

/// The heaviest claims one entry a round, and others in proportion: in the doubles of Envoy, to the last bit.
struct Share {
    /// Of all weights.
    weight: f64,
    /// One over that.
    reciprocal: f64,
    /// The member claims again in the first round whose number times its weight reaches this.
    target: f64,
}

impl Share {
    /// The number of the round, from `from` on, in which the member claims again.
    #[inline]
    fn due(&self, from: u32) -> u32 {
        // Rounding moves a quotient across a whole number only where that very number, multiplied, is the target.
        let guess = (self.target * self.reciprocal) as u32;
        let is_early = f64::from(guess) * self.weight < self.target;
        guess.saturating_add(is_early.into()).max(from)
    }
}

/// Rounds in which few claim cost no more than those few: each member waits in the list of the round in which it claims
/// next.
fn by_weight(claims: &mut Claims, mut walks: Vec<Walk>, order: &[At], weights: &[u32]) {
    const NOBODY: u32 = u32::MAX;
    let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    let mut shares: Vec<Share> = weights
        .iter()
        .map(|weight| {
            let weight = f64::from(*weight) / sum as f64;
            Share {
                weight,
                reciprocal: weight.recip(),
                target: 0.0,
            }
        })
        .collect();
    let heaviest = shares.iter().map(|share| share.weight).fold(0.0, f64::max);
    // The heaviest claims in every round, so there are not more rounds than entries.
    let last = claims.left;
    let mut first = vec![NOBODY; last as usize + 1];
    let mut next = vec![NOBODY; shares.len()];
    let mut turn: Vec<u32> = (0..shares.len() as u32).collect();
    for round in 1..=last {
        let mut waiting = std::mem::replace(&mut first[round as usize], NOBODY);
        while waiting != NOBODY {
            turn.push(waiting);
            waiting = next[waiting as usize];
        }
        // A few rounds' members, each in order: a sort that merges what is in order has little to do.
        turn.sort();
        for index in turn.drain(..) {
            if claims.left == 0 {
                return;
            }
            let place = index as usize;
            claims.claim(&mut walks[place], order[place]);
            shares[place].target += heaviest;
            if let Some(first) = first.get_mut(shares[place].due(round + 1) as usize) {
                next[place] = std::mem::replace(first, index);
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::selector::Generator;

    /// Each round asks everybody, and each step everything, as Envoy does.
    fn step_by_step(mut walks: Vec<Walk>, order: &[At], weights: &[u32], size: u32) -> Box<[At]> {
        let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let shares: Vec<f64> = weights.iter().map(|weight| f64::from(*weight) / sum as f64).collect();
        let heaviest = shares.iter().copied().fold(0.0, f64::max);
        let mut targets = vec![0.0; shares.len()];
        let mut entries = vec![None; size as usize];
        let mut left = size;
        for round in 1.. {
            for (index, walk) in walks.iter_mut().enumerate() {
                if left == 0 {
                    return entries.into_iter().flatten().collect();
                }
                if f64::from(round) * shares[index] >= targets[index] {
                    targets[index] += heaviest;
                    while entries[walk.place as usize].is_some() {
                        walk.place = (walk.place + walk.skip) % size;
                    }
                    entries[walk.place as usize] = Some(order[index]);
                    left -= 1;
                }
            }
        }
        unreachable!("the heaviest claims in every round");
    }

    #[test]
    fn the_short_ways_come_to_the_same_entries() {
        let mut random = Generator::new(3);
        for turn in 0..300 {
            let size = [2, 3, 7, 17, 251, 1_009, 4_099][turn % 7];
            let count = 1 + random.below(60) as u32;
            let heavy = [1, 2, 10, 1_000, u64::from(u32::MAX)][turn % 5];
            let order: Vec<At> = (0..count).map(At).collect();
            let weights: Vec<u32> = order.iter().map(|_| 1 + random.below(heavy) as u32).collect();
            let walks: Vec<Walk> = (order.iter())
                .map(|_| Walk {
                    place: random.below(size) as u32,
                    skip: 1 + random.below(size - 1) as u32,
                })
                .collect();
            let expected = step_by_step(walks.clone(), &order, &weights, size as u32);
            let mut claims = Claims::new(size as u32);
            by_weight(&mut claims, walks.clone(), &order, &weights);
            assert_eq!(claims.entries, expected, "{weights:?} of {size}");
            if heavy == 1 {
                let mut claims = Claims::new(size as u32);
                in_turn(&mut claims, walks, &order);
                assert_eq!(claims.entries, expected, "{count} of {size}");
            }
        }
    }

    #[test]
    fn weights_may_be_as_different_as_can_be() {
        let mut weights = vec![u32::MAX; 5_000];
        weights[4_999] = 1;
        let order: Vec<At> = (0..5_000).map(At).collect();
        let walks = (0..5_000).map(|place| Walk { place, skip: 1 }).collect();
        let mut claims = Claims::new(4_099);
        by_weight(&mut claims, walks, &order, &weights);
        assert_eq!(claims.left, 0);
    }
}
