//! A second backend while the first takes long.

use equipoise::{Hedge, RetryBudget};
use futures_util::future::poll_fn;

use super::*;

fn hedged() -> FailoverLayer<Repeatable> {
    FailoverLayer::new(Repeatable).hedge(Hedge::after(20 * MS))
}

fn poll_for<T>(world: &World, call: &mut (impl Future<Output = T> + Unpin), most: u32) -> Option<(T, u32)> {
    (0..=most).find_map(|passed| match poll_once(call) {
        Poll::Ready(result) => Some((result, passed)),
        Poll::Pending => {
            world.clock.advance(MS);
            None
        }
    })
}

#[test]
fn the_first_good_answer_counts_and_the_other_request_is_cancelled() {
    let world = World::new(&["a", "b"], |_, _| AnswerAfter(100 * MS));
    // Whoever is slow is asked first.
    let slow = World::new(&["a", "b"], |id, _| if id == "a" { Never } else { AnswerAfter(5 * MS) });
    let (result, passed) = poll_for(&slow, &mut slow.call(hedged()), 1_000).unwrap();
    assert_eq!((result.unwrap().as_str(), passed), ("b", 25));
    assert_eq!(
        (slow.tally("a").cancelled, slow.tally("a").failed, slow.in_flight()),
        (1, 0, 0)
    );
    // The first may still win.
    let (result, passed) = poll_for(&world, &mut world.call(hedged()), 1_000).unwrap();
    assert_eq!(passed, 100);
    let called = world.called();
    assert_eq!((called.len(), result.unwrap()), (2, called[..1].to_owned()));
    assert_eq!(world.tally(&called[1..]).cancelled, 1);
}

#[test]
fn who_lost_is_given_up_even_if_the_future_is_kept() {
    let world = World::new(
        &["a", "b"],
        |_, times| if times == 1 { AnswerAfter(30 * MS) } else { Never },
    );
    let mut call = world.call(hedged());
    assert!(poll_for(&world, &mut call, 1_000).unwrap().0.is_ok());
    assert_eq!(world.in_flight(), 0);
    drop(call);
}

#[test]
fn hedges_are_taken_from_the_budget() {
    let world = World::new(&["a", "b", "c"], |_, _| Never);
    let budget = RetryBudget::of(0.0, 0.2).unwrap();
    for hedges in [1, 1, 0] {
        let mut call = world.call(hedged().budget(budget.clone()));
        assert!(poll_for(&world, &mut call, 50).is_none());
        assert_eq!(world.called().len(), 1 + hedges);
    }
}

#[test]
fn without_a_second_backend_nothing_is_taken() {
    let world = World::new(&["a"], |_, times| {
        if times < 3 {
            AnswerAfter(100 * MS)
        } else {
            FailAfter(100 * MS)
        }
    });
    let budget = RetryBudget::of(0.0, 0.1).unwrap();
    for _ in 0..2 {
        let (result, passed) = poll_for(&world, &mut world.call(hedged().budget(budget.clone())), 1_000).unwrap();
        assert_eq!((result.unwrap().as_str(), passed), ("a", 100));
    }
    // The one try that there is in the budget is there still.
    let (result, _) = poll_for(&world, &mut world.call(hedged().budget(budget)), 1_000).unwrap();
    assert!(result.is_err());
    assert_eq!(world.called(), "aaaa");
}

#[test]
fn if_one_fails_the_other_is_waited_for() {
    for slow_fails in [false, true] {
        let world = World::new(&["a", "b"], move |_, _| AnswerAfter(MS));
        let first = World::new(&["a", "b", "c"], move |id, _| match id {
            "a" => FailAfter(40 * MS),
            "b" => AnswerAfter(60 * MS),
            _ if slow_fails => FailAfter(30 * MS),
            _ => Never,
        });
        let mut results = Vec::new();
        for _ in 0..3 {
            results.push(poll_for(&first, &mut first.call(hedged().tries(2)), 1_000));
        }
        let done: Vec<_> = results.into_iter().flatten().collect();
        // Whoever had b in either place is answered; two tries are all that there are.
        assert!(
            done.iter()
                .filter(|(result, _)| result.is_ok())
                .all(|(result, passed)| { result.as_deref().unwrap() == "b" && (60..=80).contains(passed) })
        );
        assert!(
            done.iter().filter(|(result, _)| result.is_ok()).count() >= 1,
            "{done:?}"
        );
        drop(world);
    }
}

