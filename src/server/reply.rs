//! A response's body on its way to hyper.

use std::{
    io::IoSlice,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http_body::{Body, Frame, SizeHint};
use hyper::body::{Buf, Bytes};
use pin_project_lite::pin_project;

use super::{in_flight::InFlight, stream::Flow};

/// The most that hyper is given at once for a stream of HTTP/2, in bytes: it takes a piece of any size once the client
/// has opened a window of one byte, and holds it until the client has taken the rest.
const PIECE: usize = 64 * 1024;

pin_project! {
    /// A response's body, with which the request ends.
    pub(super) struct Reply<B: Body> {
        #[pin]
        body: Option<B>,
        // On HTTP/2; and what is left of data that was longer than a piece.
        flow: Option<Arc<Flow>>,
        rest: Option<B::Data>,
        in_flight: Option<InFlight>,
    }
}

impl<B: Body> Reply<B> {
    pub(super) fn new(body: Option<B>, flow: Option<Arc<Flow>>, in_flight: Option<InFlight>) -> Self {
        Self {
            body,
            flow,
            rest: None,
            in_flight,
        }
    }
}

impl<B: Body> Body for Reply<B> {
    type Data = Piece<B::Data>;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, B::Error>>> {
        let this = self.project();
        let Some(body) = this.body.as_pin_mut() else {
            return Poll::Ready(None);
        };
        let Some(flow) = this.flow else {
            return body.poll_frame(cx).map_ok(|frame| frame.map_data(Piece::Whole));
        };
        flow.asked();
        let data = match this.rest.take() {
            Some(rest) => rest,
            None => match ready!(body.poll_frame(cx)?) {
                None => return Poll::Ready(None),
                Some(frame) => match frame.into_data() {
                    Ok(data) => data,
                    Err(other) => return Poll::Ready(Some(Ok(other.map_data(Piece::Whole)))),
                },
            },
        };
        flow.handed();
        Poll::Ready(Some(Ok(Frame::data(Piece::of(data, this.rest)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.as_ref().map_or(0, |rest| rest.remaining() as u64);
        let body = self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint);
        let mut both = SizeHint::new();
        both.set_lower(body.lower().saturating_add(rest));
        if let Some(upper) = body.upper() {
            both.set_upper(upper.saturating_add(rest));
        }
        both
    }
}

/// A body's data, or a part of it. A part of [`Bytes`] is no copy.
pub(super) enum Piece<D> {
    Whole(D),
    Part(Bytes),
}

impl<D: Buf> Piece<D> {
    fn of(mut data: D, rest: &mut Option<D>) -> Self {
        if data.remaining() <= PIECE {
            return Self::Whole(data);
        }
        let part = data.copy_to_bytes(PIECE);
        *rest = Some(data);
        Self::Part(part)
    }
}

impl<D: Buf> Buf for Piece<D> {
    fn remaining(&self) -> usize {
        match self {
            Self::Whole(data) => data.remaining(),
            Self::Part(part) => part.remaining(),
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::Whole(data) => data.chunk(),
            Self::Part(part) => part.chunk(),
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        match self {
            Self::Whole(data) => data.chunks_vectored(slices),
            Self::Part(part) => part.chunks_vectored(slices),
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Whole(data) => data.advance(count),
            Self::Part(part) => part.advance(count),
        }
    }
}
