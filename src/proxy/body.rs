//! What a client gets to read.

use std::{
    error, fmt,
    pin::Pin,
    task::{Context, Poll},
};

use http_body::{Body, Frame, SizeHint};
use hyper::body::Bytes;
use pin_project_lite::pin_project;

use super::{hop, upload::UploadWatch};
use crate::BoxError;

pin_project! {
    /// The content of a [`Proxy`](super::Proxy)'s response: a backend's, passed on as it comes, or a sentence of the
    /// proxy's own.
    pub struct ProxyBody<RD> {
        #[pin]
        kind: Kind<RD>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<RD> {
        Passed {
            #[pin] body: RD,
            // Until the request's content has ended, or this has.
            upload: Option<UploadWatch>,
        },
        Own { text: Bytes },
    }
}

impl<RD> ProxyBody<RD> {
    pub(super) fn passed(body: RD, upload: Option<UploadWatch>) -> Self {
        let kind = Kind::Passed { body, upload };
        Self { kind }
    }

    pub(super) fn own(text: Bytes) -> Self {
        let kind = Kind::Own { text };
        Self { kind }
    }
}

impl<RD: Body<Data = Bytes, Error: Into<BoxError>>> Body for ProxyBody<RD> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project().kind.project() {
            KindProjection::Passed { mut body, upload } => match body.as_mut().poll_frame(cx) {
                Poll::Ready(Some(Ok(mut frame))) => {
                    if let Some(trailers) = frame.trailers_mut() {
                        hop::strip_trailers(trailers);
                    }
                    if body.is_end_stream() {
                        *upload = None;
                    }
                    Poll::Ready(Some(Ok(frame)))
                }
                Poll::Ready(None) => {
                    *upload = None;
                    Poll::Ready(None)
                }
                Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
                // A client that can't send properly is not waited for with the rest of its answer.
                Poll::Pending => match upload.as_ref().map(|upload| upload.poll_broken(cx)) {
                    Some(Poll::Ready(_)) => Poll::Ready(Some(Err(UploadBroken.into()))),
                    Some(Poll::Pending) | None => Poll::Pending,
                },
            },
            KindProjection::Own { text } => {
                let text = std::mem::take(text);
                Poll::Ready((!text.is_empty()).then(|| Ok(Frame::data(text))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Passed { body, .. } => body.is_end_stream(),
            Kind::Own { text } => text.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Passed { body, .. } => body.size_hint(),
            Kind::Own { text } => SizeHint::with_exact(text.len() as u64),
        }
    }
}

impl<RD> fmt::Debug for ProxyBody<RD> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyBody").finish_non_exhaustive()
    }
}

/// The client broke its request off after the response had begun.
#[derive(Debug)]
struct UploadBroken;

impl fmt::Display for UploadBroken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request's content broke off after the response had begun")
    }
}

impl error::Error for UploadBroken {}
