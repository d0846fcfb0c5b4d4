//! Who is fit: what backends answer when they are asked.
//!
//! A [`HealthProbe`] is how to ask; a pool is told of one with [`PoolBuilder::probe`](crate::PoolBuilder::probe). Its
//! driver asks when the selector wants to know how loaded members are, as [`Prequal`](crate::Prequal) does; what they
//! answer is a [`Report`].
//!
//! A [`HealthCheck`] has every member asked again and again whether it is fit.

mod check;
mod probe;
mod report;
mod state;
mod verdict;

pub(crate) use check::Settings;
pub use check::{CheckError, HealthCheck, Initial};
pub use probe::HealthProbe;
pub(crate) use probe::{AnyProbe, Asked};
pub use report::{Report, Standing};
pub use state::Health;
pub(crate) use verdict::Verdict;
