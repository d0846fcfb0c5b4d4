//! How members claim the entries of Maglev's table.

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
}

impl Claims {
    fn new(size: u32) -> Self {
        Self {
            taken: vec![0; size.div_ceil(64) as usize].into(),
            entries: vec![At(0); size as usize].into(),
            left: size,
        }
    }

    /// The first free entry on the member's walk becomes its own. There has to be one, which every walk comes to, as
    /// the size is prime.
    #[inline]
    fn claim(&mut self, walk: &mut Walk, member: At) {
        let size = self.entries.len() as u32;
        let mut place = walk.place;
        loop {
            let (word, bit) = (&mut self.taken[(place / 64) as usize], 1 << (place % 64));
            let at = place as usize;
            place += walk.skip;
            if place >= size {
                place -= size;
            }
            if *word & bit == 0 {
                *word |= bit;
                self.entries[at] = member;
                break;
            }
        }
        walk.place = place;
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
    /// The member claims again in the first round whose number times its weight reaches this.
    target: f64,
}

impl Share {
    /// The number of the round, from `from` on, in which the member claims again; none up to `last`.
    fn due(&self, from: u32, last: u32) -> Option<u32> {
        let is_due = |round: u32| f64::from(round) * self.weight >= self.target;
        // A quotient is off by less than one round.
        let guess = (self.target / self.weight).min(f64::from(last) + 1.0) as u32;
        (guess.saturating_sub(1).max(from)..=last)
            .take(4)
            .find(|round| is_due(*round))
    }
}

/// Rounds in which few claim cost no more than those few: each member waits in the list of the round in which it claims
/// next.
fn by_weight(claims: &mut Claims, mut walks: Vec<Walk>, order: &[At], weights: &[u32]) {
    const NOBODY: u32 = u32::MAX;
    let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    let mut shares: Vec<Share> = weights
        .iter()
        .map(|weight| Share {
            weight: f64::from(*weight) / sum as f64,
            target: 0.0,
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
        turn.sort_unstable();
        for index in turn.drain(..) {
            if claims.left == 0 {
                return;
            }
            let place = index as usize;
            claims.claim(&mut walks[place], order[place]);
            shares[place].target += heaviest;
            if let Some(round) = shares[place].due(round + 1, last) {
                next[place] = std::mem::replace(&mut first[round as usize], index);
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::selector::Generator;

    /// Each round asks everybody, as Envoy does.
    fn round_by_round(mut walks: Vec<Walk>, order: &[At], weights: &[u32], size: u32) -> Box<[At]> {
        let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let shares: Vec<f64> = weights.iter().map(|weight| f64::from(*weight) / sum as f64).collect();
        let heaviest = shares.iter().copied().fold(0.0, f64::max);
        let mut targets = vec![0.0; shares.len()];
        let mut claims = Claims::new(size);
        for round in 1.. {
            for (index, walk) in walks.iter_mut().enumerate() {
                if claims.left == 0 {
                    return claims.entries;
                }
                if f64::from(round) * shares[index] >= targets[index] {
                    targets[index] += heaviest;
                    claims.claim(walk, order[index]);
                }
            }
        }
        unreachable!("the heaviest claims in every round");
    }

    #[test]
    fn waiting_for_one_s_round_is_asking_in_every_round() {
        let mut random = Generator::new(3);
        for turn in 0..300 {
            let size = [7, 17, 251, 1_009, 4_099][turn % 5];
            let count = 1 + random.below(60) as u32;
            let heavy = [2, 10, 1_000, u64::from(u32::MAX)][turn % 4];
            let order: Vec<At> = (0..count).map(At).collect();
            let weights: Vec<u32> = order.iter().map(|_| 1 + random.below(heavy) as u32).collect();
            let walks: Vec<Walk> = (order.iter())
                .map(|_| Walk {
                    place: random.below(size) as u32,
                    skip: 1 + random.below(size - 1) as u32,
                })
                .collect();
            let mut claims = Claims::new(size as u32);
            by_weight(&mut claims, walks.clone(), &order, &weights);
            let expected = round_by_round(walks, &order, &weights, size as u32);
            assert_eq!(claims.entries, expected, "{weights:?} of {size}");
        }
    }
}
