//! Least loaded: the fewest requests in flight for its weight, of all or of a few drawn at random.

use std::{array::from_fn, iter};

use super::{
    AnySelector, Completion, Failures, Members, Needs, Pick, Selector,
    alias::Alias,
    roster::At,
    strategy::named::{Named, Parameter, whole},
};
use crate::backend::Backend;

/// Each request goes to the member with the fewest requests in flight over its weight, of `d` members drawn at
/// random without replacement, by weight; ties go by weight. With d from 3 on, up to 2 `d` members all are looked at,
/// which costs no more. O(d).
///
/// Weights are honoured by load: members whose loads over their weights are equal are as welcome. So the shares are
/// those of the weights from about as many requests in flight on as the weights' sum over their greatest common divisor;
/// with fewer, and more than one, a light member that is idle is taken before a heavy one that is not.
///
/// A failure weighs like a request that is open, until a second after the member's last one: who fails at once would look
/// idle, and draw everything.
///
/// It goes by what is in flight: a caller that sends one request after the other leaves nothing to go by, and a slow
/// member gets as many of those as any.
///
/// The default, d = 8, comes closer to looking at all than d = 2, the power of two choices (Mitzenmacher 2001); d = 1 is
/// [`Random`](super::Random). What is in flight is what this process has sent: with very many processes in
/// front of the same members, each sees little.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LeastLoaded {
    choices: Choices,
}

/// How many members [`LeastLoaded`] compares: a number from 1 to 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Choices(u8);

impl Choices {
    /// The largest number of choices.
    pub const MAX: usize = 32;

    /// None unless `d` is from 1 to 32.
    pub const fn new(d: usize) -> Option<Self> {
        if d >= 1 && d <= Self::MAX {
            Some(Self(d as u8))
        } else {
            None
        }
    }

    /// The number.
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

impl Default for Choices {
    fn default() -> Self {
        Self(8)
    }
}

/// What [`LeastLoaded`] prepares: nothing while the weights are equal.
#[derive(Debug)]
pub struct LeastLoadedTable(Option<Alias>);

impl LeastLoaded {
    /// The least loaded of 8.
    pub fn new() -> Self {
        Self::of(Choices::default())
    }

    /// The least loaded of `choices`.
    pub fn of(choices: Choices) -> Self {
        Self { choices }
    }

    /// How many are compared.
    pub fn choices(&self) -> Choices {
        self.choices
    }
}

impl Default for LeastLoaded {
    fn default() -> Self {
        Self::new()
    }
}

/// A member's load and, to break ties evenly, a random number, in one that can be compared; then the order in which
/// the member was met, to find it again.
#[inline]
fn key(load: usize, tie: u32, order: usize) -> u64 {
    // 26 bits of load: a backend with more than 67 million requests in flight is full enough.
    (load as u64).min((1 << 26) - 1) << 38 | u64::from(tie) << 6 | order as u64
}

/// The order within a key.
const ORDER: u64 = (1 << 6) - 1;

impl Named for LeastLoaded {
    const NAME: &'static str = "least_loaded";
    const SUMMARY: &'static str = "the fewest requests in flight for its weight, of d members drawn at random";
    const PARAMETERS: &'static [Parameter<Self>] = &[Parameter {
        name: "d",
        allowed: "a whole number from 1 to 32",
        get: |selector| selector.choices.get().to_string(),
        set: |_, text| whole(text).and_then(Choices::new).map(LeastLoaded::of),
    }];

    fn selector<B: Backend>(&self) -> AnySelector<B> {
        AnySelector::new(*self)
    }
}

impl LeastLoaded {
    /// Up to how many members all are looked at, at most 64. Two choices stay two, as their name says.
    #[inline]
    fn scanned(self) -> usize {
        match self.choices.get() {
            d @ ..=2 => d,
            d => 2 * d,
        }
    }

    /// `PLAIN`: every member is open, and need not be asked.
    #[inline(always)]
    fn of_all<const PLAIN: bool, B, M>(pick: &Pick<'_, B, M>) -> Option<At> {
        let least = pick.with_random(|random| {
            let mut bits = 0;
            let mut least = u64::MAX;
            for at in pick.iter() {
                let order = at.index();
                bits = if order % 2 == 0 { random.next() } else { bits >> 32 };
                least = least.min(Self::key::<PLAIN, B, M>(pick, at, bits as u32, order));
            }
            least
        });
        (least != u64::MAX).then_some(At((least & ORDER) as u32))
    }

