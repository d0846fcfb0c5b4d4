//! One client of many, by hand: what it makes of its own requests and of the queues that servers report.

use std::{sync::Arc, time::Duration};

use equipoise::{Ask, Driver, Endpoint, FleetLeastLoaded, LoadReport, ManualClock, Outcome, Pool, selector::Choices};
use futures_util::FutureExt;

/// A pool of `a`, `b`, … on a manual clock, of a fleet of so many clients.
struct One {
    time: ManualClock,
    pool: Pool<Endpoint<()>, FleetLeastLoaded>,
    driver: Driver<Endpoint<()>, FleetLeastLoaded>,
}

impl One {
    fn new(clients: f64, weights: &[u32]) -> Self {
        let time = ManualClock::new();
        let members = ["a", "b", "c"].iter().zip(weights);
        let (pool, driver) = Pool::builder_on(time.clock())
            .selector(FleetLeastLoaded::new().with_clients(clients).unwrap())
            .seed(3)
            .backends(members.map(|(id, weight)| Endpoint::new(*id, ()).with_weight(*weight)))
            .build();
        Self { time, pool, driver }
    }

    fn advance(&mut self, by: Duration) {
        self.time.advance(by);
        assert!((&mut self.driver).now_or_never().is_none());
    }

    fn lease(&mut self, id: &str) -> equipoise::Lease<Arc<Endpoint<()>>> {
        let lease = self.pool.pick(&Ask::new().with_home(equipoise::Home::new(id))).unwrap();
        assert_eq!(lease.backend_id(), id);
        lease
    }

    /// One request to this member, in answer to which it says that it has so many, this one included.
    fn hear(&mut self, id: &str, queue: f64) {
        let mut lease = self.lease(id);
        lease.report(&LoadReport::new().with_queue(queue).unwrap());
        lease.settle(Outcome::Success);
    }

    /// How often each of the three is selected of a hundred times.
    fn shares(&mut self) -> [usize; 3] {
        let mut shares = [0; 3];
        for _ in 0..100 {
            let at = self.pool.select(&Ask::new()).unwrap();
            let place = ["a", "b", "c"].iter().position(|id| self.pool.id_at(at) == Some(*id));
            shares[place.unwrap()] += 1;
        }
        shares
    }
}

#[test]
fn own_requests_stand_for_those_of_all_clients() {
    let mut one = One::new(10.0, &[1; 3]);
    one.hear("a", 13.0);
    one.hear("b", 6.0);
    one.hear("c", 20.0);
    // 12, 5 and 19 besides the one that was answered.
    assert_eq!(one.shares(), [0, 100, 0]);
    // 9 × 1 + the larger of 1 and 5, of which the one may be one: 14.
    let _b = one.lease("b");
    assert_eq!(one.shares(), [100, 0, 0]);
    let _a = one.lease("a");
    // 21, 14, 19.
    assert_eq!(one.shares(), [0, 100, 0]);
    let _b2 = one.lease("b");
    // 21, 23, 19.
    assert_eq!(one.shares(), [0, 0, 100]);
}

#[test]
fn own_requests_are_not_counted_twice() {
    let mut one = One::new(2.0, &[1; 2]);
    one.hear("a", 5.0);
    one.hear("b", 9.0);
    let _a = [one.lease("a"), one.lease("a"), one.lease("a")];
    // 1 × 3 + the 4 at a, 3 of which may be these: 7, and 8 at b.
    assert_eq!(one.shares(), [100, 0, 0]);
}

#[test]
fn who_was_not_heard_is_taken_for_the_mean_of_its_weight() {
    let mut one = One::new(2.0, &[1, 1, 4]);
    one.hear("a", 5.0);
    one.hear("b", 9.0);
    one.advance(Duration::from_secs(1));
    // The mean is 6 for each unit of weight.
    one.hear("a", 5.0);
    one.hear("b", 9.0);
    let _a = [one.lease("a"), one.lease("a")];
    // 2 + 4 at a, 8 at b, 24 of 4 at c.
    let shares = one.shares();
    assert!(
        shares[0] > 0 && shares[1] == 0 && shares[2] > 0,
        "a tie of a and c: {shares:?}"
    );
}

