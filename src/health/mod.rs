//! Who is fit: what backends answer when they are asked, and what requests show of them.
//!
//! Health, ejection and the wish for requests are three separate facts about a member:
//!
//! - **Health** is what it answers to probes. A [`HealthProbe`] is how to ask, a [`HealthCheck`]
//!   ([`PoolBuilder::health_check`](crate::PoolBuilder::health_check)) when, and how many answers count; a [`Report`] may also
//!   say how loaded it is, with which weight it goes and whether it wants requests ([`Standing`]).
//! - **Ejection** is what requests show: [`OutlierDetection`]
//!   ([`PoolBuilder::outlier_detection`](crate::PoolBuilder::outlier_detection)) keeps who fails off them for a while, and
//!   takes it back on probation.
//! - **Drain** is what an operator wants ([`Handle::drain`](crate::Handle::drain)).
//!
//! Who is fit serves, by priority: what the members of one can't take spills to the next. Where too few are fit all count
//! ([`PoolBuilder::panic_threshold`](crate::PoolBuilder::panic_threshold)): traffic is kept off bad members, never off all.
//! Who comes back is brought in by a [`SlowStart`]. `docs/fitness.md` in the repository has what each of them is worth, by
//! simulation.
//!
//! A selector that wants to know how loaded members are, as [`Prequal`](crate::Prequal) does, has a probe of its own
//! ([`PoolBuilder::probe`](crate::PoolBuilder::probe)).

mod check;
mod outlier;
mod probe;
mod report;
mod slow_start;
mod spill;
mod verdict;

pub use crate::fitness::{Ejection, EjectionReason, Health, Standing};
pub(crate) use check::Settings;
pub use check::{CheckError, HealthCheck, Initial};
pub use outlier::OutlierDetection;
pub(crate) use outlier::{Sample, Sentence};
pub use probe::HealthProbe;
pub(crate) use probe::{AnyProbe, Asked};
pub use report::Report;
pub use slow_start::SlowStart;
pub(crate) use slow_start::Warmth;
pub(crate) use spill::{Group, spill};
pub(crate) use verdict::Verdict;
