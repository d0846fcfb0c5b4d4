//! Two balancers over one store that fails as it likes, in any order: none fails or hangs, they agree while it works, and again
//! once it is back.

use std::time::Duration;

use equipoise::{Home, ManualClock};
use proptest::{prelude::*, proptest};

use super::{balancer::Open, *};

const BACKENDS: [&str; 3] = ["a", "b", "c"];
const SESSIONS: [&str; 3] = ["ann", "ben", "cem"];

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A request of this session comes to this balancer.
    Come(usize, usize),
    /// One that is open is served by this backend if it has no home, or that fails.
    Serve {
        open: usize,
        by: usize,
        moves: bool,
        guest: bool,
        bad: bool,
    },
    /// Both at once, at home.
    Request(usize, usize, usize),
    Fault(Fault),
    Lose,
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fault = prop_oneof![
        3 => Just(Fault::None),
        1 => Just(Fault::Error),
        1 => Just(Fault::Never),
        1 => (0..9_u64).prop_map(Fault::Slow),
        1 => Just(Fault::PanicsWaited),
        1 => Just(Fault::ReadOnly),
    ];
    let serve = (0..9_usize, 0..3_usize, any::<bool>(), 0..5_u8, 0..5_u8);
    let serve = serve.prop_map(|(open, by, moves, guest, bad)| Step::Serve {
        open,
        by,
        moves,
        guest: guest == 0,
        bad: bad == 0,
    });
    let step = prop_oneof![
        4 => (0..2_usize, 0..3_usize).prop_map(|(balancer, session)| Step::Come(balancer, session)),
        4 => serve,
        6 => (0..2_usize, 0..3_usize, 0..3_usize).prop_map(|(balancer, session, by)| Step::Request(balancer, session, by)),
        2 => fault.prop_map(Step::Fault),
        1 => Just(Step::Lose),
        2 => prop_oneof![0..20_u64, 900..1_100_u64].prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..80)
}

struct World {
    balancers: [Balancer; 2],
    store: Script,
    time: ManualClock,
    open: Vec<(usize, usize, Open)>,
    fault: Fault,
}

impl World {
    fn new() -> Self {
        let time = ManualClock::new();
        let store = Script::new(&time);
        let balancers = [(); 2].map(|()| Balancer::new(sessions(&time).store(store.clone()).build(), &time));
        Self {
            balancers,
            store,
            time,
            open: Vec::new(),
            fault: Fault::None,
        }
    }

    fn stored(&self, session: usize) -> Option<Home> {
        let id = self.balancers[0].sessions.id(SESSIONS[session].as_bytes());
        self.store.home(id)
    }

    /// Whether this one asks a store that works.
    fn is_fine(&self, balancer: usize) -> bool {
        self.fault == Fault::None && !self.balancers[balancer].sessions.stats().store_is_away
    }

    fn serve(&mut self, at: usize, by: usize, moves: bool, serve: impl FnOnce(&'static str) -> Serve<'static>) {
        let (balancer, session, open) = self.open.swap_remove(at);
        let was = open.home.clone();
        let home = was.clone().filter(|_| !moves);
        let by = home.as_ref().map_or(BACKENDS[by], |home| {
            BACKENDS.into_iter().find(|id| *id == home.id()).unwrap()
        });
        let serve = serve(by);
        let is_fine = self.is_fine(balancer);
        let told = self.balancers[balancer].serve(open, serve);
        let known = self.balancers[balancer].known(SESSIONS[session]);
        if serve.is_guest || serve.is_bad {
            assert_eq!(told, None);
            return;
        }
        // Whoever was told has lost to that home.
        if let Some(home) = &told {
            assert_ne!(home.id(), by);
            assert_eq!(known.as_ref(), Some(home));
        }
        if is_fine && was != super::at(by) {
            assert_eq!(known, told.or_else(|| super::at(by)));
            assert_eq!(self.stored(session), known, "the store has it before the head goes out");
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Come(balancer, session) => {
                let had = self.stored(session).filter(|_| self.is_fine(balancer));
                let knew = self.balancers[balancer].known(SESSIONS[session]);
                let open = self.balancers[balancer].locate(SESSIONS[session]);
                if let Some(had) = had {
                    // What this one has moved while the store could not be told counts for more.
                    assert!(open.home.as_ref() == Some(&had) || open.home == knew, "{:?}", open.home);
                }
                self.open.push((balancer, session, open));
            }
            Step::Serve {
                open,
                by,
                moves,
                guest,
                bad,
            } => {
                if open < self.open.len() {
                    self.serve(open, by, moves, |by| Serve {
                        by,
                        is_guest: guest,
                        is_bad: bad,
                    });
                }
            }
            Step::Request(balancer, session, by) => {
                self.take(Step::Come(balancer, session));
                let is_fine = self.is_fine(balancer);
                self.serve(self.open.len() - 1, by, false, Serve::by);
                if is_fine {
                    let home = self.stored(session);
                    assert!(home.is_some());
                    assert_eq!(self.balancers[balancer].known(SESSIONS[session]), home);
                }
            }
            Step::Fault(fault) => {
                self.fault = fault;
                self.store.fail(fault);
            }
            Step::Lose => self.store.lose_all(),
            Step::Wait(millis) => self.time.advance(Duration::from_millis(millis)),
        }
    }

    /// All requests that are open are served, the store works, and each balancer has seen that.
    fn settle(&mut self) {
        self.take(Step::Fault(Fault::None));
        while !self.open.is_empty() {
            self.serve(0, 0, false, Serve::by);
        }
        self.take(Step::Wait(1_100));
        for balancer in 0..2 {
            self.balancers[balancer].request("somebody else's", "a");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn they_agree_while_the_store_works_and_again_once_it_is_back(steps in steps(), first in 0..2_usize) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.take(*step));
        world.settle();
        for (session, name) in SESSIONS.into_iter().enumerate() {
            // What one of them has moved meanwhile it tells with its first request.
            for balancer in [first, 1 - first] {
                world.take(Step::Request(balancer, session, 0));
            }
            let home = world.stored(session);
            assert!(home.is_some());
            for balancer in [first, 1 - first, first] {
                let open = world.balancers[balancer].locate(name);
                assert_eq!(open.home, home, "balancer {balancer}, {name}");
                let by = home.as_ref().unwrap().id().to_owned();
                assert_eq!(world.balancers[balancer].serve(open, Serve::by(&by)), None);
                assert_eq!(world.stored(session), home);
            }
        }
        for balancer in &world.balancers {
            assert!(!balancer.sessions.stats().store_is_away);
        }
    }
}
