//! A sequence of changes, picks and endings against a pool, beside a model of it: nothing panics, what is in flight
//! adds up, who was removed is never picked, who may be picked is, and nobody waits in vain.

#[path = "pool_ops/input.rs"]
mod input;
#[path = "pool_ops/model.rs"]
mod model;

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use equipoise::{
    Acquire, Admission, AnySelector, Applied, Ask, Driver, Error, ErrorKind, Handle, Home, Lease, ManualClock,
    MemberId, Outcome, Pool, Strategy,
};
use input::Input;
use model::{Change, Model, Node, Verdict};

const QUEUE: usize = 4;
const DEADLINE: Duration = Duration::from_secs(60);
/// So that one input stays one input: leases, handles and waiters at once.
const MOST: usize = 24;

/// One sequence, from bytes.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let Some(mut run) = Run::begin(&mut input) else { return };
    while let Some(()) = run.step(&mut input) {
        run.serve();
    }
    run.end();
}

type Picked = Lease<Arc<Node>>;

/// A lease, typed or erased, and what the model knows of it.
struct Held {
    lease: Kind,
    stint: model::Stint,
    is_settled: bool,
}

enum Kind {
    Typed(Picked),
    Erased(Lease),
}

impl Held {
    fn member(&self) -> MemberId {
        match &self.lease {
            Kind::Typed(lease) => lease.member(),
            Kind::Erased(lease) => lease.member(),
        }
    }
}

struct Waiting {
    acquire: Acquire<Node, AnySelector<Node>>,
    ask: Ask,
    since: Instant,
}

struct Run {
    clock: ManualClock,
    driver: Driver<Node, AnySelector<Node>>,
    handle: Handle<Node>,
    pools: Vec<Pool<Node, AnySelector<Node>>>,
    model: Model,
    queues: bool,
    applied: Vec<(Applied, bool)>,
    leases: Vec<Held>,
    /// In the order in which they came.
    waiting: Vec<Waiting>,
}

impl Run {
    fn begin(input: &mut Input<'_>) -> Option<Self> {
        let strategy: Strategy = match input.below(4)? {
            0 => "least_loaded",
            1 => "least_loaded(d=2)",
            2 => "round_robin",
            _ => "random",
        }
        .parse()
        .expect("a strategy");
        let queues = input.flag()?;
        let clock = ManualClock::new();
        let mut builder = Pool::builder_on(clock.clock())
            .selector(strategy.selector())
            .seed(input.byte()?.into())
            .in_flight_limit_by(|node: &Node| node.limit);
        if queues {
            builder = builder.admission(Admission::Queue {
                capacity: QUEUE,
                deadline: DEADLINE,
            });
        }
        let mut model = Model::default();
        for _ in 0..input.below(5)? {
            let node = input.node()?;
            model.apply(Change::Insert(node.clone()));
            builder = builder.backend(node);
        }
        let (pool, driver) = builder.build();
        model.publish();
        Some(Self {
            clock,
            driver,
            handle: pool.handle(),
            pools: vec![pool],
            model,
            queues,
            applied: Vec::new(),
            leases: Vec::new(),
            waiting: Vec::new(),
        })
    }

    /// Does one thing; none at the end of the input.
    fn step(&mut self, input: &mut Input<'_>) -> Option<()> {
        match input.below(12)? {
            0 | 1 => self.change(Change::Insert(input.node()?)),
            2 => self.change(Change::Update(input.node()?)),
            3 => self.change(Change::Remove(input.id()?)),
            4 => self.change(Change::Drain(input.id()?)),
            5 => self.change(Change::Undrain(input.id()?)),
            6 => {
                self.clock
                    .advance(Duration::from_millis(u64::from(input.byte()?) * 100));
                self.drive();
            }
            7 => self.pick(input)?,
            8 => self.finish(input)?,
            9 => self.wait(input)?,
            // Not after every step: looking takes each member for a moment, and so tells those who wait.
            10 => self.check(),
            _ => match input.below(3)? {
                0 if self.pools.len() < MOST => self.pools.push(self.pools[0].clone()),
                1 if self.pools.len() > 1 => drop(self.pools.swap_remove(input.below(self.pools.len())?)),
                _ if !self.waiting.is_empty() => drop(self.waiting.remove(input.below(self.waiting.len())?)),
                _ => {}
            },
        }
        Some(())
    }

