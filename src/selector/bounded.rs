//! Bounded loads: no member much above its fair share, around a selector that goes by keys.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    AnySelector, Completion, Demand, Failures, Members, Needs, ParameterError, Pick, Selector, Strategy,
    failures::Failing,
    hash::Ring,
    roster::At,
    strategy::named::{Named, Parameter, decimal},
};
use crate::{backend::Backend, load::LoadReport};

/// No member has more in flight than ⌈`factor` × its fair share⌉ (Mirrokni, Thorup and Zadimoghaddam, "Consistent hashing
/// with bounded loads", SODA 2018, [arXiv:1608.01350](https://arxiv.org/abs/1608.01350)); who is full is closed to the
/// selector inside, so that a key goes on in its own order of preference. O(1) more than what is inside; where its
/// first choice is full, what it takes to choose among some.
///
/// The fair share is that of the weight, of all that is in flight with this request. With a factor near 1 loads are even
/// and keys move often; with a large one they stay at home. The paper shows that a removal or an addition moves
/// O(1 ∕ ε²) keys for each that has to, with ε = factor − 1. Around a selector that goes by load it does nothing but
/// cost. Around a [`Subset`](super::Subset) it undoes it, as the fair share is that among all members, which the few of
/// the subset soon have: let the subset be around it, `subset(bounded(ring))`.
///
/// The selector inside is asked once more where its first choice is full: round robin then takes a turn more, and
/// [`Prequal`](super::Prequal) asks for as many probes again.
///
/// A failure keeps a place for a while, as with [`LeastLoaded`](super::LeastLoaded): a member that fails at once would
/// otherwise never be full, and draw what others have no room for.
///
/// The bound holds for what a pick sees: picks at the very same moment may each take the last room. What is in flight
/// at members that drain counts in the total too. Homes, which are taken before any selector is asked, are not bound;
/// and if all who are open are full, since others are closed for other reasons, the request goes where it would have
/// gone without.
///
/// ```
/// use equipoise::selector::{Bounded, hash::Ring};
///
/// let bounded = Bounded::new(Ring::new()).with_factor(1.5)?;
/// assert!(Bounded::new(Ring::new()).with_factor(0.9).is_err());
/// # Ok::<_, equipoise::ParameterError>(())
/// ```
#[derive(Debug)]
pub struct Bounded<S> {
    inner: S,
    factor: f64,
    failing: Failing,
}

/// What [`Bounded`] remembers of a member: its failures, and what the selector inside remembers.
#[derive(Debug)]
pub struct BoundedMemory<M> {
    failures: Failures,
    inner: M,
}

/// What [`Bounded`] prepares.
#[derive(Debug)]
pub struct BoundedTable<T> {
    inner: T,
    /// The factor over the sum of weights, less what rounding may add: a bound that is a whole number is not exceeded.
    scale: f64,
}

/// HAProxy's `hash-balance-factor` has no limit; beyond this nothing is bound.
const LARGEST: f64 = 100.0;
const ALLOWED: &str = "a number from 1 to 100";

impl<S> Bounded<S> {
    /// At most 1.25 times the fair share.
    pub fn new(inner: S) -> Self {
        Self::with(inner, 1.25)
    }

    fn with(inner: S, factor: f64) -> Self {
        let failing = Failing::default();
        Self { inner, factor, failing }
    }

    /// At most so many times the fair share, from 1 to 100.
    ///
    /// # Errors
    /// A number out of that range, or none.
    pub fn with_factor(self, factor: f64) -> Result<Self, ParameterError> {
        if (1.0..=LARGEST).contains(&factor) {
            Ok(Self::with(self.inner, factor))
        } else {
            Err(ParameterError::new("bounded", "factor", factor, ALLOWED))
        }
    }

    /// How many times the fair share.
    pub fn factor(&self) -> f64 {
        self.factor
    }
}

