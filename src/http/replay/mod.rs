//! A request's content that can be sent again.

mod kept;
mod state;
#[cfg(all(test, not(loom)))]
mod tests;

use std::{
    error, fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;

use self::state::{Next, Rest, State};
use crate::BoxError;

/// A request's content that can be sent again, as long as what was read of it fits a bound.
///
/// Several handles share one live body. Each gives the same content from its beginning, trailers included: first what
/// was kept of it, then what is read on from the live body. Keep one that is not read, and whenever the request is to be
/// sent again, send [another](Self::again):
///
/// ```
/// use equipoise::http::Replay;
/// use http_body_util::{BodyExt, Full};
/// use hyper::body::Bytes;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let first = Replay::new(Full::<Bytes>::from("content"), 64 * 1024);
/// let spare = first.again().expect("nothing was read yet");
/// // The first attempt fails somewhere in the middle …
/// drop(first.collect().await);
/// // … and the next one gets all of it.
/// let second = spare.again().expect("it fits the bound");
/// assert_eq!(second.collect().await.unwrap().to_bytes(), "content");
/// # });
/// ```
///
/// # What is kept
/// Content is kept from its first byte on, for as long as there is another handle that was not read from and all that was
/// read fits the bound, in bytes, trailers included. With that handle dropped, or the bound exceeded, what was kept is let
/// go and the rest passes through as it is: a large upload costs no memory once nobody needs it again. What is known to be
/// too long is never kept. It is copied, so that small parts don't hold the large buffers that they were read into: the
/// bound holds for the memory of the copies too.
///
/// Content that is [over](Body::is_end_stream) at once, as that of a GET, takes neither memory nor a lock.
///
/// # Who reads on
/// The newest handle that was polled: from then on, whoever was made before it gets no more than what is kept, and then
/// [`Superseded`]; one that is waiting for more is woken and told. So an attempt that is given up can't take what
/// the next one needs. Two at once, as in hedging, go well if the content [is complete](Self::is_complete).
///
/// # Errors
/// The live body's own error goes to the one handle that reads, as it is (`Into<BoxError>`). Others get [`NotKept`] for
/// what is no longer there. After an error a handle has ended.
///
/// The idea, one bounded buffer beside a body that is still coming, is that of
/// [linkerd2-proxy](https://linkerd.io/2021/10/26/how-linkerd-retries-http-requests-with-bodies/); there, the state moves
/// from a body to the next when the former is dropped.
pub struct Replay<D> {
    /// None for content that was over at once.
    handle: Option<Handle<D>>,
}

struct Handle<D> {
    shared: Arc<Shared<D>>,
    id: u64,
}

/// The two are locked in this order. The state is never locked while code runs that is not this module's, such as the
/// live body's or the drop of a waker: that may well drop another handle.
struct Shared<D> {
    live: Mutex<Option<D>>,
    state: Mutex<State>,
}

impl<D: Body> Replay<D> {
    /// The first handle of this content, of which at most `limit` bytes are kept.
    pub fn new(body: D, limit: usize) -> Self {
        if body.is_end_stream() {
            return Self { handle: None };
        }
        let state = State::new(body.size_hint(), limit);
        let shared = Arc::new(Shared {
            live: Mutex::new(Some(body)),
            state: Mutex::new(state),
        });
        let handle = Some(Handle {
            shared,
            id: State::FIRST,
        });
        Self { handle }
    }
}

impl<D> Replay<D> {
    /// Another handle, which gives the same content from its beginning; it is the newest of all.
    ///
    /// None if some of what was read is no longer kept, or the live body has failed. Before anything was read there always
    /// is one, however long the content.
    pub fn again(&self) -> Option<Self> {
        let Some(handle) = &self.handle else {
            return Some(Self { handle: None });
        };
        let id = handle.shared.state.lock().again()?;
        let shared = Arc::clone(&handle.shared);
        let handle = Some(Handle { shared, id });
        Some(Self { handle })
    }

    /// Whether all that this handle has still to give is kept, so that it does not depend on who else reads.
    pub fn is_complete(&self) -> bool {
        (self.handle.as_ref()).is_none_or(|handle| handle.shared.state.lock().is_complete(handle.id))
    }

    /// How many bytes have been read of the live body, and whether who read last waits for more of it.
    pub(in crate::http) fn progress(&self) -> (u64, bool) {
        (self.handle.as_ref()).map_or((0, false), |handle| handle.shared.state.lock().progress())
    }

    /// Whether the live body has been read to its end, by whichever handle.
    pub fn is_read(&self) -> bool {
        (self.handle.as_ref()).is_none_or(|handle| handle.shared.state.lock().is_read())
    }
}

impl<D: Body<Error: Into<BoxError>> + Unpin> Body for Replay<D> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &self.handle {
            Some(handle) => handle.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        (self.handle.as_ref()).is_none_or(|handle| handle.shared.state.lock().is_over(handle.id))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.handle {
            Some(handle) => handle.shared.state.lock().size_hint(handle.id),
            None => SizeHint::with_exact(0),
        }
    }
}

