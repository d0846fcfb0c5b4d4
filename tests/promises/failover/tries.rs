//! Who is tried, how often, and what that costs.

use equipoise::{ErrorKind, RetryBudget, balance::AtMostOnce};

use super::*;

#[test]
fn another_backend_is_tried_at_once() {
    let world = World::new(&["a", "b", "c"], |id, _| if id == "c" { Good } else { Fail });
    assert_eq!(world.now(FailoverLayer::new(Repeatable)).unwrap().unwrap(), "c");
    let mut called: Vec<_> = world.called().chars().collect();
    called.sort();
    assert_eq!(called, ['a', 'b', 'c'], "each once");
    for id in ["a", "b"] {
        assert_eq!(world.tally(id).failed, 1);
    }
    assert_eq!((world.tally("c").succeeded, world.in_flight()), (1, 0));
}

#[test]
fn nobody_is_tried_twice_while_another_is_open() {
    for members in 2..6 {
        let ids: Vec<_> = ["a", "b", "c", "d", "e"].into_iter().take(members).collect();
        let world = World::new(&ids, |_, _| Fail);
        let tries = members as u32;
        let error = world
            .now(FailoverLayer::new(Repeatable).tries(tries))
            .unwrap()
            .unwrap_err();
        let mut once: Vec<_> = tried(&error).chars().collect();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), members, "{}", tried(&error));
        assert_eq!(world.called(), tried(&error));
    }
}

#[test]
fn the_last_error_is_kept_with_who_was_tried() {
    let world = World::new(&["a", "b", "c", "d"], |_, _| Fail);
    let error = world.now(FailoverLayer::new(Repeatable)).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend);
    let tried = tried(&error);
    assert_eq!(
        (tried.len(), world.called()),
        (3, tried.clone()),
        "three tries unless said otherwise"
    );
    let last = &tried[2..];
    assert_eq!(error.backend(), Some(last));
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, format!("{last} broke off"));
    assert_eq!(
        error.to_string(),
        format!("backend '{last}' failed, the last of 3 tries")
    );
    assert!(!error.is_unsent());
}

#[test]
fn what_was_not_sent_is_tried_with_every_member_for_nothing() {
    let none = || RetryBudget::of(0.0, 0.0).unwrap();
    let world = World::new(
        &["a", "b", "c", "d", "e"],
        |id, _| if id == "e" { Good } else { Refuse },
    );
    for _ in 0..5 {
        let layer = FailoverLayer::new(AtMostOnce).tries(1).budget(none());
        assert_eq!(world.now(layer).unwrap().unwrap(), "e");
    }
    let all_down = World::new(&["a", "b", "c", "d", "e"], |_, _| Refuse);
    let error = all_down
        .now(FailoverLayer::new(AtMostOnce).budget(none()))
        .unwrap()
        .unwrap_err();
    assert_eq!(all_down.called().len(), 5, "and no more");
    assert!(error.is_unsent(), "so it may be sent elsewhere still");
    assert_eq!(tried(&error).len(), 5);
}

#[test]
fn while_nobody_can_be_sent_anything_the_budget_is_kept() {
    let world = World::new(&["a", "b"], |_, times| if times <= 200 { Refuse } else { Fail });
    let layer = FailoverLayer::new(Repeatable).budget(RetryBudget::of(0.0, 0.1).unwrap());
    for _ in 0..200 {
        assert!(world.now(layer.clone()).unwrap().unwrap_err().is_unsent());
        assert_eq!(world.called.lock().unwrap().len() % 2, 0, "each once, and no more");
    }
    assert_eq!(world.called().len(), 400);
    let world = World::new(&["a", "b"], |_, _| Fail);
    world.now(layer).unwrap().unwrap_err();
    assert_eq!(world.called().len(), 2, "there is the one try of the budget");
}

#[test]
fn what_may_not_be_sent_twice_is_not() {
    let world = World::new(&["a", "b", "c"], |id, _| if id == "a" { Refuse } else { Fail });
    let error = world.now(FailoverLayer::new(AtMostOnce)).unwrap().unwrap_err();
    assert_eq!((world.called(), tried(&error)), ("ab".to_owned(), "ab".to_owned()));
    assert!(!error.is_unsent());
}

/// If the first was sent something, then so was the request, whatever became of the last.
#[test]
fn an_error_is_unsent_only_if_no_try_was_sent() {
    let world = World::new(&["a", "b"], |_, times| if times == 1 { Fail } else { Refuse });
    world.now(FailoverLayer::new(Repeatable).tries(1)).unwrap().unwrap_err();
    let error = world.now(FailoverLayer::new(Repeatable).tries(2)).unwrap().unwrap_err();
    let last = std::error::Error::source(&error).unwrap();
    assert!(last.is::<Unsent>() && !error.is_unsent(), "{error:?}");
}