    /// Draws `d` members, at most `D`, without replacement: the first from all; then one from each of `d` − 1 stretches
    /// of one length on the circle that begins behind the first. So none is drawn twice, every member has the same
    /// chance and, as `d` = 2, every pair.
    #[inline(always)]
    fn of_drawn<const D: usize, const PLAIN: bool, B, M>(d: usize, pick: &Pick<'_, B, M>) -> Option<At> {
        let len = pick.len() as u64;
        let mut bits = [0u32; D];
        let first = pick.with_random(|random| {
            for two in bits.chunks_mut(2) {
                let number = random.next();
                two[0] = number as u32;
                if let Some(second) = two.get_mut(1) {
                    *second = (number >> 32) as u32;
                }
            }
            random.below(len)
        });
        // What is left over, fewer than `d` members before the first, is left out: elsewhere each time.
        let stretch = (len - 1) / (d as u64).max(2).saturating_sub(1);
        // First all places, then all loads: the loads, each of which may miss the cache, then overlap.
        let places: [u64; D] = from_fn(|order| {
            if order == 0 {
                return first;
            }
            // 32 bits each: off by at most the stretch's length in 2³². What is left of them breaks ties.
            let product = u64::from(bits[order]) * stretch;
            bits[order] = product as u32;
            let place = first + 1 + stretch * (order as u64 - 1) + (product >> 32);
            place - len * u64::from(place >= len)
        });
        let mut least = u64::MAX;
        for order in 0..d.min(D) {
            let at = At(places[order] as u32);
            least = least.min(Self::key::<PLAIN, B, M>(pick, at, bits[order], order));
        }
        if least == u64::MAX {
            return pick.any_open();
        }
        places.get((least & ORDER) as usize).map(|place| At(*place as u32))
    }

    #[inline(always)]
    fn key<const PLAIN: bool, B, M>(pick: &Pick<'_, B, M>, at: At, tie: u32, order: usize) -> u64 {
        if PLAIN {
            key(pick.plain_load(at), tie, order)
        } else if pick.is_open(at) {
            key(pick.load(at), tie, order)
        } else {
            u64::MAX
        }
    }
}

/// The least loaded for their weights so far, and all that are as little loaded: one bit for each, by the order in
/// which they were met.
struct Least {
    load: u64,
    weight: u64,
    ties: u64,
}

impl Least {
    /// More than any load over any weight.
    const NONE: Self = Self {
        load: u32::MAX as u64,
        weight: 1,
        ties: 0,
    };

    /// load ∕ weight against the least so far, without dividing.
    #[inline]
    fn meet(&mut self, order: usize, load: usize, weight: u32) {
        // 32 bits each, so that the products have 64: four thousand million in flight are full enough.
        let (load, weight, tie) = ((load as u64).min(u64::from(u32::MAX)), u64::from(weight), 1 << order);
        let (this, least) = (load * self.weight, self.load * weight);
        if this < least {
            *self = Self {
                load,
                weight,
                ties: tie,
            };
        } else if this == least {
            self.ties |= tie;
        }
    }
}

impl LeastLoaded {
    /// Some members are closed, or were replaced.
    #[inline(never)]
    fn of_some<B, M>(self, few: bool, pick: &Pick<'_, B, M>) -> Option<At> {
        if few {
            Self::of_all::<false, B, M>(pick)
        } else {
            Self::of_drawn::<{ Choices::MAX }, false, B, M>(self.choices.get(), pick)
        }
    }

    /// Some members weigh more than others, or have failed: by `load`, and by weight.
    #[inline(never)]
    fn by<B, M>(self, load: impl Fn(At) -> usize, alias: Option<&Alias>, pick: &Pick<'_, B, M>) -> Option<At> {
        if pick.len() <= self.scanned() {
            return Self::of_all_by(load, pick);
        }
        match alias {
            Some(alias) => self.of_drawn_by(load, || alias.draw(pick), pick),
            None => self.of_drawn_by(load, || At(pick.below(pick.len() as u64) as u32), pick),
        }
    }

