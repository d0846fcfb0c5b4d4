//! A pick and its release with the outcome counted, and `select` alone, by every selector over few and many members.

mod measure;

use std::hint::black_box;

use equipoise::{
    Ask, Endpoint, LeastLoaded, LoadReport, Outcome, Pool, Random, ReportedLoad, RoundRobin, Selector, Strategy,
    selector::Choices,
};
use measure::ratio::Case;

#[derive(Clone, Copy)]
enum Weights {
    Equal,
    Different,
}

fn pool<S: Selector<Endpoint<()>>>(members: usize, weights: Weights, selector: S) -> Pool<Endpoint<()>, S> {
    let backends = (0..members).map(|index| {
        let weight = match weights {
            Weights::Equal => 1,
            Weights::Different => 1 + index as u32 % 3,
        };
        Endpoint::new(format!("b{index}"), ()).with_weight(weight)
    });
    // Without its driver the pool serves on, and nothing else runs.
    Pool::builder().selector(selector).seed(1).backends(backends).build().0
}

/// Pick and select over the same members.
fn both<S: Selector<Endpoint<()>>>(name: &str, members: usize, weights: Weights, selector: S) -> [Case; 2] {
    let mut picked = pool(members, weights, selector);
    let mut selected = picked.clone();
    let ask = Ask::new();
    [
        Case::new(format!("pick/{name}/{members}"), {
            let ask = ask.clone();
            move || {
                let mut lease = picked.pick(black_box(&ask)).expect("there are members");
                lease.settle(Outcome::Success);
            }
        }),
        Case::new(format!("select/{name}/{members}"), move || {
            selected.select(black_box(&ask))
        }),
    ]
}

fn main() {
    use Weights::{Different, Equal};
    let two = Choices::new(2).expect("2 is from 1 to 32");
    let cases = [10, 1_000, 100_000].into_iter().flat_map(|members| {
        [
            both("random", members, Equal, Random::new()),
            both("random weighted", members, Different, Random::new()),
            both("round_robin", members, Equal, RoundRobin::new()),
            both("round_robin weighted", members, Different, RoundRobin::new()),
            both("least_loaded", members, Equal, LeastLoaded::new()),
            both("least_loaded weighted", members, Different, LeastLoaded::new()),
            both("least_loaded(d=2)", members, Equal, LeastLoaded::of(two)),
            both(
                "AnySelector least_loaded",
                members,
                Equal,
                Strategy::default().selector(),
            ),
        ]
        .into_iter()
        .flatten()
    });
    measure::run("pick", cases.collect());
}
