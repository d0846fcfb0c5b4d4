//! Whatever becomes of backends: where each session is, against a model of a few lines.

use std::collections::BTreeMap;

use equipoise::{HealthCheck, HealthProbe, health::Report};
use proptest::{collection::vec, prelude::*};

use super::*;

const IDS: [&str; 4] = ["a", "b", "c", "d"];
const GRACE: u64 = 20;

#[derive(Clone, Copy, Debug)]
enum Step {
    Request(u32),
    /// The backend fails requests, or does no more.
    Refuse(usize, bool),
    /// Health checks fail, or pass.
    Sick(usize, bool),
    Drain(usize),
    DrainWithin(usize, u64),
    Undrain(usize),
    Remove(usize),
    Insert(usize),
    /// Its one place is taken, or free.
    Fill(usize, bool),
    /// Seconds.
    Pass(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let id = 0..IDS.len();
    prop_oneof![
        8 => (0..6_u32).prop_map(Step::Request),
        1 => (id.clone(), any::<bool>()).prop_map(|(id, on)| Step::Refuse(id, on)),
        2 => (id.clone(), any::<bool>()).prop_map(|(id, on)| Step::Sick(id, on)),
        1 => id.clone().prop_map(Step::Drain),
        1 => (id.clone(), 0..30_u64).prop_map(|(id, time)| Step::DrainWithin(id, time)),
        1 => id.clone().prop_map(Step::Undrain),
        1 => id.clone().prop_map(Step::Remove),
        2 => id.clone().prop_map(Step::Insert),
        2 => (id, any::<bool>()).prop_map(|(id, on)| Step::Fill(id, on)),
        2 => (1..15_u64).prop_map(Step::Pass),
    ]
}

#[derive(Clone, Copy, Debug)]
enum Terms {
    AtOnce,
    Grace,
    Strict,
}

/// What is known of a member.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Seconds: since when checks fail.
    sick: Option<u64>,
    drains: bool,
    /// When its sessions have to go.
    leave: Option<u64>,
    full: bool,
}

#[derive(Clone, Default)]
struct Sick(Arc<Mutex<HashSet<String>>>);

impl HealthProbe<Plain> for Sick {
    type Error = &'static str;

    async fn probe(&self, backend: &Plain) -> Result<Report, &'static str> {
        let is_sick = self.0.lock().unwrap().contains(equipoise::Backend::id(backend));
        if is_sick { Err("sick") } else { Ok(Report::new()) }
    }
}

struct Scene {
    world: World,
    sick: Sick,
    terms: Terms,
    now: u64,
    members: BTreeMap<String, Known>,
    refusing: HashSet<String>,
    open: HashMap<String, Lease<Arc<Plain>>>,
}

