//! For those who write selectors and services: the property suite of a selector's contract, and scripted backends.
//!
//! [`selector_suite!`](crate::selector_suite) makes tests of the contract that every selector of this crate keeps;
//! [`Suite`] is the same as plain functions. [`Scripted`] stands in for the inner service of a balanced one and gives
//! the answers that a test has written down. Both are driven by a [`ManualClock`](crate::ManualClock), and no two runs
//! differ.

mod scenario;
mod scripted;
mod shares;
mod suite;
mod world;

pub use scripted::{Call, Reply, Replying, Scripted};
pub use suite::{Suite, Violation};

/// Tests that a selector keeps the contract of [`Selector`](crate::Selector): see [`Suite`].
///
/// ```
/// # use equipoise::{Backend, selector::{At, Members, Pick}};
/// use equipoise::{LeastLoaded, Random, RoundRobin, Selector, selector_suite};
///
/// # #[derive(Default)] struct Mine;
/// # impl<B: Backend> Selector<B> for Mine {
/// #     type Memory = ();
/// #     type Table = ();
/// #     fn memory(&self, _: &B) {}
/// #     fn prepare(&self, _: &Members<'_, B, ()>) {}
/// #     fn select(&self, _: &(), pick: &Pick<'_, B, ()>) -> Option<At> { pick.any_open() }
/// # }
/// // A type that implements `Default`: the tests stand where the macro does, so once a module.
/// selector_suite!(Mine);
/// // Any expression that makes a fresh selector: the tests stand in a module of this name.
/// selector_suite!(round_robin: RoundRobin::new());
/// // With options, in any order.
/// selector_suite!(random: Random::new(), keyed, tolerance = 0.05);
/// selector_suite!(least_loaded: LeastLoaded::new(), weights = ignored);
/// ```
///
/// | option | for a selector |
/// |---|---|
/// | `weights = ignored` | whose documentation says that it does not honour weights |
/// | `tolerance = 0.1` | whose shares are off by so much, relative to what they should be, beyond chance |
/// | `keyed` | that goes by the ask's key: every ask has one |
/// | `backends = \|id, weight\| …` | of backends other than `Endpoint<()>`: makes one of a `&str` and a `u32` |
#[macro_export]
macro_rules! selector_suite {
    (@options $weights:tt ($suite:expr) weights = ignored $(, $($options:tt)*)?) => {
        $crate::testing::selector_suite!(@options ignored ($suite) $($($options)*)?);
    };
    (@options $weights:tt ($suite:expr) tolerance = $tolerance:expr $(, $($options:tt)*)?) => {
        $crate::testing::selector_suite!(@options $weights ($suite.tolerance($tolerance)) $($($options)*)?);
    };
    (@options $weights:tt ($suite:expr) keyed $(, $($options:tt)*)?) => {
        $crate::testing::selector_suite!(@options $weights ($suite.keyed()) $($($options)*)?);
    };
    (@options $weights:tt ($suite:expr) backends = $backends:expr $(, $($options:tt)*)?) => {
        $crate::testing::selector_suite!(@options $weights ($suite.backends($backends)) $($($options)*)?);
    };
    (@options $weights:tt ($suite:expr)) => {
        #[test]
        fn picks_an_open_member_whenever_there_is_one() -> Result<(), $crate::testing::Violation> {
            $suite.picks_open_members()
        }

        #[test]
        fn bears_any_weights_and_numbers_of_members() -> Result<(), $crate::testing::Violation> {
            $suite.bears_extremes()
        }

        $crate::testing::selector_suite!(@weights $weights ($suite));
    };
    (@weights ignored ($suite:expr)) => {};
    (@weights honoured ($suite:expr)) => {
        #[test]
        fn honours_weights() -> Result<(), $crate::testing::Violation> {
            $suite.honours_weights()
        }
    };
    ($selector:ident $(, $($options:tt)*)?) => {
        $crate::testing::selector_suite!(
            @options honoured
            ($crate::testing::Suite::new(<$selector as ::core::default::Default>::default))
            $($($options)*)?
        );
    };
    ($name:ident: $make:expr $(, $($options:tt)*)?) => {
        mod $name {
            #[allow(unused_imports, reason = "an expression may need nothing of what is around it")]
            use super::*;

            $crate::testing::selector_suite!($make, $($($options)*)?);
        }
    };
    ($make:expr $(, $($options:tt)*)?) => {
        $crate::testing::selector_suite!(@options honoured ($crate::testing::Suite::new(|| $make)) $($($options)*)?);
    };
}

pub use selector_suite;
