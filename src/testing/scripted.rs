//! Fake backends that answer as a test has written down.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use parking_lot::Mutex;
use tower_service::Service;

use crate::{Assigned, Backend, BoxError, Clock, Sleep};

/// A service that stands in for all backends of a pool: it answers for each as scripted, and remembers who was asked
/// what. Clones share the script and the memory.
///
/// ```
/// use equipoise::testing::{Call, Reply, Scripted};
/// use equipoise::{BalanceLayer, Endpoint, ManualClock, Pool, RoundRobin};
/// use futures_util::FutureExt;
/// use std::time::Duration;
/// use tower_layer::Layer;
/// use tower_service::Service;
///
/// let time = ManualClock::new();
/// let backends = Scripted::new(time.clock());
/// backends.script("a", [Reply::error("starting up"), Reply::ok("from a")]);
/// backends.script("b", [Reply::ok("from b").after(Duration::from_secs(1))]);
///
/// let (pool, _driver) = Pool::builder_on(time.clock())
///     .selector(RoundRobin::new())
///     .backends(["a", "b"].map(|id| Endpoint::new(id, ())))
///     .build();
/// let mut balanced = BalanceLayer::new(pool).layer(backends.clone());
///
/// let failed = balanced.call("one").now_or_never().unwrap().unwrap_err();
/// assert_eq!(failed.backend(), Some("a"));
///
/// let mut slow = balanced.call("two");
/// assert!((&mut slow).now_or_never().is_none());
/// time.advance(Duration::from_secs(1));
/// assert_eq!(slow.now_or_never().unwrap().unwrap(), "from b");
///
/// assert_eq!(backends.take_calls(), [Call::new("a", "one"), Call::new("b", "two")]);
/// ```
pub struct Scripted<Req, Res> {
    clock: Clock,
    stage: Arc<Mutex<Stage<Req, Res>>>,
}

struct Stage<Req, Res> {
    replies: HashMap<String, VecDeque<Reply<Res>>>,
    calls: Vec<Call<Req>>,
    ready: bool,
    /// Who is told when it is ready.
    waiting: Vec<Waker>,
}

/// A request that came to a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call<Req> {
    /// The backend's id.
    pub backend: String,
    /// The request.
    pub request: Req,
}

impl<Req> Call<Req> {
    /// A call, to compare with.
    pub fn new(backend: impl Into<String>, request: Req) -> Self {
        Self {
            backend: backend.into(),
            request,
        }
    }
}

/// How a backend answers once.
#[derive(Clone, Debug)]
pub struct Reply<Res> {
    answer: Option<Result<Res, String>>,
    after: Duration,
}

impl<Res> Reply<Res> {
    /// This response.
    pub fn ok(response: Res) -> Self {
        Self::of(Some(Ok(response)))
    }

    /// An error that says this.
    pub fn error(what: impl Into<String>) -> Self {
        Self::of(Some(Err(what.into())))
    }

    /// No answer, however long one waits.
    pub fn never() -> Self {
        Self::of(None)
    }

    fn of(answer: Option<Result<Res, String>>) -> Self {
        Self {
            answer,
            after: Duration::ZERO,
        }
    }

    /// The same, so much later by the clock; at once unless said otherwise.
    pub fn after(mut self, delay: Duration) -> Self {
        self.after = delay;
        self
    }
}

