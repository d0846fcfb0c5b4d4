//! How loaded a server is: what it says of it, and how it counts that.
//!
//! A [`LoadReport`] is what a server says, with an answer or in reply to a probe; a [`Meter`] is how the server comes to
//! know. Neither minds how it is said: for HTTP there is the feature `orca`.

mod latency;
mod meter;
mod report;
mod window;

pub use meter::{Meter, Metered};
pub use report::{AbsurdLoad, LoadReport};