impl<D: Body<Error: Into<BoxError>> + Unpin> Handle<D> {
    fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        // Before the locks, so that they are gone when these are woken or dropped.
        let superseded;
        let (mut last, mut over) = (None, None);
        let polled = {
            let mut live = self.shared.live.lock();
            let mut state = self.shared.state.lock();
            superseded = state.take_over(self.id);
            match state.next(self.id) {
                Next::Ready(frame) => Poll::Ready(frame),
                Next::ReadOn => {
                    drop(state);
                    let polled = self.read_on(&mut live, cx, &mut last);
                    if self.shared.state.lock().is_read() {
                        over = live.take();
                    }
                    polled
                }
            }
        };
        superseded.into_iter().for_each(Waker::wake);
        drop((last, over));
        polled
    }

    fn read_on(
        &self,
        live: &mut Option<D>,
        cx: &mut Context<'_>,
        last: &mut Option<Waker>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            let polled = live.as_mut().map(|body| (Pin::new(&mut *body).poll_frame(cx), body));
            let (frame, body) = match polled {
                Some((Poll::Ready(Some(Ok(frame))), body)) => (frame, body),
                Some((Poll::Ready(Some(Err(error))), _)) => {
                    self.shared.state.lock().end(self.id, Rest::Gone);
                    return Poll::Ready(Some(Err(error.into())));
                }
                Some((Poll::Pending, _)) => {
                    *last = self.shared.state.lock().wait(cx);
                    return Poll::Pending;
                }
                Some((Poll::Ready(None), _)) | None => {
                    self.shared.state.lock().end(self.id, Rest::Over(None));
                    return Poll::Ready(None);
                }
            };
            match frame.into_data() {
                Ok(mut data) => {
                    let data = data.copy_to_bytes(data.remaining());
                    let rest = if body.is_end_stream() {
                        Rest::Over(None)
                    } else {
                        Rest::Live(body.size_hint())
                    };
                    self.shared.state.lock().read(self.id, &data, rest);
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Err(frame) => {
                    // There are no other kinds; should there ever be, they are to be passed over.
                    if let Ok(trailers) = frame.into_trailers() {
                        self.shared
                            .state
                            .lock()
                            .end(self.id, Rest::Over(Some(trailers.clone())));
                        return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                    }
                }
            }
        }
    }
}

impl<D> Drop for Handle<D> {
    fn drop(&mut self) {
        let last = self.shared.state.lock().remove(self.id);
        drop(last);
    }
}

impl<D> fmt::Debug for Replay<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay").finish_non_exhaustive()
    }
}

/// A newer handle of the same content reads on, so that this one gets no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Superseded;

impl fmt::Display for Superseded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the rest of the content goes to a newer attempt")
    }
}

impl error::Error for Superseded {}

/// What a handle has yet to give is no longer there: it was more than the bound, or the content broke off, and
/// another handle has got the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotKept;

impl fmt::Display for NotKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the content is no longer there to be sent again")
    }
}

impl error::Error for NotKept {}
