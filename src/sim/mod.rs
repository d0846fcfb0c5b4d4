//! Which strategy is best for which servers: a simulation that drives real pools.

mod change;
mod contender;
mod figures;
mod named;
mod scenario;
mod service_time;
mod trace;

pub use change::{Befalls, Change};
pub use contender::{Contender, ContenderError, InFlightLimit};
pub use figures::{Compared, Comparison, Figures, Load, Run};
pub use scenario::{Antagonists, Arrivals, Discipline, Keys, Scenario, ScenarioError};
pub use service_time::ServiceTime;
pub use trace::{Recorded, Trace};

/// Plays a scenario with a strategy.
pub fn simulate(scenario: &Scenario, contender: &Contender) -> Run {
    let _ = (scenario, contender);
    unimplemented!("comes with the engine")
}

/// Plays a scenario with one central first-come queue before its servers: what no set of independent balancers can beat.
pub fn reference(scenario: &Scenario) -> Run {
    let _ = scenario;
    unimplemented!("comes with the engine")
}
