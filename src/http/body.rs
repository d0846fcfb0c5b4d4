//! A response body that holds its lease.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::{Lease, Outcome};

pin_project! {
    /// A body that keeps its request in flight until it ends or is dropped.
    ///
    /// Read to its end it makes the request a success; an error makes it broken; dropped early, it is cancelled.
    ///
    /// That of a 101 (Switching Protocols) is empty, yet what the connection has become goes on: it keeps its lease
    /// until it is dropped, which makes the request a success. Whoever tunnels keeps the body, or the
    /// [lease](LeasedBody::take_lease), for as long as the tunnel stands.
    #[derive(Debug)]
    pub struct LeasedBody<D: Body> {
        #[pin]
        body: D,
        lease: Option<Lease>,
    }

    impl<D: Body> PinnedDrop for LeasedBody<D> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            // Only a switch of protocols leaves a lease in a body that is over.
            if this.lease.is_some() && is_over(&*this.body) {
                end(this.lease, Outcome::Success);
            }
        }
    }
}

impl<D: Body> LeasedBody<D> {
    pub(super) fn new(body: D, lease: Lease, status: StatusCode) -> Self {
        let mut lease = Some(lease);
        if is_over(&body) && status != StatusCode::SWITCHING_PROTOCOLS {
            end(&mut lease, Outcome::Success);
        }
        Self { body, lease }
    }

    /// The lease, for whoever goes on with the request in another way than by reading this body: it is then theirs to
    /// settle. None once the body has ended.
    pub fn take_lease(&mut self) -> Option<Lease> {
        self.lease.take()
    }
}

fn is_over(body: &impl Body) -> bool {
    body.is_end_stream() || body.size_hint().exact() == Some(0)
}

fn end(lease: &mut Option<Lease>, outcome: Outcome) {
    if let Some(mut lease) = lease.take() {
        lease.settle(outcome);
    }
}

impl<D: Body> Body for LeasedBody<D> {
    type Data = D::Data;
    type Error = D::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<D::Data>, D::Error>>> {
        let mut this = self.project();
        let polled = this.body.as_mut().poll_frame(cx);
        match &polled {
            Poll::Pending => {}
            Poll::Ready(None) => end(this.lease, Outcome::Success),
            Poll::Ready(Some(Err(_))) => end(this.lease, Outcome::Broken),
            // A server that knows the end has come, by the body's own word or by its length, does not poll for it.
            Poll::Ready(Some(Ok(_))) if is_over(&*this.body) => end(this.lease, Outcome::Success),
            Poll::Ready(Some(Ok(_))) => {}
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
