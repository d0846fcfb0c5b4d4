//! A response's content on its way from a backend.

use std::{
    error, fmt,
    pin::Pin,
    task::{Context, Poll},
};

use http_body::{Body, Frame, SizeHint};
use hyper::body::{Bytes, Incoming};

use super::{gap::Gap, sent::Progress};
use crate::BoxError;

/// The content of a backend's response: one that stalls ends in an error, so that nobody takes what has come for all.
pub struct DownstreamBody {
    body: Incoming,
    gap: Gap,
    /// The request's content, if it was still under way: what goes there is no stall.
    upload: Option<Progress>,
}

impl DownstreamBody {
    pub(super) fn new(body: Incoming, gap: Gap, upload: Option<Progress>) -> Self {
        Self { body, gap, upload }
    }
}

impl Body for DownstreamBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                this.gap.moved();
                Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)))
            }
            Poll::Pending => {
                let moved = || this.upload.as_ref().and_then(Progress::moved);
                this.gap.poll_over(cx, moved).map(|()| Some(Err(Stalled.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl fmt::Debug for DownstreamBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownstreamBody")
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

/// A response stopped in the middle.
#[derive(Debug)]
struct Stalled;

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing more of the response came in time")
    }
}

impl error::Error for Stalled {}
