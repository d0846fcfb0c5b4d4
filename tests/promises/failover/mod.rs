//! A request that failed goes to another backend.

mod any;
mod hedging;
mod nested;
mod tries;
mod waits;

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use equipoise::{
    Answer, Assigned, Balance, BalanceLayer, BoxError, Dispatch, Error, FailoverLayer, ManualClock, Pool, RoundRobin,
    Tally, Unsent,
    balance::{FailoverPolicy, Judge, Repeatable, Verdict},
};
use tower::{Layer, Service};

use super::*;

/// What a backend does with a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Answer,
    Fail,
    Refuse,
    AnswerAfter(Duration),
    FailAfter(Duration),
    Never,
}

use Act::{Answer as Good, AnswerAfter, Fail, FailAfter, Never, Refuse};

const MS: Duration = Duration::from_millis(1);

/// By a backend's id and how often it was called, from 1.
type Script = Arc<dyn Fn(&str, usize) -> Act + Send + Sync>;

#[derive(Clone)]
struct Scripted {
    clock: ManualClock,
    script: Script,
    called: Arc<Mutex<Vec<String>>>,
}

impl Service<Assigned<u32, Plain>> for Scripted {
    type Response = String;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<String, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Assigned<u32, Plain>) -> Self::Future {
        let id = equipoise::Backend::id(&*call.backend).to_owned();
        let mut called = self.called.lock().unwrap();
        called.push(id.clone());
        let times = called.iter().filter(|other| **other == id).count();
        let (act, clock) = ((self.script)(&id, times), self.clock.clock());
        Box::pin(async move {
            if let AnswerAfter(time) | FailAfter(time) = act {
                clock.sleep_until(clock.now() + time).await;
            }
            match act {
                Good | AnswerAfter(_) => Ok(id),
                Fail | FailAfter(_) => Err(format!("{id} broke off").into()),
                Refuse => Err(Unsent::new("refused").into()),
                Never => std::future::pending().await,
            }
        })
    }
}

type Turns = Balance<Scripted, Plain, RoundRobin>;

/// Members in turns, from the first, and what becomes of requests to them.
struct World {
    clock: ManualClock,
    pool: Pool<Plain, RoundRobin>,
    called: Arc<Mutex<Vec<String>>>,
    inner: Turns,
    driver: Mutex<Driver<Plain, RoundRobin>>,
}

impl World {
    fn new(ids: &[&str], script: impl Fn(&str, usize) -> Act + Send + Sync + 'static) -> Self {
        Self::with(ids, script, |pool| pool)
    }

    fn with(
        ids: &[&str],
        script: impl Fn(&str, usize) -> Act + Send + Sync + 'static,
        build: impl FnOnce(PoolBuilder<Plain, RoundRobin>) -> PoolBuilder<Plain, RoundRobin>,
    ) -> Self {
        let clock = ManualClock::new();
        let builder = Pool::builder_on(clock.clock()).selector(RoundRobin::new());
        let (pool, driver) = build(builder.backends(endpoints(ids)).seed(1)).build();
        let called = Arc::default();
        let inner = BalanceLayer::new(pool.clone()).layer(Scripted {
            clock: clock.clone(),
            script: Arc::new(script),
            called: Arc::clone(&called),
        });
        Self {
            clock,
            pool,
            called,
            inner,
            driver: Mutex::new(driver),
        }
    }

    /// A call through this layer, to be polled.
    fn call<P>(&self, layer: FailoverLayer<P>) -> impl Future<Output = Result<String, Error>> + Unpin + use<P>
    where
        P: Judge<u32, String> + FailoverPolicy<u32, Sent = u32>,
    {
        Box::pin(layer.seed(1).layer(self.inner.clone()).call(7))
    }

    /// What it comes to, if time stands still.
    fn now<P>(&self, layer: FailoverLayer<P>) -> Option<Result<String, Error>>
    where
        P: Judge<u32, String> + FailoverPolicy<u32, Sent = u32>,
    {
        self.call(layer).now_or_never()
    }

    /// Who was called, in order, since this was last asked.
    fn called(&self) -> String {
        std::mem::take(&mut *self.called.lock().unwrap()).concat()
    }

    fn tally(&self, id: &str) -> Tally {
        let members = self.pool.members();
        members
            .iter()
            .find(|member| equipoise::Backend::id(&*member.backend) == id)
            .unwrap()
            .tally
    }

    fn in_flight(&self) -> usize {
        self.pool.members().iter().map(|member| member.in_flight).sum()
    }
}

/// Who was tried, by what the error says.
fn tried(error: &Error) -> String {
    error.tried().collect()
}