/// The same settings; what fails is known to each by itself.
impl<S: Clone> Clone for Bounded<S> {
    fn clone(&self) -> Self {
        Self::with(self.inner.clone(), self.factor)
    }
}

/// By the settings.
impl<S: PartialEq> PartialEq for Bounded<S> {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner && self.factor == other.factor
    }
}

/// Around a [`Ring`].
impl Default for Bounded<Box<Strategy>> {
    fn default() -> Self {
        Self::new(Box::new(Strategy::Ring(Ring::default())))
    }
}

impl Named for Bounded<Box<Strategy>> {
    const NAME: &'static str = "bounded";
    const SUMMARY: &'static str = "another strategy, but none above factor times its fair share of what is in flight";
    const PARAMETERS: &'static [Parameter<Self>] = &[Parameter {
        name: "factor",
        allowed: ALLOWED,
        get: |bounded| bounded.factor.to_string(),
        set: |bounded, text| decimal(text).and_then(|factor| bounded.clone().with_factor(factor).ok()),
    }];

    fn selector<B: Backend>(&self) -> AnySelector<B> {
        AnySelector::new(Bounded::with(self.inner.selector(), self.factor))
    }

    fn inner(&self) -> Option<&Strategy> {
        Some(&self.inner)
    }

    fn around(&self, inner: Strategy) -> Option<Self> {
        // Its few are full at once, of what would be their shares among all.
        if matches!(inner, Strategy::Subset(_)) {
            return None;
        }
        Some(Self::with(Box::new(inner), self.factor))
    }
}

impl<B: Backend, S: Selector<B>> Selector<B> for Bounded<S> {
    type Memory = BoundedMemory<S::Memory>;
    type Table = BoundedTable<S::Table>;

    fn memory(&self, backend: &B) -> Self::Memory {
        BoundedMemory {
            failures: Failures::default(),
            inner: self.inner.memory(backend),
        }
    }

    fn prepare(&self, members: &Members<'_, B, Self::Memory>) -> Self::Table {
        let weights: u64 = members.iter().map(|at| u64::from(members.weight(at))).sum();
        BoundedTable {
            inner: members.within(|memory| &memory.inner, |members| self.inner.prepare(members)),
            scale: self.factor / weights as f64 * (1.0 - 1e-12),
        }
    }

    fn refresh(&self) -> Option<Duration> {
        self.inner.refresh()
    }

    fn needs(&self) -> Needs {
        self.inner.needs().total_in_flight().failures()
    }

    fn demand(&self) -> Option<&Arc<Demand>> {
        self.inner.demand()
    }

    #[inline]
    fn select(&self, table: &Self::Table, pick: &Pick<'_, B, Self::Memory>) -> Option<At> {
        let choose = |pick: &Pick<'_, B, Self::Memory>| {
            pick.within(
                |memory| &memory.inner,
                |pick| pick.chosen_by::<S>(self.inner.select(&table.inner, pick)),
            )
        };
        let first = choose(pick)?;
        let scale = table.scale * (pick.total_in_flight() + 1) as f64;
        let is_clear = self.failing.is_clear();
        let failed = self.failing.now();
        // A whole number is below ⌈x⌉ if it is below x.
        let is_full = |at| {
            let kept = if is_clear {
                0.0
            } else {
                pick.memory(at).failures.weight(failed)
            };
            pick.load(at) as f64 + f64::from(kept) >= scale * f64::from(pick.weight(at))
        };
        if !is_clear {
            self.failing.pass(pick, f32::INFINITY, |at| pick.load(at) as f32);
        }
        if !is_full(first) {
            return Some(first);
        }
        pick.closing(&is_full, choose).or(Some(first))
    }

    fn observe(&self, memory: &Self::Memory, completion: &Completion) {
        self.failing.observe(&memory.failures, completion);
        self.inner.observe(&memory.inner, completion);
    }

    fn report(&self, memory: &Self::Memory, report: &LoadReport, now: Instant) {
        self.inner.report(&memory.inner, report, now);
    }
}
