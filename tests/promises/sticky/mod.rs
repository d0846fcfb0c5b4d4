//! A session stays with its home, and moves once when that is gone.

mod any;
mod asking;
mod pairs;

use std::{
    collections::{HashMap, HashSet},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use equipoise::{
    Ask, Assigned, Balance, BalanceLayer, BoxError, Clock, Dispatch, Error, ErrorKind, FailoverLayer, Home, Lease,
    ManualClock, Outcome, Pool, Protocol, RoundRobin, SessionAffinity, Sleep, StickyLayer, Unsent,
    affinity::{Bind, Located, Served},
    balance::Repeatable,
};
use tower::{Layer, Service};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Where sessions are at home, as told by who has served them.
#[derive(Clone)]
struct Memory(Arc<Inner>);

struct Inner {
    clock: Clock,
    homes: Mutex<HashMap<u32, String>>,
    delays: Mutex<Delays>,
    /// Who has come first, whoever served.
    winner: Mutex<Option<&'static str>>,
    /// What sessions were told, in order: who has served, whether as a guest, whether badly.
    told: Mutex<Vec<(String, bool, bool)>>,
}

/// How long answers take; none: no time.
#[derive(Clone, Copy, Default)]
struct Delays {
    locate: Option<Duration>,
    bind: Option<Duration>,
}

impl Memory {
    fn new(clock: Clock) -> Self {
        Self(Arc::new(Inner {
            clock,
            homes: Mutex::default(),
            delays: Mutex::default(),
            winner: Mutex::default(),
            told: Mutex::default(),
        }))
    }

    fn home(&self, session: u32) -> Option<String> {
        self.0.homes.lock().unwrap().get(&session).cloned()
    }

    fn told(&self) -> Vec<(String, bool, bool)> {
        std::mem::take(&mut self.0.told.lock().unwrap())
    }
}

struct Known {
    session: u32,
    memory: Memory,
    sleep: Option<Sleep>,
}

impl SessionAffinity<Option<u32>, String> for Memory {
    type Session = Known;
    type Later = Pin<Box<dyn Future<Output = (Known, Option<Home>)> + Send>>;

    fn locate(&self, request: &mut Option<u32>) -> Located<Known, Self::Later> {
        let Some(session) = *request else {
            return Located::Nothing;
        };
        let memory = self.clone();
        let known = move || {
            let home = memory.home(session).map(Home::new);
            let known = Known {
                session,
                memory,
                sleep: None,
            };
            (known, home)
        };
        match self.0.delays.lock().unwrap().locate {
            None => {
                let (known, home) = known();
                Located::Now(known, home)
            }
            Some(delay) => {
                let sleep = self.0.clock.sleep_until(self.0.clock.now() + delay);
                Located::Later(Box::pin(async move {
                    sleep.await;
                    known()
                }))
            }
        }
    }
}

impl Bind<String> for Known {
    fn poll_bind(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        served: &Served<'_>,
        response: &mut String,
    ) -> Poll<Option<Home>> {
        let inner = Arc::clone(&self.memory.0);
        if let Some(delay) = inner.delays.lock().unwrap().bind {
            let sleep = self
                .sleep
                .get_or_insert_with(|| inner.clock.sleep_until(inner.clock.now() + delay));
            std::task::ready!(Pin::new(sleep).poll(cx));
        }
        let told = (served.by().to_owned(), served.is_guest(), served.is_bad());
        inner.told.lock().unwrap().push(told);
        response.push_str(", told");
        let winner = *inner.winner.lock().unwrap();
        if served.may_bind() {
            let home = winner.unwrap_or(served.by());
            inner.homes.lock().unwrap().insert(self.session, home.to_owned());
        }
        Poll::Ready(winner.map(Home::new))
    }
}

/// Answers with the backend's id, or fails, as each is set.
#[derive(Clone, Default)]
struct Backends(Arc<Mutex<Faults>>);

#[derive(Default)]
struct Faults {
    refusing: HashSet<String>,
    /// They answer, but badly.
    bad: HashSet<String>,
    /// They never answer.
    silent: HashSet<String>,
}

impl Service<Assigned<Option<u32>, Plain>> for Backends {
    type Response = String;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<String, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Assigned<Option<u32>, Plain>) -> Self::Future {
        let id = equipoise::Backend::id(&*call.backend).to_owned();
        let faults = self.0.lock().unwrap();
        if faults.silent.contains(&id) {
            return Box::pin(std::future::pending());
        }
        Box::pin(std::future::ready(match &id {
            id if faults.refusing.contains(id) => Err(Unsent::new("refused").into()),
            id if faults.bad.contains(id) => Ok(format!("{id} badly")),
            id => Ok(id.clone()),
        }))
    }
}

/// An answer can be bad.
#[derive(Clone)]
struct Judged;

impl Protocol<String> for Judged {
    type Response = String;

    fn answered(&self, raw: &String) -> Outcome {
        if raw.ends_with("badly") {
            Outcome::Failure
        } else {
            Outcome::Success
        }
    }

