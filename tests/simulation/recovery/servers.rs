//! Servers that stand still or are slow for a while.

use std::{
    cell::RefCell,
    cmp::Reverse,
    collections::BinaryHeap,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use equipoise::{Assigned, BoxError, Clock, Endpoint, Unsent};
use tower::Service;

/// A request, by how long a slot works on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) work: Duration,
}

/// For a while some servers take so many times as long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outage {
    pub(super) begins: Duration,
    pub(super) lasts: Duration,
    /// How many of the servers, the first of them.
    pub(super) servers: usize,
    /// More than anybody waits for: they stand still.
    pub(super) slowness: u32,
}

/// How many may wait at a server, and what others are told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Queue {
    Endless,
    /// Others are refused before anything of them is sent.
    Refuses(usize),
    /// Others are answered with a failure.
    Fails(usize),
}

/// Servers of some slots, each of which serves what it has been sent first come, first served: all of it, whether or not
/// anybody waits for it any more.
#[derive(Clone)]
pub(super) struct Servers {
    clock: Clock,
    begin: Instant,
    outage: Outage,
    queue: Queue,
    servers: Rc<RefCell<Vec<Server>>>,
}

/// Times of it are of its own work: how long a slot might have worked since the begin.
struct Server {
    /// When each slot has done all that it will have been given.
    idle: BinaryHeap<Reverse<Duration>>,
    /// When each request that is here will have been served.
    ends: BinaryHeap<Reverse<Duration>>,
    taken: u64,
}

impl Servers {
    pub(super) fn new(clock: Clock, servers: usize, slots: usize, outage: Outage, queue: Queue) -> Self {
        let server = || Server {
            idle: (0..slots).map(|_| Reverse(Duration::ZERO)).collect(),
            ends: BinaryHeap::new(),
            taken: 0,
        };
        Self {
            begin: clock.now(),
            clock,
            outage,
            queue,
            servers: Rc::new(RefCell::new((0..servers).map(|_| server()).collect())),
        }
    }

    /// How many tries servers have taken in.
    pub(super) fn taken(&self) -> u64 {
        self.servers.borrow().iter().map(|server| server.taken).sum()
    }

    /// When a server will have served this; none if it does not take it.
    fn take(&self, index: usize, request: Request) -> Option<Instant> {
        let slowness = if index < self.outage.servers {
            self.outage.slowness
        } else {
            1
        };
        let now = self.outage.work(slowness, self.clock.now() - self.begin);
        let server = &mut self.servers.borrow_mut()[index];
        while server.ends.peek().is_some_and(|Reverse(end)| *end <= now) {
            server.ends.pop();
        }
        let most = match self.queue {
            Queue::Endless => usize::MAX,
            Queue::Refuses(most) | Queue::Fails(most) => server.idle.len() + most,
        };
        if server.ends.len() >= most {
            return None;
        }
        let Reverse(idle) = server.idle.pop()?;
        let end = idle.max(now) + request.work;
        server.idle.push(Reverse(end));
        server.ends.push(Reverse(end));
        server.taken += 1;
        Some(self.begin + self.outage.when(slowness, end))
    }
}

impl Outage {
    pub(super) fn ends(&self) -> Duration {
        self.begins + self.lasts
    }

    /// How long a slot might have worked by then.
    fn work(&self, slowness: u32, time: Duration) -> Duration {
        let slow = time.clamp(self.begins, self.ends()) - self.begins;
        time - slow + slow / slowness
    }

    /// When a slot might have worked for so long.
    fn when(&self, slowness: u32, work: Duration) -> Duration {
        if work <= self.begins {
            return work;
        }
        let slow = (work - self.begins).min(self.lasts / slowness);
        // What a division leaves is no time at which anybody has worked.
        let slowly = match slow == self.lasts / slowness {
            true => self.lasts,
            false => slow * slowness,
        };
        work - slow + slowly
    }
}

impl Service<Assigned<Request, Endpoint<usize>>> for Servers {
    type Response = ();
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxError>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Assigned<Request, Endpoint<usize>>) -> Self::Future {
        let end = self.take(*call.backend.target(), call.request);
        let (clock, queue) = (self.clock.clone(), self.queue);
        Box::pin(async move {
            match (end, queue) {
                (Some(end), _) => {
                    clock.sleep_until(end).await;
                    Ok(())
                }
                (None, Queue::Fails(_)) => Err("too many wait".into()),
                (None, _) => Err(Unsent::new("too many wait").into()),
            }
        })
    }
}

#[test]
fn work_and_time_are_each_others_inverse() {
    let ms = Duration::from_millis;
    for slowness in [1, 10, u32::MAX] {
        let outage = Outage {
            begins: ms(1_000),
            lasts: ms(500),
            servers: 1,
            slowness,
        };
        let stood = ms(500) - ms(500) / slowness;
        for (time, work) in [
            (ms(400), ms(400)),
            (ms(1_000), ms(1_000)),
            (ms(2_000), ms(2_000) - stood),
        ] {
            assert_eq!((outage.work(slowness, time), outage.when(slowness, work)), (work, time));
        }
        assert!(outage.when(slowness, ms(1_000) + Duration::from_nanos(1)) > ms(1_000));
    }
    let slow = Outage {
        begins: ms(1_000),
        lasts: ms(500),
        servers: 1,
        slowness: 10,
    };
    assert_eq!(
        (slow.work(10, ms(1_200)), slow.when(10, ms(1_020))),
        (ms(1_020), ms(1_200))
    );
}
