//! A response body that keeps its request in flight.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::load::Metered;

pin_project! {
    /// A body whose request is in flight at this server until it ends or is dropped; that of a 101 (Switching Protocols),
    /// which is empty, until it is dropped.
    #[derive(Debug)]
    pub struct ReportedBody<D> {
        #[pin]
        body: D,
        in_flight: Option<Metered>,
    }
}

impl<D: Body> ReportedBody<D> {
    pub(super) fn new(body: D, in_flight: Metered, status: StatusCode) -> Self {
        let is_over = is_over(&body) && status != StatusCode::SWITCHING_PROTOCOLS;
        Self {
            in_flight: (!is_over).then_some(in_flight),
            body,
        }
    }
}

/// A server that knows the end has come, by the body's own word or by its length, does not poll for it.
fn is_over(body: &impl Body) -> bool {
    body.is_end_stream() || body.size_hint().exact() == Some(0)
}

impl<D: Body> Body for ReportedBody<D> {
    type Data = D::Data;
    type Error = D::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<D::Data>, D::Error>>> {
        let mut this = self.project();
        let polled = this.body.as_mut().poll_frame(cx);
        let is_over = match &polled {
            Poll::Pending => false,
            Poll::Ready(None | Some(Err(_))) => true,
            Poll::Ready(Some(Ok(_))) => is_over(&*this.body),
        };
        if is_over {
            *this.in_flight = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
