//! Which strategy is best, for these servers or for yours: a simulation that drives real pools.
//!
//! A [`Scenario`] says what there is: servers with slots and speeds, requests that come and how long they take, how many
//! balancers stand between them, and what goes wrong. [`simulate`] plays it with a [`Contender`], a strategy and perhaps a
//! limit; [`reference()`] with one central first-come queue before the same servers, which knows which of them is idle and
//! the fastest: what independent balancers can come near to, where servers are about as fast. Latencies over the
//! reference's say what a strategy costs; latencies alone say more of the servers.
//!
//! ```
//! use equipoise::sim::{Comparison, Contender, Scenario, reference, simulate};
//!
//! let scenario = Scenario::named("antagonists")?.with_load(0.7)?.with_requests(2_000)?.with_seed(11);
//! let contenders: [Contender; 2] = ["least_loaded".parse()?, "round_robin".parse()?];
//! let runs = [simulate(&scenario, &contenders[0])?, simulate(&scenario, &contenders[1])?];
//! let compared = contenders.iter().map(Contender::to_string).zip(&runs);
//! let comparison = Comparison::new(&scenario, &reference(&scenario)?, compared);
//! let [least_loaded, round_robin] = &comparison.strategies[..] else { unreachable!() };
//! assert!(least_loaded.p99_over_reference < round_robin.p99_over_reference);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//! The example `simulate` does that from a command line, for every scenario and strategy by name, draws it, and
//! [replays](Scenario::replay) a log of yours.
//!
//! # What is real
//! Each balancer is a [`Pool`](crate::Pool) with its driver behind [`KeyedLayer`](crate::KeyedLayer) and
//! [`BalanceLayer`](crate::BalanceLayer), as in production: selectors, leases, the first-come queue, membership, probes,
//! health checks and outlier detection if they are [asked for](Fitness), what servers report (counted by a
//! [`Meter`](crate::load::Meter)). Only what they are given is made up: the time, by a
//! [`ManualClock`](crate::ManualClock), the random numbers, by a seed, and what is at the other end of the inner service.
//! The same seed plays the same requests, with whatever strategy: each draws from a sequence of its own.
//!
//! # What is made up
//! - Requests come whether or not others have been answered (open loop): overload shows as latency, as it does to users.
//! - A server works on as many requests at full speed as it has slots, and lets others wait or shares its slots
//!   ([`Discipline`]). Its speed does not depend on anything but [`Antagonists`]: no caches, no collection of garbage.
//! - What is on its way takes as long each time ([`Scenario::with_delay`]) and is not lost. Balancers take no time.
//! - Nobody tries again. A failure is what its caller got.
//! - Balancers begin at different times in the 100 mean service times before the first request, each with some picks behind
//!   it; a fifth as many requests as are measured, and at least those of 100 mean service times, come before these, and a
//!   fifth after them, unless a recording ends before. Who has no answer 1,000 mean service times,
//!   and the way there and back, after the last of them has failed.
//!
//! # What is measured
//! Latencies are of requests that did not fail, from when they come to when their answer is back, waiting in the balancer
//! and on the way included. How much servers have is measured while measured requests come, not while the last of them are
//! on their way. Of two runs with different seeds the 99th percentile differs by some hundredths: take several.

mod central;
mod change;
mod contender;
mod figures;
mod fitness;
mod fleet;
mod impossible;
mod measure;
mod named;
mod network;
mod scenario;
mod server;
mod service_time;
mod trace;
mod workload;
mod world;

pub use change::{Befalls, Change};
pub use contender::{Contender, ContenderError, InFlightLimit};
pub use figures::{Compared, Comparison, Figures, Load, Run};
pub use fitness::{Check, Depth, Fitness, FitnessError};
pub use impossible::ScenarioError;
pub use scenario::{Antagonists, Arrivals, Discipline, Keys, Scenario};
pub use service_time::ServiceTime;
pub use trace::{LogKey, Recorded, Trace, TraceError};

use self::{central::Central, fleet::Fleet};

/// Plays a scenario with a strategy, and what keeps its requests off bad servers.
///
/// # Errors
/// If the scenario is [impossible](Scenario::check).
pub fn simulate(scenario: &Scenario, contender: &Contender) -> Result<Run, ScenarioError> {
    scenario.check()?;
    let begin = begin(scenario);
    let mut fleet = Fleet::new(scenario, contender, begin);
    let mut run = world::play(scenario, begin, &mut fleet);
    (run.figures.ejections, run.figures.failing) = fleet.verdicts();
    Ok(run)
}

/// Plays a scenario with one central first-come queue before its servers.
///
/// It is a measure, not a bound. No request of its queue times out, so with a
/// [time-out](Scenario::with_timeout) that many run into, those that are left to a strategy are faster; and it never lets a
/// slot be idle while somebody waits, even where waiting for a server that is many times as fast took less.
///
/// # Errors
/// If the scenario is [impossible](Scenario::check).
pub fn reference(scenario: &Scenario) -> Result<Run, ScenarioError> {
    scenario.check()?;
    let begin = begin(scenario);
    Ok(world::play(scenario, begin, &mut Central::new(scenario)))
}

/// When the first request may come, in nanoseconds: balancers begin before, each at another time.
fn begin(scenario: &Scenario) -> u64 {
    (scenario.mean.as_nanos() as u64).saturating_mul(100)
}
