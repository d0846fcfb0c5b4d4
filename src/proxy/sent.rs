//! A request's content as a backend's client sends it: what is to be known of this one attempt.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::upload::Hold;

pin_project! {
    /// A body that tells how far it is, if it is not over at once.
    pub(super) struct SentBody<B> {
        #[pin]
        body: B,
        sending: Option<Sending>,
    }
}

/// The sender's side.
struct Sending(Arc<Mutex<State>>);

struct State {
    /// Whether anybody has asked for a part of it.
    polled: bool,
    /// When a part of it went through.
    moved: Option<Instant>,
    /// Whether it is waited for: it was asked for more, and has not given it.
    is_awaited: bool,
    is_dropped: bool,
}

/// How far the content of a request is on its way to a backend.
#[derive(Clone)]
pub(super) struct Progress {
    state: Arc<Mutex<State>>,
    hold: Option<Hold>,
}

impl<B: Body> SentBody<B> {
    /// What tells how far it is, if there is any content; `hold` is what it may be held for.
    pub(super) fn new(body: B, hold: Option<Hold>) -> (Self, Option<Progress>) {
        if body.is_end_stream() {
            return (Self { body, sending: None }, None);
        }
        let state = Arc::new(Mutex::new(State {
            // What is known to be empty need not be asked for to be sent.
            polled: body.size_hint().exact() == Some(0),
            moved: None,
            is_awaited: false,
            is_dropped: false,
        }));
        let sending = Some(Sending(Arc::clone(&state)));
        (Self { body, sending }, Some(Progress { state, hold }))
    }
}

impl<B: Body> Body for SentBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let Some(Sending(state)) = this.sending else {
            return this.body.poll_frame(cx);
        };
        let polled = this.body.poll_frame(cx);
        let mut state = state.lock();
        state.polled = true;
        state.is_awaited = polled.is_pending();
        let frame = ready!(polled);
        if !matches!(frame, Some(Err(_))) {
            state.moved = Some(Instant::now());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Sending {
    /// The backend's client wants no more of it, read to the end or not.
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_awaited = false;
        state.is_dropped = true;
    }
}

impl Progress {
    /// When a part of it last went through.
    pub(super) fn moved(&self) -> Option<Instant> {
        self.state.lock().moved
    }

    /// Since when an answer can be waited for: now, as long as it is the content that is waited for. One that is held
    /// waits for the backend's word.
    pub(super) fn let_go(&self) -> Option<Instant> {
        let state = self.state.lock();
        let (is_awaited, moved) = (state.is_awaited, state.moved);
        drop(state);
        if is_awaited && !self.hold.as_ref().is_some_and(Hold::is_held) {
            return Some(Instant::now());
        }
        moved
    }

    /// Whether the backend got nothing of it, and nobody will say so.
    pub(super) fn is_ignored(&self) -> bool {
        let state = self.state.lock();
        state.is_dropped && !state.polled
    }
}
