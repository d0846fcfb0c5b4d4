//! A request's content on its way to a backend.
//!
//! The backend's client polls it from the task of its connection; the proxy watches it from the client's. What goes
//! wrong on the client's side must not look like the backend's failure: a body that ended in an error would fail the
//! call, and with it the lease. So a broken upload says so to whoever watches and then just hangs; the watcher gives the
//! call up, which counts as cancelled, and answers in its own name. Once nobody watches any more, it does end in an
//! error: then that is how the connection to the backend learns that there is no more to come.

use std::{
    error, fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use pin_project_lite::pin_project;

use super::{forwarded, gap::Gap, hop};
use crate::BoxError;

pin_project! {
    /// The content of a request as a backend's client gets it: the client's own, watched by the proxy.
    pub struct UpstreamBody<D> {
        #[pin]
        body: D,
        // Boxed: most requests have no content, and all of them are moved about a good deal.
        watched: Option<Box<Watched>>,
    }
}

struct Watched {
    shared: Arc<Shared>,
    gap: Gap,
    /// How long the backend's word is waited for before the content is sent without it.
    patience: Gap,
}

/// Why a request's content will not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// It broke off, or is not well formed.
    Invalid,
    /// Nothing came for too long.
    Stalled,
}

/// What the two sides of an upload know of each other.
struct Shared(Mutex<State>);

struct State {
    stage: Stage,
    watcher: Watcher,
    /// Whether it ended with a section of trailers.
    has_trailers: bool,
    /// Whoever polls the body, when it has to wait for the watcher.
    body: Option<Waker>,
    watch: Option<Waker>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The client waits to be asked for it, and so is not polled: hyper would ask.
    Held,
    Flowing,
    Broken(Broken),
    /// It will never be asked for: there is an answer without it.
    Unwanted,
    Ended,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Watcher {
    AwaitsHead,
    /// The answer has begun: how long it may take is now the answer's own affair.
    AwaitsEnd,
    Gone,
}

/// The proxy's view of an upload. Dropped, it lets go of what is left.
pub(super) struct UploadWatch(Arc<Shared>);

impl<D: Body> UpstreamBody<D> {
    /// A body that stalls after `gap`; with `held`, one that waits for so long to be asked for.
    pub(super) fn watched(body: D, gap: Duration, held: Option<Duration>) -> (Self, Option<UploadWatch>) {
        if body.is_end_stream() {
            return (Self::from(body), None);
        }
        let shared = Arc::new(Shared(Mutex::new(State {
            stage: if held.is_some() { Stage::Held } else { Stage::Flowing },
            watcher: Watcher::AwaitsHead,
            has_trailers: false,
            body: None,
            watch: None,
        })));
        let watched = Watched {
            shared: Arc::clone(&shared),
            gap: Gap::new(gap),
            patience: Gap::new(held.unwrap_or_default()),
        };
        let watched = Some(Box::new(watched));
        (Self { body, watched }, Some(UploadWatch(shared)))
    }
}

/// A body that nobody watches.
impl<D> From<D> for UpstreamBody<D> {
    fn from(body: D) -> Self {
        Self { body, watched: None }
    }
}

impl<D> fmt::Debug for UpstreamBody<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamBody").finish_non_exhaustive()
    }
}