    fn of_all_by<B, M>(load: impl Fn(At) -> usize, pick: &Pick<'_, B, M>) -> Option<At> {
        let mut least = Least::NONE;
        let all_open = pick.all_open();
        for at in pick.iter().filter(|at| all_open || pick.is_open(*at)) {
            least.meet(at.index(), load(at), pick.weight(at));
        }
        let ties = || {
            let mut left = least.ties;
            iter::from_fn(move || {
                let next = (left != 0).then(|| At(left.trailing_zeros()));
                left &= left.wrapping_sub(1);
                next
            })
        };
        if least.ties.is_power_of_two() {
            return ties().next();
        }
        let total: u64 = ties().map(|at| u64::from(pick.weight(at))).sum();
        if total == 0 {
            return None;
        }
        let mut left = pick.below(total);
        ties().find(|at| match left.checked_sub(u64::from(pick.weight(*at))) {
            Some(rest) => {
                left = rest;
                false
            }
            None => true,
        })
    }

    /// Draws by weight, and again what was drawn before, up to a bound: where few members have nearly all the weight
    /// there may be fewer than d.
    fn of_drawn_by<B, M>(self, load: impl Fn(At) -> usize, draw: impl Fn() -> At, pick: &Pick<'_, B, M>) -> Option<At> {
        let d = self.choices.get();
        let mut drawn = [At(u32::MAX); Choices::MAX];
        let mut count = 0;
        let mut least = Least::NONE;
        let all_open = pick.all_open();
        for _ in 0..4 * d {
            let at = draw();
            if drawn[..count].contains(&at) {
                continue;
            }
            drawn[count] = at;
            if all_open || pick.is_open(at) {
                least.meet(count, load(at), pick.weight(at));
            }
            count += 1;
            if count == d {
                break;
            }
        }
        if least.ties == 0 {
            return pick.any_open();
        }
        // Of ties the first drawn: drawn by weight, that is a tie broken by weight.
        drawn.get(least.ties.trailing_zeros() as usize).copied()
    }
}

impl<B: Backend> Selector<B> for LeastLoaded {
    type Memory = Failures;
    type Table = LeastLoadedTable;

    fn memory(&self, _: &B) -> Failures {
        Failures::default()
    }

    fn prepare(&self, members: &Members<'_, B, Failures>) -> LeastLoadedTable {
        LeastLoadedTable((!members.equal_weights()).then(|| Alias::new(members)))
    }

    #[inline]
    fn select(&self, table: &LeastLoadedTable, pick: &Pick<'_, B, Failures>) -> Option<At> {
        let few = pick.len() <= self.scanned();
        let at = match &table.0 {
            _ if pick.is_empty() => None,
            None if few && pick.is_plain() => Self::of_all::<true, B, Failures>(pick),
            // The usual numbers have code of their own.
            None if !few && pick.is_plain() => match self.choices.get() {
                2 => Self::of_drawn::<2, true, B, Failures>(2, pick),
                8 => Self::of_drawn::<8, true, B, Failures>(8, pick),
                d => Self::of_drawn::<{ Choices::MAX }, true, B, Failures>(d, pick),
            },
            None => self.of_some(few, pick),
            Some(alias) => self.by(|at| pick.load(at), Some(alias), pick),
        }?;
        if pick.memory(at).is_clear() {
            return Some(at);
        }
        self.among_failing(table.0.as_ref(), pick)
    }

    fn needs(&self) -> Needs {
        Needs::nothing().failures()
    }

    fn observe(&self, failures: &Failures, completion: &Completion) {
        failures.observe(completion);
    }
}

impl LeastLoaded {
    /// The one that would be chosen has failed of late: all are weighed again, with what their failures weigh.
    #[cold]
    fn among_failing<B>(self, alias: Option<&Alias>, pick: &Pick<'_, B, Failures>) -> Option<At> {
        let now = pick.stamp();
        self.by(|at| pick.load(at) + pick.memory(at).weight(now), alias, pick)
    }
}