    fn change(&mut self, change: Change) {
        let applied = match change.clone() {
            Change::Insert(node) => self.handle.insert(node),
            Change::Update(node) => self.handle.update(node),
            Change::Remove(id) => self.handle.remove(id),
            Change::Drain(id) => self.handle.drain(id),
            Change::Undrain(id) => self.handle.undrain(id),
        };
        self.applied.push((applied, self.model.apply(change)));
    }

    /// Everything that is on its way comes into force.
    fn drive(&mut self) {
        let driven = poll(&mut self.driver);
        assert!(driven.is_pending(), "the driver has ended before the pool was closed");
        self.model.publish();
        for (mut applied, expected) in self.applied.drain(..) {
            match poll(&mut applied) {
                Poll::Ready(Ok(done)) => assert_eq!(done, expected, "a change tells what it did"),
                other => panic!("a change is not in force: {other:?}"),
            }
        }
    }

    fn ask(&self, input: &mut Input<'_>) -> Option<Ask> {
        let mut ask = Ask::new();
        let wants = input.byte()?;
        if wants & 1 == 1 {
            ask = ask.with_home(Home::new(input.id()?));
        }
        for _ in 0..(wants >> 1) % 4 {
            let which = usize::from(input.byte()?);
            if let Some(index) = which.checked_rem(self.leases.len()) {
                ask = ask.with_tried(self.leases[index].member());
            }
        }
        Some(ask)
    }

    fn pick(&mut self, input: &mut Input<'_>) -> Option<()> {
        let ask = self.ask(input)?;
        let pool = input.below(self.pools.len())?;
        if self.leases.len() >= MOST {
            return Some(());
        }
        let picked = self.pools[pool].pick(&ask);
        if self.waiting.is_empty() {
            let verdict = self.model.verdict(&ask);
            self.served(&ask, &verdict, picked);
        } else {
            // Whom waiting cannot help is told so; else it is the others' turn.
            let due = match self.model.verdict(&ask) {
                Verdict::Refused(kind) => kind,
                Verdict::OneOf(_) => ErrorKind::Overloaded,
            };
            let kind = picked.map_err(|error| error.kind());
            assert!(
                matches!(kind, Err(kind) if kind == due || kind == ErrorKind::Overloaded),
                "a pick has overtaken those who wait: {kind:?}"
            );
        }
        Some(())
    }

    /// What came of a pick is what the model says, or one of what it allows.
    fn served(&mut self, ask: &Ask, verdict: &Verdict, picked: Result<Picked, Error>) {
        match (picked, verdict) {
            (Ok(lease), Verdict::OneOf(ids)) => {
                let id = lease.backend_id().to_owned();
                assert!(
                    ids.contains(&id),
                    "'{id}' was picked for {ask:?}, but only {ids:?} may be"
                );
                let stint = self.model.hold(&id, lease.member());
                self.leases.push(Held {
                    lease: Kind::Typed(lease),
                    stint,
                    is_settled: false,
                });
            }
            (Err(error), Verdict::Refused(kind)) => assert_eq!(error.kind(), *kind, "{ask:?}: {error}"),
            (Ok(lease), Verdict::Refused(kind)) => panic!("{lease:?} for {ask:?}, which had to be refused: {kind:?}"),
            (Err(error), Verdict::OneOf(ids)) => panic!("{error} for {ask:?}, while {ids:?} may be picked"),
        }
    }

    /// Ends a request, or goes on with it.
    fn finish(&mut self, input: &mut Input<'_>) -> Option<()> {
        let (what, which) = (input.below(8)?, input.byte()?);
        if self.leases.is_empty() {
            return Some(());
        }
        let index = usize::from(which) % self.leases.len();
        let held = &mut self.leases[index];
        let outcome = match what {
            0 => Some(Outcome::Success),
            1 => Some(Outcome::Failure),
            2 => Some(Outcome::Cancelled),
            3 => Some(Outcome::Broken),
            _ => None,
        };
        match (&mut held.lease, outcome) {
            (Kind::Typed(lease), Some(outcome)) => lease.settle(outcome),
            (Kind::Erased(lease), Some(outcome)) => lease.settle(outcome),
            (Kind::Typed(lease), None) if what == 4 => lease.answered(),
            (Kind::Erased(lease), None) if what == 4 => lease.answered(),
            _ => {}
        }
        if let Some(outcome) = outcome.filter(|_| !held.is_settled) {
            held.is_settled = true;
            self.model.ended(held.stint, outcome);
        }
        match what {
            5 => {
                let Held {
                    lease,
                    stint,
                    is_settled,
                } = self.leases.swap_remove(index);
                let lease = match lease {
                    Kind::Typed(lease) => lease.erase(),
                    Kind::Erased(lease) => lease,
                };
                self.leases.push(Held {
                    lease: Kind::Erased(lease),
                    stint,
                    is_settled,
                });
            }
            6 | 7 => {
                let held = self.leases.swap_remove(index);
                self.give_back(held);
            }
            _ => {}
        }
        Some(())
    }

