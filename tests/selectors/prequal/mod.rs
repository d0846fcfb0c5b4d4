//! Prequal: the rule and the pool on replies made by hand, the probes that the driver makes, and what it comes to.

mod probing;
mod rule;

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use equipoise::{
    Ask, BoxError, Driver, Endpoint, HealthProbe, Home, Lease, LoadReport, ManualClock, Pool, PoolBuilder, Selector,
    health::Report,
};

type Plain = Endpoint<()>;
type Held = Lease<Arc<Plain>>;

fn load(queue: f64, millis: f64) -> LoadReport {
    let latency = Duration::from_secs_f64(millis / 1e3);
    LoadReport::new()
        .with_queue(queue)
        .unwrap()
        .with_latency(latency)
        .unwrap()
}

/// What a member answers to a probe.
#[derive(Clone, Copy)]
enum Answer {
    Load(f64, f64),
    Nothing,
    Error,
    Panic,
    PanicAtOnce,
    Never,
}

/// Answers as told, an idle server where nothing was told, and remembers who was asked.
#[derive(Clone, Default)]
struct Script(Arc<Inner>);

#[derive(Default)]
struct Inner {
    answers: Mutex<HashMap<String, Answer>>,
    asked: Mutex<Vec<String>>,
    open: AtomicUsize,
}

/// A probe under way.
struct Open(Script);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.open.fetch_sub(1, SeqCst);
    }
}

impl Script {
    fn set(&self, id: impl Into<String>, answer: Answer) {
        self.0.answers.lock().unwrap().insert(id.into(), answer);
    }

    /// Who was asked since this was last called.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.0.asked.lock().unwrap())
    }

    fn open(&self) -> usize {
        self.0.open.load(SeqCst)
    }
}

impl HealthProbe<Plain> for Script {
    type Error = BoxError;

    fn probe(&self, backend: &Plain) -> impl Future<Output = Result<Report, BoxError>> + Send {
        let id = equipoise::Backend::id(backend).to_owned();
        let answer = self.0.answers.lock().unwrap().get(&id).copied();
        self.0.asked.lock().unwrap().push(id);
        assert!(!matches!(answer, Some(Answer::PanicAtOnce)), "as scripted");
        self.0.open.fetch_add(1, SeqCst);
        let open = Open(self.clone());
        async move {
            let _open = open;
            match answer.unwrap_or(Answer::Load(0.0, 1.0)) {
                Answer::Load(queue, millis) => Ok(Report::new().with_load(load(queue, millis))),
                Answer::Nothing => Ok(Report::new()),
                Answer::Error => Err("as scripted".into()),
                Answer::Panic | Answer::PanicAtOnce => panic!("as scripted"),
                Answer::Never => std::future::pending().await,
            }
        }
    }
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A pool whose driver runs when told to.
struct Bench<S: Selector<Plain>> {
    clock: ManualClock,
    pool: Pool<Plain, S>,
    driver: Driver<Plain, S>,
    woken: Arc<Woken>,
}

fn builder<S: Selector<Plain>>(clock: &ManualClock, selector: S, weights: &[u32]) -> PoolBuilder<Plain, S> {
    let members = weights.iter().enumerate();
    Pool::builder_on(clock.clock())
        .selector(selector)
        .seed(11)
        .backends(members.map(|(index, weight)| Endpoint::new(id(index), ()).with_weight(*weight)))
}

/// `a` to `z`, then `a1` and so on.
fn id(index: usize) -> String {
    let letter = char::from(b'a' + (index % 26) as u8);
    match index / 26 {
        0 => letter.to_string(),
        round => format!("{letter}{round}"),
    }
}

impl<S: Selector<Plain>> Bench<S> {
    fn new(clock: ManualClock, builder: PoolBuilder<Plain, S>) -> Self {
        let (pool, driver) = builder.build();
        let woken = Arc::default();
        Self {
            clock,
            pool,
            driver,
            woken,
        }
    }

    /// Without probes: replies ride on answers.
    /// With replies made by hand alone: the probe never has one.
    fn unprobed(selector: S, weights: &[u32]) -> Self {
        let clock = ManualClock::new();
        let builder = builder(&clock, selector, weights).probe(Silent);
        Self::new(clock, builder)
    }

    fn probed(selector: S, weights: &[u32], script: &Script) -> Self {
        let clock = ManualClock::new();
        let builder = builder(&clock, selector, weights).probe(script.clone());
        Self::new(clock, builder)
    }

    /// Until the driver waits. Whether it has ended.
    fn run(&mut self) -> bool {
        let waker = Waker::from(Arc::clone(&self.woken));
        let polled = Pin::new(&mut self.driver).poll(&mut Context::from_waker(&waker));
        matches!(polled, Poll::Ready(()))
    }

    fn advance(&mut self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
        self.run();
    }

    fn at(&mut self, id: &str) -> Held {
        self.pool.pick(&Ask::new().with_home(Home::new(id))).unwrap()
    }

    /// A member says how it is.
    fn says(&mut self, id: &str, queue: f64, millis: f64) {
        self.at(id).report(&load(queue, millis));
    }

    fn pick(&mut self) -> Held {
        self.pool.pick(&Ask::new()).unwrap()
    }

    /// Whom the next requests go to, as one word.
    fn word(&mut self, picks: usize) -> String {
        (0..picks).map(|_| self.pick().backend_id().to_owned()).collect()
    }

    /// How many members the next requests go to.
    fn spread(&mut self, picks: usize) -> usize {
        let ids: std::collections::BTreeSet<String> = (0..picks).map(|_| self.pick().backend_id().to_owned()).collect();
        ids.len()
    }
}

/// A probe that is never answered.
struct Silent;

impl<B: equipoise::Backend> HealthProbe<B> for Silent {
    type Error = BoxError;

    async fn probe(&self, _: &B) -> Result<Report, BoxError> {
        std::future::pending().await
    }
}
