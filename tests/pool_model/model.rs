//! A pool and its model, taken through random steps by hand; clones that are not used lag behind.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use equipoise::{
    AnySelector, Applied, Ask, Driver, ErrorKind, Event, Events, Home, Lease, ManualClock, MemberId, Outcome, Pool,
    Strategy as Named, Tally,
};
use futures_util::{FutureExt, StreamExt};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::{
    node::{Node, Spec},
    steps::{CLONES, Change, Step, steps},
};

/// One membership of an id, past ones included: what is in flight and what came of the rest.
#[derive(Default)]
struct Membership {
    in_flight: usize,
    tally: [u64; 4],
}

/// A member as it should be.
struct Expected {
    spec: Spec,
    serial: usize,
    membership: usize,
    drain: Option<Rest>,
}

/// Whether `Drained` was told of a draining member.
#[derive(Clone, Copy, PartialEq)]
enum Rest {
    Awaited,
    Told,
}

enum Held {
    Typed(Lease<Arc<Node>>),
    Erased(Lease),
}

struct Taken {
    held: Held,
    id: String,
    member: MemberId,
    serial: usize,
    membership: usize,
    settled: bool,
}

struct World {
    clones: Vec<Pool<Node, AnySelector<Node>>>,
    driver: Driver<Node, AnySelector<Node>>,
    events: Events,
    clock: ManualClock,
    alive: Arc<AtomicUsize>,
    serials: usize,
    posted: Vec<(Change, usize, Applied)>,
    /// In the order of joining.
    members: Vec<Expected>,
    memberships: Vec<Membership>,
    leases: Vec<Taken>,
    /// Members that were leased, for asks that have tried them.
    known: Vec<(MemberId, usize)>,
}

impl World {
    fn new(strategy: &Named) -> Self {
        let clock = ManualClock::new();
        let (pool, driver) = Pool::builder_on(clock.clock())
            .selector(strategy.selector())
            .seed(11)
            .in_flight_limit_by(|node: &Node| node.spec.limit)
            .build();
        Self {
            events: pool.events(),
            clones: vec![pool; 1].into_iter().cycle().take(CLONES).collect(),
            driver,
            clock,
            alive: Arc::default(),
            serials: 0,
            posted: Vec::new(),
            members: Vec::new(),
            memberships: Vec::new(),
            leases: Vec::new(),
            known: Vec::new(),
        }
    }

    fn node(&mut self, spec: Spec) -> Node {
        self.serials += 1;
        Node::new(spec, self.serials, &self.alive)
    }

    fn post(&mut self, change: Change) {
        let handle = self.clones[0].handle();
        let applied = match change {
            Change::Insert(spec) => handle.insert(self.node(spec)),
            Change::Update(spec) => handle.update(self.node(spec)),
            Change::Remove(id) => handle.remove(id.to_string()),
            Change::Drain(id) => handle.drain(id.to_string()),
            Change::Undrain(id) => handle.undrain(id.to_string()),
        };
        self.posted.push((change, self.serials, applied));
    }

    fn publish(&mut self) {
        assert!((&mut self.driver).now_or_never().is_none(), "the driver goes on");
        for (change, serial, applied) in std::mem::take(&mut self.posted) {
            let expected = self.change(change, serial);
            assert_eq!(applied.now_or_never().map(Result::unwrap), Some(expected), "{change:?}");
        }
        while let Some(Some(event)) = self.events.next().now_or_never() {
            if let Event::Drained { id } = event {
                self.drained(&id);
            }
        }
    }

    /// What a change does to the model; true if there is something to do.
    fn change(&mut self, change: Change, serial: usize) -> bool {
        let (Change::Insert(Spec { id, .. })
        | Change::Update(Spec { id, .. })
        | Change::Remove(id)
        | Change::Drain(id)
        | Change::Undrain(id)) = change;
        let place = self.members.iter().position(|member| member.spec.id == id);
        match (change, place) {
            (Change::Insert(spec), None) => {
                self.members.push(Expected {
                    spec,
                    serial,
                    membership: self.memberships.len(),
                    drain: None,
                });
                self.memberships.push(Membership::default());
                true
            }
            (_, None) => false,
            (Change::Insert(spec) | Change::Update(spec), Some(place)) => {
                (self.members[place].spec, self.members[place].serial) = (spec, serial);
                matches!(change, Change::Update(_))
            }
            (Change::Remove(_), Some(place)) => {
                self.members.remove(place);
                true
            }
            (Change::Drain(_), Some(place)) => {
                self.members[place].drain.get_or_insert(Rest::Awaited);
                true
            }
            (Change::Undrain(_), Some(place)) => self.members[place].drain.take().is_some(),
        }
    }

