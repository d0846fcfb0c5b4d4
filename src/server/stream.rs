//! The streams of HTTP/2, each a task of its own.

use std::{
    cell::Cell,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use parking_lot::Mutex;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::line::{Line, after};

thread_local! {
    /// The flow of the stream whose service was called last: hyper calls the service and hands the stream to its
    /// executor in one go, on one thread.
    static NEWEST: Cell<Option<Arc<Flow>>> = const { Cell::new(None) };
}

/// How a response's body flows on a stream of HTTP/2.
///
/// The stream has no say there: a client that opens no window holds up one response while its others move. What can be
/// seen is that hyper asks the body for more only once the client has taken all but the last piece it was given. Here
/// is when that was given, if nothing was asked for since.
#[derive(Default)]
pub(super) struct Flow(Mutex<Option<Instant>>);

impl Flow {
    /// The stream that hyper hands to its executor next has this one; without one it is none of HTTP/2.
    pub(super) fn announce(flow: Option<Arc<Self>>) {
        NEWEST.set(flow);
    }

    /// hyper asks for more.
    pub(super) fn asked(&self) {
        *self.0.lock() = None;
    }

    /// hyper was given a piece.
    pub(super) fn handed(&self) {
        *self.0.lock() = Some(Instant::now());
    }

    /// When the client must have taken what it was given before.
    fn due(&self, stall: Duration) -> Option<Instant> {
        self.0.lock().map(|at| after(at, stall))
    }
}

/// What hyper gives the streams of a connection to.
#[derive(Clone)]
pub(super) struct Streams {
    pub(super) stall: Duration,
    pub(super) line: Arc<Line>,
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, future: F) {
        let flow = NEWEST.take();
        // Without one it is what hyper runs beside the streams: a tunnel, which goes on when its CONNECT is answered.
        let tunnel = flow.is_none().then(|| Tunnel::new(&self.line));
        tokio::spawn(Stream {
            future,
            flow,
            tunnel,
            alarm: None,
            stall: self.stall,
        });
    }
}

/// Counts as a request in flight until it is dropped.
struct Tunnel(Arc<Line>);

impl Tunnel {
    fn new(line: &Arc<Line>) -> Self {
        line.goes_on();
        Self(Arc::clone(line))
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.0.end();
    }
}

pin_project! {
    /// A stream that ends, is reset that is, when its client takes nothing for too long.
    struct Stream<F> {
        #[pin]
        future: F,
        flow: Option<Arc<Flow>>,
        tunnel: Option<Tunnel>,
        #[pin]
        alarm: Option<Sleep>,
        stall: Duration,
    }
}

impl<F: Future<Output = ()>> Future for Stream<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if this.future.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some(flow) = this.flow else { return Poll::Pending };
        loop {
            let Some(due) = flow.due(*this.stall) else {
                return Poll::Pending;
            };
            match this.alarm.as_mut().as_pin_mut() {
                None => this.alarm.set(Some(sleep_until(due))),
                Some(mut alarm) => {
                    // Set for what was given once: only when it fires does it matter what is given now.
                    ready!(alarm.as_mut().poll(cx));
                    if Instant::now() >= due {
                        return Poll::Ready(());
                    }
                    alarm.reset(due);
                }
            }
        }
    }
}
