//! From a member's number to where it stands in a snapshot.

use crate::selector::{Members, roster::At};

/// Numbers are given out in turn, so that their lower bits alone spread them well. O(1); 16 to 32 bytes a member.
#[derive(Debug)]
pub(super) struct Numbers(Box<[(u32, At)]>);

impl Numbers {
    /// O(members).
    pub(super) fn new<B, M>(members: &Members<'_, B, M>, number: impl Fn(&M) -> u32) -> Self {
        let mut places = vec![(0, At(0)); (2 * members.len()).next_power_of_two()];
        let mask = places.len() - 1;
        for at in members.iter() {
            let number = number(members.memory(at));
            let mut place = number as usize & mask;
            while places[place].0 != 0 {
                place = (place + 1) & mask;
            }
            places[place] = (number, at);
        }
        Self(places.into())
    }

    /// None if the member is not in the snapshot, or cannot be picked. No member has the number 0.
    #[inline]
    pub(super) fn find(&self, number: u32) -> Option<At> {
        let mask = self.0.len() - 1;
        let mut place = number as usize & mask;
        loop {
            match self.0[place] {
                (0, _) => return None,
                (there, at) if there == number => return Some(at),
                _ => place = (place + 1) & mask,
            }
        }
    }
}
