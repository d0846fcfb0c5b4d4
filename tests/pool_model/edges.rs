//! What the tests of single edges share.

use std::task::Poll;

use equipoise::{Backend, Driver, Endpoint, Selector};
use futures_util::FutureExt;

pub(crate) type Node = Endpoint<()>;

pub(crate) fn node(id: &str) -> Node {
    Endpoint::new(id, ())
}

/// The driver runs until it has nothing to do.
pub(crate) fn poll<B: Backend, S: Selector<B>>(driver: &mut Driver<B, S>) -> Poll<()> {
    driver.now_or_never().map_or(Poll::Pending, Poll::Ready)
}