impl<D: Body<Error: Into<BoxError>>> Body for UpstreamBody<D> {
    type Data = D::Data;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<D::Data>, BoxError>>> {
        let mut this = self.project();
        let Some(watched) = this.watched else {
            return this.body.poll_frame(cx).map_err(Into::into);
        };
        if let Some(waits) = watched.poll_stopped(cx) {
            return waits;
        }
        match this.body.as_mut().poll_frame(cx) {
            Poll::Ready(Some(Ok(mut frame))) => {
                if let Some(trailers) = frame.trailers_mut() {
                    watched.shared.0.lock().has_trailers = true;
                    hop::strip_trailers(trailers);
                    forwarded::forget(trailers);
                }
                watched.moved(this.body.is_end_stream());
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                watched.moved(true);
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => watched.break_off(Broken::Invalid, cx, Some(error.into())),
            Poll::Pending => match watched.gap.poll_over(cx, || None) {
                Poll::Ready(()) => watched.break_off(Broken::Stalled, cx, None),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Watched {
    /// Whether there is nothing to be read just now, and what is to be said instead.
    fn poll_stopped<T>(&mut self, cx: &mut Context<'_>) -> Option<Poll<Option<Result<T, BoxError>>>> {
        let mut state = self.shared.0.lock();
        match state.stage {
            Stage::Flowing | Stage::Ended => return None,
            Stage::Held if state.watcher == Watcher::AwaitsHead => {
                if self.patience.poll_over(cx, || None).is_ready() {
                    state.stage = Stage::Flowing;
                    return None;
                }
            }
            _ if state.watcher == Watcher::Gone => return Some(Poll::Ready(Some(Err(Unfinished.into())))),
            Stage::Held | Stage::Broken(_) | Stage::Unwanted => {}
        }
        let last = register(&mut state.body, cx);
        drop(state);
        drop(last);
        Some(Poll::Pending)
    }

    fn moved(&mut self, ended: bool) {
        self.gap.moved();
        if ended {
            self.shared.0.lock().stage = Stage::Ended;
        }
    }

    fn break_off<T>(
        &mut self,
        broken: Broken,
        cx: &mut Context<'_>,
        error: Option<BoxError>,
    ) -> Poll<Option<Result<T, BoxError>>> {
        let mut state = self.shared.0.lock();
        match (state.watcher, broken) {
            (Watcher::Gone, _) => Poll::Ready(Some(Err(error.unwrap_or_else(|| Unfinished.into())))),
            (Watcher::AwaitsEnd, Broken::Stalled) => {
                // The two may well talk in turns; the answer's own gap still counts. Looked at again in a while.
                self.gap.moved();
                drop(state);
                self.gap.poll_over(cx, || None).map(|()| Some(Err(Unfinished.into())))
            }
            (Watcher::AwaitsHead | Watcher::AwaitsEnd, _) => {
                state.stage = Stage::Broken(broken);
                let last = register(&mut state.body, cx);
                let watch = state.watch.take();
                drop(state);
                drop(last);
                watch.into_iter().for_each(Waker::wake);
                Poll::Pending
            }
        }
    }
}

/// Notes whom to wake; returns whom not to, to be dropped outside the lock: a waker's drop is not our code.
fn register(slot: &mut Option<Waker>, cx: &Context<'_>) -> Option<Waker> {
    if slot.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
        return None;
    }
    slot.replace(cx.waker().clone())
}

impl Drop for Watched {
    /// Nobody wants more of it, as no attempt has it any longer: read to the end or not, nothing can go wrong with it now.
    fn drop(&mut self) {
        self.shared.0.lock().stage = Stage::Ended;
    }
}

impl UploadWatch {
    /// Ready once the upload is broken.
    pub(super) fn poll_broken(&self, cx: &mut Context<'_>) -> Poll<Broken> {
        let mut state = self.0.0.lock();
        match state.stage {
            Stage::Broken(broken) => return Poll::Ready(broken),
            Stage::Ended => {}
            Stage::Held | Stage::Flowing | Stage::Unwanted => {
                let last = register(&mut state.watch, cx);
                drop(state);
                drop(last);
            }
        }
        Poll::Pending
    }

    /// The answer has begun. False if it came before the content was asked for, which it then never is.
    pub(super) fn answered(&self) -> bool {
        let mut state = self.0.0.lock();
        state.watcher = Watcher::AwaitsEnd;
        let is_held = state.stage == Stage::Held;
        if is_held {
            state.stage = Stage::Unwanted;
        }
        !is_held
    }

    /// Whether it ended with a section of trailers.
    pub(super) fn has_trailers(&self) -> bool {
        self.0.0.lock().has_trailers
    }

    /// Whether there is nothing more to watch.
    pub(super) fn is_ended(&self) -> bool {
        self.0.0.lock().stage == Stage::Ended
    }

    /// What has it asked for.
    pub(super) fn hold(&self) -> Hold {
        Hold(Arc::clone(&self.0))
    }
}

impl Drop for UploadWatch {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        state.watcher = Watcher::Gone;
        let body = state.body.take();
        drop(state);
        body.into_iter().for_each(Waker::wake);
    }
}

/// Content that waits to be asked for. It goes with the request, in its extensions, to whoever hears the backend: the
/// same in all attempts, as the client is asked once.
#[derive(Clone)]
pub(super) struct Hold(Arc<Shared>);

impl Hold {
    /// Whether it still waits.
    pub(super) fn is_held(&self) -> bool {
        self.0.0.lock().stage == Stage::Held
    }

    /// The backend asks for it, or can't.
    pub(super) fn ask(&self) {
        let mut state = self.0.0.lock();
        if state.stage == Stage::Held {
            state.stage = Stage::Flowing;
            let body = state.body.take();
            drop(state);
            body.into_iter().for_each(Waker::wake);
        }
    }
}

/// What a backend's connection is told of an upload that will not be finished.
#[derive(Debug)]
struct Unfinished;

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client's upload was not finished")
    }
}

impl error::Error for Unfinished {}
