//! Peak EWMA and least time: what is learnt of latency, and whom it leads to.

use std::{sync::Arc, time::Duration};

use equipoise::{
    Ask, Backend, Endpoint, Home, Lease, LeastTime, ManualClock, Outcome, PeakEwma, Pool, Selector, selector::Choices,
};

type Plain = Endpoint<()>;

struct Bench<S: Selector<Plain>> {
    clock: ManualClock,
    pool: Pool<Plain, S>,
    _driver: equipoise::Driver<Plain, S>,
}

/// Members `a`, `b`, … of these weights.
fn bench<S: Selector<Plain>>(selector: S, weights: &[u32]) -> Bench<S> {
    let clock = ManualClock::new();
    let members = ('a'..).zip(weights);
    let (pool, _driver) = Pool::builder_on(clock.clock())
        .selector(selector)
        .seed(5)
        .backends(members.map(|(id, weight)| Endpoint::new(id.to_string(), ()).with_weight(*weight)))
        .build();
    Bench { clock, pool, _driver }
}

impl<S: Selector<Plain>> Bench<S> {
    /// A request that the selector sends to `id`: others that it sends elsewhere meanwhile stay there until then.
    fn lease(&mut self, id: &str) -> Lease<Arc<Plain>> {
        let mut elsewhere = Vec::new();
        for _ in 0..10_000 {
            let lease = self.pool.pick(&Ask::new()).unwrap();
            if lease.backend_id() == id {
                elsewhere.into_iter().for_each(cancel_unseen);
                return lease;
            }
            elsewhere.push(lease);
        }
        panic!("nothing is sent to {id}");
    }

    fn lasts(&mut self, id: &str, millis: u64, outcome: Outcome) {
        let mut lease = self.lease(id);
        self.clock.advance(Duration::from_millis(millis));
        lease.settle(outcome);
    }

    fn picked(&mut self) -> String {
        let at = self.pool.select(&Ask::new()).unwrap();
        self.pool.id_at(at).unwrap().to_owned()
    }

    /// Whom 200 looks come to, sorted, each once.
    fn all_picked(&mut self) -> String {
        let mut ids: Vec<String> = (0..200).map(|_| self.picked()).collect();
        ids.sort();
        ids.dedup();
        ids.concat()
    }
}

/// Cancelled at once: 0 is above no estimate.
fn cancel_unseen(lease: Lease<Arc<Plain>>) {
    drop(lease);
}

fn choices(d: usize) -> Choices {
    Choices::new(d).unwrap()
}

/// `a` takes 10 ms and `b` 20 ms.
fn known<S: Selector<Plain>>(selector: S) -> Bench<S> {
    let mut bench = bench(selector, &[1, 1]);
    bench.lasts("a", 10, Outcome::Success);
    bench.lasts("b", 20, Outcome::Success);
    bench
}

fn both(test: impl Fn(&mut dyn FnMut() -> Box<dyn AnyBench>)) {
    test(&mut || Box::new(known(PeakEwma::new())));
    test(&mut || Box::new(known(LeastTime::new())));
}

/// A bench of either selector.
trait AnyBench {
    fn lasts(&mut self, id: &str, millis: u64, outcome: Outcome);
    fn picked(&mut self) -> String;
    fn all_picked(&mut self) -> String;
    fn advance(&self, millis: u64);
    fn home(&mut self, id: &str) -> Lease<Arc<Plain>>;
}

impl<S: Selector<Plain>> AnyBench for Bench<S> {
    fn lasts(&mut self, id: &str, millis: u64, outcome: Outcome) {
        Bench::lasts(self, id, millis, outcome);
    }
    fn picked(&mut self) -> String {
        Bench::picked(self)
    }
    fn all_picked(&mut self) -> String {
        Bench::all_picked(self)
    }
    fn advance(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }
    fn home(&mut self, id: &str) -> Lease<Arc<Plain>> {
        self.pool.pick(&Ask::new().with_home(Home::new(id))).unwrap()
    }
}

#[test]
fn the_cost_is_latency_times_what_would_be_open() {
    both(|known| {
        let mut bench = known();
        assert_eq!(bench.all_picked(), "a");
        // 10 ms × 2 against 20 ms × 1, of which a little has faded: b's is younger.
        let one = bench.home("a");
        assert_eq!(bench.all_picked(), "a");
        let two = bench.home("a");
        assert_eq!(bench.all_picked(), "b");
        drop((one, two));
        assert_eq!(bench.all_picked(), "a");
    });
}

