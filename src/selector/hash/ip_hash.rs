//! The key modulo the members.

use super::{choose, order::Order};
use crate::{
    backend::Backend,
    needs::Needs,
    selector::{AnySelector, Members, Pick, Selector, roster::At, strategy::named::Named},
};

/// Each request goes to the member that its key modulo the number of members points at, in the order of their ids; if
/// weights differ, modulo their sum. O(1); O(log members) if weights differ.
///
/// For comparison, and for members that never change: what is called IP hash where the key is the client's address, and
/// a hash without `consistent` in nginx. The shares are as even as can be, and exact by weight; but when one of n members
/// joins or leaves, or a weight changes, all but about one key in n move (Lamping and Veach 2014, §1). While a member is
/// closed without leaving, its own keys alone move, evenly to all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct IpHash;

/// What [`IpHash`] prepares. 4 bytes a member, 12 if weights differ.
#[derive(Debug)]
pub struct IpHashTable {
    order: Order,
    /// Where each member's numbers end, in their order; none while weights are equal.
    ends: Option<Box<[u64]>>,
}

impl IpHash {
    /// The key modulo the members.
    pub fn new() -> Self {
        Self
    }
}

impl Named for IpHash {
    const NAME: &'static str = "ip_hash";
    const SUMMARY: &'static str = "the key modulo the members: most keys move when one joins or leaves";

    fn selector<B: Backend>(&self) -> AnySelector<B> {
        AnySelector::new(*self)
    }
}

impl IpHashTable {
    /// The member that a number points at; none where there are no members.
    #[inline]
    fn at(&self, number: u64) -> Option<At> {
        let order = self.order.as_slice();
        let place = match &self.ends {
            None => number.checked_rem(order.len() as u64)? as usize,
            Some(ends) => {
                let number = number.checked_rem(*ends.last()?)?;
                ends.partition_point(|end| *end <= number)
            }
        };
        order.get(place).copied()
    }
}

impl<B: Backend> Selector<B> for IpHash {
    type Memory = ();
    type Table = IpHashTable;

    fn memory(&self, _: &B) {}

    fn needs(&self) -> Needs {
        Needs::nothing().keys()
    }

    fn prepare(&self, members: &Members<'_, B, ()>) -> IpHashTable {
        let order = Order::new(members);
        let ends = || {
            let weights = order.as_slice().iter().map(|at| u64::from(members.weight(*at)));
            let sums = weights.scan(0, |end, weight| {
                *end += weight;
                Some(*end)
            });
            sums.collect()
        };
        IpHashTable {
            ends: (!members.equal_weights()).then(ends),
            order,
        }
    }

    #[inline]
    fn select(&self, table: &IpHashTable, pick: &Pick<'_, B, ()>) -> Option<At> {
        choose(pick, |key| table.at(key), |key| table.order.next_open(key, pick))
    }
}
