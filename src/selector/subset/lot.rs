//! Whom a client gets: by its number, dealt out to a lot of clients at once, or without one, at random.

use super::client::Place;
use crate::{key::HashFunction, selector::generator::Generator};

/// How many clients make a lot, as in Rocksteadier's example: with 16 the members' clients were hardly more even.
const CLIENTS: usize = 10;

/// A client's `size` of the members with these ids, by their indices, in order. There are more than `size`.
///
/// O(members), and O(size × log size) for a numbered client.
pub(super) fn subset(place: Place, size: usize, ids: &[&str]) -> Vec<u32> {
    let hashes: Vec<u64> = ids
        .iter()
        .map(|id| HashFunction::default().hash(id.as_bytes()))
        .collect();
    let members = Members { ids, hashes: &hashes };
    let mut chosen = match place {
        Place::Random(seed) => members.first(size, |hash| scores(hash, seed).next(), |_| true),
        Place::Number(number) => members.dealt(number, size),
    };
    chosen.sort_unstable();
    chosen
}

/// How much a member and a client are for each other: the less, the more; further numbers for further copies.
fn scores(hash: u64, client: u64) -> Generator {
    Generator::new(hash ^ client)
}

struct Members<'a> {
    ids: &'a [&'a str],
    hashes: &'a [u64],
}

impl Members<'_> {
    /// The `count` members of the lowest scores among those that are wanted. Ties go by id: in whatever order the
    /// members joined, all replicas choose the same.
    fn first(&self, count: usize, score: impl Fn(u64) -> u64, wanted: impl Fn(u32) -> bool) -> Vec<u32> {
        let mut scored: Vec<(u64, &str, u32)> = (0..self.ids.len() as u32)
            .filter(|index| wanted(*index))
            .map(|index| (score(self.hashes[index as usize]), self.ids[index as usize], index))
            .collect();
        if count < scored.len() {
            scored.select_nth_unstable(count);
            scored.truncate(count);
        }
        scored.into_iter().map(|(_, _, index)| index).collect()
    }

    /// A lot of clients shares a stretch of the ring on which the members stand at their hashes: as many as all its
    /// clients need, more often than once around if there are so few. The lots' stretches begin at the binary van der
    /// Corput sequence, so that they cover the ring evenly however many lots there are. Within the lot each member goes to
    /// one client; who is most for each other comes together first, so that a member that comes or goes moves few others.
    fn dealt(&self, number: u32, size: usize) -> Vec<u32> {
        let (lot, own) = (number / CLIENTS as u32, number as usize % CLIENTS);
        let (around, rest) = (CLIENTS * size / self.ids.len(), CLIENTS * size % self.ids.len());
        let start = u64::from(lot).reverse_bits();
        let mut copies = vec![around; self.ids.len()];
        for index in self.first(rest, |hash| hash.wrapping_sub(start), |_| true) {
            copies[index as usize] += 1;
        }
        let client = |seat: usize| Generator::new(u64::from(lot) * CLIENTS as u64 + seat as u64).next();
        let clients: [u64; CLIENTS] = std::array::from_fn(client);
        let mut pairs: Vec<(u64, &str, usize, usize, u32)> = Vec::with_capacity(CLIENTS * CLIENTS * size);
        for (index, copies) in (0..).zip(copies).filter(|(_, copies)| *copies > 0) {
            for (seat, client) in clients.iter().enumerate() {
                let mut scores = scores(self.hashes[index as usize], *client);
                let pair = |copy| (scores.next(), self.ids[index as usize], copy, seat, index);
                pairs.extend((0..copies).map(pair));
            }
        }
        pairs.sort_unstable();
        self.deal(&pairs, own, size, clients[own])
    }

    /// Goes through the pairs of a member's copy and a client in their order: the copy goes to the client if neither has
    /// enough.
    fn deal(&self, pairs: &[(u64, &str, usize, usize, u32)], own: usize, size: usize, client: u64) -> Vec<u32> {
        let mut room = [size; CLIENTS];
        let mut dealt: Vec<Dealt> = vec![Dealt::default(); self.ids.len()];
        let mut chosen = Vec::with_capacity(size);
        for (_, _, copy, seat, index) in pairs {
            let member = &mut dealt[*index as usize];
            if room[*seat] == 0 || !member.goes(*copy, *seat) {
                continue;
            }
            room[*seat] -= 1;
            if *seat == own {
                chosen.push(*index);
                if chosen.len() == size {
                    return chosen;
                }
            }
        }
        // What is left over are copies of members that it has: others instead.
        let score = |hash| scores(hash, client).next();
        let others = self.first(size - chosen.len(), score, |index| !chosen.contains(&index));
        chosen.extend(others);
        chosen
    }
}

/// Which copies of a member have gone, and to whom.
#[derive(Clone, Default)]
struct Dealt {
    /// A bit for each of at most [`CLIENTS`] copies.
    copies: u16,
    seats: u16,
}

impl Dealt {
    /// Gives the copy to a client, unless it is gone or the client has one. Whether it did.
    fn goes(&mut self, copy: usize, seat: usize) -> bool {
        let (copy, seat) = (1 << copy, 1 << seat);
        let is_free = self.copies & copy == 0 && self.seats & seat == 0;
        if is_free {
            self.copies |= copy;
            self.seats |= seat;
        }
        is_free
    }
}
