//! Scenarios by name.

use super::{Antagonists, Arrivals, Befalls, Change, Discipline, Keys, Scenario, ScenarioError, ServiceTime};

/// A scenario that has a name.
struct Named {
    name: &'static str,
    summary: &'static str,
    make: fn(Scenario) -> Result<Scenario, ScenarioError>,
}

const fn named(
    name: &'static str,
    summary: &'static str,
    make: fn(Scenario) -> Result<Scenario, ScenarioError>,
) -> Named {
    Named { name, summary, make }
}

/// Full speed or a third of it, for 25 mean service times.
const ANTAGONISTS: Antagonists = Antagonists {
    speed: 1.0 / 3.0,
    every: 25.0,
};
/// Long enough that hardly anything that is served takes as long.
const TIMEOUT: f64 = 100.0;

/// The first 14 are the standard set, at two loads each.
const NAMED: [Named; 29] = [
    named("equal", "equal servers, exponential service", Ok),
    named("equal_normal", "equal servers, normal service", |scenario| {
        Ok(scenario.with_service(ServiceTime::Normal))
    }),
    named(
        "equal_bimodal",
        "equal servers, one request in 100 takes 30 times as long",
        |scenario| Ok(scenario.with_service(ServiceTime::Bimodal)),
    ),
    named(
        "antagonists",
        "servers slowed to a third now and then, exponential service",
        |scenario| scenario.with_antagonists(ANTAGONISTS),
    ),
    named("antagonists_normal", "the same, normal service", |scenario| {
        scenario.with_service(ServiceTime::Normal).with_antagonists(ANTAGONISTS)
    }),
    named(
        "antagonists_bimodal",
        "the same, one request in 100 takes 30 times as long",
        |scenario| {
            scenario
                .with_service(ServiceTime::Bimodal)
                .with_antagonists(ANTAGONISTS)
        },
    ),
    named(
        "shared_equal",
        "equal, requests share their server's slots",
        |scenario| Ok(shared(scenario)),
    ),
    named("shared_equal_normal", "equal_normal, likewise", |scenario| {
        Ok(shared(scenario).with_service(ServiceTime::Normal))
    }),
    named("shared_equal_bimodal", "equal_bimodal, likewise", |scenario| {
        Ok(shared(scenario).with_service(ServiceTime::Bimodal))
    }),
    named("shared_antagonists", "antagonists, likewise", |scenario| {
        shared(scenario).with_antagonists(ANTAGONISTS)
    }),
    named(
        "shared_antagonists_normal",
        "antagonists_normal, likewise",
        |scenario| {
            shared(scenario)
                .with_service(ServiceTime::Normal)
                .with_antagonists(ANTAGONISTS)
        },
    ),
    named(
        "shared_antagonists_bimodal",
        "antagonists_bimodal, likewise",
        |scenario| {
            shared(scenario)
                .with_service(ServiceTime::Bimodal)
                .with_antagonists(ANTAGONISTS)
        },
    ),
    named("half_slow", "every other server takes twice as long", |scenario| {
        scenario.with_speeds([1.0, 0.5])
    }),
    named(
        "distant",
        "equal, and a sixteenth of the mean service time on the way, each way",
        |scenario| scenario.with_delay(1.0 / 16.0),
    ),
    named("bursts", "equal, requests come 20 at once on average", |scenario| {
        scenario.with_arrivals(Arrivals::Bursty(20.0))
    }),
    named("heavy_tailed", "equal, service times of a heavy tail", |scenario| {
        Ok(scenario.with_service(ServiceTime::HeavyTailed))
    }),
    named("hot_keys", "equal, few keys are most requests (Zipf 1.1)", |scenario| {
        scenario.with_keys(Keys {
            exponent: 1.1,
            ..Keys::default()
        })
    }),
    named(
        "many_clients",
        "equal, 1,000 clients of few requests each unless said otherwise",
        |scenario| scenario.with_clients(1_000),
    ),
    named(
        "fail_fast",
        "one of ten servers fails at once from a quarter on",
        |scenario| ten(scenario)?.with_changes([Change::of(3, 0.25, Befalls::FailsFast)]),
    ),
    named(
        "black_hole",
        "one of ten servers never answers from a quarter on; time-out after 100 mean services",
        |scenario| {
            ten(scenario)?
                .with_timeout(TIMEOUT)?
                .with_changes([Change::of(3, 0.25, Befalls::Swallows)])
        },
    ),
    named(
        "crash",
        "one of ten servers crashes at a quarter, serves again at a half",
        |scenario| {
            ten(scenario)?.with_changes([
                Change::of(3, 0.25, Befalls::Crashes),
                Change::of(3, 0.5, Befalls::Serves),
            ])
        },
    ),
    named(
        "flapping",
        "one of ten servers crashes and serves again, 32 times from a quarter on",
        |scenario| {
            let crashes = (0..32).flat_map(|crash| {
                let at = |half: u32| 0.25 + 0.75 * f64::from(half) / 64.0;
                [
                    Change::of(3, at(2 * crash), Befalls::Crashes),
                    Change::of(3, at(2 * crash + 1), Befalls::Serves),
                ]
            });
            ten(scenario)?.with_changes(crashes.collect::<Vec<_>>())
        },
    ),
    named(
        "slow_one",
        "one of ten servers takes 100 times as long from a quarter on; time-out as above",
        |scenario| {
            ten(scenario)?
                .with_timeout(TIMEOUT)?
                .with_changes([Change::of(3, 0.25, Befalls::Slows(100))])
        },
    ),
    named(
        "half_down",
        "five of ten servers crash at a quarter, serve again at a half; load of 0.4 unless said otherwise",
        |scenario| crash_of(scenario.with_load(0.4)?, 5),
    ),
    named(
        "most_down",
        "six of ten servers, likewise; load of 0.3 unless said otherwise",
        |scenario| crash_of(scenario.with_load(0.3)?, 6),
    ),
    named(
        "some_fail",
        "ten equal servers, one request in 1,000 fails wherever it goes",
        |scenario| ten(scenario)?.with_failures(0.001),
    ),
    named(
        "rolling_restart",
        "ten servers, each leaves, restarts and joins again, one after another",
        |scenario| {
            let restarts = (0..10).flat_map(|server| {
                let at = f64::from(server) / 10.0;
                [
                    Change::of(server, at, Befalls::Leaves),
                    Change::of(server, at + 0.05, Befalls::Crashes),
                    Change::of(server, at + 0.075, Befalls::Serves),
                    Change::of(server, at + 0.08, Befalls::Joins),
                ]
            });
            ten(scenario)?.with_changes(restarts.collect::<Vec<_>>())
        },
    ),
    named(
        "cold_restart",
        "likewise, each joins cold: at first it takes 16 times as long, then 8, 4 and 2 times",
        |scenario| {
            let restarts = (0..10).flat_map(|server| {
                let at = f64::from(server) / 10.0;
                [
                    Change::of(server, at, Befalls::Leaves),
                    Change::of(server, at + 0.020, Befalls::Slows(16)),
                    Change::of(server, at + 0.021, Befalls::Joins),
                    Change::of(server, at + 0.035, Befalls::Slows(8)),
                    Change::of(server, at + 0.050, Befalls::Slows(4)),
                    Change::of(server, at + 0.065, Befalls::Slows(2)),
                    Change::of(server, at + 0.080, Befalls::Serves),
                ]
            });
            ten(scenario)?.with_changes(restarts.collect::<Vec<_>>())
        },
    ),
    named("scale_out", "50 servers, and from a half on another 50", |scenario| {
        scenario.with_starting(50)?.with_changes([Change {
            at: 0.5,
            servers: 50..100,
            what: Befalls::Joins,
        }])
    }),
];