impl Scene {
    fn new(terms: Terms) -> Self {
        let sick = Sick::default();
        // One failure makes unfit, one success fit, each second.
        let check = HealthCheck::new(sick.clone()).with_interval(SECOND).unwrap();
        let check = check.with_rise(1).unwrap().with_fall(1).unwrap();
        let mut world = World::with(&IDS, |pool| {
            pool.health_check(check).panic_threshold(0).in_flight_limit(1)
        });
        world.layer = match terms {
            Terms::AtOnce => world.layer.clone(),
            Terms::Grace => world.layer.clone().grace(Duration::from_secs(GRACE)),
            Terms::Strict => world.layer.clone().strict(),
        };
        let mut scene = Self {
            world,
            sick,
            terms,
            now: 0,
            members: IDS.iter().map(|id| ((*id).to_owned(), Known::default())).collect(),
            refusing: HashSet::new(),
            open: HashMap::new(),
        };
        scene.pass(2);
        scene
    }

    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds * 4 {
            self.world.clock.advance(SECOND / 4);
            run(&mut self.world.driver);
            run(&mut self.world.driver);
        }
        self.now += seconds;
    }

    fn step(&mut self, step: Step) {
        let now = self.now;
        match step {
            Step::Request(session) => self.request(session),
            Step::Pass(seconds) => self.pass(seconds),
            Step::Refuse(id, on) => {
                let mut faults = self.world.backends.0.lock().unwrap();
                for refusing in [&mut self.refusing, &mut faults.refusing] {
                    if on {
                        refusing.insert(IDS[id].to_owned());
                    } else {
                        refusing.remove(IDS[id]);
                    }
                }
            }
            Step::Sick(id, on) => {
                let mut sick = self.sick.0.lock().unwrap();
                if on {
                    sick.insert(IDS[id].to_owned())
                } else {
                    sick.remove(IDS[id])
                };
                drop(sick);
                // Found out within the next two seconds: who is told so in between is not asked for.
                let before = self.members.get(IDS[id]).and_then(|known| known.sick);
                self.pass(2);
                if let Some(known) = self.members.get_mut(IDS[id]) {
                    known.sick = on.then(|| before.unwrap_or(now));
                }
            }
            Step::Drain(id) => {
                self.world.order(|handle| drop(handle.drain(IDS[id])));
                self.known(id, |known| (known.drains, known.leave) = (true, None));
            }
            Step::DrainWithin(id, time) => {
                self.world
                    .order(|handle| drop(handle.drain_within(IDS[id], Duration::from_secs(time))));
                self.known(id, |known| (known.drains, known.leave) = (true, Some(now + time)));
            }
            Step::Undrain(id) => {
                self.world.order(|handle| drop(handle.undrain(IDS[id])));
                self.known(id, |known| (known.drains, known.leave) = (false, None));
            }
            Step::Remove(id) => {
                self.open.remove(IDS[id]);
                self.world.order(|handle| drop(handle.remove(IDS[id])));
                self.members.remove(IDS[id]);
            }
            Step::Insert(id) => {
                self.world.order(|handle| drop(handle.insert(endpoint(IDS[id]))));
                let is_sick = self.sick.0.lock().unwrap().contains(IDS[id]);
                let is_new = !self.members.contains_key(IDS[id]);
                self.members.entry(IDS[id].to_owned()).or_default();
                // It is asked at once, and unfit until it has answered.
                self.pass(2);
                self.known(id, |known| {
                    if is_new {
                        known.sick = is_sick.then_some(now);
                    }
                });
            }
            Step::Fill(id, on) => {
                self.open.remove(IDS[id]);
                self.known(id, |known| known.full = false);
                if !on {
                    return;
                }
                let ask = Ask::new().with_home(Home::new(IDS[id])).strictly();
                if let Ok(lease) = self.world.pool.pick(&ask) {
                    let id = lease.backend_id().to_owned();
                    self.members.get_mut(&id).unwrap().full = true;
                    self.open.insert(id, lease);
                }
            }
        }
    }

    fn known(&mut self, id: usize, change: impl FnOnce(&mut Known)) {
        if let Some(known) = self.members.get_mut(IDS[id]) {
            change(known);
        }
    }

    fn has_left(&self, known: &Known) -> bool {
        known.leave.is_some_and(|leave| leave <= self.now)
    }

    /// One request, and what must have become of it and its session.
    fn request(&mut self, session: u32) {
        let home = self.world.memory.home(session);
        let served = self.world.over(session);
        let after = self.world.memory.home(session);
        let context = format!(
            "at {} session {session}: {home:?} -> {served:?} -> {after:?}, {:?}, refusing {:?}, {:?}",
            self.now, self.members, self.refusing, self.terms
        );
        let known = home
            .as_ref()
            .and_then(|home| Some((home.clone(), *self.members.get(home)?)));
        let known = known.filter(|(_, known)| !self.has_left(known));
        if let (Ok(answer), None) = (&served, &known) {
            // Anybody new: fit, not draining, not full, and it stays there.
            let by = &answer[..1];
            let member = &self.members[by];
            assert!(!member.drains && member.sick.is_none() && !member.full, "{context}");
            assert!(!self.refusing.contains(by), "{context}");
            assert_eq!(after.as_deref(), Some(by), "{context}");
        }
        let Some((home, known)) = known else {
            return;
        };
        let refuses = self.refusing.contains(&home);
        if known.sick.is_none() && !known.full && !refuses {
            // It can be had, so it is.
            assert_eq!(
                served.as_ref().map(|answer| &answer[..1]).ok(),
                Some(&*home),
                "{context}"
            );
            assert_eq!(after.as_ref(), Some(&home), "{context}");
            return;
        }
        let is_guest = match (self.terms, known.sick) {
            (Terms::AtOnce, Some(_)) => false,
            (Terms::Grace, Some(since)) => {
                // Since the check has seen it: up to two seconds later.
                let for_so_long = self.now - since;
                if (GRACE..=GRACE + 2).contains(&for_so_long) {
                    return;
                }
                for_so_long < GRACE
            }
            (Terms::AtOnce, None) => known.full,
            (Terms::Grace, None) => true,
            (Terms::Strict, _) => {
                assert!(served.is_err(), "{context}");
                assert_eq!(after.as_ref(), Some(&home), "{context}");
                return;
            }
        };
        match (&served, is_guest) {
            (Err(_), _) | (_, true) => assert_eq!(after.as_ref(), Some(&home), "{context}"),
            (Ok(answer), false) => assert_eq!(after.as_deref(), Some(&answer[..1]), "{context}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn a_session_is_at_home_wherever_that_can_be_had_and_moves_only_as_it_is_said(
        terms in prop_oneof![Just(Terms::AtOnce), Just(Terms::Grace), Just(Terms::Strict)],
        steps in vec(any_step(), 1..60),
    ) {
        let mut scene = Scene::new(terms);
        for step in steps {
            scene.step(step);
        }
    }
}
