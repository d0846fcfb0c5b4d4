//! A workload that was recorded.

use std::time::Duration;

/// Requests that were recorded, in the order in which they came, the first at time 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    requests: Vec<Recorded>,
}

/// A request that was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// When it came.
    pub arrival: Duration,
    /// How long it took to serve.
    pub service: Duration,
    /// What says that two requests belong together, as a [`HashKey`](crate::key::HashKey)'s hash; none if it was not
    /// recorded.
    pub key: Option<u64>,
}

impl Trace {
    /// The requests.
    pub fn requests(&self) -> &[Recorded] {
        &self.requests
    }
}