/// A hundred members of which few are drawn, each with a queue: the one of the shortest is found by chance, and from then
/// on known.
#[test]
fn who_was_found_to_have_the_shortest_queue_is_remembered() {
    let pool = |choices| {
        let members = (0..100).map(|server| Endpoint::new(server.to_string(), ()));
        let selector = FleetLeastLoaded::new()
            .with_clients(10.0)
            .unwrap()
            .with_choices(choices);
        let builder = Pool::builder_on(ManualClock::new().clock()).selector(selector).seed(5);
        builder.backends(members).build()
    };
    for d in [2, 8] {
        let (mut pool, mut driver) = pool(Choices::new(d).unwrap());
        let hear = |pool: &mut Pool<_, _>, id: &str, queue| {
            let mut lease = pool.pick(&Ask::new().with_home(equipoise::Home::new(id))).unwrap();
            lease.report(&LoadReport::new().with_queue(queue).unwrap());
            lease.settle(Outcome::Success);
        };
        for server in 0..100 {
            hear(&mut pool, &server.to_string(), if server == 42 { 2.0 } else { 9.0 });
        }
        let is_short = |pool: &mut Pool<_, _>| {
            let at = pool.select(&Ask::new()).unwrap();
            pool.id_at(at) == Some("42")
        };
        let first = (0..1_000).position(|_| is_short(&mut pool)).unwrap();
        assert!(first > 0 || d > 2, "found at once, of two?");
        assert_eq!((0..1_000).filter(|_| is_short(&mut pool)).count(), 1_000, "d = {d}");
        // One that is sent there counts for ten, and the next goes elsewhere, but not for longer than it is there.
        let lease = pool.pick(&Ask::new()).unwrap();
        assert_eq!((0..1_000).filter(|_| is_short(&mut pool)).count(), 0, "d = {d}");
        drop(lease);
        assert_eq!((0..1_000).filter(|_| is_short(&mut pool)).count(), 1_000, "d = {d}");
        // It has a long queue by now: others are found.
        hear(&mut pool, "42", 20.0);
        hear(&mut pool, "7", 2.0);
        let seven = (0..1_000).filter(|_| {
            let at = pool.select(&Ask::new()).unwrap();
            pool.id_at(at) == Some("7")
        });
        assert!(seven.count() > 800, "d = {d}");
        // Who drains is not chosen, whatever is remembered.
        drop(pool.handle().drain("7"));
        assert!((&mut driver).now_or_never().is_none());
        for _ in 0..1_000 {
            let at = pool.select(&Ask::new()).unwrap();
            assert_ne!(pool.id_at(at), Some("7"));
        }
    }
}

#[test]
fn queues_are_compared_over_weights() {
    let mut one = One::new(10.0, &[4, 2, 1]);
    one.hear("a", 13.0);
    one.hear("b", 8.0);
    one.hear("c", 5.0);
    // 12 of 4, 7 of 2, 4 of 1.
    assert_eq!(one.shares(), [100, 0, 0]);
    one.hear("a", 17.0);
    assert_eq!(one.shares(), [0, 100, 0]);
}

#[test]
fn a_long_queue_is_forgotten_in_time_and_who_is_new_is_not_swarmed() {
    let mut one = One::new(10.0, &[1; 2]);
    one.hear("a", 101.0);
    one.hear("b", 1.0);
    assert_eq!(one.shares(), [0, 100, 0]);
    // Of b one hears on; a is not asked, and comes to be taken for the mean: of both, 52, while it counts, and then of
    // b alone, 4, to which a request of one's own adds 9.
    for second in 1..10 {
        one.advance(Duration::from_secs(1));
        one.hear("b", 5.0);
        let b = one.lease("b");
        let all_at = if second <= 2 { [0, 100, 0] } else { [100, 0, 0] };
        assert_eq!(one.shares(), all_at, "after {second} s");
        drop(b);
    }
    // Who joins is taken for the mean as well, and not for idle.
    let mut joined = one.pool.handle().insert(Endpoint::new("c", ()));
    one.advance(Duration::ZERO);
    assert!((&mut joined).now_or_never().unwrap().unwrap());
    one.hear("b", 2.0);
    assert_eq!(one.shares(), [0, 100, 0]);
}

