//! What holds for every strategy, whatever keeps requests off members: somebody is chosen whenever somebody is open, and
//! never one that is closed.

use equipoise::{Closed, Lease, Locality, OutlierDetection, SlowStart};

use super::*;

const STRATEGIES: [&str; 18] = [
    "random",
    "round_robin",
    "least_loaded",
    "fleet_least_loaded",
    "peak_ewma",
    "least_time",
    "first_available",
    "prequal",
    "reported_load",
    "ring(size=200)",
    "maglev(size=1009)",
    "rendezvous",
    "jump",
    "ip_hash",
    "bounded(maglev(size=1009))",
    "bounded(least_loaded)",
    "bounded(prequal)",
    "subset(round_robin,size=3)",
];

/// Numbers that are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 += 1;
        key_of(self.0) % bound
    }

    fn one_of<T: Copy>(&mut self, things: &[T]) -> T {
        things[self.below(things.len() as u64) as usize]
    }
}

fn any_stage(strategy: &str, count: u64, numbers: &mut Numbers) -> Stage {
    let backends = (0..count).map(|id| {
        let weight = numbers.one_of(&[0, 1, 1, 1, 5, u32::MAX]);
        let priority = numbers.below(3) as u8;
        let backend = endpoint(&id.to_string()).with_weight(weight).with_priority(priority);
        match numbers.below(3) {
            0 => backend,
            _ => backend.with_locality(Locality::new(
                numbers.one_of(&["eu", "us"]),
                numbers.one_of(&["1", "2"]),
            )),
        }
    });
    let backends = backends.collect();
    let limit = numbers.one_of(&[None, Some(1), Some(3)]);
    let threshold = numbers.one_of(&[0, 50, 100]);
    let is_somewhere = numbers.below(2) == 0;
    Stage::new(strategy, backends, |pool, check| {
        let outliers = OutlierDetection::new().with_most_ejected(50).unwrap();
        let pool = pool.health_check(check).outlier_detection(outliers);
        let pool = pool.slow_start(SlowStart::over(20 * SECOND)).panic_threshold(threshold);
        let pool = pool.in_flight_limit_by(move |_| limit);
        match is_somewhere {
            true => pool.locality(Locality::new("eu", "1")),
            false => pool,
        }
    })
}

/// Something that changes who is open.
fn change(stage: &mut Stage, count: u64, held: &mut Vec<Lease<Arc<Plain>>>, numbers: &mut Numbers) {
    let id = numbers.below(count).to_string();
    let handle = stage.pool.handle();
    match numbers.below(12) {
        0 => stage.answers.set(&id, Err("no")),
        1 => {
            let report = Report::new().with_percent(numbers.one_of(&[0, 50, 100, 10_000]));
            stage.answers.set(&id, Ok(report));
        }
        2 | 3 => stage.pass(3 * SECOND),
        4 => drop(handle.remove(id)),
        5 => drop(handle.insert(endpoint(&id).with_priority(numbers.below(2) as u8))),
        6 => drop(handle.drain(id)),
        7 => drop(handle.undrain(id)),
        8 => held.clear(),
        9 => {
            for _ in 0..8 {
                if let Ok(mut lease) = stage.pool.pick(&Ask::new()) {
                    lease.settle(Outcome::Failure);
                }
            }
        }
        _ => {}
    }
    run(&mut stage.driver);
}

#[test]
fn somebody_is_chosen_whenever_somebody_is_open() {
    for strategy in STRATEGIES {
        for seed in 0..20 {
            let mut numbers = Numbers(seed << 32);
            let count = 1 + numbers.below(12);
            let mut stage = any_stage(strategy, count, &mut numbers);
            let mut held = Vec::new();
            for step in 0..120 {
                change(&mut stage, count, &mut held, &mut numbers);
                let mut ask = match numbers.below(2) {
                    0 => Ask::new(),
                    _ => Ask::new().with_key(key_of(numbers.below(1 << 40))),
                };
                for _ in 0..numbers.below(3) {
                    if let Ok(lease) = stage.pool.pick(&ask) {
                        ask = ask.with_tried(lease.member());
                        held.extend((numbers.below(2) == 0).then_some(lease));
                    }
                }
                let decision = stage.pool.explain(&ask);
                let what = format!("{strategy}, seed {seed}, step {step}:\n{decision}");
                let are =
                    |closed: Option<Closed>| decision.members.iter().filter(move |member| member.closed == closed);
                let is_anybody = are(None).chain(are(Some(Closed::BroughtIn))).next().is_some();
                assert_eq!(stage.pool.pick(&ask).is_ok(), is_anybody, "{what}");
                // Without a key each pick draws one of its own.
                if ask.key().is_some() {
                    let chosen = stage.pool.select(&ask);
                    let id = chosen.map(|at| stage.pool.id_at(at).unwrap().to_owned());
                    assert_eq!(id.is_some(), are(None).next().is_some(), "{what}");
                    assert!(id.is_none_or(|id| are(None).any(|member| member.id == id)), "{what}");
                }
                if let Ok(mut lease) = stage.pool.pick(&Ask::new()) {
                    lease.settle(numbers.one_of(&[Outcome::Success, Outcome::Failure, Outcome::Cancelled]));
                }
                let told = stage.told();
                let failed = told.iter().find(|event| matches!(event, Event::PublishFailed { .. }));
                assert_eq!(failed, None, "{what}");
            }
        }
    }
}
