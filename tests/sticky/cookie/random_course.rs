//! Any course of requests, drains, removals and time, beside a model of it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{
    stage::{Browser, Stage, endpoint},
    *,
};

const IDS: [&str; 4] = ["a", "b", "c", "d"];
const CLIENTS: usize = 5;

#[derive(Clone, Debug)]
enum Step {
    Ask(usize),
    Insert(usize),
    Remove(usize),
    Drain(usize),
    Undrain(usize),
    Pass(u64),
    Forget(usize),
    Copy(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0..CLIENTS;
    let backend = 0..IDS.len();
    prop_oneof![
        12 => client.clone().prop_map(Step::Ask),
        2 => backend.clone().prop_map(Step::Insert),
        1 => backend.clone().prop_map(Step::Remove),
        1 => backend.clone().prop_map(Step::Drain),
        1 => backend.prop_map(Step::Undrain),
        3 => (0u64..600).prop_map(Step::Pass),
        1 => (0u64..4_000).prop_map(Step::Pass),
        1 => client.clone().prop_map(Step::Forget),
        1 => (client.clone(), client).prop_map(|(from, to)| Step::Copy(from, to)),
    ]
}

/// What a client's token says, in seconds.
#[derive(Clone, Debug)]
struct Token {
    home: &'static str,
    created: u64,
    seen: u64,
}

#[derive(Default)]
struct Model {
    now: u64,
    /// Whether it drains.
    members: BTreeMap<&'static str, bool>,
    tokens: [Option<Token>; CLIENTS],
}

impl Model {
    fn of(&self, client: usize) -> Option<Token> {
        let (idle, lifetime) = (IDLE.as_secs(), LIFETIME.as_secs());
        let token = self.tokens[client].clone()?;
        let is_good = self.now - token.seen <= idle + idle / 10 && self.now - token.created <= lifetime;
        is_good.then_some(token)
    }

    /// What is to come of a request, of which it is known who has served it.
    fn check(&mut self, client: usize, by: Option<&str>, is_told: bool) {
        let token = self.of(client);
        let open: BTreeSet<&str> = self
            .members
            .iter()
            .filter(|(_, drains)| !**drains)
            .map(|(id, _)| *id)
            .collect();
        let is_home = |token: &Token| self.members.contains_key(token.home);
        match (&token, by) {
            (Some(token), by) if is_home(token) => {
                assert_eq!(by, Some(token.home), "bound means the same backend");
                let is_due = self.now - token.seen >= IDLE.as_secs() / 10;
                assert_eq!(is_told, is_due, "{token:?} at {}", self.now);
            }
            (_, Some(by)) => {
                assert!(open.contains(by), "{by} takes no new sessions");
                assert!(is_told, "a session begins or moves");
            }
            (_, None) => assert!(open.is_empty(), "{open:?} would serve"),
        }
        if is_told {
            let home = IDS.into_iter().find(|id| Some(*id) == by).unwrap();
            self.tokens[client] = Some(Token {
                home,
                created: token.map_or(self.now, |token| token.created),
                seen: self.now,
            });
        }
    }
}

fn run(steps: &[Step], has_failover: bool) {
    let mut stage = Stage::new(&[("a", 1), ("b", 1)], has_failover, |layer| layer);
    let mut model = Model {
        members: BTreeMap::from([("a", false), ("b", false)]),
        ..Model::default()
    };
    let mut browsers: [Browser; CLIENTS] = Default::default();
    for step in steps {
        match *step {
            Step::Ask(client) => {
                let outcome = stage.ask(&mut browsers[client]);
                let (by, headers) = outcome.map_or((None, HeaderMap::new()), |(by, headers)| (Some(by), headers));
                model.check(client, by.as_deref(), headers.contains_key(SET_COOKIE));
            }
            Step::Insert(at) => {
                drop(stage.handle.insert(endpoint(IDS[at], 1)));
                model.members.entry(IDS[at]).or_insert(false);
            }
            Step::Remove(at) => {
                drop(stage.handle.remove(IDS[at]));
                model.members.remove(IDS[at]);
            }
            Step::Drain(at) => {
                drop(stage.handle.drain(IDS[at]));
                model.members.entry(IDS[at]).and_modify(|drains| *drains = true);
            }
            Step::Undrain(at) => {
                drop(stage.handle.undrain(IDS[at]));
                model.members.entry(IDS[at]).and_modify(|drains| *drains = false);
            }
            Step::Pass(seconds) => {
                stage.pass(Duration::from_secs(seconds));
                model.now += seconds;
            }
            Step::Forget(client) => {
                browsers[client] = Browser::default();
                model.tokens[client] = None;
            }
            Step::Copy(from, to) => {
                browsers[to] = Browser(browsers[from].0.clone());
                model.tokens[to] = model.tokens[from].clone();
            }
        }
        stage.drive();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn bound_means_the_same_backend(steps in proptest::collection::vec(step(), 1..120), has_failover: bool) {
        run(&steps, has_failover);
    }
}
