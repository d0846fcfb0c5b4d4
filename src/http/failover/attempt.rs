//! Which try of a request it is.

/// Among the [extensions](http::Extensions) of a request that a failover sends: which try it is, from 1. What is marked so
/// is left alone by failovers further in, so that layers around layers do not multiply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt(u32);

impl Attempt {
    pub(super) const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number, from 1.
    pub fn number(self) -> u32 {
        self.0
    }
}
