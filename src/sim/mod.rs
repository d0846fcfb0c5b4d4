//! Which strategy is best for which servers: a simulation that drives real pools.

mod trace;

pub use trace::{Recorded, Trace};
