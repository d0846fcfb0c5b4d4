//! Who is fit: what backends answer when they are asked.
//!
//! A [`HealthProbe`] is how to ask; a pool is told of one with [`PoolBuilder::probe`](crate::PoolBuilder::probe). Its
//! driver asks when the selector wants to know how loaded members are, as [`Prequal`](crate::Prequal) does; what they
//! answer is a [`Report`].

#[cfg_attr(not(test), expect(dead_code, reason = "the driver does not use it yet"))]
mod outlier;
mod probe;
mod report;

pub use outlier::{Ejection, EjectionReason, OutlierDetection};
#[expect(unused_imports, reason = "the driver does not use it yet")]
pub(crate) use outlier::{Limits, Sample, Sentence, Streak};
pub use probe::HealthProbe;
pub(crate) use probe::{AnyProbe, Asked};
pub use report::{Report, Standing};
