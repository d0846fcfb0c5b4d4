//! Time: of one try, of all, and between them.

use equipoise::{Admission, ErrorKind, OutlierDetection};

use super::*;

/// Polls it while time goes on, a millisecond at a time: what it came to, and after how long.
fn within<T>(world: &World, call: &mut (impl Future<Output = T> + Unpin), most: u32) -> Option<(T, u32)> {
    for passed in 0..=most {
        if let Poll::Ready(result) = poll_once(call) {
            return Some((result, passed));
        }
        world.clock.advance(MS);
    }
    None
}

#[test]
fn a_try_that_takes_too_long_is_a_failure_and_another_begins() {
    let world = World::new(&["a", "b"], |id, _| if id == "b" { Good } else { Never });
    let mut call = world.call(FailoverLayer::new(Repeatable).try_timeout(50 * MS));
    let (result, passed) = within(&world, &mut call, 1_000).unwrap();
    assert_eq!((result.unwrap().as_str(), passed), ("b", 50));
    assert_eq!((world.tally("a").failed, world.tally("a").cancelled), (1, 0));
    assert_eq!(world.in_flight(), 0);
}

#[test]
fn what_takes_too_long_everywhere_ends_in_an_error_that_says_so() {
    let world = World::new(&["a", "b", "c"], |_, _| Never);
    let mut call = world.call(FailoverLayer::new(Repeatable).try_timeout(50 * MS));
    let (result, passed) = within(&world, &mut call, 1_000).unwrap();
    let error = result.unwrap_err();
    assert_eq!(
        (passed, error.kind(), tried(&error).len()),
        (150, ErrorKind::Timeout, 3)
    );
    assert!(!error.is_unsent());
    for id in ["a", "b", "c"] {
        assert_eq!(world.tally(id).failed, 1, "{id}");
    }
}

/// Outlier detection sees it.
#[test]
fn who_never_answers_is_ejected() {
    let world = World::with(
        &["a", "b"],
        |id, _| if id == "a" { Never } else { Good },
        |pool| pool.outlier_detection(OutlierDetection::new()),
    );
    let mut driver = world.driver.lock().unwrap();
    for _ in 0..20 {
        let mut call = world.call(FailoverLayer::new(Repeatable).try_timeout(50 * MS));
        assert_eq!(within(&world, &mut call, 1_000).unwrap().0.unwrap(), "b");
        run(&mut driver);
    }
    assert_eq!(world.tally("a").failed, 5, "in a row, and no more");
}

#[test]
fn no_request_takes_longer_than_its_deadline() {
    let world = World::new(&["a", "b", "c"], |_, _| Never);
    let layer = FailoverLayer::new(Repeatable).try_timeout(40 * MS).deadline(100 * MS);
    let (result, passed) = within(&world, &mut world.call(layer), 1_000).unwrap();
    let error = result.unwrap_err();
    assert_eq!(
        (passed, error.kind(), tried(&error).len()),
        (100, ErrorKind::Timeout, 3)
    );
    let last = error.backend().unwrap().to_owned();
    assert_eq!(world.tally(&last).cancelled, 1, "which did not have its time");
    assert_eq!(world.in_flight(), 0);
}

#[test]
fn who_had_all_the_time_until_the_deadline_has_failed() {
    let world = World::new(&["a"], |_, _| Never);
    let mut call = world.call(FailoverLayer::new(Repeatable).deadline(100 * MS));
    let (result, passed) = within(&world, &mut call, 1_000).unwrap();
    assert_eq!((result.unwrap_err().kind(), passed), (ErrorKind::Timeout, 100));
    assert_eq!((world.tally("a").failed, world.tally("a").cancelled), (1, 0));
}

#[test]
fn who_is_tried_again_is_so_after_a_while_that_grows() {
    let world = World::new(&["a"], |_, _| Fail);
    let mut longest = [0; 6];
    for seed in 0..300 {
        let layer = FailoverLayer::new(Repeatable).tries(7).budget(plenty()).seed(seed);
        let mut call = Box::pin(layer.layer(world.inner.clone()).call(7));
        let mut at = 0;
        let mut before = 0;
        let mut tries = 0;
        while poll_once(&mut call).is_pending() {
            let now = world.called.lock().unwrap().len();
            if now > tries {
                if tries > 0 {
                    longest[tries - 1] = longest[tries - 1].max(at - before);
                }
                (tries, before) = (now, at);
            }
            world.clock.advance(MS);
            at += 1;
        }
        assert_eq!(world.called(), "aaaaaaa");
    }
    // Full jitter: up to 25, 50, 100, 200, 250 ms.
    for (longest, most) in longest.iter().zip([25, 50, 100, 200, 250]) {
        assert!((most * 9 / 10..=most + 1).contains(longest), "{longest} of {most}");
    }
}

