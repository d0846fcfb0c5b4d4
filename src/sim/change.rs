//! What befalls servers while requests come.

use std::ops::Range;

/// Something that befalls some servers.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// When, as a part of the time in which requests are measured: from 0, its begin, to 1, its end.
    pub at: f64,
    /// Which servers, counted from 0.
    pub servers: Range<u32>,
    /// What.
    pub what: Befalls,
}

/// What may befall a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Befalls {
    /// It becomes a member: the balancers are told.
    Joins,
    /// It is a member no more: the balancers are told. What it has been sent it finishes.
    Leaves,
    /// It drops what it has and refuses whatever comes. The balancers are not told.
    Crashes,
    /// It answers whatever comes at once, with a failure; what it had before it serves. The balancers are not told.
    FailsFast,
    /// It takes requests and never answers any of them, nor probes; what it had before it still answers. The balancers
    /// are not told.
    Swallows,
    /// It takes so many times as long for whatever it does, what it has included: from 1 to 1,000,000. The balancers are
    /// not told.
    Slows(u32),
    /// It serves again, at its own speed, after any of the above but leaving.
    Serves,
}

impl Change {
    /// One server.
    pub fn of(server: u32, at: f64, what: Befalls) -> Self {
        let servers = server..server.saturating_add(1);
        Self { at, servers, what }
    }
}