    fn attach(raw: String, mut lease: Lease) -> String {
        lease.settle(Outcome::Success);
        raw
    }
}

type Turns = Balance<Backends, Plain, RoundRobin, Judged>;

struct World {
    clock: ManualClock,
    pool: Pool<Plain, RoundRobin>,
    driver: Driver<Plain, RoundRobin>,
    memory: Memory,
    backends: Backends,
    balance: Turns,
    layer: StickyLayer<Memory>,
}

impl World {
    fn new(ids: &[&str]) -> Self {
        Self::with(ids, |pool| pool)
    }

    fn with(
        ids: &[&str],
        build: impl FnOnce(PoolBuilder<Plain, RoundRobin>) -> PoolBuilder<Plain, RoundRobin>,
    ) -> Self {
        let clock = ManualClock::new();
        let builder = Pool::builder_on(clock.clock()).selector(RoundRobin::new());
        let (pool, mut driver) = build(builder.backends(endpoints(ids)).seed(1)).build();
        run(&mut driver);
        let (memory, backends) = (Memory::new(clock.clock()), Backends::default());
        let layer = BalanceLayer::with(pool.clone(), Judged, tower::layer::util::Identity::new());
        Self {
            balance: layer.layer(backends.clone()),
            layer: StickyLayer::new(memory.clone()),
            memory,
            backends,
            clock,
            pool,
            driver,
        }
    }

    fn call(&self, session: Option<u32>) -> impl Future<Output = Result<String, Error>> + Unpin + Send + use<> {
        Box::pin(self.layer.layer(self.balance.clone()).call(session))
    }

    /// What it comes to, if time stands still.
    fn now(&self, session: impl Into<Option<u32>>) -> Result<String, Error> {
        self.call(session.into()).now_or_never().unwrap()
    }

    /// The same with a failover within.
    fn over(&self, session: u32) -> Result<String, Error> {
        let failover = FailoverLayer::new(Repeatable).layer(self.balance.clone());
        self.layer.layer(failover).call(Some(session)).now_or_never().unwrap()
    }

    fn order(&mut self, order: impl FnOnce(equipoise::Handle<Plain>)) {
        order(self.pool.handle());
        run(&mut self.driver);
    }

    fn in_flight(&self) -> usize {
        self.pool.members().iter().map(|member| member.in_flight).sum()
    }
}

#[test]
fn a_session_stays_where_its_first_request_was() {
    let world = World::new(&["a", "b", "c"]);
    for session in 0..3 {
        let first = world.now(session).unwrap();
        assert!(["a, told", "b, told", "c, told"].contains(&&*first), "{first}");
        for _ in 0..10 {
            assert_eq!(world.now(session).unwrap(), first);
        }
    }
    let homes: HashSet<_> = (0..3).map(|session| world.memory.home(session)).collect();
    assert_eq!(homes.len(), 3, "new ones come in turns, whoever is at home where");
}

#[test]
fn a_request_of_no_session_is_served_by_anybody_and_nobody_is_told() {
    let world = World::new(&["a", "b"]);
    let served: HashSet<_> = (0..2).map(|_| world.now(None).unwrap()).collect();
    assert_eq!(served, HashSet::from(["a".to_owned(), "b".to_owned()]));
    assert_eq!(world.memory.told(), []);
}

#[test]
fn a_session_whose_home_is_gone_moves_once_and_stays() {
    let mut world = World::new(&["a", "b", "c"]);
    world.now(1).unwrap();
    let home = world.memory.home(1).unwrap();
    world.order(|handle| drop(handle.remove(home.clone())));
    let second = world.now(1).unwrap();
    let next = world.memory.home(1).unwrap();
    assert_ne!(next, home);
    // The first comes back, but the session has moved.
    world.order(|handle| drop(handle.insert(endpoint(&home))));
    for _ in 0..20 {
        assert_eq!(world.now(1).unwrap(), second);
    }
}

#[test]
fn with_failover_a_session_whose_home_refuses_moves_with_the_same_request() {
    let world = World::new(&["a", "b", "c"]);
    world.over(1).unwrap();
    let home = world.memory.home(1).unwrap();
    world.backends.0.lock().unwrap().refusing.insert(home.clone());
    let second = world.over(1).unwrap();
    let next = world.memory.home(1).unwrap();
    assert_ne!(next, home);
    world.backends.0.lock().unwrap().refusing.clear();
    for _ in 0..20 {
        assert_eq!(world.over(1).unwrap(), second);
    }
    assert_eq!(world.memory.told().len(), 22, "once for each request");
}

#[test]
fn with_failover_and_a_grace_it_is_a_guest_until_its_home_is_back() {
    let mut world = World::new(&["a", "b", "c"]);
    world.layer = world.layer.clone().grace(SECOND);
    world.over(1).unwrap();
    let home = world.memory.home(1).unwrap();
    world.backends.0.lock().unwrap().refusing.insert(home.clone());
    assert_ne!(world.over(1).unwrap()[..1], home);
    world.backends.0.lock().unwrap().refusing.clear();
    assert_eq!(world.over(1).unwrap()[..1], home);
    assert_eq!(
        world.memory.told()[1..].iter().map(|told| told.1).collect::<Vec<_>>(),
        [true, false]
    );
}

