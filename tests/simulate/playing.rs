//! What is played is what was asked for: figures are those of the library, for each flag.

use std::time::Duration;

use equipoise::{
    Strategy,
    sim::{self, Arrivals, Comparison, Contender, Discipline, Keys, Scenario, ScenarioError, ServiceTime},
};
use serde_json::Value;

use crate::printed;

const STRATEGIES: &str = "least_loaded(d=2)@+1,ring(size=100)";

/// What the library says, as JSON.
fn expected(scenario: &Scenario, contenders: &str) -> String {
    let contenders = contenders.split(',').map(|text| text.parse::<Contender>().unwrap());
    let runs: Vec<_> = contenders
        .map(|contender| (contender.to_string(), sim::simulate(scenario, &contender).unwrap()))
        .collect();
    let runs = runs.iter().map(|(name, run)| (name.clone(), run));
    let comparison = Comparison::new(scenario, &sim::reference(scenario).unwrap(), runs);
    serde_json::to_string_pretty(&comparison).unwrap() + "\n"
}

#[test]
fn each_flag_changes_what_it_says() {
    type Change = fn(Scenario) -> Result<Scenario, ScenarioError>;
    let changes: [(&str, &[&str], Change); 25] = [
        ("equal", &[], Ok),
        ("half_slow", &[], Ok),
        ("equal", &["--seed", "12"], |scenario| Ok(scenario.with_seed(12))),
        ("equal", &["--load", "0.6"], |scenario| scenario.with_load(0.6)),
        ("equal", &["--clients", "3"], |scenario| scenario.with_clients(3)),
        ("many_clients", &["--load", "0.7"], |scenario| scenario.with_load(0.7)),
        ("equal", &["--requests", "900"], |scenario| scenario.with_requests(900)),
        ("equal", &["--servers", "7"], |scenario| scenario.with_servers(7)),
        ("scale_out", &["--servers", "110"], |scenario| {
            scenario.with_servers(110)
        }),
        ("equal", &["--slots", "1"], |scenario| scenario.with_slots(1)),
        ("equal", &["--speeds", "1, 0.5,2"], |scenario| {
            scenario.with_speeds([1.0, 0.5, 2.0])
        }),
        ("shared_equal", &["--queue", "first_come"], |scenario| {
            Ok(scenario.with_discipline(Discipline::FirstCome))
        }),
        ("antagonists", &["--queue", "shared"], |scenario| {
            Ok(scenario.with_discipline(Discipline::ProcessorSharing))
        }),
        ("equal", &["--service", "bimodal"], |scenario| {
            Ok(scenario.with_service(ServiceTime::Bimodal))
        }),
        ("equal", &["--service", "constant"], |scenario| {
            Ok(scenario.with_service(ServiceTime::Constant))
        }),
        ("equal", &["--mean", "1.5s"], |scenario| {
            scenario.with_mean(Duration::from_millis(1500))
        }),
        // In units of the mean.
        ("equal", &["--delay", "5ms"], |scenario| scenario.with_delay(0.5)),
        ("equal", &["--mean", "1ms", "--delay", "500us"], |scenario| {
            scenario.with_mean(Duration::from_millis(1))?.with_delay(0.5)
        }),
        ("equal", &["--timeout", "0.02s"], |scenario| scenario.with_timeout(2.0)),
        ("equal", &["--failures", "0.01"], |scenario| {
            scenario.with_failures(0.01)
        }),
        ("bursts", &["--arrivals", "poisson"], |scenario| {
            scenario.with_arrivals(Arrivals::Poisson)
        }),
        ("equal", &["--arrivals", "bursty"], |scenario| {
            scenario.with_arrivals(Arrivals::Bursty(20.0))
        }),
        ("equal", &["--arrivals", "bursty=4.5"], |scenario| {
            scenario.with_arrivals(Arrivals::Bursty(4.5))
        }),
        // The exponent stays as it was, and so does the number.
        ("hot_keys", &["--keys", "50"], |scenario| {
            scenario.with_keys(Keys {
                number: 50,
                exponent: 1.1,
            })
        }),
        ("equal", &["--zipf", "2"], |scenario| {
            scenario.with_keys(Keys {
                number: 100_000,
                exponent: 2.0,
            })
        }),
    ];
    let mut seen = Vec::new();
    for (name, flags, change) in changes {
        let mut all = vec!["--scenario", name, "--strategies", STRATEGIES, "--format", "json"];
        let scenario = Scenario::named(name).unwrap().with_seed(11);
        // Small, unless that is what is asked for.
        let scenario = scenario.with_servers(5).unwrap().with_requests(1000).unwrap();
        for small in [["--servers", "5"], ["--requests", "1000"]] {
            if !flags.contains(&small[0]) {
                all.extend(small);
            }
        }
        all.extend(flags);
        let printed = printed(&all);
        let expected = expected(&change(scenario).unwrap(), STRATEGIES);
        assert_eq!(printed, expected, "{all:?}");
        assert!(!seen.contains(&printed), "{all:?} changes nothing");
        seen.push(printed);
    }
}

