//! Rendezvous hashing: the member with the best score for the key (Thaler and Ravishankar, "Using name-based mappings to
//! increase hit rates", IEEE/ACM Transactions on Networking 6 (1), 1998).

use super::{
    permutation::{HALF, Halves, LANES, Permutation, SIZE},
    slots::{self, Taken},
};
use crate::{
    backend::Backend,
    key::HashFunction,
    selector::{AnySelector, At, Generator, Members, Pick, Selector, strategy::named::Named},
};

/// Each key has an order of all members, and goes to the first of it that is open; the order is made by ids and weights
/// alone, so it is the same in every process, whoever joined first.
///
/// A member's share is that of its weight, exactly: for each key each member draws a number `u` from (0, 1), and the least
/// −ln(1 − u) ∕ weight wins (Schindelhauer and Schomaker, "Weighted distributed hash tables", SPAA 2005). A member that
/// leaves loses its keys, and the others share them by weight; one that joins gets its own; no other key moves. When a
/// weight changes, keys move from or to that member alone.
///
/// The usual way hashes key and id together for each member, which costs O(members). Here each member has one of 2²⁰
/// slots, by its id, and each key an order of all slots; what a member draws is the rank of its slot, over 2²⁰. So there are
/// two ways to the first, with one outcome: to look up the rank of each member, or to go through the slots by rank as far
/// as one that is taken. The cheaper is taken: O(members) up to some 1,500 members of equal weight, O(2²⁰ ∕ members) from
/// there on. With different weights the heavy ones are looked up and the others gone through, at most some thousands in
/// all. A key whose choice is closed costs O(members) at most.
///
/// That has a price. Two ids may want one slot: of 2²¹ ∕ members changes one makes a member give way to the newcomer, or
/// take the leaver's place, and its keys move too. On average that is one key in a million for each change. And more than
/// 2¹⁹ members have no slots: then each pick looks at all of them, and the first change beyond that number moves all keys.
///
/// Requests without a key go to a random member, by weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Rendezvous;

impl Rendezvous {
    /// Rendezvous hashing.
    pub fn new() -> Self {
        Self
    }
}

/// What [`Rendezvous`] prepares: 4 to 16 bytes a member and, where slots are gone through, 256 KiB.
#[derive(Debug)]
pub struct RendezvousTable {
    /// By member; of none if there are too many.
    slots: Box<[u32]>,
    /// By member; none while they are equal.
    weights: Option<Box<[u32]>>,
    ways: Ways,
}

/// How the first is found.
#[derive(Debug)]
enum Ways {
    LookUp(LookedUp),
    GoThrough(GoneThrough),
    /// Heavy ones that are looked up, and others that are gone through.
    Both(LookedUp, GoneThrough),
    /// Too many for slots: a hash of each id.
    Hash(Box<[u64]>),
}

/// Members whose ranks are looked up.
#[derive(Debug)]
struct LookedUp {
    members: Box<[u32]>,
    /// What is left over of the last ones repeats the last member.
    slots: Box<[Halves]>,
    /// Of 1 ∕ weight ∕ 2²⁰, a bit less; of none if the weights are equal.
    lightness: Box<[[f32; LANES]]>,
}

/// Members that are found by going through the slots.
#[derive(Debug)]
struct GoneThrough {
    taken: Taken,
    heaviest: f64,
    /// How far to go.
    patience: u32,
}

/// What it costs to look up a member, with equal weights and without, and to pass by a slot: only what they are to each
/// other counts.
const LOOK_UP: [f64; 2] = [1.0, 1.6];
const PASS: f64 = 2.0;
/// The most members that are looked up.
const MOST: usize = 2048;
/// Up to how many members all are looked up, which costs little and saves what it takes to go through the slots.
const FEW: usize = 512;

impl RendezvousTable {
    fn new(ids: &[&str], weights: Option<Vec<u32>>) -> Self {
        let hash = |id: &&str| HashFunction::Xxh3.hash(id.as_bytes());
        if ids.len() > slots::MOST {
            let ways = Ways::Hash(ids.iter().map(hash).collect());
            let (slots, weights) = (Box::default(), weights.map(Into::into));
            return Self { slots, weights, ways };
        }
        let hashed: Vec<(u64, &str)> = ids.iter().map(|id| (hash(id), *id)).collect();
        let slots = slots::slots(&hashed);
        let weight = |member: u32| weights.as_ref().map_or(1, |weights| weights[member as usize]);
        let mut members: Vec<u32> = (0..ids.len() as u32).collect();
        members.sort_by_key(|member| std::cmp::Reverse(weight(*member)));
        let total: f64 = members.iter().map(|member| f64::from(weight(*member))).sum();
        let look_up = LOOK_UP[usize::from(weights.is_some())];
        let cost = |looked_up: usize| {
            // Until even the heaviest of the others can't win any more, on average.
            let passed = |heaviest: &u32| f64::from(SIZE) * f64::from(weight(*heaviest)) / total;
            look_up * looked_up as f64 + PASS * members.get(looked_up).map_or(0.0, passed)
        };
        let looked_up = match members.len() {
            few @ ..=FEW => few,
            many => {
                let cheapest = (0..=many.min(MOST)).min_by(|one, other| cost(*one).total_cmp(&cost(*other)));
                cheapest.unwrap_or(0)
            }
        };
        Self::split(slots, weights, &members, looked_up)
    }

