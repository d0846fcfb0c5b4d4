//! A ring of points.

mod points;
mod table;

use std::{fmt, str::FromStr};

pub use table::RingTable;

use super::{Generator, key, order::Order};
use crate::{
    backend::Backend,
    needs::Needs,
    selector::{
        AnySelector, Members, ParameterError, Pick, Selector,
        roster::At,
        strategy::named::{Named, Parameter, whole},
    },
};

/// Each request goes to the member whose point follows its key on a ring: consistent hashing (Karger et al., "Consistent
/// Hashing and Random Trees", [STOC 1997](https://dl.acm.org/doi/10.1145/258533.258660), §4). O(1): an index over the
/// sorted points, and then one or two of them; prepared in O(points × log points).
///
/// A member has points by its weight, 160 unless said otherwise, at places that depend on nothing but its id. So when it
/// joins or leaves, exactly its own keys move, from or to all others; and while it is closed, its keys go on to the
/// points that follow. The price is evenness: the shares of n members with p points each differ by about 1 ∕ √p of the
/// mean, so 160 points leave the fullest of ten some 10 % above it, of a thousand some 30 %; four times as many halve that.
///
/// With different weights a member of the middle weight has the number of points said, and others have in proportion;
/// where a few are so heavy that the mean is more than eight times the middle, an eighth of the mean stands for it. A
/// member whose share is a fraction of a point has one, or none, by chance of its id. What stands for a point's worth may
/// change with the members that come and go: then more keys move than those that have to, about as many more as it
/// changes.
///
/// # Modes
/// [`RingMode::Nginx`] and [`RingMode::Envoy`] make the ring of those, from the same names and weights:
/// `ring(mode=nginx)`, `ring(mode=envoy,size=4096)`. Names are the ids of the members.
///
/// # Parameters
/// | parameter | unless said otherwise | |
/// |---|---|---|
/// | [`mode`](Ring::with_mode) | `plain` | whose ring |
/// | [`points`](Ring::with_points) | 160 | of a member of the middle weight; `nginx`: of each unit of weight; `envoy`: not used |
/// | [`size`](Ring::with_size) | `auto` | points of the whole ring, at least |
/// | [`max`](Ring::with_max) | 8,388,608 | points of the whole ring, at most, whatever the others say |
///
/// ```
/// use equipoise::{Strategy, selector::hash::Ring};
///
/// let ring = Ring::new().with_size(4096)?;
/// assert_eq!("ring(size=4096)".parse(), Ok(Strategy::Ring(ring)));
///
/// let wrong = Ring::new().with_size(0).unwrap_err();
/// assert_eq!(
///     wrong.to_string(),
///     "invalid size '0' of strategy ring: expected auto or a whole number from 1 to 8388608"
/// );
/// # Ok::<_, equipoise::selector::ParameterError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ring {
    mode: RingMode,
    points: u32,
    size: Option<u32>,
    max: u32,
}

/// Whose ring it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RingMode {
    /// equipoise's own. A member's points are the numbers that SplitMix64 (Steele, Lea and Flood 2014) makes from the
    /// XXH3 of its id; a key's place is the first that it makes from the key. So any key will do, however regular.
    #[default]
    Plain,
    /// nginx's `hash … consistent` (`src/http/modules/ngx_http_upstream_hash_module.c`): 160 points for each unit of weight.
    /// It is for keys that are the [CRC-32](crate::key::HashFunction::Crc32) of what nginx hashes; of others the lower 32
    /// bits count. An id is what stands in nginx's configuration after `server`, port included.
    ///
    /// As there, a member that is down or full keeps its points, and its keys go on to those that follow. After 20 points
    /// nginx gives up and takes turns among all; here the key goes on. Where two members have a point at the same place,
    /// it belongs to the first by id; in nginx to the first in its configuration.
    Nginx,
    /// Envoy's `ring_hash` policy with XXH64 (`source/extensions/load_balancing_policies/ring_hash/ring_hash_lb.cc`). An id is
    /// what Envoy hashes: the address with its port, or the host name.
    ///
    /// [`size`](Ring::with_size) is Envoy's `minimum_ring_size`, 1024 unless said otherwise, and [`max`](Ring::with_max)
    /// its `maximum_ring_size`. Where weights come to fractions of points, Envoy rounds by the order in which it knows its
    /// hosts; here that is the order of the ids. As Envoy's, the number of a member's points depends on all weights, so more
    /// keys move than those that have to.
    Envoy,
}

/// nginx's points for each unit of weight, and what many others give each member.
const POINTS: u32 = 160;
const MOST_POINTS: u32 = 65_536;
/// Envoy's `minimum_ring_size`, unless said otherwise.
const ENVOY_SIZE: u32 = 1024;
/// Envoy's limit: 8 Mi.
const MAX: u32 = 8 << 20;

const MODES: &str = "plain, nginx or envoy";
const NUMBERS: &str = "a whole number from 1 to 65536";
const SIZES: &str = "auto or a whole number from 1 to 8388608";
const MAXIMA: &str = "a whole number from 1 to 8388608";