fn strategies(flags: &[&str]) -> Vec<String> {
    let small = ["--format", "json", "--requests", "100", "--servers", "3"];
    let json: Value = serde_json::from_str(&printed(&[flags, &small].concat())).unwrap();
    let strategies = json["strategies"].as_array().unwrap().iter();
    strategies
        .map(|one| one["strategy"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn strategies_are_played_in_their_order_and_once() {
    let list = "random, ring(size=100,points=160) ,least_loaded(d=2)@5,random(),bounded(ring(size=100),factor=2)";
    let told = strategies(&["--strategies", list]);
    let list = [
        "random",
        "ring(size=100)",
        "least_loaded(d=2)@5",
        "bounded(ring(size=100),factor=2)",
    ];
    let list: Vec<Contender> = list.iter().map(|text| text.parse().unwrap()).collect();
    assert_eq!(told, list.iter().map(ToString::to_string).collect::<Vec<_>>());

    let mut all: Vec<String> = Strategy::all().map(|strategy| strategy.to_string()).collect();
    all.extend(["least_loaded@+1", "fleet_least_loaded(d=all)", "least_loaded(d=2)"].map(str::to_owned));
    assert_eq!(strategies(&[]), all);
    assert_eq!(strategies(&["--strategies", "all,random"]), all);
    let least_loaded = all.iter().position(|strategy| strategy == "random").unwrap();
    let random = all.remove(least_loaded);
    all.insert(0, random);
    assert_eq!(strategies(&["--strategies", "random,all"]), all);
}

#[test]
fn each_strategy_is_played_with_each_fitness_once() {
    let fitness = "none,health,health(depth=deep,interval=2s)+outliers, outliers , health(), slow_start(window=1m)";
    let told = strategies(&["--strategies", "random,least_loaded(d=2)@+1", "--fitness", fitness]);
    let with = |strategy: &str| {
        let fitness = [
            "",
            "+health",
            "+health(depth=deep,interval=2s)+outliers",
            "+outliers",
            "+slow_start(window=60s)",
        ];
        fitness.map(|fitness| format!("{strategy}{fitness}"))
    };
    assert_eq!(told, [with("random"), with("least_loaded(d=2)@+1")].concat());
    // Behind the strategy it is the same.
    let own = [
        "random+health(depth=deep)",
        "random@3+panic(percent=0)",
        "random@+3+outliers",
    ];
    assert_eq!(strategies(&["--strategies", &own.join(" , ")]), own);
}

#[test]
fn the_standard_set_is_28_and_half_of_it_at_one_load() {
    let small = [
        "--scenario",
        "standard",
        "--requests",
        "100",
        "--servers",
        "2",
        "--strategies",
        "random",
    ];
    let small = [&small[..], &["--format", "json"]].concat();
    let played = |flags: &[&str]| -> Vec<(String, f64, u64)> {
        let json: Value = serde_json::from_str(&printed(&[&small, flags].concat())).unwrap();
        let comparisons = json["comparisons"].as_array().unwrap().iter();
        comparisons
            .map(|one| {
                let name = one["scenario"].as_str().unwrap().to_owned();
                (name, one["load"].as_f64().unwrap(), one["seed"].as_u64().unwrap())
            })
            .collect()
    };
    let standard = Scenario::standard().unwrap();
    let each = standard
        .iter()
        .flat_map(|scenario| [11, 12, 13].map(|seed| (scenario.name().to_owned(), scenario.load(), seed)));
    assert_eq!(played(&["--seeds", "3"]), each.collect::<Vec<_>>());
    let half = standard[..14]
        .iter()
        .map(|scenario| (scenario.name().to_owned(), 0.8, 5));
    assert_eq!(played(&["--seed", "5", "--load", "0.8"]), half.collect::<Vec<_>>());
}
