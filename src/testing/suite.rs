//! The property suite of a selector's contract.

use std::{
    error, fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{scenario, shares};
use crate::{Backend, Endpoint, Selector};

/// The property suite of a selector's contract, as plain functions: what
/// [`selector_suite!`](crate::selector_suite) makes tests of.
///
/// All randomness is seeded, and time moves by hand: a selector that passes once passes always, unless it brings
/// chance of its own.
///
/// ```
/// use equipoise::{Backend, Random, Selector, selector::{At, Members, Pick}, testing::Suite};
///
/// Suite::new(Random::new).check()?;
///
/// /// Forgets that a member may be closed.
/// struct First;
///
/// impl<B: Backend> Selector<B> for First {
///     type Memory = ();
///     type Table = ();
///     fn memory(&self, _: &B) {}
///     fn prepare(&self, _: &Members<'_, B, ()>) {}
///     fn select(&self, _: &(), pick: &Pick<'_, B, ()>) -> Option<At> {
///         pick.iter().next()
///     }
/// }
///
/// let violation = Suite::new(|| First).picks_open_members().unwrap_err();
/// assert!(violation.to_string().contains("chose 'm0', which is closed"));
/// # Ok::<_, equipoise::testing::Violation>(())
/// ```
pub struct Suite<S, B = Endpoint<()>> {
    make: Box<dyn Fn() -> S>,
    backend: MakeBackend<B>,
    tolerance: f64,
    keyed: bool,
}

/// Of an id and a weight.
type MakeBackend<B> = Box<dyn Fn(&str, u32) -> B>;

impl<S> Suite<S> {
    /// The suite for what `make` makes, over members that are `Endpoint<()>`. It is called for each pool anew.
    pub fn new(make: impl Fn() -> S + 'static) -> Self {
        Self {
            make: Box::new(make),
            backend: Box::new(|id, weight| Endpoint::new(id, ()).with_weight(weight)),
            tolerance: 0.0,
            keyed: false,
        }
    }
}

impl<S, B> Suite<S, B> {
    /// For a selector of other backends: makes one of an id and a weight, which it must then have.
    pub fn backends<C: Backend>(self, backend: impl Fn(&str, u32) -> C + 'static) -> Suite<S, C> {
        Suite {
            make: self.make,
            backend: Box::new(backend),
            tolerance: self.tolerance,
            keyed: self.keyed,
        }
    }

    /// For a selector that goes by the ask's key: every ask has one. Without, some have.
    pub fn keyed(mut self) -> Self {
        self.keyed = true;
        self
    }

    /// How far a member's share may be off, relative to what it should be, beyond chance: 0 unless said otherwise, 0.1
    /// for a tenth. For selectors that cut the shares beforehand, such as a ring.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }
}

impl<S: Selector<B>, B: Backend> Suite<S, B> {
    /// An open member whenever there is one, never a closed one, none only if none is open, never a panic: in random
    /// sequences of changes, picks and outcomes over members of all weights, some of them draining, some at their
    /// in-flight limits, some tried before. Fails with the shortest sequence found.
    pub fn picks_open_members(&self) -> Result<(), Violation> {
        scenario::sequences(self)
    }

    /// The same for none, one, two and up to a thousand members with the strangest weights, and when all but one are
    /// closed.
    pub fn bears_extremes(&self) -> Result<(), Violation> {
        guarded(|| scenario::extremes(self))
    }

    /// Each member's share of thousands of picks is that of its weight. What chance may take or add is bounded by
    /// Bernstein's inequality: for a selector that draws its members independently, less than once in 10⁹ shares is
    /// beyond.
    pub fn honours_weights(&self) -> Result<(), Violation> {
        guarded(|| shares::shares(self))
    }

    /// All of the above.
    pub fn check(&self) -> Result<(), Violation> {
        self.picks_open_members()?;
        self.bears_extremes()?;
        self.honours_weights()
    }

    pub(super) fn selector(&self) -> S {
        (self.make)()
    }

    pub(super) fn backend(&self, id: &str, weight: u32) -> B {
        (self.backend)(id, weight)
    }

    pub(super) fn is_keyed(&self) -> bool {
        self.keyed
    }

    pub(super) fn allowance(&self) -> f64 {
        self.tolerance
    }
}

impl<S, B> fmt::Debug for Suite<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suite")
            .field("tolerance", &self.tolerance)
            .field("keyed", &self.keyed)
            .finish_non_exhaustive()
    }
}

fn guarded(check: impl FnOnce() -> Result<(), Violation>) -> Result<(), Violation> {
    catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(Violation::new(format!("panicked: {}", text.unwrap_or_default())))
    })
}

/// How a selector broke its contract, in words.
#[derive(Clone, PartialEq, Eq)]
pub struct Violation(String);

impl Violation {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the selector {}", self.0)
    }
}

/// As [`Display`](fmt::Display): it is what a failed test prints.
impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl error::Error for Violation {}