    /// Told of the past too: a drain that ended in the same batch leaves nothing to compare with.
    fn drained(&mut self, id: &str) {
        let member = (self.members.iter_mut()).find(|member| member.spec.id.to_string() == id);
        if let Some(rest) = member.and_then(|member| member.drain.as_mut()) {
            *rest = Rest::Told;
        }
    }

    fn serves(&self, member: &Expected) -> bool {
        let serves = |member: &Expected| member.spec.weight > 0 && member.drain.is_none();
        let priority = (self.members.iter().filter(|member| serves(member))).map(|member| member.spec.priority);
        serves(member) && Some(member.spec.priority) == priority.min()
    }

    fn has_room(&self, member: &Expected) -> bool {
        let in_flight = self.memberships[member.membership].in_flight;
        member.spec.limit.is_none_or(|limit| in_flight < limit as usize)
    }

    fn pick(&mut self, clone: usize, home: Option<usize>, tried: Option<usize>) {
        let mut ask = Ask::new();
        let tried = tried
            .filter(|_| !self.known.is_empty())
            .map(|tried| self.known[tried % self.known.len()]);
        if let Some((member, _)) = tried {
            ask = ask.with_tried(member);
        }
        if let Some(id) = home {
            ask = ask.with_home(Home::new(id.to_string()));
        }
        let untried = |member: &&Expected| tried.is_none_or(|(_, tried)| tried != member.membership);
        let serving: Vec<&Expected> = (self.members.iter())
            .filter(|member| self.serves(member))
            .filter(untried)
            .collect();
        let at_home =
            (self.members.iter().filter(untried)).find(|member| Some(member.spec.id) == home && self.has_room(member));
        let allowed: Vec<(usize, usize)> = match at_home {
            Some(member) => vec![(member.serial, member.membership)],
            None => (serving.iter().filter(|member| self.has_room(member)))
                .map(|member| (member.serial, member.membership))
                .collect(),
        };
        let nobody = serving.is_empty();
        match self.clones[clone % CLONES].pick(&ask) {
            Ok(lease) => {
                let serial = lease.backend().serial;
                let found = allowed.iter().find(|(allowed, _)| *allowed == serial);
                let (_, membership) = *found.unwrap_or_else(|| panic!("{} is closed", lease.backend_id()));
                self.memberships[membership].in_flight += 1;
                let member = lease.member();
                self.known.push((member, membership));
                self.leases.push(Taken {
                    id: lease.backend().spec.id.to_string(),
                    held: Held::Typed(lease),
                    member,
                    serial,
                    membership,
                    settled: false,
                });
            }
            Err(error) => {
                assert!(allowed.is_empty(), "{error} while {allowed:?} are open");
                let kind = if nobody {
                    ErrorKind::Unavailable
                } else {
                    ErrorKind::Overloaded
                };
                assert_eq!(error.kind(), kind);
            }
        }
    }

    fn settle(&mut self, lease: usize, outcome: Outcome) {
        let taken = &mut self.leases[lease];
        match &mut taken.held {
            Held::Typed(lease) => lease.settle(outcome),
            Held::Erased(lease) => lease.settle(outcome),
        }
        if !std::mem::replace(&mut taken.settled, true) {
            self.memberships[taken.membership].tally[place(outcome)] += 1;
        }
    }

    fn release(&mut self, lease: usize) {
        let taken = self.leases.swap_remove(lease);
        let membership = &mut self.memberships[taken.membership];
        membership.in_flight -= 1;
        membership.tally[place(Outcome::Cancelled)] += u64::from(!taken.settled);
    }

