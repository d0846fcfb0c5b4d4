//! Traffic is kept off bad backends quickly, never off all of them, and they are brought back gently.

mod contract;
mod drain;
mod ejection;
mod explained;
mod health;
mod homes;
mod places;
mod slow_start;
mod tiers;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use equipoise::{
    AnySelector, Ask, Driver, Event, Events, HealthCheck, HealthProbe, ManualClock, Member, Outcome, Pool, PoolBuilder,
    Strategy, health::Report,
};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// What backends answer when they are asked, by id: as they should unless said otherwise.
#[derive(Clone, Default)]
struct Answers(Arc<Mutex<HashMap<String, Result<Report, &'static str>>>>);

impl Answers {
    fn set(&self, id: &str, answer: Result<Report, &'static str>) {
        self.0.lock().unwrap().insert(id.to_owned(), answer);
    }
}

impl HealthProbe<Plain> for Answers {
    type Error = &'static str;

    async fn probe(&self, backend: &Plain) -> Result<Report, &'static str> {
        let answers = self.0.lock().unwrap();
        answers
            .get(equipoise::Backend::id(backend))
            .copied()
            .unwrap_or_else(|| Ok(Report::new()))
    }
}

/// A pool on a clock that is moved by hand.
struct Stage {
    time: ManualClock,
    pool: Pool<Plain, AnySelector<Plain>>,
    driver: Driver<Plain, AnySelector<Plain>>,
    events: Events,
    answers: Answers,
}

impl Stage {
    fn new(
        strategy: &str,
        backends: Vec<Plain>,
        build: impl FnOnce(
            PoolBuilder<Plain, AnySelector<Plain>>,
            HealthCheck<Plain>,
        ) -> PoolBuilder<Plain, AnySelector<Plain>>,
    ) -> Self {
        let (time, answers) = (ManualClock::new(), Answers::default());
        let strategy: Strategy = strategy.parse().unwrap();
        let builder = Pool::builder_on(time.clock()).selector(strategy.selector()).seed(7);
        let check = HealthCheck::new(answers.clone());
        let (pool, mut driver) = build(builder.backends(backends), check).build();
        let events = pool.events();
        run(&mut driver);
        Self {
            time,
            pool,
            driver,
            events,
            answers,
        }
    }

    /// Time goes by, in steps that are short enough for every timer.
    fn pass(&mut self, time: Duration) {
        let step = Duration::from_millis(50);
        let mut left = time;
        while !left.is_zero() {
            let now = left.min(step);
            self.time.advance(now);
            left -= now;
            run(&mut self.driver);
        }
    }

    fn told(&mut self) -> Vec<Event> {
        run(&mut self.driver);
        told(&mut self.events)
    }

    fn member(&self, id: &str) -> Member<Plain> {
        let mut members = self.pool.members().into_iter();
        members
            .find(|member| equipoise::Backend::id(&*member.backend) == id)
            .unwrap()
    }

    /// The parts of so many picks that go to each, each at a time.
    fn shares(&mut self, picks: usize) -> HashMap<String, f64> {
        let mut shares = HashMap::new();
        for key in 0..picks {
            let ask = Ask::new().with_key(key_of(key as u64));
            if let Ok(mut lease) = self.pool.pick(&ask) {
                *shares.entry(lease.backend_id().to_owned()).or_insert(0.0) += 1.0 / picks as f64;
                lease.settle(Outcome::Cancelled);
            }
        }
        shares
    }

    /// A request that goes so, wherever it goes.
    fn request(&mut self, outcome: impl Fn(&str) -> Outcome) -> String {
        let mut lease = self.pool.pick(&Ask::new()).unwrap();
        let id = lease.backend_id().to_owned();
        lease.settle(outcome(&id));
        drop(lease);
        run(&mut self.driver);
        id
    }
}

/// As if a hash had made it: SplitMix64.
fn key_of(number: u64) -> u64 {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn is_near(share: f64, expected: f64) -> bool {
    (share - expected).abs() <= 0.02
}
