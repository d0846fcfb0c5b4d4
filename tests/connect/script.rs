//! Services whose readiness, answers and ends are up to the test, and the maker that makes them.

use std::{
    collections::HashMap,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
    time::Duration,
};

use equipoise::{Backend, Endpoint};
use tokio::{sync::Semaphore, time::Instant};
use tower::Service;

/// What comes of an attempt to connect.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Plan {
    #[default]
    Connect,
    Refuse,
    /// It goes on until the plan is another one.
    Hang,
    /// The maker's call panics.
    Panic,
    /// The maker's future panics.
    PanicLater,
    /// There is a service, which fails when it is asked.
    DieAtOnce,
}

/// What a service says when it is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Says {
    Ready,
    Pending,
    Broken,
    Panic,
}

/// The maker, and all that it made.
#[derive(Clone, Default)]
pub(crate) struct Stage(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    plans: HashMap<String, Plan>,
    default: Plan,
    attempts: Vec<(String, Instant)>,
    connecting: usize,
    most_connecting: usize,
    hanging: Vec<Waker>,
    links: Vec<Remote>,
    one_at_a_time: bool,
    holds: bool,
}

impl Stage {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap()
    }

    /// What comes of all attempts from now on.
    pub(crate) fn plan_all(&self, plan: Plan) {
        let mut book = self.book();
        book.default = plan;
        book.plans.clear();
        book.hanging.drain(..).for_each(Waker::wake);
    }

    /// What comes of one member's attempts from now on.
    pub(crate) fn plan(&self, id: &str, plan: Plan) {
        let mut book = self.book();
        book.plans.insert(id.to_owned(), plan);
        book.hanging.drain(..).for_each(Waker::wake);
    }

    /// Services made from now on take one request at a time.
    pub(crate) fn one_at_a_time(&self) {
        self.book().one_at_a_time = true;
    }

    /// Services made from now on answer only when they are told to.
    pub(crate) fn hold(&self) {
        self.book().holds = true;
    }

    pub(crate) fn attempts(&self) -> Vec<(String, Instant)> {
        self.book().attempts.clone()
    }

    /// The times between the attempts of one member.
    pub(crate) fn delays(&self, id: &str) -> Vec<Duration> {
        let attempts = self.attempts();
        let times: Vec<_> = attempts.iter().filter(|(of, _)| of == id).map(|(_, at)| *at).collect();
        times.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    /// Who is, or was, being connected: in order.
    pub(crate) fn order(&self) -> Vec<String> {
        self.book().attempts.iter().map(|(id, _)| id.clone()).collect()
    }

    pub(crate) fn connecting(&self) -> usize {
        self.book().connecting
    }

    pub(crate) fn most_connecting(&self) -> usize {
        self.book().most_connecting
    }

    /// All services that were ever made, in order.
    pub(crate) fn links(&self) -> Vec<Remote> {
        self.book().links.clone()
    }

    /// The newest service of a member.
    pub(crate) fn link(&self, id: &str) -> Remote {
        let links = self.links();
        links.into_iter().rev().find(|link| link.id == id).unwrap()
    }

    /// How many services there are now.
    pub(crate) fn open(&self) -> usize {
        self.links().iter().filter(|link| !link.is_dropped()).count()
    }
}

impl Service<Endpoint<u16>> for Stage {
    type Response = Link;
    type Error = io::Error;
    type Future = Connecting;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, backend: Endpoint<u16>) -> Connecting {
        let id = backend.id().to_owned();
        let mut book = self.book();
        book.attempts.push((id.clone(), Instant::now()));
        let plan = *book.plans.get(&id).unwrap_or(&book.default);
        if plan == Plan::Panic {
            drop(book);
            panic!("no maker for {id}");
        }
        book.connecting += 1;
        book.most_connecting = book.most_connecting.max(book.connecting);
        drop(book);
        Connecting {
            stage: self.clone(),
            id,
            port: *backend.target(),
        }
    }
}

pub(crate) struct Connecting {
    stage: Stage,
    id: String,
    port: u16,
}

