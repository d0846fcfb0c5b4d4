//! Round robin, weighted and smooth.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{
    AnySelector, Members, Pick, Selector,
    roster::At,
    strategy::named::{Named, Parameter},
};
use crate::{backend::Backend, sync::Line};

/// Each request goes to the next member in turn. O(1), one atomic operation; with a sum of weights above 65,536 it is
/// O(1) on average.
///
/// All clones of a pool share one position, which survives changes of the members. With weights the turn is nginx's
/// smooth order (weights 5, 1, 1: a a b a c a a; documented in `ngx_http_upstream_round_robin`'s commit 52327e0627f4)
/// while the sum of the weights over their greatest common divisor is at most 65,536. Above, the members' shares
/// are still exact over a cycle of that sum, in an order spread by the golden ratio: after any number of picks a
/// member is off its share by O(log sum) (the sequence's discrepancy: Niederreiter, "Random Number Generation and
/// Quasi-Monte Carlo Methods", 1992, §3.1).
#[derive(Debug, Default)]
pub struct RoundRobin {
    start: Start,
    turn: Line<AtomicU64>,
}

/// Whose turn is the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Start {
    /// The first member's.
    #[default]
    First,
    /// Anybody's, so that many replicas that start together do not march in step.
    Random,
}

/// The longest smooth order that is written out, in picks.
const LONGEST: u64 = 65_536;

/// How many turns are taken before an open member is looked for one by one. Taking turns keeps the shares of those
/// that are open even; looking would give a closed member's to its neighbour.
const TURNS: usize = 64;

/// What [`RoundRobin`] prepares.
#[derive(Debug)]
pub struct RoundRobinTable(Order);

/// Who comes when.
#[derive(Debug)]
pub(super) enum Order {
    /// In the order of the members.
    Plain,
    Smooth(Box<[At]>),
    Spread(Spread),
}

impl RoundRobin {
    /// Round robin, from the first member on.
    pub fn new() -> Self {
        Self::default()
    }

    /// Round robin from somewhere else.
    pub fn starting(start: Start) -> Self {
        Self {
            start,
            turn: Line::default(),
        }
    }

    #[inline]
    fn turn<B, M>(&self, pick: &Pick<'_, B, M>) -> u64 {
        let turn = self.turn.0.fetch_add(1, Relaxed);
        if turn == 0 && self.start == Start::Random {
            return self.begin(pick.random());
        }
        turn
    }

    #[cold]
    fn begin(&self, random: u64) -> u64 {
        // Half of all turns are left until they begin anew.
        let offset = random >> 1;
        self.turn.0.fetch_add(offset, Relaxed);
        offset
    }
}

impl Named for Start {
    const NAME: &'static str = "round_robin";
    const SUMMARY: &'static str = "the next member in turn, in a smooth order by weight";
    const PARAMETERS: &'static [Parameter<Self>] = &[Parameter {
        name: "start",
        allowed: "first or random",
        get: |start| match start {
            Self::First => "first".to_owned(),
            Self::Random => "random".to_owned(),
        },
        set: |_, text| match text {
            "first" => Some(Self::First),
            "random" => Some(Self::Random),
            _ => None,
        },
    }];

    fn selector<B: Backend>(&self) -> AnySelector<B> {
        AnySelector::new(RoundRobin::starting(*self))
    }
}

impl<B: Backend> Selector<B> for RoundRobin {
    type Memory = ();
    type Table = RoundRobinTable;

    fn memory(&self, _: &B) {}

    fn prepare(&self, members: &Members<'_, B, ()>) -> RoundRobinTable {
        RoundRobinTable(Order::of(members))
    }

    #[inline]
    fn select(&self, table: &RoundRobinTable, pick: &Pick<'_, B, ()>) -> Option<At> {
        self.take(&table.0, pick)
    }
}

impl Order {
    /// By the members' own weights.
    pub(super) fn of<B, M>(members: &Members<'_, B, M>) -> Self {
        if members.equal_weights() {
            return Self::Plain;
        }
        let weights: Vec<u32> = members.iter().map(|at| members.weight(at)).collect();
        let divisor = weights
            .iter()
            .fold(0, |divisor, weight| gcd(divisor, u64::from(*weight))) as u32;
        let total = weights.iter().map(|weight| u64::from(weight / divisor)).sum();
        if total <= LONGEST {
            Self::Smooth(smooth(&weights, divisor, total))
        } else {
            Self::Spread(Spread::new(&weights, divisor, total))
        }
    }

