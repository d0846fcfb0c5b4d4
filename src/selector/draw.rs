//! The least of all members, or of a few drawn at random.

use std::{array::from_fn, iter};

use super::{Pick, alias::Alias, roster::At};

/// How many members a selector compares: a number from 1 to 32, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Choices(u8);

impl Choices {
    /// The largest number of choices, but for all.
    pub const MAX: usize = 32;

    /// None unless `d` is from 1 to 32.
    pub const fn new(d: usize) -> Option<Self> {
        if d >= 1 && d <= Self::MAX {
            Some(Self(d as u8))
        } else {
            None
        }
    }

    /// All members, however many: O(members).
    pub const fn all() -> Self {
        Self(u8::MAX)
    }

    /// The number; none for all.
    pub const fn get(self) -> Option<usize> {
        match self.0 {
            u8::MAX => None,
            d => Some(d as usize),
        }
    }

    pub(super) const ALLOWED: &'static str = "a whole number from 1 to 32, or all";

    pub(super) fn read(text: &str) -> Option<Self> {
        match text {
            "all" => Some(Self::all()),
            _ => super::strategy::named::whole(text).and_then(Self::new),
        }
    }

    pub(super) fn print(self) -> String {
        self.get().map_or("all".to_owned(), |d| d.to_string())
    }

    /// Up to how many members all are looked at, which then costs no more than drawing. Two choices stay two, as their
    /// name says.
    #[inline]
    pub(super) fn scanned(self) -> usize {
        match self.get() {
            Some(d @ ..=2) => d,
            Some(d) => 2 * d,
            None => usize::MAX,
        }
    }
}

/// Eight.
impl Default for Choices {
    fn default() -> Self {
        Self(8)
    }
}

/// `d` places drawn without replacement, each with 32 random bits that say nothing of the place: the first from all;
/// then one from each of `d` − 1 stretches of one length on the circle that begins behind the first. So none is drawn
/// twice, every member has the same chance and, as `d` = 2, every pair. There are more than `d` members, and at most `D`
/// are drawn.
#[inline(always)]
pub(super) fn places<const D: usize, B, M>(d: usize, pick: &Pick<'_, B, M>) -> ([u64; D], [u32; D]) {
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
    let places = from_fn(|order| {
        if order == 0 {
            return first;
        }
        // 32 bits each: off by at most the stretch's length in 2³². What is left of them breaks ties.
        let product = u64::from(bits[order]) * stretch;
        bits[order] = product as u32;
        let place = first + 1 + stretch * (order as u64 - 1) + (product >> 32);
        place - len * u64::from(place >= len)
    });
    (places, bits)
}

/// The least loaded for their weights so far, and all that are as little loaded: one bit for each, by the order in
/// which they were met.
struct Least {
    load: f64,
    weight: f64,
    ties: u64,
}

impl Least {
    /// How many can be met.
    const MOST: usize = u64::BITS as usize;

    /// More than any load over any weight.
    const NONE: Self = Self {
        load: f64::INFINITY,
        weight: 1.0,
        ties: 0,
    };

    /// From here on others are met, against the least so far, which is returned.
    fn begin(&mut self) -> Self {
        let ties = 0;
        std::mem::replace(self, Self { ties, ..*self })
    }

    /// load ∕ weight against the least so far, without dividing: whole numbers whose product is below 2⁵³ tie exactly.
    #[inline]
    fn meet(&mut self, order: usize, (load, weight): (f64, u32)) {
        let (weight, ties) = (f64::from(weight), 1 << order);
        let (this, least) = (load * self.weight, self.load * weight);
        if this < least {
            *self = Self { load, weight, ties };
        } else if this == least {
            self.ties |= ties;
        }
    }

    fn is_less_than(&self, other: &Self) -> bool {
        self.load * other.weight < other.load * self.weight
    }

    fn tied(&self) -> impl Iterator<Item = usize> + use<> {
        let mut left = self.ties;
        iter::from_fn(move || {
            let next = (left != 0).then(|| left.trailing_zeros() as usize);
            left &= left.wrapping_sub(1);
            next
        })
    }
}

/// Compares members by what they have to do over their weights.
pub(super) struct Draw<'a> {
    pub(super) choices: Choices,
    /// By which members are drawn where their weights differ.
    pub(super) alias: Option<&'a Alias>,
}