#[test]
fn a_peak_counts_at_once_and_a_mean_takes_its_time() {
    let mut peak = known(PeakEwma::new());
    let mut mean = known(LeastTime::new());
    peak.lasts("a", 30, Outcome::Success);
    mean.lasts("a", 30, Outcome::Success);
    assert_eq!(peak.all_picked(), "b");
    assert_eq!(mean.all_picked(), "a");
    // Half of what was known is 7 s old.
    for bench in [&mut peak as &mut dyn AnyBench, &mut mean] {
        (0..40).for_each(|_| bench.lasts("a", 500, Outcome::Success));
        assert_eq!(bench.all_picked(), "b");
    }
}

#[test]
fn what_is_not_heard_of_for_long_is_forgotten() {
    both(|known| {
        let mut bench = known();
        // Every second another success of a's: meanwhile b fades, 20 ms × e^(−t ∕ 10 s), and after 7 s is below 10 ms.
        let mut seconds = 0;
        while bench.all_picked() == "a" {
            bench.advance(990);
            bench.lasts("a", 10, Outcome::Success);
            seconds += 1;
            assert!(seconds < 60, "b is never tried again");
        }
        assert!((7..9).contains(&seconds), "after {seconds} s");
    });
}

#[test]
fn a_failure_keeps_a_place_which_is_forgotten_with_the_requests_to_come() {
    both(|known| {
        let mut bench = known();
        // The faster one fails, at once: 10 ms and the mean of 10 and 20 ms, against 20.
        bench.home("a").settle(Outcome::Failure);
        assert_eq!([bench.picked(), bench.picked(), bench.picked()], ["b"; 3]);
        bench.all_picked();
        assert_eq!(bench.all_picked(), "a");
    });
}

/// Whom they come to once no failure keeps a place.
fn picked_at_last(bench: &mut dyn AnyBench) -> String {
    for _ in 0..4 {
        bench.all_picked();
    }
    bench.all_picked()
}

#[test]
fn who_goes_on_failing_is_taken_for_the_mean() {
    both(|known| {
        let mut bench = known();
        // The mean of what succeeds is b's 20 ms: that is what a is taken for in the end.
        for _ in 0..100 {
            bench.home("a").settle(Outcome::Failure);
            bench.advance(480);
            bench.lasts("b", 20, Outcome::Success);
        }
        picked_at_last(&mut *bench);
        let one = bench.home("b");
        assert_eq!(bench.all_picked(), "a");
        drop(one);
        // Of a request of 10 ms there might be one more.
        let _one = bench.home("a");
        assert_eq!(bench.all_picked(), "b");
    });
}

#[test]
fn a_failure_that_took_long_is_a_sample() {
    both(|known| {
        let mut bench = known();
        // Five seconds: by 0.4.
        (0..5).for_each(|_| bench.lasts("a", 1_000, Outcome::Failure));
        bench.lasts("b", 200, Outcome::Success);
        assert_eq!(picked_at_last(&mut *bench), "b");
    });
}

#[test]
fn failures_now_and_then_do_not_hide_who_is_slow() {
    both(|known| {
        let mut bench = known();
        // Of a hundred requests one; the fast one's last.
        for turn in 0..1_000 {
            for (id, millis, failing) in [("a", 10, 99), ("b", 20, 49)] {
                let fails = turn % 100 == failing;
                bench.lasts(id, millis, if fails { Outcome::Failure } else { Outcome::Success });
            }
        }
        assert_eq!(picked_at_last(&mut *bench), "a");
    });
}

#[test]
fn a_failure_that_took_long_is_a_peak() {
    // As a sample it would weigh a hundredth.
    let mut bench = known(PeakEwma::new());
    bench.lasts("a", 100, Outcome::Failure);
    assert_eq!(picked_at_last(&mut bench), "b");
}

#[test]
fn who_was_given_up_may_raise_an_estimate_and_never_lowers_it() {
    let mut bench = known(PeakEwma::new());
    // Given up early, again and again: not a sign of speed.
    (0..100).for_each(|_| {
        let given_up = bench.pool.pick(&Ask::new().with_home(Home::new("b"))).unwrap();
        drop(given_up);
    });
    (0..100).for_each(|_| bench.lasts("a", 1, Outcome::Success));
    assert_eq!(bench.all_picked(), "a");
    // Given up late: a sign of slowness.
    bench.lasts("a", 400, Outcome::Cancelled);
    assert_eq!(bench.all_picked(), "b");

    let mut bench = known(LeastTime::new());
    (0..20).for_each(|_| bench.lasts("a", 400, Outcome::Cancelled));
    assert_eq!(bench.all_picked(), "b");
}