    fn give_back(&mut self, held: Held) {
        if !held.is_settled {
            self.model.ended(held.stint, Outcome::Cancelled);
        }
        self.model.release(held.stint);
    }

    /// A pick that may wait.
    fn wait(&mut self, input: &mut Input<'_>) -> Option<()> {
        let ask = self.ask(input)?;
        if self.leases.len() >= MOST {
            return Some(());
        }
        let mut acquire = self.pools[0].acquire(ask.clone());
        let others = self.waiting.len();
        match poll(&mut acquire) {
            Poll::Pending => {
                assert!(self.queues && others < QUEUE, "a pick waits where none may");
                self.waiting.push(Waiting {
                    acquire,
                    ask,
                    since: self.clock.now(),
                });
            }
            // A full queue turns it away, unless waiting could not have helped it anyhow.
            Poll::Ready(Err(error)) if others >= QUEUE => match self.model.verdict(&ask) {
                Verdict::Refused(kind) => assert_eq!(error.kind(), kind, "{error}"),
                Verdict::OneOf(_) => assert_eq!(error.kind(), ErrorKind::Overloaded, "{error}"),
            },
            // Nobody was overtaken: those who wait were just seen to have no use for any place.
            Poll::Ready(picked) => {
                let verdict = self.model.verdict(&ask);
                self.served(&ask, &verdict, picked);
            }
        }
        Some(())
    }

    /// Those who wait look, in their order, for as long as one of them leaves the queue.
    fn serve(&mut self) {
        loop {
            let before = self.waiting.len();
            for mut waiting in std::mem::take(&mut self.waiting) {
                match poll(&mut waiting.acquire) {
                    Poll::Pending => self.waiting.push(waiting),
                    Poll::Ready(picked) => {
                        // Out of the queue before the model is asked, as its place is.
                        drop(waiting.acquire);
                        let is_late = self.clock.now() >= waiting.since + DEADLINE;
                        match picked {
                            Err(error) if is_late && error.kind() == ErrorKind::Overloaded => {}
                            picked => {
                                let verdict = self.model.verdict(&waiting.ask);
                                self.served(&waiting.ask, &verdict, picked);
                            }
                        }
                    }
                }
            }
            if self.waiting.len() == before {
                break;
            }
        }
        for waiting in &self.waiting {
            if let Verdict::OneOf(ids) = self.model.verdict(&waiting.ask) {
                panic!("{:?} waits in vain: {ids:?} may be picked", waiting.ask);
            }
        }
    }

    /// The pool is as the model says.
    fn check(&self) {
        for pool in &self.pools {
            let members = pool.members();
            assert_eq!(members.len(), self.model.published().len());
            for member in members {
                self.model.check(&member);
            }
        }
    }

    /// When all requests have ended nothing is in flight, and a closed pool comes to rest.
    fn end(mut self) {
        self.waiting.clear();
        for held in std::mem::take(&mut self.leases) {
            self.give_back(held);
        }
        self.drive();
        self.check();
        assert!(self.pools[0].members().iter().all(|member| member.in_flight == 0));
        let mut closed = self.pools[0].close();
        let has_ended = (0..100).any(|_| {
            self.clock.advance(Duration::from_secs(1));
            poll(&mut self.driver).is_ready()
        });
        assert!(has_ended, "the pool is closed and at rest, and its driver runs on");
        assert!(matches!(poll(&mut closed), Poll::Ready(Ok(true))));
        let refused = self.pools[0].pick(&Ask::new()).map_err(|error| error.kind());
        assert!(
            matches!(refused, Err(ErrorKind::Unavailable)),
            "a closed pool is picked from"
        );
    }
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}