impl Draw<'_> {
    /// The open member of the least `load`, which is 0 or more, over its weight: of all, or of as many as are drawn.
    /// Ties go by weight.
    #[inline(never)]
    pub(super) fn least<B, M>(&self, pick: &Pick<'_, B, M>, load: impl Fn(At) -> f64) -> Option<At> {
        self.least_of(pick, |at| (load(at), pick.weight(at)))
    }

    /// The same of the least `cost`, in which the weight is counted already.
    #[inline]
    pub(super) fn cheapest<B, M>(&self, pick: &Pick<'_, B, M>, cost: impl Fn(At) -> f64) -> Option<At> {
        self.least_of(pick, |at| (cost(at), 1))
    }

    /// `load`: and over what.
    #[inline]
    fn least_of<B, M>(&self, pick: &Pick<'_, B, M>, load: impl Fn(At) -> (f64, u32)) -> Option<At> {
        if pick.len() <= self.choices.scanned() {
            return Self::of_all(pick, load);
        }
        // The usual numbers have code of their own.
        match self.choices.get() {
            Some(2) => self.of_drawn::<2, B, M>(2, pick, load),
            Some(8) => self.of_drawn::<8, B, M>(8, pick, load),
            Some(d) => self.of_drawn::<{ Choices::MAX }, B, M>(d, pick, load),
            None => Self::of_all(pick, load),
        }
    }

    #[inline(never)]
    fn of_all<B, M>(pick: &Pick<'_, B, M>, load: impl Fn(At) -> (f64, u32)) -> Option<At> {
        let mut least = Least::NONE;
        let (mut chosen, mut total) = (None, 0);
        let all_open = pick.all_open();
        for from in (0..pick.len()).step_by(Least::MOST) {
            let last = least.begin();
            let members = (from..pick.len().min(from + Least::MOST)).map(|index| At(index as u32));
            for (order, at) in members.enumerate() {
                if all_open || pick.is_open(at) {
                    least.meet(order, load(at));
                }
            }
            let tied = || least.tied().map(|order| At((from + order) as u32));
            let sum: u64 = tied().map(|at| u64::from(pick.weight(at))).sum();
            total = if least.is_less_than(&last) { sum } else { total + sum };
            // Those that tie with some before are taken by their part of the weight.
            if sum > 0 && (total == sum || pick.below(total) < sum) {
                let mut left = if least.ties.is_power_of_two() {
                    0
                } else {
                    pick.below(sum)
                };
                chosen = tied().find(|at| match left.checked_sub(u64::from(pick.weight(*at))) {
                    Some(rest) => {
                        left = rest;
                        false
                    }
                    None => true,
                });
            }
        }
        chosen
    }

    #[inline(never)]
    fn of_drawn<const D: usize, B, M>(
        &self,
        d: usize,
        pick: &Pick<'_, B, M>,
        load: impl Fn(At) -> (f64, u32),
    ) -> Option<At> {
        let d = d.min(D);
        let drawn = match self.alias {
            None => places::<D, B, M>(d, pick).0.map(|place| At(place as u32)),
            Some(alias) => alias.distinct::<D, B, M>(d, pick),
        };
        let mut least = Least::NONE;
        let all_open = pick.all_open();
        for (order, at) in drawn[..d].iter().enumerate() {
            // Fewer than `d` may have been found.
            if at.index() < pick.len() && (all_open || pick.is_open(*at)) {
                least.meet(order, load(*at));
            }
        }
        let tied = match least.ties.count_ones() {
            0 => return pick.any_open(),
            1 => 0,
            // Drawn by weight, the first is chosen by weight.
            _ if self.alias.is_some() => 0,
            ties => pick.below(ties.into()) as usize,
        };
        least.tied().nth(tied).map(|order| drawn[order])
    }
}

/// A member's rank and, to break ties evenly, a random number, in one that can be compared; then the order in which the
/// member was met, to find it again.
#[inline]
fn key(rank: u32, tie: u32, order: usize) -> u64 {
    u64::from(rank) << 32 | u64::from(tie) & !ORDER | order as u64
}

/// The order within a key.
const ORDER: u64 = (1 << 6) - 1;

impl Draw<'_> {
    /// The member of the least `rank` where all are open and of one weight: without a branch that could be mispredicted,
    /// and so with what ranks are made of looked up at once. Ties go at random.
    #[inline(always)]
    pub(super) fn least_of_equals<B, M>(&self, pick: &Pick<'_, B, M>, rank: impl Fn(At) -> u32) -> Option<At> {
        let is_few = pick.len() <= self.choices.scanned();
        // The usual numbers have code of their own.
        match self.choices.get() {
            Some(_) if is_few => Self::of_all_equals(pick, rank),
            Some(2) => Self::of_two_equals(pick, rank),
            Some(8) => Self::of_drawn_equals::<8, B, M>(8, pick, rank),
            Some(d) => Self::of_drawn_equals::<{ Choices::MAX }, B, M>(d, pick, rank),
            None => self.least(pick, |at| rank(at).into()),
        }
    }

    /// At most 64.
    #[inline(always)]
    fn of_all_equals<B, M>(pick: &Pick<'_, B, M>, rank: impl Fn(At) -> u32) -> Option<At> {
        let least = pick.with_random(|random| {
            let mut bits = 0;
            let mut least = u64::MAX;
            for at in pick.iter() {
                let order = at.index();
                bits = if order % 2 == 0 { random.next() } else { bits >> 32 };
                least = least.min(key(rank(at), bits as u32, order));
            }
            least
        });
        (!pick.is_empty()).then_some(At((least & ORDER) as u32))
    }

    /// Of two, in registers alone: what passes through memory would have to wait there for the lease's atomic operation.
    #[inline(always)]
    fn of_two_equals<B, M>(pick: &Pick<'_, B, M>, rank: impl Fn(At) -> u32) -> Option<At> {
        let len = pick.len() as u64;
        let (first, bits) = pick.with_random(|random| (random.below(len), random.next()));
        // Any of the others, and one bit for ties.
        let second = first + 1 + ((u128::from(bits) * u128::from(len - 1)) >> 64) as u64;
        let second = second - len * u64::from(second >= len);
        let [first, second] = [At(first as u32), At(second as u32)];
        let key = |at, tie: u64| u64::from(rank(at)) << 1 | tie;
        let tie = bits & 1;
        Some(if key(first, tie) < key(second, 1 - tie) {
            first
        } else {
            second
        })
    }

    #[inline(always)]
    fn of_drawn_equals<const D: usize, B, M>(d: usize, pick: &Pick<'_, B, M>, rank: impl Fn(At) -> u32) -> Option<At> {
        let (places, bits) = places::<D, B, M>(d, pick);
        let mut least = u64::MAX;
        for order in 0..d.min(D) {
            let at = At(places[order] as u32);
            least = least.min(key(rank(at), bits[order], order));
        }
        places.get((least & ORDER) as usize).map(|place| At(*place as u32))
    }
}