impl Ring {
    /// A ring of 160 points a member.
    pub fn new() -> Self {
        Self {
            mode: RingMode::Plain,
            points: POINTS,
            size: None,
            max: MAX,
        }
    }

    /// Whose ring it is: its own unless said otherwise.
    pub fn with_mode(self, mode: RingMode) -> Self {
        Self { mode, ..self }
    }

    /// How many points a member of the middle weight has, 160 unless said otherwise: from 1 to 65,536. In nginx's mode,
    /// how many each unit of weight has, which is 160 there; in Envoy's not used.
    pub fn with_points(self, points: u32) -> Result<Self, ParameterError> {
        in_range("points", points, MOST_POINTS, NUMBERS)?;
        Ok(Self { points, ..self })
    }

    /// How many points the ring has at least: from 1 to 8,388,608. The points of all members are doubled until there are so
    /// many. Unless it is said there is no least number, and in Envoy's mode it is 1,024; there they are
    /// multiplied as far as they need to be. In nginx's mode not used.
    pub fn with_size(self, size: u32) -> Result<Self, ParameterError> {
        in_range("size", size, MAX, SIZES)?;
        Ok(Self {
            size: Some(size),
            ..self
        })
    }

    /// How many points the ring has at most, 8,388,608 unless said otherwise: from 1 to 8,388,608. Where weights would make
    /// more, all members have fewer. A point takes 16 bytes.
    pub fn with_max(self, max: u32) -> Result<Self, ParameterError> {
        in_range("max", max, MAX, MAXIMA)?;
        Ok(Self { max, ..self })
    }

    /// Where a key stands on the ring.
    #[inline]
    fn place(&self, key: u64) -> u64 {
        match self.mode {
            RingMode::Plain => Generator::new(key).next(),
            RingMode::Nginx => key << 32,
            RingMode::Envoy => key,
        }
    }
}

impl Default for Ring {
    fn default() -> Self {
        Self::new()
    }
}

fn in_range(parameter: &'static str, value: u32, most: u32, allowed: &'static str) -> Result<(), ParameterError> {
    if (1..=most).contains(&value) {
        Ok(())
    } else {
        Err(ParameterError::new(Ring::NAME, parameter, value, allowed))
    }
}

impl Named for Ring {
    const NAME: &'static str = "ring";
    const SUMMARY: &'static str = "by key, on a ring of points: no keys move but those that have to";
    const PARAMETERS: &'static [Parameter<Self>] = &[
        Parameter {
            name: "mode",
            allowed: MODES,
            get: |ring| ring.mode.to_string(),
            set: |ring, text| text.parse().map(|mode| ring.with_mode(mode)).ok(),
        },
        Parameter {
            name: "points",
            allowed: NUMBERS,
            get: |ring| ring.points.to_string(),
            set: |ring, text| whole(text).and_then(|points| ring.with_points(points).ok()),
        },
        Parameter {
            name: "size",
            allowed: SIZES,
            get: |ring| ring.size.map_or("auto".to_owned(), |size| size.to_string()),
            set: |ring, text| match text {
                "auto" => Some(Self { size: None, ..*ring }),
                text => whole(text).and_then(|size| ring.with_size(size).ok()),
            },
        },
        Parameter {
            name: "max",
            allowed: MAXIMA,
            get: |ring| ring.max.to_string(),
            set: |ring, text| whole(text).and_then(|max| ring.with_max(max).ok()),
        },
    ];

    fn selector<B: Backend>(&self) -> AnySelector<B> {
        AnySelector::new(*self)
    }
}

impl fmt::Display for RingMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Nginx => "nginx",
            Self::Envoy => "envoy",
        })
    }
}

/// Of `plain`, `nginx` or `envoy`.
impl FromStr for RingMode {
    type Err = ParameterError;

    fn from_str(text: &str) -> Result<Self, ParameterError> {
        let mut modes = [Self::Plain, Self::Nginx, Self::Envoy].into_iter();
        let mode = modes.find(|mode| mode.to_string() == text);
        mode.ok_or_else(|| ParameterError::new(Ring::NAME, "mode", text, MODES))
    }
}

impl<B: Backend> Selector<B> for Ring {
    type Memory = ();
    type Table = RingTable;

    fn memory(&self, _: &B) {}

    fn needs(&self) -> Needs {
        Needs::nothing().keys()
    }

    fn prepare(&self, members: &Members<'_, B, ()>) -> RingTable {
        let order = Order::new(members);
        let points = points::points(self, members, order.as_slice());
        RingTable::new(points, order)
    }

    #[inline]
    fn select(&self, table: &RingTable, pick: &Pick<'_, B, ()>) -> Option<At> {
        let first = |key| table.first(self.place(key));
        match pick.ask().key().filter(|_| pick.all_open()) {
            Some(key) => table.member(first(key)).or_else(|| table.search(0, key, pick)),
            None => {
                let key = key(pick);
                table.search(first(key), key, pick)
            }
        }
    }
}
