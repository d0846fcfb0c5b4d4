//! Consistent hashing: the same key at the same member, and little moves when members come and go.
//!
//! A selector of this family goes by [`Ask::key`](crate::Ask::key), 64 bits that a [`key`](crate::key) function took from
//! the request; a request without a key gets a random one. It knows members by their ids and weights alone: any two
//! replicas with the same members make the same choices, in whatever order the members joined ([`Jump`] excepted). And it
//! yields an order of preference, not one choice: while a member is closed (full, tried, not ready), its keys alone go
//! elsewhere, each to a place of its own, so that no neighbour inherits the whole load; and they come back to it
//! afterwards.
//!
//! # How they compare
//! Of `n` members. *Uneven*: how much more than the mean the fullest gets of very many keys, in a pool of equal members.
//! *Moved*: which keys change their member when one of `n` leaves, beyond its own, 1 ∕ n of all, which have to.
//!
//! | | memory | a choice | uneven | moved | weights |
//! |---|---|---|---|---|---|
//! | [`Ring`] | 14 to 16 bytes a point, 160 points a member | O(1): an index, then one point or two | some 10 to 30 % | none | by points |
//! | [`Maglev`] | 4 bytes an entry, 65,537 entries | O(1): one load | under 1 % up to 1,000 members | under 1 % of all | by entries |
//! | [`Rendezvous`] | 4 to 16 bytes a member, 256 KiB for many | O(n) up to some 1,500, O(2²⁰ ∕ n) beyond | none | none | exact |
//! | [`Jump`] | none | O(log n) | none | none, if the last to join leaves; else most | ignored |
//! | [`IpHash`] | 4 bytes a member | O(1), weighted O(log n) | none | almost all | exact |
//!
//! - **[`Ring`]** where the same members have to agree with nginx's or Envoy's ring, or where nothing but a lost member's
//!   own keys may move: caches that are expensive to fill.
//! - **[`Maglev`]** where the choice has to be cheap and the shares even, and a few moved keys do no harm: connections
//!   that are spread over and over again.
//! - **[`Rendezvous`]** where shares have to be exact and nothing may move needlessly, and some tens of nanoseconds do not
//!   matter: the best of both for up to some hundred members.
//! - **[`Jump`]** for numbered shards that never leave in the middle.
//! - **[`IpHash`]** for comparison, and for members that never change.

mod ip_hash;
mod jump;
mod maglev;
mod order;
mod permutation;
mod rendezvous;
mod ring;
mod slots;

pub use ip_hash::{IpHash, IpHashTable};
pub use jump::Jump;
pub use maglev::{Maglev, MaglevTable};
pub use rendezvous::{Rendezvous, RendezvousTable};
pub use ring::{Ring, RingMode, RingTable};

use super::{Generator, Pick, roster::At};

/// How many places a key whose first is closed is taken to, before the open members are gone through in their order. If
/// half of all members are closed, one request in 2⁶⁴ comes that far; if nine tenths are, one in 850.
const PLACES: usize = 64;

/// The request's key, or a random one.
#[inline]
fn key<B, M>(pick: &Pick<'_, B, M>) -> u64 {
    pick.ask().key().unwrap_or_else(|| pick.random())
}

/// Further hashes of a key, each as good as independent of the key and of each other.
#[inline]
fn rehashes(key: u64) -> impl Iterator<Item = u64> {
    let mut hashes = Generator::new(key);
    std::iter::repeat_with(move || hashes.next())
}

/// The member that a key leads to, or the first open one that its rehashes do; `at` says whom a hash leads to, and
/// `other` knows an open member for a key if there is one.
#[inline]
fn choose<B, M>(
    pick: &Pick<'_, B, M>,
    at: impl Fn(u64) -> Option<At>,
    other: impl FnOnce(u64) -> Option<At>,
) -> Option<At> {
    match pick.ask().key() {
        Some(key) if pick.all_open() => at(key),
        _ => search(pick, at, other),
    }
}

/// Apart, so that the common case needs no more registers than it uses: with a table, that is half of its time.
#[cold]
#[inline(never)]
fn search<B, M>(
    pick: &Pick<'_, B, M>,
    at: impl Fn(u64) -> Option<At>,
    other: impl FnOnce(u64) -> Option<At>,
) -> Option<At> {
    let key = key(pick);
    let mut hashes = std::iter::once(key).chain(rehashes(key).take(PLACES));
    hashes
        .find_map(|hash| at(hash).filter(|at| pick.is_open(*at)))
        .or_else(|| other(key))
}
