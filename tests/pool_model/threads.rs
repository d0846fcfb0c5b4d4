//! Threads that pick, while the members change under them.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use equipoise::{Applied, Ask, Driver, ErrorKind, LeastLoaded, ManualClock, Outcome, Pool, RoundRobin, Selector};
use futures_util::FutureExt;

use crate::node::{Node, Spec};

const PICKERS: usize = 3;
/// How long the members change.
const TIME: Duration = Duration::from_secs(1);
/// These stay, and are updated again and again; those of higher ids come, drain and go.
const LASTING: usize = 3;
const PASSING: usize = 4;
const LIMIT: usize = 2;
/// More ids than a run can use up.
const IDS: usize = 1 << 20;

/// What pickers and changer know of each other.
struct Ledger {
    stop: AtomicBool,
    /// All passing ids below are drained or removed, and that is published.
    closed_below: AtomicUsize,
    /// Leases held by id, and picks made.
    held: Vec<AtomicUsize>,
    picks: Vec<AtomicU64>,
}

impl Ledger {
    /// One request from its pick to its end; whether there was one.
    fn request<S: Selector<Node>>(&self, pool: &mut Pool<Node, S>, turn: usize) -> bool {
        let closed_below = self.closed_below.load(SeqCst);
        let mut lease = match pool.pick(&Ask::new()) {
            Ok(lease) => lease,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Overloaded, "{error}");
                return false;
            }
        };
        let id = lease.backend().spec.id;
        assert!(
            id < LASTING || id >= closed_below,
            "{id} was picked after it was closed: all below {closed_below} are"
        );
        // Counted here after the pick and before the release: never more than there are.
        let held = self.held[id].fetch_add(1, SeqCst) + 1;
        assert!(held <= LIMIT, "{held} requests at {id}");
        self.picks[id].fetch_add(1, SeqCst);
        if turn % 7 == 0 {
            thread::yield_now();
        }
        match turn % 3 {
            0 => lease.settle(Outcome::Success),
            1 => lease.answered(),
            _ => {}
        }
        self.held[id].fetch_sub(1, SeqCst);
        true
    }
}

/// The one who changes the members, and runs the driver.
struct Changer<S: Selector<Node>> {
    pool: Pool<Node, S>,
    driver: Driver<Node, S>,
    clock: ManualClock,
    alive: Arc<AtomicUsize>,
    serials: usize,
}

impl<S: Selector<Node>> Changer<S> {
    fn node(&mut self, id: usize) -> Node {
        self.serials += 1;
        let spec = Spec {
            id,
            weight: 1 + self.serials as u32 % 3,
            priority: 0,
            limit: Some(LIMIT as u32),
        };
        Node::new(spec, self.serials, &self.alive)
    }

    /// All at once.
    fn apply(&mut self, changes: Vec<Applied>) {
        self.clock.advance(Duration::from_millis(20));
        assert!((&mut self.driver).now_or_never().is_none(), "the driver goes on");
        for change in changes {
            change
                .now_or_never()
                .expect("the driver has run")
                .expect("it is in force");
        }
    }

    fn run(&mut self, ledger: &Ledger) {
        let handle = self.pool.handle();
        let mut passing = VecDeque::new();
        let mut drained = VecDeque::new();
        let mut ids = LASTING..IDS;
        let end = Instant::now() + TIME;
        while Instant::now() < end {
            let mut changes = Vec::new();
            for id in ids.by_ref().take(PASSING - passing.len()) {
                changes.push(handle.insert(self.node(id)));
                passing.push_back(id);
            }
            changes.push(handle.update(self.node(self.serials % LASTING)));
            let first = passing.pop_front().expect("some are passing");
            changes.push(handle.drain(first.to_string()));
            drained.push_back(first);
            self.apply(changes);
            ledger.closed_below.store(first + 1, SeqCst);
            // Some go from a drain, with or without requests left; some at once.
            if drained.len() > 2 {
                let gone = drained.drain(..).map(|id| handle.remove(id.to_string()));
                let gone = gone
                    .chain(passing.pop_front().map(|id| handle.remove(id.to_string())))
                    .collect();
                self.apply(gone);
                let closed_below = passing.front().copied().unwrap_or(ids.start);
                ledger.closed_below.store(closed_below, SeqCst);
            }
        }
        assert!(ids.start < IDS, "there were ids enough");
    }
}

