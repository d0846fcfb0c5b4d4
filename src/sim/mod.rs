//! Which strategy is best for which servers: a simulation that drives real pools.

mod central;
mod change;
mod contender;
mod figures;
mod fleet;
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
pub use scenario::{Antagonists, Arrivals, Discipline, Keys, Scenario, ScenarioError};
pub use service_time::ServiceTime;
pub use trace::{Recorded, Trace};

use self::{central::Central, fleet::Fleet};

/// Plays a scenario with a strategy.
pub fn simulate(scenario: &Scenario, contender: &Contender) -> Run {
    let begin = begin(scenario);
    world::play(scenario, begin, &mut Fleet::new(scenario, contender, begin))
}

/// Plays a scenario with one central first-come queue before its servers: what no set of independent balancers can beat.
pub fn reference(scenario: &Scenario) -> Run {
    let begin = begin(scenario);
    world::play(scenario, begin, &mut Central::new(scenario))
}

/// When the first request may come, in nanoseconds: balancers begin before, each at another time.
fn begin(scenario: &Scenario) -> u64 {
    (scenario.mean.as_nanos() as u64).saturating_mul(100)
}
