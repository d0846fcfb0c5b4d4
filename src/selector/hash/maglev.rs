//! Maglev's table.

mod fill;
mod modulus;

use modulus::Modulus;

use super::{choose, order::Order};
use crate::{
    backend::Backend,
    needs::Needs,
    selector::{
        AnySelector, Members, ParameterError, Pick, Selector,
        roster::At,
        strategy::named::{Named, Parameter, whole},
    },
};

/// Each request goes to the member that stands in the table at its key modulo the table's size: Maglev hashing
/// (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer",
/// [NSDI 2016](https://www.usenix.org/conference/nsdi16/technical-sessions/presentation/eisenbud), §3.4). O(1), one load;
/// prepared in O(size × log size).
///
/// Members take turns in claiming entries of the table, each in an order of its own: so all get the same number of
/// entries, or one less, and most keep theirs when somebody leaves. Some do not: with the default size, 0.6 % of all
/// keys move beyond those that have to when one of a hundred members leaves, or of a thousand; of ten 0.2 %, and at most
/// 1 %, of five hundred. A larger table moves fewer and costs more; the paper (§3.4) wants at least a hundred entries a
/// member. Where there are more members than entries, those last by id have none, and are chosen only while others are
/// closed.
///
/// With weights, members claim in proportion, and the entries are those of Envoy's `maglev` policy with hosts of the
/// same names and weights (`source/extensions/load_balancing_policies/maglev/maglev_lb.cc`): XXH64 of the id gives a
/// member's order, and the members' turns go by their ids. A key that Envoy has hashed alike comes to the same member.
///
/// A key whose entry's member is closed goes on at the entry of a rehash, which differs from key to key: Envoy's
/// retries come elsewhere.
///
/// ```
/// use equipoise::selector::hash::Maglev;
///
/// assert_eq!(Maglev::new().size(), 65_537);
/// let wrong = Maglev::new().with_size(65_536).unwrap_err();
/// assert_eq!(
///     wrong.to_string(),
///     "invalid size '65536' of strategy maglev: expected a prime number from 2 to 5000011"
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Maglev {
    size: u32,
}

/// Envoy's and the paper's (§5.3).
const SIZE: u32 = 65_537;
/// Envoy's limit, the largest prime that it allows.
const LARGEST: u32 = 5_000_011;
const SIZES: &str = "a prime number from 2 to 5000011";

/// What [`Maglev`] prepares: 4 bytes an entry, and 4 a member.
#[derive(Debug)]
pub struct MaglevTable {
    entries: Box<[At]>,
    /// The number of entries.
    modulus: Modulus,
    order: Order,
}

impl Maglev {
    /// A table of 65,537 entries.
    pub fn new() -> Self {
        Self { size: SIZE }
    }

    /// A table of so many entries: a prime number from 2 to 5,000,011.
    pub fn with_size(self, size: u32) -> Result<Self, ParameterError> {
        if size <= LARGEST && is_prime(size) {
            Ok(Self { size })
        } else {
            Err(ParameterError::new(Self::NAME, "size", size, SIZES))
        }
    }

    /// How many entries the table has.
    pub fn size(&self) -> u32 {
        self.size
    }
}

impl Default for Maglev {
    fn default() -> Self {
        Self::new()
    }
}

impl Named for Maglev {
    const NAME: &'static str = "maglev";
    const SUMMARY: &'static str = "by key, from a table: the cheapest and most even, and few keys move";
    const PARAMETERS: &'static [Parameter<Self>] = &[Parameter {
        name: "size",
        allowed: SIZES,
        get: |selector| selector.size.to_string(),
        set: |selector, text| whole(text).and_then(|size| selector.with_size(size).ok()),
    }];

    fn selector<B: Backend>(&self) -> AnySelector<B> {
        AnySelector::new(*self)
    }
}

/// By trial, which is quick up to [`LARGEST`].
fn is_prime(number: u32) -> bool {
    number >= 2
        && (2..)
            .take_while(|factor| factor * factor <= number)
            .all(|factor| number % factor != 0)
}

impl MaglevTable {
    /// The entry at a key modulo the size; none where there are no members.
    #[inline]
    fn at(&self, key: u64) -> Option<At> {
        self.entries.get(self.modulus.rest(key) as usize).copied()
    }
}

impl<B: Backend> Selector<B> for Maglev {
    type Memory = ();
    type Table = MaglevTable;

    fn memory(&self, _: &B) {}

    fn needs(&self) -> Needs {
        Needs::nothing().keys()
    }

    fn prepare(&self, members: &Members<'_, B, ()>) -> MaglevTable {
        let order = Order::new(members);
        MaglevTable {
            entries: fill::entries(members, order.as_slice(), self.size),
            modulus: Modulus::new(self.size),
            order,
        }
    }

    #[inline]
    fn select(&self, table: &MaglevTable, pick: &Pick<'_, B, ()>) -> Option<At> {
        choose(pick, |key| table.at(key), |key| table.order.next_open(key, pick))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_primes_in_range() {
        let accepted: Vec<u32> = (0..30).filter(|size| Maglev::new().with_size(*size).is_ok()).collect();
        assert_eq!(accepted, [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
        // The next prime after the largest.
        assert!(is_prime(5_000_077) && Maglev::new().with_size(5_000_077).is_err());
        assert!(Maglev::new().with_size(u32::MAX).is_err());
    }
}
