//! A failover around what is not marked, such as another, or around a service of one's own.

use equipoise::{
    Admission, Clock, ErrorKind, Lease, MemberId, Outcome,
    balance::{AtMostOnce, Dispatched},
};

use super::*;

/// It has sent something, and ends as one that had nobody to send it to.
#[test]
fn what_a_service_within_has_sent_is_sent() {
    let world = World::with(
        &["a"],
        |_, times| if times == 1 { Fail } else { Never },
        |pool| pool.in_flight_limit(1),
    );
    let inner = FailoverLayer::new(Repeatable).seed(1).layer(world.inner.clone());
    let mut outer = FailoverLayer::new(AtMostOnce).layer(inner);
    let mut call = Box::pin(outer.call(7));
    assert!(poll_once(&mut call).is_pending());
    let full = world.pool.clone().pick(&Ask::new()).unwrap();
    world.clock.advance(25 * MS);
    let Poll::Ready(result) = poll_once(&mut call) else {
        panic!("a is full");
    };
    let error = result.unwrap_err();
    assert_eq!((error.kind(), tried(&error)), (ErrorKind::Overloaded, "a".to_owned()));
    assert!(!error.is_unsent());
    drop(full);
}

#[test]
fn who_was_tried_within_is_told() {
    let world = World::new(&["a", "b", "c"], |_, _| Fail);
    let inner = FailoverLayer::new(Repeatable).tries(2).layer(world.inner.clone());
    let mut outer = FailoverLayer::new(AtMostOnce).layer(inner);
    let error = outer.call(7).now_or_never().unwrap().unwrap_err();
    assert_eq!((world.called(), tried(&error)), ("ab".to_owned(), "ab".to_owned()));
}

/// Between two tries nobody has it, and somebody had.
#[test]
fn what_is_given_up_while_it_waits_to_be_sent_again_was_sent() {
    let world = World::new(&["a"], |_, _| Fail);
    let inner = FailoverLayer::new(Repeatable)
        .backoff(1_000 * MS, 1_000 * MS)
        .seed(1)
        .layer(world.inner.clone());
    let mut outer = FailoverLayer::new(AtMostOnce).deadline(MS).layer(inner);
    let mut call = Box::pin(outer.call(7));
    assert!(poll_once(&mut call).is_pending());
    world.clock.advance(MS);
    let Poll::Ready(result) = poll_once(&mut call) else {
        panic!("its time is over");
    };
    assert_eq!(world.called(), "a");
    assert!(!result.unwrap_err().is_unsent());
}

/// While it waits for the first, nobody has it.
#[test]
fn what_is_given_up_in_the_queue_was_not_sent() {
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
    let full = world.pool.clone().pick(&Ask::new()).unwrap();
    let inner = FailoverLayer::new(Repeatable).deadline(MS).layer(world.inner.clone());
    let mut outer = FailoverLayer::new(AtMostOnce).layer(inner);
    let mut call = Box::pin(outer.call(7));
    // Each of three tries has a millisecond.
    for _ in 0..3 {
        assert!(poll_once(&mut call).is_pending());
        world.clock.advance(MS);
    }
    let Poll::Ready(result) = poll_once(&mut call) else {
        panic!("nobody is free, and nobody will be")
    };
    let error = result.unwrap_err();
    assert!(error.is_unsent());
    assert_eq!((error.kind(), tried(&error)), (ErrorKind::Timeout, String::new()));
    drop(full);
}

/// The one that is left has it still.
#[test]
fn who_has_a_hedge_within_is_whose_it_is() {
    let world = World::new(&["a", "b"], |id, _| if id == "a" { FailAfter(30 * MS) } else { Never });
    let mut inner = FailoverLayer::new(Repeatable)
        .hedge(equipoise::Hedge::after(20 * MS))
        .layer(world.inner.clone());
    let mut call = Box::pin(inner.dispatch(&Ask::new(), 7));
    for _ in 0..40 {
        assert!(poll_once(&mut call).is_pending());
        world.clock.advance(MS);
    }
    assert!(call.member().is_some());
    let lease = call.as_mut().give_up(Outcome::Unreachable).unwrap();
    assert_eq!((lease.backend_id(), world.tally("b").failed), ("b", 1));
}

/// Fails each time, without a backend, before anything is sent.
#[derive(Clone)]
struct Nobody(Clock, Arc<Mutex<u32>>);

struct Unreached;

impl Future for Unreached {
    type Output = Answer<String, Error>;
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Answer {
            result: Err(Error::backend_failed(None, Unsent::new("refused"))),
            lease: None,
        })
    }
}

impl Dispatched<String, Error> for Unreached {
    fn member(&self) -> Option<MemberId> {
        None
    }
    fn give_up(self: Pin<&mut Self>, _: Outcome) -> Option<Lease> {
        None
    }
}

impl Service<u32> for Nobody {
    type Response = String;
    type Error = Error;
    type Future = std::future::Ready<Result<String, Error>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, _: u32) -> Self::Future {
        unreachable!("it is dispatched to")
    }
}

impl Dispatch<u32> for Nobody {
    type Raw = String;
    type Dispatching = Unreached;
    fn dispatch(&mut self, _: &Ask, _: u32) -> Unreached {
        let mut times = self.1.lock().unwrap();
        *times += 1;
        assert!(*times < 1_000, "it does not end");
        Unreached
    }
    fn clock(&self) -> &Clock {
        &self.0
    }
    fn conclude(answer: Answer<String, Error>) -> Result<String, Error> {
        answer.result
    }
}

#[test]
fn what_fails_without_a_backend_is_not_free() {
    let clock = ManualClock::new();
    let times = Arc::new(Mutex::new(0));
    let mut service = FailoverLayer::new(Repeatable).layer(Nobody(clock.clock(), Arc::clone(&times)));
    assert!(service.call(7).now_or_never().unwrap().unwrap_err().is_unsent());
    assert_eq!(*times.lock().unwrap(), 3);
}
