//! Servers that are asked for more than they can do, through pools with limits and without, on a clock moved by hand.

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc, time::Duration};

use equipoise::{AdaptiveLimit, Backend, Lease, LeastLoaded, ManualClock, Outcome, Pool, PoolBuilder};
use rand::{RngExt, SeedableRng, rngs::SmallRng};

use super::*;

const SERVERS: usize = 4;
const SLOTS: usize = 4;
/// The mean time that a slot takes for a request.
const SERVICE: f64 = 0.01;
const SECONDS: usize = 60;

/// What came of the requests of a time.
#[derive(Default)]
struct Came {
    latencies: Vec<f64>,
    turned_away: usize,
}

impl Came {
    /// The part done of what the servers can do, and the 99th percentile in service times.
    fn figures(from: &[Came], capacity: f64) -> (f64, f64) {
        let mut latencies: Vec<f64> = from.iter().flat_map(|came| came.latencies.iter().copied()).collect();
        latencies.sort_by(f64::total_cmp);
        let done = latencies.len() as f64 / from.len() as f64 / capacity;
        (done, latencies[latencies.len() * 99 / 100] / SERVICE)
    }
}

/// Plays balancers before servers of which the first is five times slower from 20 s to 40 s; second by second, and the
/// limits at the end of each.
fn play(
    balancers: usize,
    limit: impl Fn(PoolBuilder<Plain, LeastLoaded>) -> PoolBuilder<Plain, LeastLoaded>,
) -> Vec<(Came, Vec<u32>)> {
    let clock = ManualClock::new();
    let start = clock.now();
    let mut random = SmallRng::seed_from_u64(11);
    let mut pools: Vec<_> = (0..balancers)
        .map(|seed| {
            let backends = (0..SERVERS).map(|id| endpoint(&id.to_string()));
            let builder = Pool::builder_on(clock.clock()).backends(backends).seed(seed as u64);
            limit(builder).build().0
        })
        .collect();
    let mut free = vec![vec![Duration::ZERO; SLOTS]; SERVERS];
    let mut leases: Vec<Option<Lease<Arc<Plain>>>> = Vec::new();
    // When it ends, when it came, and which lease it has.
    let mut open: BinaryHeap<Reverse<(Duration, Duration, usize)>> = BinaryHeap::new();
    let mut seconds: Vec<(Came, Vec<u32>)> = (0..SECONDS).map(|_| Default::default()).collect();
    let rate = 1.5 * (SERVERS * SLOTS) as f64 / SERVICE;
    let exponential = |random: &mut SmallRng| -(1.0 - random.random::<f64>()).ln();
    let to = |at: Duration| clock.advance((start + at).saturating_duration_since(clock.now()));
    let (mut now, mut second) = (Duration::ZERO, 0);
    loop {
        now += Duration::from_secs_f64(exponential(&mut random) / rate);
        while let Some(Reverse((ends, came, lease))) = open.peek().copied().filter(|next| next.0.0 <= now) {
            open.pop();
            to(ends);
            if let Some(mut lease) = leases[lease].take() {
                lease.settle(Outcome::Success);
            }
            if let Some((seen, _)) = seconds.get_mut(ends.as_secs() as usize) {
                seen.latencies.push((ends - came).as_secs_f64());
            }
        }
        if now.as_secs() as usize > second {
            seconds[second].1 = pools[0].members().iter().filter_map(|member| member.limit).collect();
            second = now.as_secs() as usize;
        }
        if second >= SECONDS {
            return seconds;
        }
        to(now);
        let Ok(lease) = pools[random.random_range(0..balancers)].pick(&Ask::new()) else {
            seconds[second].0.turned_away += 1;
            continue;
        };
        let server: usize = lease.backend().id().parse().unwrap();
        let slot = free[server].iter_mut().min().unwrap();
        let begins = now.max(*slot);
        let is_slow = server == 0 && (20..40).contains(&begins.as_secs());
        let takes = SERVICE * exponential(&mut random) * if is_slow { 5.0 } else { 1.0 };
        *slot = begins + Duration::from_secs_f64(takes);
        open.push(Reverse((*slot, now, leases.len())));
        leases.push(Some(lease));
    }
}

type Limited = fn(PoolBuilder<Plain, LeastLoaded>) -> PoolBuilder<Plain, LeastLoaded>;

#[test]
fn a_limit_that_follows_is_nearly_as_good_as_the_right_one() {
    let capacity = (SERVERS * SLOTS) as f64 / SERVICE;
    let slower = capacity * (SERVERS as f64 - 0.8) / SERVERS as f64;
    let phases = [
        ("well", 5, 20, capacity),
        ("one slower", 25, 40, slower),
        ("well again", 45, 60, capacity),
    ];
    let mut all = Vec::new();
    let limits: [(&str, Limited); 3] = [
        ("none", |builder| builder),
        ("fixed", |builder| builder.in_flight_limit(2 * SLOTS as u32)),
        ("adaptive", |builder| builder.adaptive_limit(AdaptiveLimit::new())),
    ];
    for (name, limit) in limits {
        let seconds = play(1, limit);
        let limits: Vec<_> = [19, 39, 59].map(|second| seconds[second].1.clone()).into();
        let (came, _): (Vec<_>, Vec<_>) = seconds.into_iter().unzip();
        let figures = phases.map(|(phase, from, to, capacity)| {
            let (done, p99) = Came::figures(&came[from..to], capacity);
            println!(
                "{name}, {phase}: done {:.1} %, p99 {p99:.1} service times",
                done * 100.0
            );
            (done, p99)
        });
        println!(
            "{name}: limits {limits:?}, turned away {}",
            came.iter().map(|came| came.turned_away).sum::<usize>()
        );
        all.push((figures, limits));
    }
    let [(none, _), (fixed, _), (adaptive, limits)] = &all[..] else {
        unreachable!()
    };
    assert!(none[2].1 > 500.0, "without a limit the queue grows for ever");
    for (adaptive, fixed) in adaptive.iter().zip(fixed) {
        assert!(
            adaptive.0 > 0.93 * fixed.0 && adaptive.1 < 1.3 * fixed.1,
            "{adaptive:?} {fixed:?}"
        );
    }
    let near = |limits: &[u32]| limits.iter().all(|limit| (4..=16).contains(limit));
    assert!(near(&limits[0][1..]) && near(&limits[2]), "{limits:?}");
}

/// Each sees the others' queue as well: two come to terms, many need a bound.
#[test]
fn balancers_that_share_servers() {
    let capacity = (SERVERS * SLOTS) as f64 / SERVICE;
    let bounded: Limited = |builder| builder.adaptive_limit(AdaptiveLimit::new().with_bounds(1, 3).unwrap());
    let unbounded: Limited = |builder| builder.adaptive_limit(AdaptiveLimit::new());
    for (balancers, name, limit, slowest) in [
        (2, "unbounded", unbounded, 15.0),
        (10, "at most 3", bounded, 15.0),
        (10, "unbounded", unbounded, f64::INFINITY),
    ] {
        let (came, limits): (Vec<_>, Vec<_>) = play(balancers, limit).into_iter().unzip();
        let (done, p99) = Came::figures(&came[45..60], capacity);
        let limits = &limits[59];
        println!(
            "{balancers} balancers, {name}: done {:.1} %, p99 {p99:.1} service times, {limits:?}",
            done * 100.0
        );
        assert!(done > 0.93 && p99 < slowest, "{done} {p99}");
    }
}