#[test]
fn with_every_backend_failing_tries_are_bounded_by_the_budget() {
    let world = World::new(&["a", "b", "c"], |_, _| Fail);
    let budget = RetryBudget::new();
    let layer = FailoverLayer::new(Repeatable).budget(budget);
    let requests = 10_000;
    for _ in 0..requests {
        assert!(world.now(layer.clone()).unwrap().is_err());
        world.clock.advance(MS);
    }
    let tries = world.called().len();
    // For these 10 s the floor is 100 at once, and 10 each second as the first come back.
    assert!((requests + 100..=requests + 200).contains(&tries), "{tries}");
}

#[test]
fn what_succeeds_pays_for_what_fails() {
    let world = World::new(&["a", "b", "c", "d", "e"], |id, _| if id == "a" { Fail } else { Good });
    let layer = FailoverLayer::new(Repeatable).budget(RetryBudget::of(0.3, 0.0).unwrap());
    let failed = (0..5_000)
        .filter(|_| world.now(layer.clone()).unwrap().is_err())
        .count();
    // Each fifth request comes to it first, one before any has succeeded: the budget has as much as was wished for from the
    // twentieth success on.
    assert!(failed <= 5, "{failed}");
    assert!(world.called().matches('a').count() >= 900);
}

#[test]
fn without_a_budget_there_is_one_try() {
    let world = World::new(&["a", "b"], |_, _| Fail);
    let layer = FailoverLayer::new(Repeatable).budget(RetryBudget::of(0.0, 0.0).unwrap());
    let error = world.now(layer).unwrap().unwrap_err();
    assert_eq!((world.called().len(), tried(&error).len()), (1, 1));
}

#[test]
fn a_pool_with_nobody_is_no_reason_to_try() {
    let world = World::new(&[], |_, _| Good);
    let error = world.now(FailoverLayer::new(Repeatable)).unwrap().unwrap_err();
    assert_eq!((error.kind(), error.tried().count()), (ErrorKind::Unavailable, 0));
}

#[test]
fn who_is_full_is_not_waited_for_by_another_try() {
    let world = World::with(
        &["a", "b"],
        |id, _| if id == "a" { Fail } else { Never },
        |pool| pool.in_flight_limit(1),
    );
    // One is held by b for ever.
    let mut first = world.call(FailoverLayer::new(Repeatable));
    assert!(poll_once(&mut first).is_pending());
    // The other has nobody but a.
    let mut second = world.call(FailoverLayer::new(Repeatable));
    assert!(poll_once(&mut second).is_pending());
    for _ in 0..20 {
        world.clock.advance(250 * MS);
        if let Poll::Ready(result) = poll_once(&mut second) {
            let error = result.unwrap_err();
            assert_eq!((tried(&error), error.kind()), ("aaa".to_owned(), ErrorKind::Backend));
            return;
        }
    }
    panic!("it does not end");
}

/// Of two layers around one another the inner one's requests are marked.
#[derive(Clone)]
struct Marking;

impl FailoverPolicy<u32> for Marking {
    type Sent = u32;
    type Kept = u32;
    fn keep(&self, request: u32) -> (u32, Option<u32>) {
        match request {
            1000.. => (request, None),
            _ => (request + 1000, Some(request + 1000)),
        }
    }
    fn again(&self, kept: &u32, _: u32) -> Option<u32> {
        Some(*kept)
    }
    fn may_hedge(&self, _: &u32) -> bool {
        true
    }
}

impl<Raw> Judge<u32, Raw> for Marking {
    fn judge(&self, kept: &u32, result: Result<&Raw, &Error>) -> Verdict {
        Repeatable.judge(kept, result)
    }
}

#[test]
fn layers_around_layers_do_not_multiply() {
    let world = World::new(&["a", "b", "c", "d", "e"], |_, _| Fail);
    let nested = FailoverLayer::new(Marking).layer(FailoverLayer::new(Marking).layer(world.inner.clone()));
    let mut nested = FailoverLayer::new(Marking).layer(nested);
    let error = nested.call(7).now_or_never().unwrap().unwrap_err();
    assert_eq!((world.called().len(), error.tried().count()), (3, 3));
}

/// What is around a failover may have tried somebody, and learns whom it was at.
#[test]
fn it_dispatches_as_what_it_is_around() {
    let world = World::new(&["a", "b", "c"], |id, _| if id == "b" { Good } else { Fail });
    let mut failover = FailoverLayer::new(Repeatable).layer(world.inner.clone());
    let mut pool = world.pool.clone();
    let a = std::iter::repeat_with(|| pool.pick(&Ask::new()).unwrap())
        .find(|lease| lease.backend_id() == "a")
        .unwrap()
        .member();
    let ask = Ask::new().with_tried(a);
    let Answer { result, lease } = failover.dispatch(&ask, 7).now_or_never().unwrap();
    assert_eq!((result.unwrap(), lease.unwrap().backend_id()), ("b".to_owned(), "b"));
    assert!(!world.called().contains('a'));
}
