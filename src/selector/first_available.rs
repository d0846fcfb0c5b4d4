//! First available: the first member that can take the request.

use super::{AnySelector, Members, Pick, Selector, roster::At, strategy::named::Named};
use crate::backend::Backend;

/// Each request goes to the first open member, in the order in which they joined the pool. Weights are ignored. O(1)
/// while the first is open, else O(members).
///
/// It fills one member up to its in-flight limit before it turns to the next, so that the last may sleep: HAProxy's
/// [`first`](https://docs.haproxy.org/3.0/configuration.html#4-balance), which needs a limit (`maxconn`) as well to ever
/// come to the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct FirstAvailable;

impl FirstAvailable {
    /// The first available.
    pub fn new() -> Self {
        Self
    }
}

impl Named for FirstAvailable {
    const NAME: &'static str = "first_available";
    const SUMMARY: &'static str = "the first that can take it, in the order of joining; weights are ignored";

    fn selector<B: Backend>(&self) -> AnySelector<B> {
        AnySelector::new(*self)
    }
}

impl<B: Backend> Selector<B> for FirstAvailable {
    type Memory = ();
    type Table = ();

    fn memory(&self, _: &B) {}

    fn prepare(&self, _: &Members<'_, B, ()>) {}

    #[inline]
    fn select(&self, (): &(), pick: &Pick<'_, B, ()>) -> Option<At> {
        pick.iter().find(|at| pick.is_open(*at))
    }
}
