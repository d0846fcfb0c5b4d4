//! The streams of HTTP/2, each a task of its own.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use parking_lot::Mutex;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{exchange::NEWEST, line::after};

/// A client that takes so many bytes in each stall time-out is not stalled.
const PIECE: usize = 64 * 1024;

/// How a response's body flows on a stream of HTTP/2.
///
/// The stream has no say there: a client that opens no window holds up one response while its others move. What can be
/// seen is that hyper asks the body for more only once the client has taken all but the last piece it was given.
#[derive(Default)]
pub(super) struct Flow(Mutex<Pieces>);

#[derive(Default)]
struct Pieces {
    /// When the last piece was given, if nothing was asked for since.
    given: Option<Instant>,
    /// The sizes of the last and of that before it, in bytes.
    sizes: [usize; 2],
}

impl Flow {
    /// hyper asks for more.
    pub(super) fn asked(&self) {
        self.0.lock().given = None;
    }

    /// hyper was given a piece.
    pub(super) fn handed(&self, size: usize) {
        let mut pieces = self.0.lock();
        pieces.given = Some(Instant::now());
        pieces.sizes = [size, pieces.sizes[0]];
    }

    /// When the client must have taken what it was given.
    fn due(&self, stall: Duration) -> Option<Instant> {
        let pieces = self.0.lock();
        let size = pieces.sizes[0].saturating_add(pieces.sizes[1]);
        let times = u32::try_from(size / PIECE).unwrap_or(u32::MAX).saturating_add(1);
        pieces.given.map(|at| after(at, stall.saturating_mul(times)))
    }
}

/// What hyper gives the streams of a connection to.
#[derive(Clone)]
pub(super) struct Streams {
    pub(super) stall: Duration,
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, future: F) {
        tokio::spawn(Stream {
            future,
            // None for what hyper runs beside the streams.
            flow: NEWEST.take(),
            alarm: None,
            stall: self.stall,
        });
    }
}

pin_project! {
    /// A stream that ends, is reset that is, when its client takes nothing for too long.
    struct Stream<F> {
        #[pin]
        future: F,
        flow: Option<Arc<Flow>>,
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