impl Future for Connecting {
    type Output = io::Result<Link>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Link>> {
        let mut book = self.stage.book();
        let plan = *book.plans.get(&self.id).unwrap_or(&book.default);
        let says = match plan {
            Plan::Connect | Plan::Panic => Says::Ready,
            Plan::DieAtOnce => Says::Broken,
            Plan::Refuse => return Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into())),
            Plan::PanicLater => {
                drop(book);
                panic!("no connection for {}", self.id);
            }
            Plan::Hang => {
                book.hanging.push(cx.waker().clone());
                return Poll::Pending;
            }
        };
        let remote = Remote {
            id: self.id.clone(),
            port: self.port,
            number: book.links.len(),
            one_at_a_time: book.one_at_a_time,
            state: Arc::new(Mutex::new(State {
                says,
                waker: None,
                calls: 0,
                polls: 0,
                dropped: false,
            })),
            answers: Arc::new(Semaphore::new(if book.holds { 0 } else { Semaphore::MAX_PERMITS / 2 })),
        };
        book.links.push(remote.clone());
        Poll::Ready(Ok(Link(remote)))
    }
}

impl Drop for Connecting {
    fn drop(&mut self) {
        self.stage.book().connecting -= 1;
    }
}

/// A service, as the test sees it.
#[derive(Clone)]
pub(crate) struct Remote {
    pub(crate) id: String,
    pub(crate) port: u16,
    number: usize,
    one_at_a_time: bool,
    state: Arc<Mutex<State>>,
    answers: Arc<Semaphore>,
}

struct State {
    says: Says,
    waker: Option<Waker>,
    calls: usize,
    polls: usize,
    dropped: bool,
}

impl Remote {
    /// A service that is not a maker's.
    pub(crate) fn new(id: &str) -> Self {
        let stage = Stage::default();
        let mut connecting = stage.clone().call(Endpoint::new(id, 1));
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(Ok(link)) = Pin::new(&mut connecting).poll(&mut cx) else {
            panic!("it connects");
        };
        let remote = link.0.clone();
        std::mem::forget(link);
        remote
    }

    pub(crate) fn link(&self) -> Link {
        Link(self.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// From now on it says so, and whoever asked it is told.
    pub(crate) fn says(&self, says: Says) {
        let waker = {
            let mut state = self.state();
            state.says = says;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Answers so many requests.
    pub(crate) fn answer(&self, requests: usize) {
        self.answers.add_permits(requests);
    }

    pub(crate) fn calls(&self) -> usize {
        self.state().calls
    }

    /// How often it was asked.
    pub(crate) fn polls(&self) -> usize {
        self.state().polls
    }

    pub(crate) fn is_dropped(&self) -> bool {
        self.state().dropped
    }
}

/// A member's service: neither `Clone` nor `Sync`.
pub(crate) struct Link(Remote);

impl Service<u32> for Link {
    type Response = String;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<String>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.state();
        state.polls += 1;
        match state.says {
            Says::Ready => Poll::Ready(Ok(())),
            Says::Broken => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Says::Pending => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            Says::Panic => {
                drop(state);
                panic!("{} cannot say", self.0.id);
            }
        }
    }

    fn call(&mut self, request: u32) -> Self::Future {
        let remote = self.0.clone();
        let mut state = remote.state();
        assert_eq!(state.says, Says::Ready, "called without being ready");
        if request == PANIC {
            drop(state);
            panic!("{} cannot take it", remote.id);
        }
        state.calls += 1;
        if remote.one_at_a_time {
            state.says = Says::Pending;
        }
        if request == BREAK {
            state.says = Says::Broken;
        }
        drop(state);
        let busy = remote.one_at_a_time.then(|| Busy(remote.clone()));
        Box::pin(async move {
            let _busy = busy;
            if let Ok(answer) = remote.answers.acquire().await {
                answer.forget();
            }
            if request == FAIL {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(format!("{}:{}#{}", remote.id, remote.port, remote.number))
        })
    }
}

/// A request that a service panics at.
pub(crate) const PANIC: u32 = u32::MAX;
/// A request that a service answers with an error.
pub(crate) const FAIL: u32 = u32::MAX - 1;

/// The last request that a service answers.
pub(crate) const BREAK: u32 = u32::MAX - 2;

/// A service that takes one request at a time is busy until this is dropped.
struct Busy(Remote);

impl Drop for Busy {
    fn drop(&mut self) {
        if self.0.state().says == Says::Pending {
            self.0.says(Says::Ready);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.0.state().dropped = true;
    }
}