#[test]
fn strictly_a_session_is_refused_and_never_moves() {
    let mut world = World::with(&["a", "b"], |pool| pool.in_flight_limit(1));
    world.layer = world.layer.clone().strict();
    world.now(1).unwrap();
    let home = world.memory.home(1).unwrap();
    world.backends.0.lock().unwrap().refusing.insert(home.clone());
    for refused in [world.now(1).unwrap_err(), world.over(1).unwrap_err()] {
        assert_eq!((refused.kind(), refused.backend()), (ErrorKind::Backend, Some(&*home)));
    }
    world.backends.0.lock().unwrap().refusing.clear();
    let ask = Ask::new().with_home(Home::new(&*home));
    let open = world.pool.pick(&ask).unwrap();
    assert_eq!(world.now(1).unwrap_err().kind(), ErrorKind::Overloaded);
    drop(open);
    assert_eq!(world.now(1).unwrap()[..1], home);
    assert_eq!(world.memory.home(1).unwrap(), home);
}

#[test]
fn a_bad_answer_binds_nobody_and_moves_nobody() {
    let world = World::new(&["a", "b"]);
    world.backends.0.lock().unwrap().bad = ["a", "b"].map(str::to_owned).into();
    world.now(1).unwrap();
    assert_eq!(world.memory.home(1), None);
    assert!(world.memory.told()[0].2);
    world.backends.0.lock().unwrap().bad.clear();
    world.now(1).unwrap();
    let home = world.memory.home(1).unwrap();
    world.backends.0.lock().unwrap().bad.insert(home.clone());
    assert_eq!(world.now(1).unwrap(), format!("{home} badly, told"));
    assert_eq!(world.memory.home(1).unwrap(), home);
}

#[test]
fn a_failure_tells_nobody_anything() {
    let world = World::new(&["a"]);
    world.backends.0.lock().unwrap().refusing.insert("a".to_owned());
    assert_eq!(world.now(1).unwrap_err().kind(), ErrorKind::Backend);
    assert_eq!((world.memory.told(), world.memory.home(1)), (vec![], None));
}

#[test]
fn whoever_is_further_out_has_decided() {
    let world = World::new(&["a", "b"]);
    world.memory.0.homes.lock().unwrap().insert(1, "a".to_owned());
    let mut sticky = world.layer.layer(world.balance.clone());
    for _ in 0..3 {
        let ask = Ask::new().with_home(Home::new("b"));
        let answer = sticky.dispatch(&ask, Some(1)).now_or_never().unwrap();
        assert_eq!(answer.result.unwrap(), "b");
    }
    assert_eq!(world.memory.told(), []);
    // All else of an ask goes on.
    let first = world.pool.members()[0].backend.clone();
    let member = world
        .pool
        .clone()
        .pick(&Ask::new().with_home(Home::new(equipoise::Backend::id(&*first))));
    let tried = Ask::new().with_tried(member.unwrap().member());
    let answer = sticky.dispatch(&tried, Some(1)).now_or_never().unwrap();
    assert_eq!(answer.result.unwrap(), "b, told");
}

#[test]
fn new_sessions_stay_fair_by_weight_while_old_ones_stick() {
    let mut world = World::new(&[]);
    for (id, weight) in [("a", 1), ("b", 2), ("c", 5)] {
        world.order(|handle| drop(handle.insert(endpoint(id).with_weight(weight))));
    }
    // Old ones are all at one home, and ask all the time.
    for old in 0..50 {
        world.memory.0.homes.lock().unwrap().insert(old, "a".to_owned());
    }
    let mut new: HashMap<String, usize> = HashMap::new();
    for session in 100..900 {
        for old in 0..10 {
            assert_eq!(world.now((session + old) % 50).unwrap(), "a, told");
        }
        world.now(session).unwrap();
        *new.entry(world.memory.home(session).unwrap()).or_default() += 1;
    }
    assert_eq!((new["a"], new["b"], new["c"]), (100, 200, 500));
}

#[test]
fn a_drain_keeps_all_old_sessions_and_gets_no_new_one() {
    let mut world = World::new(&["a", "b", "c"]);
    (0..300).for_each(|session| drop(world.now(session).unwrap()));
    let homes: Vec<String> = (0..300).map(|session| world.memory.home(session).unwrap()).collect();
    let old = homes.iter().filter(|home| *home == "b").count();
    assert_eq!(old, 100);
    world.order(|handle| drop(handle.drain("b")));
    for session in 300..600 {
        assert_ne!(world.now(session).unwrap(), "b, told");
    }
    for (session, home) in homes.iter().enumerate() {
        assert_eq!(world.now(session as u32).unwrap(), format!("{home}, told"));
    }
}
