//! What works beside a probe, and ends with it.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, Weak},
    task::Poll,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use parking_lot::Mutex;

type Worker = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Futures that are polled together with one that they work for: hyper's connections need somebody to poll them, and a
/// task would have to be ended, some time after the probe was dropped, while this is dropped with it.
pub(super) struct Crew {
    come: Arc<Mutex<Vec<Worker>>>,
    working: FuturesUnordered<Worker>,
}

impl Crew {
    pub(super) fn new() -> Self {
        Self {
            come: Arc::default(),
            working: FuturesUnordered::new(),
        }
    }

    /// An executor that adds to this.
    pub(super) fn recruiter(&self) -> Recruiter {
        Recruiter(Arc::downgrade(&self.come))
    }

    /// The outcome of a future that needs all of these to go on.
    pub(super) async fn beside<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(output) = future.as_mut().poll(cx) {
                    return Poll::Ready(output);
                }
                while let Poll::Ready(Some(())) = self.working.poll_next_unpin(cx) {}
                let come = std::mem::take(&mut *self.come.lock());
                if come.is_empty() {
                    return Poll::Pending;
                }
                self.working.extend(come);
            }
        })
        .await
    }
}

/// Weak, as the workers hold it themselves.
#[derive(Clone)]
pub(super) struct Recruiter(Weak<Mutex<Vec<Worker>>>);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Recruiter {
    fn execute(&self, future: F) {
        if let Some(come) = self.0.upgrade() {
            come.lock().push(Box::pin(future));
        }
    }
}