    /// By shares that are any positive numbers, to within 2⁻³² of their sum.
    pub(super) fn by_shares(shares: &[f64]) -> Self {
        let sum: f64 = shares.iter().sum();
        if shares.iter().all(|share| Some(share) == shares.first()) {
            return Self::Plain;
        }
        let weight = |share: &f64| ((share / sum * f64::from(u32::MAX)) as u32).max(1);
        let weights: Vec<u32> = shares.iter().map(weight).collect();
        let total = weights.iter().map(|weight| u64::from(*weight)).sum();
        Self::Spread(Spread::new(&weights, 1, total))
    }
}

impl RoundRobin {
    /// The next open member in this order.
    #[inline]
    pub(super) fn take<B, M>(&self, order: &Order, pick: &Pick<'_, B, M>) -> Option<At> {
        let len = pick.len() as u64;
        if len == 0 {
            return None;
        }
        let next = || {
            let turn = self.turn(pick);
            match order {
                Order::Plain => At((turn % len) as u32),
                Order::Smooth(order) => order[(turn % order.len() as u64) as usize],
                Order::Spread(spread) => spread.at(turn),
            }
        };
        if pick.all_open() {
            return Some(next());
        }
        let first = next();
        if pick.is_open(first) {
            return Some(first);
        }
        (1..TURNS)
            .map(|_| next())
            .find(|at| pick.is_open(*at))
            .or_else(|| pick.next_open(first))
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// One cycle of nginx's smooth weighted order: each turn everybody gains its weight, the richest (of equals the
/// first) is taken and pays the total.
///
/// Members of one weight take turns among themselves in their own order, so that only the next of each weight needs
/// to be compared: O(total × distinct weights), not O(total × members).
fn smooth(weights: &[u32], divisor: u32, total: u64) -> Box<[At]> {
    struct Class {
        weight: i64,
        members: Vec<u32>,
        /// How many turns the class has taken: its next member, and how often that was taken before.
        taken: usize,
    }
    let mut classes: BTreeMap<u32, Class> = BTreeMap::new();
    for (index, weight) in weights.iter().enumerate() {
        classes
            .entry(*weight)
            .or_insert_with(|| Class {
                weight: i64::from(weight / divisor),
                members: Vec::new(),
                taken: 0,
            })
            .members
            .push(index as u32);
    }
    let mut classes: Vec<Class> = classes.into_values().collect();
    let total = total as i64;
    (1..=total)
        .filter_map(|turn| {
            let (class, next) = classes
                .iter_mut()
                .map(|class| {
                    let paid = (class.taken / class.members.len()) as i64;
                    let next = class.members[class.taken % class.members.len()];
                    (turn * class.weight - paid * total, std::cmp::Reverse(next), class)
                })
                .max_by_key(|(wealth, next, _)| (*wealth, *next))
                .map(|(_, next, class)| (class, next.0))?;
            class.taken += 1;
            Some(At(next))
        })
        .collect()
}

/// Exact shares for any weights, without writing the order out: turn t of a cycle of `total` falls on the place
/// t × step mod total, and a step coprime to the total falls on each place once.
#[derive(Debug)]
pub(super) struct Spread {
    /// Where each member's places end.
    ends: Box<[u64]>,
    /// For each of as many equal parts of the cycle: the first member with a place in it.
    guide: Box<[u32]>,
    step: u64,
}

impl Spread {
    fn new(weights: &[u32], divisor: u32, total: u64) -> Self {
        let ends: Box<[u64]> = weights
            .iter()
            .scan(0, |end, weight| {
                *end += u64::from(weight / divisor);
                Some(*end)
            })
            .collect();
        let parts = weights.len() as u128;
        let guide = (0..parts)
            .map(|part| {
                let place = (part * u128::from(total)).div_ceil(parts) as u64;
                ends.partition_point(|end| *end <= place) as u32
            })
            .collect();
        let step = step(total);
        Self { ends, guide, step }
    }

    fn at(&self, turn: u64) -> At {
        let total = u128::from(self.ends.last().copied().unwrap_or(1));
        let place = (u128::from(turn) * u128::from(self.step) % total) as u64;
        let part = (u128::from(place) * self.guide.len() as u128 / total) as usize;
        let from = self.guide[part] as usize;
        // The guide names the first member whose places reach the part's first whole place; `place` is at or after it.
        let skip = self.ends[from..].iter().take_while(|end| **end <= place).count();
        At((from + skip) as u32)
    }
}

/// How many steps near the golden one are tried: the best of 16 is off by some 2 log₂ total at most, of random totals.
const STEPS: usize = 16;

/// A step that is coprime to the total, near total / φ. How far off its share a member can be is bounded by the sum of
/// the partial quotients of step / total (Niederreiter 1992, §3.1), which rounding may make as large as the total's root:
/// so the one of the least sum is taken, of the first few.
fn step(total: u64) -> u64 {
    // In whole numbers: (√5 − 1) ∕ 2 ≈ 0x9e3779b97f4a7c15 ∕ 2⁶⁴.
    let golden = ((u128::from(total) * 0x9e37_79b9_7f4a_7c15) >> 64) as u64;
    let quotients = |step: u64| {
        let (mut a, mut b, mut sum) = (total, step, 0);
        while b != 0 {
            sum += a / b;
            (a, b) = (b, a % b);
        }
        (a == 1).then_some((sum, step))
    };
    let coprime = (golden..).filter_map(quotients).take(STEPS);
    coprime.min().map_or(1, |(_, step)| step)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn naive(weights: &[u32]) -> Vec<u32> {
        let total: i64 = weights.iter().map(|weight| i64::from(*weight)).sum();
        let mut current = vec![0i64; weights.len()];
        (0..total)
            .map(|_| {
                let mut best = 0;
                for (index, weight) in weights.iter().enumerate() {
                    current[index] += i64::from(*weight);
                    if current[index] > current[best] {
                        best = index;
                    }
                }
                current[best] -= total;
                best as u32
            })
            .collect()
    }

    #[test]
    fn smooth_order_is_nginx_s() {
        let order = |weights: &[u32]| -> Vec<u32> {
            let total = weights.iter().map(|weight| u64::from(*weight)).sum();
            smooth(weights, 1, total).iter().map(|at| at.0).collect()
        };
        assert_eq!(order(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
        let mut seed = 7u64;
        for _ in 0..200 {
            let weights: Vec<u32> = (0..1 + seed as usize % 12)
                .map(|_| {
                    seed = seed
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    1 + (seed >> 33) as u32 % 9
                })
                .collect();
            assert_eq!(order(&weights), naive(&weights), "{weights:?}");
        }
    }

    #[test]
    fn spread_is_exact_over_a_cycle_and_never_far_off() {
        let weights = [70_001, 1, 30_000, 2, 7_919];
        let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let spread = Spread::new(&weights, 1, total);
        let mut taken = [0u64; 5];
        for turn in 0..total {
            taken[spread.at(turn).index()] += 1;
            for (taken, weight) in taken.iter().zip(weights) {
                let due = (turn + 1) as f64 * f64::from(weight) / total as f64;
                assert!((*taken as f64 - due).abs() <= (total as f64).log2(), "at turn {turn}");
            }
        }
        assert_eq!(taken, weights.map(u64::from));
    }

    /// The golden ratio, rounded to a fraction of the cycle, can be near a fraction with a small denominator: of 398,256
    /// such a step is off by 265 picks.
    #[test]
    fn spread_is_never_far_off_for_cycles_whose_golden_step_is_bad() {
        for (total, weight) in [(398_256_u32, 199_129_u32), (396_460, 198_231), (393_732, 627)] {
            let spread = Spread::new(&[weight, total - weight], 1, total.into());
            let mut taken = 0;
            for turn in 0..u64::from(total) {
                taken += u32::from(spread.at(turn) == At(0));
                let due = (turn + 1) as f64 * f64::from(weight) / f64::from(total);
                let off = (f64::from(taken) - due).abs();
                assert!(off <= f64::from(total).log2(), "{off} at turn {turn} of {total}");
            }
            assert_eq!(taken, weight);
        }
    }
}