#[test]
fn if_both_fail_a_third_is_tried() {
    let world = World::new(&["a", "b", "c"], |_, _| FailAfter(30 * MS));
    let (result, passed) = poll_for(&world, &mut world.call(hedged()), 1_000).unwrap();
    let error = result.unwrap_err();
    // 0 to 30, hedged from 20 to 50, the third from 50 to 80.
    assert_eq!((tried(&error).len(), world.called().len(), passed), (3, 3, 80));
}

#[test]
fn by_a_quantile_few_are_hedged_and_the_slow_ones() {
    let slow_each = 50;
    let count = Arc::new(Mutex::new(0_u32));
    let world = World::new(&["a", "b", "c"], move |_, _| {
        let mut count = count.lock().unwrap();
        *count += 1;
        AnswerAfter(if *count % slow_each == 0 {
            1_000 * MS
        } else {
            (1 + *count % 10) * MS
        })
    });
    let layer = FailoverLayer::new(Repeatable).hedge(Hedge::after_quantile(0.9).unwrap());
    let mut service = layer.layer(world.inner.clone());
    let mut slowest = 0;
    let requests = 5_000;
    for request in 0..requests {
        let mut call = Box::pin(service.call(request));
        let (result, passed) = poll_for(&world, &mut call, 2_000).unwrap();
        assert!(result.is_ok());
        if request > 1_000 {
            slowest = slowest.max(passed);
        }
    }
    let hedges = world.called().len() as u32 - requests;
    assert!((requests / 60..requests / 7).contains(&hedges), "{hedges}");
    assert!(
        slowest < 100,
        "{slowest} ms, and without hedges one in {slow_each} takes 1,000"
    );
}

#[test]
fn who_is_given_up_for_his_time_has_taken_long() {
    let hedged = || {
        FailoverLayer::new(Repeatable)
            .tries(2)
            .hedge(Hedge::after_quantile(0.9).unwrap())
            .budget(RetryBudget::of(100.0, 1e6).unwrap())
    };
    for layer in [hedged().try_timeout(50 * MS), hedged().deadline(50 * MS)] {
        let is_stuck = Arc::new(Mutex::new(false));
        let act = Arc::clone(&is_stuck);
        let world = World::new(&["a", "b"], move |_, _| match *act.lock().unwrap() {
            true => Never,
            false => AnswerAfter(5 * MS),
        });
        let mut service = layer.layer(world.inner.clone());
        let mut play = |request, after: u32| {
            let mut call = Box::pin(service.call(request));
            let early = poll_for(&world, &mut call, after);
            let called = world.called().len();
            assert!(early.is_some() || poll_for(&world, &mut call, 200).is_some());
            world.called();
            called
        };
        (0..300).for_each(|request| assert_eq!(play(request, 40), 1));
        *is_stuck.lock().unwrap() = true;
        assert_eq!(play(300, 40), 2, "hedged by now");
        (301..500).for_each(|request| assert!(play(request, 40) <= 2));
        // As all take longer than anybody waits, none takes longer than others.
        assert_eq!(play(500, 40), 1);
    }
}

/// As in an overload: all take longer than that.
#[test]
fn no_more_than_their_share_are_hedged_however_slow_all_are() {
    for (share, most) in [(0.05, 51), (0.2, 201), (0.0, 1)] {
        let world = World::new(&["a", "b", "c"], |_, _| AnswerAfter(30 * MS));
        let hedge = Hedge::after(20 * MS).with_share(share).unwrap();
        let mut service = FailoverLayer::new(Repeatable).hedge(hedge).layer(world.inner.clone());
        for request in 0..1_000 {
            assert!(
                poll_for(&world, &mut Box::pin(service.call(request)), 100)
                    .unwrap()
                    .0
                    .is_ok()
            );
        }
        let hedges = world.called().len() - 1_000;
        // What was deposited more than 10 s ago counts no more, but for one each 10 s.
        assert!((most * 8 / 10..=most + 3).contains(&hedges), "{hedges} of {share}");
    }
}

