//! Plays everything, on several threads.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
};

use equipoise::sim::{self, Comparison, Run, Scenario, ScenarioError};
use indicatif::ProgressBar;

use crate::{curves::Curves, wish::Simulation};

/// A scenario that was played by all.
pub(crate) struct Played {
    pub(crate) comparison: Comparison,
    /// Of the reference and of each strategy, if they are to be drawn.
    pub(crate) curves: Vec<Curves>,
}

/// What is left of a run: what nobody asks for would fill the memory.
struct Rest {
    run: Run,
    curves: Option<Curves>,
}

/// All scenarios, in their order.
///
/// # Errors
/// If one is impossible.
pub(crate) fn play(simulation: &Simulation) -> Result<Vec<Played>, ScenarioError> {
    let each = simulation.contenders.len() + 1;
    let number = simulation.scenarios.len() * each;
    // Hidden unless stderr is a terminal.
    let progress = ProgressBar::new(number as u64);
    progress.tick();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Relaxed);
            let Some(scenario) = simulation.scenarios.get(index / each) else {
                return Ok(done);
            };
            done.push((index, run(simulation, scenario, index % each)?));
            progress.inc(1);
        }
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..simulation.threads.min(number)).map(|_| scope.spawn(work)).collect();
        let mut done: Vec<(usize, Rest)> = work()?;
        for other in others {
            match other.join() {
                Ok(its) => done.extend(its?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(done)
    })?;
    progress.finish_and_clear();
    done.sort_unstable_by_key(|(index, _)| *index);
    let mut rests = done.into_iter().map(|(_, rest)| rest);
    let scenarios = simulation.scenarios.iter();
    let played = scenarios.map(|scenario| played(simulation, scenario, rests.by_ref().take(each).collect()));
    Ok(played.collect())
}

/// The reference, and then each strategy.
fn run(simulation: &Simulation, scenario: &Scenario, which: usize) -> Result<Rest, ScenarioError> {
    let mut run = match which.checked_sub(1) {
        None => sim::reference(scenario),
        Some(contender) => sim::simulate(scenario, &simulation.contenders[contender]),
    }?;
    let curves = simulation.plot.is_some().then(|| Curves::of(&run));
    run.latencies = Vec::new();
    run.loads = Vec::new();
    run.shares = Vec::new();
    Ok(Rest { run, curves })
}

fn played(simulation: &Simulation, scenario: &Scenario, rests: Vec<Rest>) -> Played {
    let names = simulation.contenders.iter().map(ToString::to_string);
    let runs = names.zip(rests[1..].iter().map(|rest| &rest.run));
    let comparison = Comparison::new(scenario, &rests[0].run, runs);
    let curves = rests.into_iter().filter_map(|rest| rest.curves).collect();
    Played { comparison, curves }
}