#[test]
fn failing_at_once_attracts_nothing() {
    let mut one = One::new(10.0, &[1; 3]);
    for (id, queue) in [("b", 4.0), ("c", 4.0)] {
        one.hear(id, queue);
    }
    let mut failed = 0;
    for _ in 0..900 {
        let mut lease = one.pool.pick(&Ask::new()).unwrap();
        let fails = lease.backend_id() == "a";
        // It has nothing to do, as it does nothing.
        let queue = if fails { 1.0 } else { 4.0 };
        lease.report(&LoadReport::new().with_queue(queue).unwrap());
        lease.settle(if fails { Outcome::Failure } else { Outcome::Success });
        failed += usize::from(fails);
    }
    // An eighth of a fair share, and what it took to find out.
    assert!((20..100).contains(&failed), "{failed}");
    // What failures weigh fades with requests.
    for _ in 0..4 {
        one.shares();
    }
    assert_eq!(one.shares(), [100, 0, 0]);
}

/// Of many, members are remembered that have little to do: who fails has nothing to do.
#[test]
fn who_fails_is_not_the_one_to_remember() {
    let time = ManualClock::new();
    let selector = FleetLeastLoaded::new().with_clients(10.0).unwrap();
    let backends = (0..40).map(|index| Endpoint::new(index.to_string(), ()));
    let builder = Pool::builder_on(time.clock()).selector(selector).seed(3);
    let (mut pool, mut driver) = builder.backends(backends).build();
    let mut failed = 0;
    for turn in 0..8_000 {
        let mut lease = pool.pick(&Ask::new()).unwrap();
        let fails = lease.backend_id() == "7";
        let queue = if fails { 1.0 } else { 4.0 };
        lease.report(&LoadReport::new().with_queue(queue).unwrap());
        lease.settle(if fails { Outcome::Failure } else { Outcome::Success });
        failed += usize::from(fails);
        if turn % 10 == 0 {
            time.advance(Duration::from_millis(10));
            assert!((&mut driver).now_or_never().is_none());
        }
    }
    // Its share is 200.
    assert!((1..100).contains(&failed), "{failed}");
}

#[test]
fn parameters_out_of_range_are_refused() {
    let selector = FleetLeastLoaded::new;
    for (error, words) in [
        (
            selector().with_clients(f64::NAN).unwrap_err(),
            "invalid clients 'NaN' of strategy fleet_least_loaded: expected a number from 1 to 1000000, or estimated",
        ),
        (
            selector().with_clients(0.5).unwrap_err(),
            "invalid clients '0.5' of strategy fleet_least_loaded: expected a number from 1 to 1000000, or estimated",
        ),
        (
            selector().with_fade(Duration::ZERO).unwrap_err(),
            "invalid fade '0s' of strategy fleet_least_loaded: expected a time from 1ms to 60m",
        ),
    ] {
        assert_eq!(error.to_string(), words);
    }
    let text = "fleet_least_loaded(d=4,clients=2.5,fade=250ms)";
    let strategy: equipoise::Strategy = text.parse().unwrap();
    assert_eq!(strategy.to_string(), text);
    for wrong in [
        "fleet_least_loaded(clients=many)",
        "fleet_least_loaded(clients=1000001)",
        "fleet_least_loaded(d=0)",
    ] {
        assert!(wrong.parse::<equipoise::Strategy>().is_err(), "{wrong}");
    }
}