    /// Looks up the first so many members, the heaviest first, and goes through the others: whom it finds is the same for
    /// any number.
    fn split(slots: Box<[u32]>, weights: Option<Vec<u32>>, members: &[u32], looked_up: usize) -> Self {
        let (heavy, light) = members.split_at(looked_up);
        let weights: Option<Box<[u32]>> = weights.map(Into::into);
        let looked_up = || LookedUp::new(&slots, heavy, weights.as_deref());
        let gone_through = || GoneThrough::new(&slots, light, weights.as_deref());
        let ways = match (heavy, light) {
            (_, []) => Ways::LookUp(looked_up()),
            ([], _) => Ways::GoThrough(gone_through()),
            _ => Ways::Both(looked_up(), gone_through()),
        };
        Self { slots, weights, ways }
    }

    /// The first of a key's order that is open.
    #[inline]
    fn first(&self, key: u64, is_open: impl Fn(u32) -> bool) -> Option<u32> {
        let permutation = Permutation::new(key);
        let found = match (&self.ways, &self.weights) {
            (Ways::LookUp(looked_up), None) => looked_up.first(&permutation).filter(|member| is_open(*member)),
            (Ways::GoThrough(gone_through), None) => gone_through.first(&permutation, &is_open),
            (Ways::LookUp(looked_up), Some(weights)) => {
                let mut race = Race::new(key, weights, &is_open);
                looked_up.run(&permutation, &mut race);
                race.winner
            }
            (Ways::GoThrough(gone_through), Some(weights)) => {
                let mut race = Race::new(key, weights, &is_open);
                gone_through.run(&permutation, &mut race)
            }
            (Ways::Both(looked_up, gone_through), weights) => {
                let mut race = Race::new(key, weights.as_deref().unwrap_or_default(), &is_open);
                looked_up.run(&permutation, &mut race);
                gone_through.run(&permutation, &mut race)
            }
            (Ways::Hash(_), _) => None,
        };
        found.or_else(|| self.first_of_all(key, &is_open))
    }

    /// The same, one by one: where many are closed, the first may be far.
    #[cold]
    #[inline(never)]
    fn first_of_all(&self, key: u64, is_open: impl Fn(u32) -> bool) -> Option<u32> {
        let mut race = Race::new(key, self.weights.as_deref().unwrap_or_default(), &is_open);
        if let Ways::Hash(hashes) = &self.ways {
            for (member, hash) in (0..).zip(hashes) {
                let drawn = Generator::new(key ^ hash).next();
                race.meet(member, (drawn >> 44) as u32, drawn as u32);
            }
        } else {
            let permutation = Permutation::new(key);
            for (member, slot) in (0..).zip(&self.slots) {
                race.meet(member, permutation.rank(*slot), *slot);
            }
        }
        race.winner
    }
}

/// The least score so far.
struct Race<'a, F> {
    key: u64,
    /// Empty if they are equal.
    weights: &'a [u32],
    is_open: &'a F,
    score: f64,
    winner: Option<u32>,
}

impl<'a, F: Fn(u32) -> bool> Race<'a, F> {
    fn new(key: u64, weights: &'a [u32], is_open: &'a F) -> Self {
        Self {
            key,
            weights,
            is_open,
            score: f64::INFINITY,
            winner: None,
        }
    }

    #[inline]
    fn meet(&mut self, member: u32, rank: u32, slot: u32) {
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
    fn end(&self, weight: f64) -> u32 {
        // The 2 is for what is rounded.
        (-(-self.score * weight).exp_m1() * f64::from(SIZE) + 2.0) as u32
    }
}

impl LookedUp {
    fn new(slots: &[u32], members: &[u32], weights: Option<&[u32]>) -> Self {
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
    fn first(&self, permutation: &Permutation) -> Option<u32> {
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
    fn run(&self, permutation: &Permutation, race: &mut Race<'_, impl Fn(u32) -> bool>) {
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

impl GoneThrough {
    fn new(slots: &[u32], members: &[u32], weights: Option<&[u32]>) -> Self {
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
    fn first(&self, permutation: &Permutation, is_open: impl Fn(u32) -> bool) -> Option<u32> {
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
    fn run(&self, permutation: &Permutation, race: &mut Race<'_, impl Fn(u32) -> bool>) -> Option<u32> {
        let end = race.end(self.heaviest);
        let came = self.go(permutation, end, |rank, slot| {
            race.meet(self.taken.holder(slot), rank, slot);
            race.end(self.heaviest)
        });
        race.winner.filter(|_| came)
    }
}

impl Named for Rendezvous {
    const NAME: &'static str = "rendezvous";
    const SUMMARY: &'static str = "the member with the best score for the key, by weight: no key moves that need not";

    fn selector<B: Backend>(&self) -> AnySelector<B> {
        AnySelector::new(*self)
    }
}

impl<B: Backend> Selector<B> for Rendezvous {
    type Memory = ();
    type Table = RendezvousTable;

    fn memory(&self, _: &B) {}

    fn prepare(&self, members: &Members<'_, B, ()>) -> RendezvousTable {
        let ids: Vec<&str> = members.iter().map(|at| members.backend(at).id()).collect();
        let weights = || members.iter().map(|at| members.weight(at)).collect();
        RendezvousTable::new(&ids, (!members.equal_weights()).then(weights))
    }

    #[inline]
    fn select(&self, table: &RendezvousTable, pick: &Pick<'_, B, ()>) -> Option<At> {
        let key = pick.ask().key().unwrap_or_else(|| pick.random());
        table.first(key, |member| pick.is_open(At(member))).map(At)
    }
}

#[cfg(test)]
mod tests;
