//! What is known of queues, by formula or by solving their Markov chain, is what comes out.

use equipoise::sim::{Contender, Discipline, Run, Scenario};

use super::{SEEDS, contender, reference, scenario, simulate};

/// The mean latency in units of the mean service time, over all seeds.
fn mean(scenario: &Scenario, run: impl Fn(&Scenario) -> Run) -> f64 {
    let of = |seed| {
        let scenario = scenario.clone().with_seed(seed);
        run(&scenario).figures.mean_ms / (scenario.mean().as_secs_f64() * 1e3)
    };
    SEEDS.map(of).iter().sum::<f64>() / SEEDS.len() as f64
}

fn simulated(text: &str) -> impl Fn(&Scenario) -> Run {
    let contender: Contender = contender(text);
    move |scenario| simulate(scenario, &contender)
}

fn is_near(measured: f64, known: f64) {
    let off = (measured / known - 1.0).abs();
    println!("measured {measured:.4}, known {known:.4}: {:.2} % off", off * 100.0);
    assert!(off < 0.03, "measured {measured}, known {known}");
}

/// The mean time in an M/M/c queue, waiting and served, in units of the mean service time (Erlang's C).
fn erlang(servers: u32, load: f64) -> f64 {
    let c = f64::from(servers);
    let offered = c * load;
    // Erlang's B by its recursion, which does not overflow.
    let b = (1..=servers).fold(1.0, |b, k| offered * b / (f64::from(k) + offered * b));
    let waits = b / (1.0 - load * (1.0 - b));
    1.0 + waits / (c * (1.0 - load))
}

#[test]
fn random_over_servers_of_four_slots_is_as_many_m_m_4_queues() {
    // From tables: of 4 servers at 0.8 a request waits with a chance of 0.5964.
    assert!((erlang(4, 0.8) - (1.0 + 0.5964 / 0.8)).abs() < 1e-4);
    for load in [0.5, 0.8] {
        let servers = scenario("equal")
            .with_load(load)
            .unwrap()
            .with_requests(100_000)
            .unwrap();
        is_near(mean(&servers, simulated("random")), erlang(4, load));
        // Shared slots: as many requests are at the server, and so they take as long on average.
        let shared = servers.with_discipline(Discipline::ProcessorSharing);
        is_near(mean(&shared, simulated("random")), erlang(4, load));
    }
}

#[test]
fn the_reference_is_one_queue_before_all_slots() {
    let servers = scenario("equal").with_requests(200_000).unwrap();
    // Ten servers of four slots are one M/M/40 queue.
    let few = servers.with_servers(10).unwrap().with_load(0.95).unwrap();
    is_near(mean(&few, reference), erlang(40, 0.95));
}

/// The mean time with the shorter of two queues of one slot each, from the stationary distribution of its Markov chain,
/// found by iteration.
fn shorter_of_two(load: f64) -> f64 {
    const LONGEST: usize = 40;
    let arrive = 2.0 * load;
    let mut chance = vec![[0.0; LONGEST + 1]; LONGEST + 1];
    chance[0][0] = 1.0;
    // In steps so small that at most one thing happens in each: of the rates, which sum up to less than 4.
    for _ in 0..8_000 {
        let mut next = vec![[0.0; LONGEST + 1]; LONGEST + 1];
        for a in 0..=LONGEST {
            for b in 0..=LONGEST {
                let here = chance[a][b];
                let mut stays = here;
                let mut goes = |to: (usize, usize), rate: f64| {
                    next[to.0][to.1] += here * rate / 4.0;
                    stays -= here * rate / 4.0;
                };
                if a.min(b) < LONGEST {
                    match a.cmp(&b) {
                        std::cmp::Ordering::Less => goes((a + 1, b), arrive),
                        std::cmp::Ordering::Greater => goes((a, b + 1), arrive),
                        std::cmp::Ordering::Equal => {
                            goes((a + 1, b), arrive / 2.0);
                            goes((a, b + 1), arrive / 2.0);
                        }
                    }
                }
                if a > 0 {
                    goes((a - 1, b), 1.0);
                }
                if b > 0 {
                    goes((a, b - 1), 1.0);
                }
                next[a][b] += stays;
            }
        }
        chance = next;
    }
    let requests: f64 = (0..=LONGEST)
        .flat_map(|a| (0..=LONGEST).map(move |b| (a, b)))
        .map(|(a, b)| (a + b) as f64 * chance[a][b])
        .sum();
    // Little's law.
    requests / arrive
}

#[test]
fn least_loaded_of_two_servers_is_the_shortest_queue() {
    let two = scenario("equal").with_servers(2).unwrap().with_slots(1).unwrap();
    for load in [0.5, 0.8] {
        let two = two.clone().with_load(load).unwrap().with_requests(100_000).unwrap();
        is_near(mean(&two, simulated("least_loaded(d=all)")), shorter_of_two(load));
    }
}

/// Of many servers of one slot each, the shortest queue of `d` drawn: Mitzenmacher, "The power of two choices in
/// randomized load balancing" (1996), theorem 3.5's limit, Σ load^((dⁱ − d) ∕ (d − 1)) for i from 1 on.
fn shortest_of(d: f64, load: f64) -> f64 {
    (1..50).map(|i| load.powf((d.powi(i) - d) / (d - 1.0))).sum()
}

#[test]
fn least_loaded_of_some_of_many_is_the_power_of_choices() {
    // From the paper's table.
    assert!((shortest_of(2.0, 0.9) - 2.6141).abs() < 1e-4);
    let many = scenario("equal").with_servers(500).unwrap().with_slots(1).unwrap();
    let many = many.with_load(0.9).unwrap().with_requests(100_000).unwrap();
    is_near(mean(&many, simulated("least_loaded(d=2)")), shortest_of(2.0, 0.9));
    is_near(mean(&many, simulated("least_loaded(d=3)")), shortest_of(3.0, 0.9));
}

#[test]
fn the_reference_takes_the_fastest_that_is_idle() {
    let halves = scenario("half_slow").with_servers(10).unwrap().with_slots(1).unwrap();
    let halves = halves.with_load(0.2).unwrap().with_requests(20_000).unwrap();
    let shares = reference(&halves).shares;
    let part = |share: &u64| *share as f64 / 20_000.0;
    // Of five fast servers all are busy with a chance of 0.0142 (Erlang's B, of 1.5 requests at a time).
    let slow: f64 = shares.iter().skip(1).step_by(2).map(part).sum();
    assert!((slow - 0.0142).abs() < 0.005, "{shares:?}");
    for fast in shares.iter().step_by(2).map(part) {
        assert!((fast * 5.0 - 1.0).abs() < 0.1, "{shares:?}");
    }
}