fn plenty() -> equipoise::RetryBudget {
    equipoise::RetryBudget::of(100.0, 1e6).unwrap()
}

#[test]
fn a_wait_that_ends_after_the_deadline_is_not_begun() {
    let world = World::new(&["a"], |_, _| FailAfter(100 * MS));
    let layer = FailoverLayer::new(Repeatable)
        .backoff(1_000_000 * MS, 1_000_000 * MS)
        .deadline(200 * MS);
    let (result, passed) = within(&world, &mut world.call(layer), 1_000).unwrap();
    let error = result.unwrap_err();
    assert_eq!(
        (passed, error.kind()),
        (100, ErrorKind::Backend),
        "it has its answer already"
    );
}

/// Says when it will be back.
#[derive(Clone)]
struct Back(Verdict);

impl FailoverPolicy<u32> for Back {
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

impl<Raw> Judge<u32, Raw> for Back {
    fn judge(&self, _: &(), result: Result<&Raw, &Error>) -> Verdict {
        result.map_or(self.0, |_| Verdict::Success)
    }
}

#[test]
fn who_says_when_it_is_back_is_left_alone_until_then_and_others_are_not() {
    let back_in = |time| Back(Verdict::Elsewhere { back_in: Some(time) });
    let world = World::new(
        &["a", "b"],
        |id, times| if id == "a" || times > 1 { Good } else { Fail },
    );
    for _ in 0..2 {
        let mut call = world.call(FailoverLayer::new(back_in(5_000 * MS)));
        assert_eq!(within(&world, &mut call, 10_000).unwrap().1, 0, "the other one answers");
    }
    let world = World::new(&["a"], |_, times| if times > 1 { Good } else { Fail });
    let mut call = world.call(FailoverLayer::new(back_in(5_000 * MS)));
    assert_eq!(
        within(&world, &mut call, 10_000).unwrap().1,
        5_000,
        "and nobody else is there"
    );
    for _ in 0..2 {
        // At most this long, whatever it says.
        let world = World::new(&["a"], |_, times| if times > 1 { Good } else { Fail });
        let mut call = world.call(FailoverLayer::new(back_in(Duration::MAX)));
        assert_eq!(within(&world, &mut call, 400_000).unwrap().1, 300_000);
    }
}

#[test]
fn a_wait_that_is_too_long_is_not_begun() {
    let longest = 1_000 * MS;
    let back_in = |time| Verdict::Elsewhere { back_in: Some(time) };
    for (verdict, calls, waited) in [
        (back_in(longest), 2, 1_000),
        (back_in(longest + MS), 1, 0),
        (Verdict::Later(longest), 2, 1_000),
        (Verdict::Later(longest + MS), 1, 0),
    ] {
        let world = World::new(&["a"], |_, times| if times > 1 { Good } else { Fail });
        let mut call = world.call(FailoverLayer::new(Back(verdict)).longest_wait(longest));
        let (result, passed) = within(&world, &mut call, 10_000).unwrap();
        assert_eq!((world.called().len(), passed), (calls, waited), "{result:?}");
    }
}

#[test]
fn who_asks_for_a_wait_of_everybody_is_given_it() {
    let later = |time| Back(Verdict::Later(time));
    let world = World::new(&["a", "b"], |_, times| if times > 1 { Good } else { Fail });
    let mut call = world.call(FailoverLayer::new(later(700 * MS)));
    let (result, passed) = within(&world, &mut call, 10_000).unwrap();
    // The second fails as well, and asks for as much again.
    assert_eq!((passed, world.called().len()), (1_400, 3), "{result:?}");
}

#[test]
fn a_request_that_is_dropped_is_cancelled_wherever_it_is() {
    let world = World::new(&["a", "b"], |id, _| if id == "a" { FailAfter(10 * MS) } else { Never });
    let layer = FailoverLayer::new(Repeatable).try_timeout(50 * MS);
    let mut call = world.call(layer);
    assert!(within(&world, &mut call, 30).is_none());
    assert_eq!((world.in_flight(), world.called()), (1, "ab".to_owned()));
    drop(call);
    assert_eq!((world.in_flight(), world.tally("b").cancelled), (0, 1));
}

/// A request of which more is to come until a time.
#[derive(Clone)]
struct There(ManualClock, std::time::Instant);

impl FailoverPolicy<u32> for There {
    type Sent = u32;
    type Kept = ();
    fn keep(&self, request: u32) -> (u32, Option<()>) {
        (request, Some(()))
    }
    fn again(&self, _: &(), _: u32) -> Option<u32> {
        Some(7)
    }
    fn may_hedge(&self, _: &()) -> bool {
        false
    }
    fn is_there(&self, _: &()) -> bool {
        self.0.now() >= self.1
    }
}

impl<Raw> Judge<u32, Raw> for There {
    fn judge(&self, _: &(), result: Result<&Raw, &Error>) -> Verdict {
        Repeatable.judge(&7, result)
    }
}

#[test]
fn no_try_is_over_while_its_maker_has_more_to_give() {
    let world = World::new(&["a", "b"], |id, _| if id == "a" { Never } else { Good });
    let policy = There(world.clock.clone(), world.clock.now() + 420 * MS);
    let mut call = world.call(FailoverLayer::new(policy).try_timeout(50 * MS));
    let (result, passed) = within(&world, &mut call, 1_000).unwrap();
    // Looked at each 50 ms, the last time at 400.
    assert_eq!((result.unwrap().as_str(), passed), ("b", 450));
    assert_eq!(world.tally("a").failed, 1);
}

#[test]
fn who_was_not_given_all_of_it_until_the_deadline_has_not_failed() {
    let world = World::new(&["a"], |_, _| Never);
    let policy = There(world.clock.clone(), world.clock.now() + 420 * MS);
    let mut call = world.call(FailoverLayer::new(policy).deadline(100 * MS));
    let (result, passed) = within(&world, &mut call, 1_000).unwrap();
    assert_eq!((result.unwrap_err().kind(), passed), (ErrorKind::Timeout, 100));
    assert_eq!((world.tally("a").failed, world.tally("a").cancelled), (0, 1));
}

/// A try that is over has no time any more.
#[test]
fn a_wait_is_not_ended_by_the_time_of_the_try_before_it() {
    let world = World::new(&["a"], |_, times| if times > 1 { Good } else { FailAfter(10 * MS) });
    let layer = FailoverLayer::new(Back(Verdict::Later(700 * MS))).try_timeout(50 * MS);
    let (result, passed) = within(&world, &mut world.call(layer), 1_000).unwrap();
    assert_eq!((result.unwrap().as_str(), passed), ("a", 710));
}

#[test]
fn a_try_of_no_time_ends_while_its_maker_has_more_to_give() {
    let world = World::new(&["a", "b"], |id, _| if id == "a" { Never } else { Good });
    let policy = There(world.clock.clone(), world.clock.now() + 10 * MS);
    let mut call = world.call(FailoverLayer::new(policy).try_timeout(Duration::ZERO));
    let (result, passed) = within(&world, &mut call, 1_000).unwrap();
    assert_eq!((result.unwrap().as_str(), passed), ("b", 10));
}

/// Of the time until the deadline it had one millisecond.
#[test]
fn who_was_waited_for_until_the_deadline_has_not_failed() {
    let world = World::with(
        &["a"],
        |_, _| Never,
        |pool| {
            pool.in_flight_limit(1).admission(Admission::Queue {
                capacity: 9,
                deadline: 1_000 * MS,
            })
        },
    );
    let first = world.pool.clone().pick(&Ask::new()).unwrap();
    let mut call = world.call(FailoverLayer::new(Repeatable).deadline(100 * MS));
    assert!(within(&world, &mut call, 98).is_none());
    drop(first);
    assert_eq!(
        within(&world, &mut call, 10).unwrap().0.unwrap_err().kind(),
        ErrorKind::Timeout
    );
    assert_eq!((world.tally("a").failed, world.tally("a").cancelled), (0, 2));
}