/// Says so of what this backend fails with.
#[derive(Clone)]
struct Of(&'static str, Verdict);

impl FailoverPolicy<u32> for Of {
    type Sent = u32;
    type Kept = ();
    fn keep(&self, request: u32) -> (u32, Option<()>) {
        (request, Some(()))
    }
    fn again(&self, _: &(), _: u32) -> Option<u32> {
        Some(7)
    }
    fn may_hedge(&self, _: &()) -> bool {
        true
    }
}

impl<Raw> Judge<u32, Raw> for Of {
    fn judge(&self, _: &(), result: Result<&Raw, &Error>) -> Verdict {
        match result {
            Ok(_) => Verdict::Success,
            Err(error) if error.backend() == Some(self.0) => self.1,
            Err(_) => Verdict::Elsewhere { back_in: None },
        }
    }
}

#[test]
fn who_wants_everybody_to_wait_is_heeded_while_another_is_under_way() {
    let world = World::new(&["a", "b", "c"], |id, _| match id {
        "a" => FailAfter(30 * MS),
        "b" => FailAfter(35 * MS),
        _ => Good,
    });
    let layer = FailoverLayer::new(Of("a", Verdict::Later(700 * MS))).hedge(Hedge::after(20 * MS));
    // From 0 to 30 and from 20 to 55.
    let (result, passed) = poll_for(&world, &mut world.call(layer), 2_000).unwrap();
    assert_eq!((result.unwrap().as_str(), passed, &*world.called()), ("c", 730, "abc"));
}

#[test]
fn who_was_cancelled_was_tried_as_well() {
    let world = World::new(&["a", "b"], |_, _| Never);
    let (result, _) = poll_for(&world, &mut world.call(hedged().deadline(50 * MS)), 1_000).unwrap();
    assert_eq!(tried(&result.unwrap_err()), "ab");
    // The second says that it is not to be sent again, while the first is under way.
    let world = World::new(&["a", "b"], |id, _| if id == "a" { Never } else { Fail });
    let layer = FailoverLayer::new(Of("b", Verdict::Failure)).hedge(Hedge::after(20 * MS));
    let (result, _) = poll_for(&world, &mut world.call(layer), 1_000).unwrap();
    let error = result.unwrap_err();
    assert_eq!((error.backend(), tried(&error)), (Some("b"), "ba".to_owned()));
}

/// A service whose readiness is a permit: one is needed for each call, and one that is not used is missed.
#[test]
fn a_hedge_that_is_not_made_holds_no_readiness() {
    use tower::limit::ConcurrencyLimitLayer;
    let world = World::new(&["a", "b"], |_, _| Never);
    let scripted = Scripted {
        clock: world.clock.clone(),
        script: Arc::new(|_, _| Never),
        called: Arc::default(),
    };
    let limited = ConcurrencyLimitLayer::new(2).layer(scripted);
    let balanced = BalanceLayer::new(world.pool.clone()).layer(limited);
    // There is no hedge in the budget.
    let hedge = Hedge::after(20 * MS).with_share(0.0).unwrap();
    let layer = FailoverLayer::new(Repeatable).hedge(hedge);
    let layer = layer.budget(RetryBudget::of(0.0, 0.0).unwrap());
    let mut service = layer.layer(balanced);
    let mut other = service.clone();
    assert!(
        poll_fn(|cx| Service::<u32>::poll_ready(&mut service, cx))
            .now_or_never()
            .is_some()
    );
    let mut call = Box::pin(service.call(7));
    assert!(poll_for(&world, &mut call, 50).is_none());
    assert!(
        poll_fn(|cx| Service::<u32>::poll_ready(&mut other, cx))
            .now_or_never()
            .is_some()
    );
}