fn members_change_under_pickers<S: Selector<Node>>(selector: S) {
    let ledger = Ledger {
        stop: AtomicBool::new(false),
        closed_below: AtomicUsize::new(0),
        held: (0..IDS).map(|_| AtomicUsize::new(0)).collect(),
        picks: (0..IDS).map(|_| AtomicU64::new(0)).collect(),
    };
    let clock = ManualClock::new();
    let alive = Arc::default();
    let start = (0..LASTING).map(|id| {
        let limit = Some(LIMIT as u32);
        let spec = Spec {
            id,
            weight: 1,
            priority: 0,
            limit,
        };
        Node::new(spec, 0, &alive)
    });
    let (pool, driver) = Pool::builder_on(clock.clock())
        .selector(selector)
        .seed(5)
        .in_flight_limit_by(|node: &Node| node.spec.limit)
        .backends(start)
        .build();
    let mut changer = Changer {
        pool: pool.clone(),
        driver,
        clock,
        alive: Arc::clone(&alive),
        serials: 0,
    };
    let made = thread::scope(|scope| {
        let pickers: Vec<_> = (0..PICKERS)
            .map(|_| {
                let mut pool = pool.clone();
                let ledger = &ledger;
                scope.spawn(move || {
                    let turns = 0..usize::MAX;
                    let turns = turns.take_while(|_| !ledger.stop.load(SeqCst));
                    turns.filter(|turn| ledger.request(&mut pool, *turn)).count() as u64
                })
            })
            .collect();
        // A failure here must not leave the pickers running.
        let changed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| changer.run(&ledger)));
        ledger.stop.store(true, SeqCst);
        changed.unwrap();
        pickers.into_iter().map(|picker| picker.join().unwrap()).sum::<u64>()
    });

    changer.apply(Vec::new());
    assert!(ledger.held.iter().all(|held| held.load(SeqCst) == 0));
    let picks = ledger.picks.iter().map(|picks| picks.load(SeqCst)).sum::<u64>();
    assert!(made > 0 && made == picks, "{made} picks were made, {picks} counted");
    let members = pool.members();
    for member in &members {
        assert_eq!(member.in_flight, 0, "in flight at {}", member.backend.name);
        let picks = ledger.picks[member.backend.spec.id].load(SeqCst);
        assert_eq!(member.tally.total(), picks, "tally of {}", member.backend.name);
    }
    assert!((members.iter()).any(|member| member.backend.spec.id < LASTING && member.tally.total() > 0));
    assert_eq!(alive.load(SeqCst), members.len(), "nothing but members is alive");
    let closed = pool.close();
    assert!((&mut changer.driver).now_or_never().is_some(), "nothing is in flight");
    assert!(closed.now_or_never().unwrap().unwrap());
    println!("{picks} picks, {} changes", changer.serials);
}

#[test]
fn members_change_under_pickers_of_the_least_loaded() {
    members_change_under_pickers(LeastLoaded::new());
}

#[test]
fn members_change_under_pickers_in_turn() {
    members_change_under_pickers(RoundRobin::new());
}

/// All want the same place at once: whoever sees it free, and is second, has to see that too.
#[test]
fn a_limit_holds_however_many_come_at_once() {
    let alive = Arc::default();
    let spec = Spec {
        id: 0,
        weight: 1,
        priority: 0,
        limit: None,
    };
    let (pool, _driver) = Pool::builder_on(ManualClock::new().clock())
        .backend(Node::new(spec, 0, &alive))
        .in_flight_limit(1)
        .build();
    let (held, most, start) = (AtomicUsize::new(0), AtomicUsize::new(0), Barrier::new(PICKERS));
    let picks: u64 = thread::scope(|scope| {
        let pickers: Vec<_> = (0..PICKERS)
            .map(|_| {
                let mut pool = pool.clone();
                let (held, most, start) = (&held, &most, &start);
                scope.spawn(move || {
                    start.wait();
                    let mut picks = 0;
                    for _ in 0..1_000_000 {
                        if let Ok(mut lease) = pool.pick(&Ask::new()) {
                            most.fetch_max(held.fetch_add(1, SeqCst) + 1, SeqCst);
                            picks += 1;
                            lease.settle(Outcome::Success);
                            held.fetch_sub(1, SeqCst);
                        }
                    }
                    picks
                })
            })
            .collect();
        pickers.into_iter().map(|picker| picker.join().unwrap()).sum()
    });
    assert_eq!(most.load(SeqCst), 1, "requests in flight at a member of 1");
    let member = &pool.members()[0];
    assert_eq!((member.in_flight, member.tally.succeeded), (0, picks));
    assert_eq!(member.tally.total(), picks, "who gave a lease back is in no count");
}