impl<Req, Res> Scripted<Req, Res> {
    /// Backends that are ready, and fail every request until they have a [`script`](Scripted::script).
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            stage: Arc::new(Mutex::new(Stage {
                replies: HashMap::new(),
                calls: Vec::new(),
                ready: true,
                waiting: Vec::new(),
            })),
        }
    }

    /// From now on the backend of this id answers so, one after the other, and then always as the last.
    pub fn script(&self, id: impl Into<String>, replies: impl IntoIterator<Item = Reply<Res>>) {
        let replies = replies.into_iter().collect();
        self.stage.lock().replies.insert(id.into(), replies);
    }

    /// Whether `poll_ready` is ready from now on; who waits for that is woken.
    pub fn set_ready(&self, ready: bool) {
        let waiting = {
            let mut stage = self.stage.lock();
            stage.ready = ready;
            if ready {
                std::mem::take(&mut stage.waiting)
            } else {
                Vec::new()
            }
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// The calls since this was last asked, in the order in which they came.
    pub fn take_calls(&self) -> Vec<Call<Req>> {
        std::mem::take(&mut self.stage.lock().calls)
    }
}

impl<Req, Res: Clone> Stage<Req, Res> {
    fn reply(&mut self, id: &str) -> Reply<Res> {
        let replies = self.replies.get_mut(id);
        let next = replies.and_then(|replies| match replies.len() {
            0 | 1 => replies.front().cloned(),
            _ => replies.pop_front(),
        });
        next.unwrap_or_else(|| Reply::error(format!("no answer is scripted for '{id}'")))
    }
}

impl<Req, Res: Clone, B: Backend> Service<Assigned<Req, B>> for Scripted<Req, Res> {
    type Response = Res;
    type Error = BoxError;
    type Future = Replying<Res>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let mut stage = self.stage.lock();
        if stage.ready {
            return Poll::Ready(Ok(()));
        }
        if !stage.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            stage.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    fn call(&mut self, call: Assigned<Req, B>) -> Replying<Res> {
        let id = call.backend.id();
        let Reply { answer, after } = {
            let mut stage = self.stage.lock();
            stage.calls.push(Call::new(id, call.request));
            stage.reply(id)
        };
        let delay = (!after.is_zero()).then(|| self.clock.sleep_until(self.clock.now() + after));
        Replying { answer, delay }
    }
}

impl<Req, Res> Clone for Scripted<Req, Res> {
    fn clone(&self) -> Self {
        Self {
            clock: self.clock.clone(),
            stage: Arc::clone(&self.stage),
        }
    }
}

impl<Req, Res> fmt::Debug for Scripted<Req, Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripted")
            .field("ready", &self.stage.lock().ready)
            .finish_non_exhaustive()
    }
}

/// The future of a [`Scripted`] call.
pub struct Replying<Res> {
    /// None: never.
    answer: Option<Result<Res, String>>,
    delay: Option<Sleep>,
}

impl<Res> Future for Replying<Res> {
    type Output = Result<Res, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(delay) = &mut this.delay {
            std::task::ready!(Pin::new(delay).poll(cx));
            this.delay = None;
        }
        match this.answer.take() {
            Some(answer) => Poll::Ready(answer.map_err(BoxError::from)),
            None => Poll::Pending,
        }
    }
}

impl<Res> Unpin for Replying<Res> {}

impl<Res> fmt::Debug for Replying<Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Replying")
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{BalanceLayer, Endpoint, ManualClock, Pool};
    use futures_util::{FutureExt, task::noop_waker_ref};
    use std::{
        sync::atomic::{AtomicUsize, Ordering::Relaxed},
        task::Wake,
    };
    use tower_layer::Layer;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    type Balanced = crate::Balance<Scripted<u32, &'static str>, Endpoint<()>, crate::LeastLoaded>;

    fn balanced(backends: &Scripted<u32, &'static str>) -> Balanced {
        let pool = Pool::builder_on(backends.clock.clone()).backend(Endpoint::new("a", ()));
        BalanceLayer::new(pool.build().0).layer(backends.clone())
    }

    #[test]
    fn the_last_reply_is_given_again_and_an_unknown_backend_s_is_an_error() {
        let backends = Scripted::new(ManualClock::new().clock());
        let mut service = balanced(&backends);
        let mut answer = |request| {
            service
                .call(request)
                .now_or_never()
                .unwrap()
                .map_err(|error| std::error::Error::source(&error).map(ToString::to_string))
        };
        assert_eq!(answer(0), Err(Some("no answer is scripted for 'a'".to_owned())));
        backends.script("a", [Reply::ok("one"), Reply::ok("two")]);
        assert_eq!([1, 2, 3].map(&mut answer), [Ok("one"), Ok("two"), Ok("two")]);
        assert_eq!(
            backends.take_calls(),
            [0, 1, 2, 3].map(|request| Call::new("a", request))
        );
        assert_eq!(backends.take_calls(), []);
    }

    #[test]
    fn never_is_never_and_not_ready_is_told_when_ready() {
        let manual = ManualClock::new();
        let backends = Scripted::new(manual.clock());
        backends.script("a", [Reply::never().after(Duration::from_secs(1))]);
        let mut service = balanced(&backends);
        let mut call = service.call(0);
        assert!((&mut call).now_or_never().is_none());
        manual.advance(Duration::from_secs(3600));
        assert!(call.now_or_never().is_none());

        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        backends.set_ready(false);
        assert!(Service::<u32>::poll_ready(&mut service, &mut Context::from_waker(&waker)).is_pending());
        assert_eq!(woken.0.load(Relaxed), 0);
        backends.set_ready(true);
        assert_eq!(woken.0.load(Relaxed), 1);
        assert!(Service::<u32>::poll_ready(&mut service, &mut Context::from_waker(noop_waker_ref())).is_ready());
    }
}
