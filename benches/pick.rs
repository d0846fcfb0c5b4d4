//! `pool.pick` and release with the outcome counted, and `select` alone; beside the base unit, one uncontended
//! `fetch_add`.
use criterion::{Criterion, criterion_group, criterion_main};
use equipoise::*;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

fn pool<S: Selector<Endpoint<()>>>(n: usize, weights: bool, s: S) -> Pool<Endpoint<()>, S> {
    Pool::builder()
        .selector(s)
        .seed(1)
        .backends(
            (0..n).map(|i| Endpoint::new(format!("b{i}"), ()).with_weight(if weights { 1 + i as u32 % 3 } else { 1 })),
        )
        .build()
        .0
}

fn bench<S: Selector<Endpoint<()>>>(c: &mut Criterion, name: &str, weights: bool, s: impl Fn() -> S) {
    for n in [10, 1000, 100_000] {
        let mut p = pool(n, weights, s());
        let ask = Ask::new();
        c.bench_function(&format!("pick/{name}/{n}"), |b| {
            b.iter(|| {
                let mut l = p.pick(black_box(&ask)).unwrap();
                l.settle(Outcome::Success);
            })
        });
        c.bench_function(&format!("select/{name}/{n}"), |b| b.iter(|| p.select(black_box(&ask))));
    }
}

fn all(c: &mut Criterion) {
    let a = AtomicU64::new(0);
    c.bench_function("base", |b| b.iter(|| black_box(&a).fetch_add(1, Ordering::Relaxed)));
    bench(c, "random", false, Random::new);
    bench(c, "random_w", true, Random::new);
    bench(c, "rr", false, RoundRobin::new);
    bench(c, "rr_w", true, RoundRobin::new);
    bench(c, "ll8", false, LeastLoaded::new);
    bench(c, "ll8_w", true, LeastLoaded::new);
    bench(c, "ll2", false, || LeastLoaded::of(selector::Choices::new(2).unwrap()));
    bench(c, "any_ll8", false, || Strategy::default().selector());
}
criterion_group!(benches, all);
criterion_main!(benches);