/// How many of them are the standard set.
const STANDARD: usize = 14;

fn shared(scenario: Scenario) -> Scenario {
    scenario.with_discipline(Discipline::ProcessorSharing)
}

/// The first so many of ten.
fn crash_of(scenario: Scenario, servers: u32) -> Result<Scenario, ScenarioError> {
    let change = |at, what| {
        let servers = 0..servers;
        Change { at, servers, what }
    };
    ten(scenario)?.with_changes([change(0.25, Befalls::Crashes), change(0.5, Befalls::Serves)])
}

fn ten(scenario: Scenario) -> Result<Scenario, ScenarioError> {
    scenario.with_servers(10)
}

impl Scenario {
    /// A scenario by its name, one of [`names`](Scenario::names).
    ///
    /// # Errors
    /// If there is none.
    pub fn named(name: &str) -> Result<Self, ScenarioError> {
        let found = NAMED.iter().find(|named| named.name == name);
        let named = found.ok_or_else(|| ScenarioError::Name(name.to_owned()))?;
        (named.make)(Self::new().with_name(name))
    }

    /// The names of scenarios, each with what it is.
    pub fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
        NAMED.iter().map(|named| (named.name, named.summary))
    }

    /// The standard set of 28: equal servers and antagonists, first come and shared, each with exponential, normal and
    /// bimodal service; half of the servers slow; a delay on the way; each at a load of 0.7 and of 0.9.
    ///
    /// # Errors
    /// None that anybody has seen: each is possible.
    pub fn standard() -> Result<Vec<Self>, ScenarioError> {
        let loads = [0.7, 0.9].into_iter();
        loads
            .flat_map(|load| NAMED[..STANDARD].iter().map(move |named| (named.name, load)))
            .map(|(name, load)| Self::named(name)?.with_load(load))
            .collect()
    }
}
