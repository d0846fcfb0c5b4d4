//! Random choice, by weight.

use super::{AnySelector, Members, Pick, Selector, alias::Alias, roster::At, strategy::named::Named};
use crate::backend::Backend;

/// Each request goes to a random member, by weight. O(1).
///
/// Needs no state and no agreement, and balances worst: among `n` members with as many requests, the fullest has
/// about ln n ∕ ln ln n (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Random;

/// How often closed members are drawn before the open ones are counted out.
const TRIES: usize = 16;

/// What [`Random`] prepares: nothing while the weights are equal.
#[derive(Debug)]
pub struct RandomTable(Option<Alias>);

impl Random {
    /// A random choice.
    pub fn new() -> Self {
        Self
    }
}

impl Named for Random {
    const NAME: &'static str = "random";
    const SUMMARY: &'static str = "a random member, by weight";

    fn selector<B: Backend>(&self) -> AnySelector<B> {
        AnySelector::new(*self)
    }
}

impl<B: Backend> Selector<B> for Random {
    type Memory = ();
    type Table = RandomTable;

    fn memory(&self, _: &B) {}

    fn prepare(&self, members: &Members<'_, B, ()>) -> RandomTable {
        RandomTable((!members.equal_weights()).then(|| Alias::new(members)))
    }

    #[inline]
    fn select(&self, table: &RandomTable, pick: &Pick<'_, B, ()>) -> Option<At> {
        if pick.is_empty() {
            return None;
        }
        let draw = || match &table.0 {
            None => At(pick.below(pick.len() as u64) as u32),
            Some(alias) => alias.draw(pick),
        };
        if pick.all_open() {
            return Some(draw());
        }
        (0..TRIES)
            .map(|_| draw())
            .find(|at| pick.is_open(*at))
            .or_else(|| pick.any_open())
    }
}
