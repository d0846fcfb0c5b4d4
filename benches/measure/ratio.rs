//! What things cost in a unit that travels: one uncontended `fetch_add`, measured beside each of them.
//!
//! Nanoseconds belong to one machine on one day. So all cases take turns in many short rounds, the unit is measured
//! next to every turn, and what is told is the median of the quotients: whatever slows the machine down for a while
//! slows both.

use std::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// One thing to measure.
pub(crate) struct Case {
    pub(crate) name: String,
    /// Runs the thing so many times and tells how long it took.
    pub(crate) run: Box<dyn FnMut(u64) -> Duration>,
    /// What it may cost, in units; none if nobody said.
    pub(crate) budget: Option<f64>,
}

impl Case {
    /// A thing that is done again and again.
    pub(crate) fn new<T>(name: impl Into<String>, mut body: impl FnMut() -> T + 'static) -> Self {
        Self::timed(name, move |times| {
            let start = Instant::now();
            for _ in 0..times {
                black_box(body());
            }
            start.elapsed()
        })
    }

    /// A thing that measures itself.
    pub(crate) fn timed(name: impl Into<String>, run: impl FnMut(u64) -> Duration + 'static) -> Self {
        Self {
            name: name.into(),
            run: Box::new(run),
            budget: None,
        }
    }

    /// It may cost so many units.
    #[allow(dead_code, reason = "not every bench has budgets")]
    pub(crate) fn within(mut self, units: f64) -> Self {
        self.budget = Some(units);
        self
    }
}

/// What a case costs: medians of all rounds.
pub(crate) struct Figure {
    pub(crate) nanos: f64,
    pub(crate) units: f64,
}

const ROUNDS: usize = 15;
/// How long a turn runs before it is measured, to bring back to the caches what other turns drove out, and then is.
const TURN: Duration = Duration::from_millis(20);
/// How long the unit is measured on either side of a turn.
const UNIT: u64 = 200_000;

/// The cost of each case, measured in turns.
pub(crate) fn figures(cases: &mut [Case]) -> Vec<Figure> {
    let counter = AtomicU64::new(0);
    let unit = || {
        let start = Instant::now();
        for _ in 0..UNIT {
            black_box(black_box(&counter).fetch_add(1, Relaxed));
        }
        start.elapsed().as_nanos() as f64 / UNIT as f64
    };
    unit();
    let times: Vec<u64> = cases.iter_mut().map(|case| times_in(TURN, case)).collect();
    let mut rounds: Vec<(Vec<f64>, Vec<f64>)> = cases.iter().map(|_| Default::default()).collect();
    for _ in 0..ROUNDS {
        for ((case, times), (nanos, units)) in cases.iter_mut().zip(&times).zip(&mut rounds) {
            (case.run)(*times);
            let before = unit();
            let turn = (case.run)(*times).as_nanos() as f64 / *times as f64;
            let after = unit();
            nanos.push(turn);
            units.push(turn / ((before + after) / 2.0));
        }
    }
    let figure = |(nanos, units)| Figure {
        nanos: median(nanos),
        units: median(units),
    };
    rounds.into_iter().map(figure).collect()
}

/// How often a case runs in about so long.
fn times_in(turn: Duration, case: &mut Case) -> u64 {
    let mut times = 1;
    loop {
        let took = (case.run)(times);
        if took * 2 >= turn {
            let share = turn.as_secs_f64() / took.as_secs_f64();
            return ((times as f64 * share) as u64).max(1);
        }
        times *= 2;
    }
}

/// The one in the middle; not a number of none.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The unit as a case: first in every table.
pub(crate) fn unit() -> Case {
    let counter = AtomicU64::new(0);
    Case::new("unit: one uncontended fetch_add", move || {
        black_box(&counter).fetch_add(1, Relaxed)
    })
}