    fn step(&mut self, step: &Step) {
        let leases = self.leases.len();
        match step {
            Step::Post(change) => self.post(*change),
            Step::Publish => self.publish(),
            Step::Pick { clone, home, tried } => self.pick(*clone, *home, *tried),
            Step::Renew(clone) => self.clones[clone % CLONES] = self.clones[(clone + 1) % CLONES].clone(),
            Step::Advance => {
                self.publish();
                self.clock.advance(Duration::from_millis(200));
                self.publish();
                self.check_alive();
                let awaited = (self.members.iter()).filter(|member| member.drain == Some(Rest::Awaited));
                for member in awaited {
                    let in_flight = self.memberships[member.membership].in_flight;
                    assert!(
                        in_flight > 0,
                        "{} has come to rest, and nobody was told",
                        member.spec.id
                    );
                }
            }
            _ if leases == 0 => {}
            Step::Settle(lease, outcome) => self.settle(lease % leases, *outcome),
            Step::Drop(lease) => self.release(lease % leases),
            Step::Answered(lease) => match &mut self.leases[lease % leases].held {
                Held::Typed(lease) => lease.answered(),
                Held::Erased(lease) => lease.answered(),
            },
            Step::Erase(lease) => {
                let mut taken = self.leases.swap_remove(lease % leases);
                if let Held::Typed(lease) = taken.held {
                    taken.held = Held::Erased(lease.erase());
                }
                self.leases.push(taken);
            }
        }
    }

    fn check(&self) {
        let (open, rest): (Vec<_>, Vec<_>) = self.members.iter().partition(|member| self.serves(member));
        let members = self.clones[0].members();
        assert_eq!(members.len(), self.members.len());
        for (member, expected) in members.iter().zip(open.iter().chain(&rest)) {
            let Membership { in_flight, tally } = &self.memberships[expected.membership];
            assert_eq!(
                member.backend.serial, expected.serial,
                "the newest, in the order of joining"
            );
            assert_eq!(member.in_flight, *in_flight, "in flight at {}", expected.spec.id);
            assert_eq!(in_order(member.tally), *tally, "tally of {}", expected.spec.id);
            assert_eq!(member.draining, expected.drain.is_some());
            assert_eq!(member.open, self.serves(expected));
        }
        for taken in &self.leases {
            let (member, id) = match &taken.held {
                Held::Typed(lease) => (lease.member(), lease.backend_id()),
                Held::Erased(lease) => (lease.member(), lease.backend_id()),
            };
            assert_eq!(member, taken.member);
            assert_eq!(id, taken.id);
        }
    }

    /// Nothing but members, leases and what is on its way keeps a backend: no clone, however far behind. The driver may
    /// take its time to free those that were replaced.
    fn check_alive(&self) {
        let needed = self.members.iter().map(|member| member.serial);
        let needed: BTreeSet<usize> = needed.chain(self.leases.iter().map(|taken| taken.serial)).collect();
        assert_eq!(self.alive.load(SeqCst), needed.len(), "backends alive");
    }

    /// All leases end; nothing is in flight, and the pool can be closed.
    fn finish(mut self) {
        self.publish();
        (0..self.leases.len()).rev().for_each(|lease| self.release(lease));
        self.check();
        self.step(&Step::Advance);
        assert!(self.clones[0].members().iter().all(|member| member.in_flight == 0));
        let closed = self.clones[1].close();
        assert!((&mut self.driver).now_or_never().is_some(), "nothing is in flight");
        assert_eq!(closed.now_or_never().map(Result::unwrap), Some(true));
        for clone in &mut self.clones {
            assert_eq!(clone.pick(&Ask::new()).unwrap_err().kind(), ErrorKind::Unavailable);
        }
        drop((self.driver, self.clones));
        assert_eq!(self.alive.load(SeqCst), 0, "backends outlive the pool");
    }
}

/// Where in the order below.
fn place(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Success => 0,
        Outcome::Failure | Outcome::BadGateway | Outcome::Unreachable => 1,
        Outcome::Cancelled => 2,
        Outcome::Broken => 3,
    }
}

fn in_order(tally: Tally) -> [u64; 4] {
    [tally.succeeded, tally.failed, tally.cancelled, tally.broken]
}

#[test]
fn the_pool_is_as_its_model() {
    for strategy in Named::all() {
        let config = Config {
            failure_persistence: None,
            ..Config::with_cases(300)
        };
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        let run = runner.run(&steps(), |steps| {
            let mut world = World::new(&strategy);
            for step in &steps {
                world.step(step);
                world.check();
            }
            world.finish();
            Ok(())
        });
        run.unwrap_or_else(|failure| panic!("{strategy}: {failure}"));
    }
}
