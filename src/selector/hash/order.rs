//! An order of the members in which all replicas agree.

use crate::{
    backend::Backend,
    selector::{Members, Pick, roster::At},
};

/// The members in the order of their ids' bytes. 4 bytes a member.
#[derive(Debug, Default)]
pub(super) struct Order(Box<[At]>);

impl Order {
    /// O(members × log members), and O(members) where they joined in this order.
    pub(super) fn new<B: Backend, M>(members: &Members<'_, B, M>) -> Self {
        let mut order: Vec<(&str, At)> = members.iter().map(|at| (members.backend(at).id(), at)).collect();
        order.sort_unstable();
        Self(order.into_iter().map(|(_, at)| at).collect())
    }

    pub(super) fn as_slice(&self) -> &[At] {
        &self.0
    }

    /// The first open member from a place on that is the key's own; none if all are closed. For a key whose own way did
    /// not come to an open one: it stays with that member for as long as the members and whether they are open stay the
    /// same. O(members).
    #[cold]
    pub(super) fn next_open<B, M>(&self, key: u64, pick: &Pick<'_, B, M>) -> Option<At> {
        let hash = super::rehashes(!key).next()?;
        let place = ((u128::from(hash) * self.0.len() as u128) >> 64) as usize;
        let (before, after) = self.0.split_at(place);
        after.iter().chain(before).copied().find(|at| pick.is_open(*at))
    }
}
