//! One of 2²⁰ slots for each member, by id alone.

use std::collections::{HashMap, hash_map::Entry};

use ahash::RandomState;

use super::permutation::SIZE;
use crate::selector::Generator;

/// The most members that get slots: half as many as there are slots, so that a free one is near.
pub(super) const MOST: usize = SIZE as usize / 2;

/// A member's wish for the slot at one place of its list.
struct Claim {
    member: u32,
    /// Its list: one slot after the other.
    wishes: Generator,
}

/// The slot of each of at most [`MOST`] ids, given with their hashes.
///
/// Each id has a list of slots, in an order that its hash seeds, and gets the first one that no other id with a lower hash
/// gets. So who has which slot is a matter of the set of ids, and neither of their order nor of who was there first. An id
/// that has another's slot for a first wish makes do with its second until the other one leaves.
pub(super) fn slots(ids: &[(u64, &str)]) -> Box<[u32]> {
    let mut holders: HashMap<u32, Claim, RandomState> =
        HashMap::with_capacity_and_hasher(ids.len(), RandomState::new());
    for (member, (hash, _)) in (0..).zip(ids) {
        let wishes = Generator::new(*hash);
        let mut claim = Claim { member, wishes };
        loop {
            let slot = (claim.wishes.next() % u64::from(SIZE)) as u32;
            match holders.entry(slot) {
                Entry::Vacant(free) => {
                    free.insert(claim);
                    break;
                }
                // As in the stable marriage of Gale and Shapley (1962), where the outcome is the same in whatever order
                // they come: whoever has to give way goes on with the next wish.
                Entry::Occupied(mut taken) => {
                    if ids[claim.member as usize] < ids[taken.get().member as usize] {
                        claim = taken.insert(claim);
                    }
                }
            }
        }
    }
    let mut slots = vec![0; ids.len()];
    for (slot, claim) in holders {
        slots[claim.member as usize] = slot;
    }
    slots.into()
}

/// The bits of a word's number of bits.
const WORD: u32 = u32::BITS.trailing_zeros();
/// How many words it takes for a bit for each slot.
const WORDS: usize = (SIZE >> WORD) as usize;

/// Which slots are taken, and by whom. 256 KiB, and 4 bytes for each member.
#[derive(Debug)]
pub(super) struct Taken {
    /// A bit for each slot.
    words: Box<[u32; WORDS]>,
    /// How many slots before each word are taken.
    before: Box<[u32; WORDS]>,
    /// The members in the order of their slots.
    members: Box<[u32]>,
}

impl Taken {
    pub(super) fn new(slots: &[u32], members: &[u32]) -> Self {
        let mut members = members.to_vec();
        members.sort_unstable_by_key(|member| slots[*member as usize]);
        let mut words = Box::new([0_u32; WORDS]);
        for member in &members {
            let slot = slots[*member as usize];
            words[(slot >> WORD) as usize] |= 1 << (slot % u32::BITS);
        }
        let mut before = Box::new([0; WORDS]);
        let mut count = 0;
        for (word, before) in words.iter().zip(before.iter_mut()) {
            *before = count;
            count += word.count_ones();
        }
        let members = members.into();
        Self { words, before, members }
    }

    /// The lowest bit is 1 if the slot is taken, else 0; the others mean nothing.
    #[inline(always)]
    pub(super) fn bit(&self, slot: u32) -> u32 {
        // The remainder is the number itself: without a look at the length it costs half as much.
        self.words[(slot >> WORD) as usize % WORDS] >> (slot % u32::BITS)
    }

    /// Who has a slot that is taken.
    #[inline]
    pub(super) fn holder(&self, slot: u32) -> u32 {
        let word = (slot >> WORD) as usize;
        let lower = self.words[word] & ((1 << (slot % u32::BITS)) - 1);
        self.members[(self.before[word] + lower.count_ones()) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::HashFunction;

    fn of(ids: &[String]) -> Vec<(u64, &str)> {
        // Few hashes, so that many want the same slots.
        let hash = |id: &String| HashFunction::Xxh3.hash(id.as_bytes()) % 50;
        ids.iter().map(|id| (hash(id), id.as_str())).collect()
    }

    #[test]
    fn who_has_which_slot_is_a_matter_of_the_set() {
        let ids: Vec<String> = (0..200).map(|index| format!("m{index}")).collect();
        let forth = slots(&of(&ids));
        let mut taken = forth.to_vec();
        taken.sort_unstable();
        taken.dedup();
        assert_eq!(taken.len(), ids.len(), "a slot each");

        let reversed: Vec<String> = ids.iter().rev().cloned().collect();
        let mut back = slots(&of(&reversed)).to_vec();
        back.reverse();
        assert_eq!(*forth, back);

        let holders = Taken::new(&forth, &(0..200).collect::<Vec<_>>());
        let bits: u32 = (0..SIZE).map(|slot| holders.bit(slot) & 1).sum();
        assert_eq!(bits, 200);
        for (member, slot) in (0..).zip(&forth) {
            assert_eq!((holders.bit(*slot) & 1, holders.holder(*slot)), (1, member));
        }
    }
}