#[test]
fn who_is_given_up_at_once_has_no_history_yet() {
    fn check<S: Selector<Plain>>(selector: S) {
        let mut bench = bench(selector, &[1; 3]);
        bench.lasts("a", 10, Outcome::Success);
        bench.lasts("b", 20, Outcome::Success);
        // Only c is at rest, and is not heard.
        let open = ["a", "b"].map(|id| bench.pool.pick(&Ask::new().with_home(Home::new(id))).unwrap());
        assert_eq!(bench.all_picked(), "c");
        bench.lasts("c", 0, Outcome::Cancelled);
        drop(open);
        // It is taken for the mean, not for one that answers at once.
        assert_eq!(bench.all_picked(), "a");
    }
    check(PeakEwma::new().with_choices(choices(8)));
    check(LeastTime::new());
}

#[test]
fn who_has_no_history_gets_one_request_at_a_time_and_is_taken_for_the_mean() {
    fn check<S: Selector<Plain>>(selector: S) {
        let mut bench = bench(selector, &[1; 4]);
        // Nothing is known: everybody gets one.
        let mut open: Vec<_> = (0..4).map(|_| bench.pool.pick(&Ask::new()).unwrap()).collect();
        open.sort_by_key(|lease| lease.backend_id().to_owned());
        let ids: String = open.iter().map(|lease| lease.backend_id()).collect();
        assert_eq!(ids, "abcd");
        bench.clock.advance(Duration::from_millis(10));
        open[0].settle(Outcome::Success);
        open[1].settle(Outcome::Success);
        open.drain(..2);
        // c and d have none, and one open: nothing goes there, however much is open elsewhere.
        let more: Vec<_> = (0..100).map(|_| bench.pool.pick(&Ask::new()).unwrap()).collect();
        assert!(more.iter().all(|lease| ["a", "b"].contains(&lease.backend_id())));
        // Not open any more, and still unknown, c comes before the others, which have 50 open.
        let mut c = open.remove(0);
        assert_eq!(c.backend_id(), "c");
        c.settle(Outcome::Cancelled);
        drop(c);
        assert_eq!(bench.all_picked(), "c");
        drop(more);
        // At rest it is as good as the mean, which is what a and b take.
        assert_eq!(bench.all_picked(), "abc");
    }
    check(PeakEwma::new().with_choices(choices(8)));
    check(LeastTime::new());
}

#[test]
fn under_load_members_hold_as_much_as_their_weights_say() {
    fn check<S: Selector<Plain>>(selector: S, members: usize) {
        let weights: Vec<u32> = (0..members).map(|index| 100 * (1 + index as u32 % 4)).collect();
        let mut bench = bench(selector, &weights);
        for _ in 0..10 {
            // All take 5 ms; enough at once that everybody is heard.
            let leases: Vec<_> = (0..4 * members)
                .map(|_| bench.pool.pick(&Ask::new()).unwrap())
                .collect();
            bench.clock.advance(Duration::from_millis(5));
            for mut lease in leases {
                lease.settle(Outcome::Success);
            }
        }
        let total: u32 = weights.iter().sum();
        let leases: Vec<_> = (0..total / 10).map(|_| bench.pool.pick(&Ask::new()).unwrap()).collect();
        let held = bench.pool.members();
        for member in held {
            let due = member.backend.weight() as usize / 10;
            let allowed = due / 4 + 3;
            let held = member.in_flight;
            assert!(
                held.abs_diff(due) <= allowed,
                "{} holds {held} of {due}",
                member.backend.id()
            );
        }
        drop(leases);
    }
    check(LeastTime::new(), 8);
    check(LeastTime::new(), 24);
    check(PeakEwma::new(), 8);
}

#[test]
fn a_clone_has_the_settings_and_not_what_was_learnt() {
    let selector = PeakEwma::new().with_decay(Duration::from_secs(3)).unwrap();
    let clone = selector.clone();
    assert_eq!(clone, selector);
    assert_ne!(clone, PeakEwma::new());
    assert_eq!(clone.decay(), Duration::from_secs(3));
    let wrong = PeakEwma::new().with_decay(Duration::from_millis(9)).unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "invalid decay '9ms' of strategy peak_ewma: expected a time from 10ms to 60m"
    );
    assert!(LeastTime::new().with_decay(Duration::MAX).is_err());
}
