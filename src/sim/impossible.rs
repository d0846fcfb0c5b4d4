//! What no scenario can be.

use std::fmt;

use super::Scenario;

/// How many requests are measured, from and to.
pub(super) const REQUESTS: (f64, f64) = (100.0, 1e7);
pub(super) const SERVERS: (f64, f64) = (1.0, 10_000.0);
pub(super) const LOAD: (f64, f64) = (0.01, 2.0);
/// Requests that all servers can work on at once: a warm-up of 100 mean service times at the most load is then as many
/// requests as may be measured.
const CAPACITY: f64 = 50_000.0;
/// Members of all clients: some 600 MB.
const MEMBERS: f64 = 1e6;
/// Some timers run each second, at each client.
const SECONDS: f64 = 1e8;

/// A value that no scenario can have.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ScenarioError {
    /// There is no scenario of this name.
    Name(String),
    /// A value out of its range.
    Range {
        /// Of what.
        what: &'static str,
        /// The value.
        value: f64,
        /// The least and the most that it may be.
        range: (f64, f64),
    },
    /// What several values come to together is more than can be simulated.
    Large {
        /// What.
        what: &'static str,
        /// How much of it there would be.
        value: f64,
        /// The most that there may be.
        most: f64,
    },
    /// Something befalls a server that there is not, or it is to start.
    Server {
        /// Counted from 0.
        server: u32,
        /// How many there are.
        servers: u32,
    },
}

impl Scenario {
    /// Whether this can be simulated: each value was checked when it was set, here what they come to together is. To play
    /// the scenario asks for the same.
    ///
    /// # Errors
    /// - [`Range`](ScenarioError::Range): recorded requests make a load of less than 0.01 or more than 2;
    /// - [`Large`](ScenarioError::Large): more than 50,000 slots, each times its server's speed; 1,000,000 members of all
    ///   clients together; or 100,000,000 s, times the number of clients, until the last measured request comes;
    /// - [`Server`](ScenarioError::Server): something befalls a server that there is not, or it is to start.
    pub fn check(&self) -> Result<(), ScenarioError> {
        if let Some(trace) = &self.trace {
            // Of requests that came all at once no time between them can be stretched.
            within("recorded load", self.recorded_load(trace), (0.0, 1e9))?;
        }
        within("load", self.load(), LOAD)?;
        let last = self.changes.iter().filter(|change| !change.servers.is_empty());
        let last = last.map(|change| change.servers.end).chain(self.starting).max();
        if let Some(server) = last
            .and_then(|last| last.checked_sub(1))
            .filter(|last| *last >= self.servers)
        {
            let servers = self.servers;
            return Err(ScenarioError::Server { server, servers });
        }
        let clients = f64::from(self.clients);
        let requests = f64::from(self.requests()) + f64::from(self.warm_up());
        let seconds = match &self.trace {
            Some(trace) => trace.duration().as_secs_f64() * self.stretch(trace),
            None => requests / self.rate() * self.mean.as_secs_f64(),
        };
        at_most("slots times speeds", self.capacity(), CAPACITY)?;
        at_most(
            "members (servers times clients)",
            f64::from(self.servers) * clients,
            MEMBERS,
        )?;
        at_most(
            "seconds of all clients until the last request",
            seconds * clients,
            SECONDS,
        )
    }
}

fn at_most(what: &'static str, value: f64, most: f64) -> Result<(), ScenarioError> {
    if value <= most {
        Ok(())
    } else {
        Err(ScenarioError::Large { what, value, most })
    }
}

pub(super) fn within(what: &'static str, value: f64, range: (f64, f64)) -> Result<f64, ScenarioError> {
    // A number that is none is in no range.
    if (range.0..=range.1).contains(&value) {
        Ok(value)
    } else {
        Err(ScenarioError::Range { what, value, range })
    }
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => {
                let shown: String = name.chars().take(40).flat_map(char::escape_debug).collect();
                write!(f, "there is no scenario '{shown}'")
            }
            Self::Range {
                what,
                value,
                range: (least, most),
            } => write!(f, "impossible {what} {value}: expected a number from {least} to {most}"),
            Self::Large { what, value, most } => write!(f, "too large: {value} {what}, expected at most {most}"),
            Self::Server { server, servers } => {
                let needed = server.saturating_add(1);
                write!(
                    f,
                    "too small: {servers} servers where something befalls server {server}, expected at least {needed}"
                )
            }
        }
    }
}

impl std::error::Error for ScenarioError {}
