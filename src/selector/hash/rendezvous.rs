//! Rendezvous hashing: the member with the best score for the key (Thaler and Ravishankar, "Using name-based mappings to
//! increase hit rates", IEEE/ACM Transactions on Networking 6 (1), 1998).

mod gone_through;
mod looked_up;
mod race;

use self::{
    gone_through::GoneThrough,
    looked_up::{LookedUp, MOST},
    race::Race,
};
use super::{
    permutation::{Permutation, SIZE},
    slots,
};
use crate::{
    backend::Backend,
    key::HashFunction,
    needs::Needs,
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

/// What it costs to look up a member, with equal weights and without, and to pass by a slot: only what they are to each
/// other counts.
const LOOK_UP: [f64; 2] = [1.0, 1.6];
const PASS: f64 = 2.0;
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

    fn needs(&self) -> Needs {
        Needs::nothing().keys()
    }

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
