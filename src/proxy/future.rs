//! The future of a proxied request.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{HeaderValue, Response, StatusCode, Version, header::CONNECTION};
use http_body::Body;
use hyper::body::Bytes;
use pin_project_lite::pin_project;

use super::{
    ProxyBody, framing, hop,
    refusal::Refusal,
    request::{Exchange, Upgrade},
    tunnel, upgrade,
    upload::{Broken, UploadWatch},
};
use crate::BoxError;

pin_project! {
    /// The future of a [`Proxy`](super::Proxy)'s call. It never fails: what goes wrong is a response as well.
    pub struct ProxyFuture<F> {
        #[pin]
        stage: Stage<F>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<F> {
        Calling { #[pin] call: F, exchange: Option<Exchange> },
        Answered { response: Option<Response<Bytes>> },
    }
}

const POLLED_AGAIN: &str = "a future is not polled again after it was ready";

impl<F> ProxyFuture<F> {
    pub(super) fn calling(call: F, exchange: Exchange) -> Self {
        let exchange = Some(exchange);
        Self {
            stage: Stage::Calling { call, exchange },
        }
    }

    pub(super) fn answered(response: Response<Bytes>) -> Self {
        let response = Some(response);
        Self {
            stage: Stage::Answered { response },
        }
    }
}

impl<F, RD, E> Future for ProxyFuture<F>
where
    F: Future<Output = Result<Response<RD>, E>>,
    RD: Body<Data = Bytes> + Send + 'static,
    E: Into<BoxError>,
{
    type Output = Result<Response<ProxyBody<RD>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let response = match this.stage.as_mut().project() {
            StageProjection::Answered { response } => response.take().expect(POLLED_AGAIN).map(ProxyBody::own),
            StageProjection::Calling { call, exchange } => {
                let upload = exchange.as_ref().and_then(|exchange| exchange.upload.as_ref());
                let broken = upload.map(|upload| upload.poll_broken(cx));
                let outcome = match broken {
                    // The call is dropped below, which is no failure of the backend's.
                    Some(Poll::Ready(Broken::Invalid)) => Err(Refusal::UPLOAD),
                    Some(Poll::Ready(Broken::Stalled)) => Err(Refusal::STALLED),
                    Some(Poll::Pending) | None => match call.poll(cx) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(Ok(response)) => Ok(response),
                        Poll::Ready(Err(error)) => Err(Refusal::of(error.into().as_ref())),
                    },
                };
                let exchange = exchange.take().expect(POLLED_AGAIN);
                let (to_head, version) = (exchange.to_head, exchange.version);
                let passed = outcome.and_then(|response| pass(response, exchange));
                passed.unwrap_or_else(|refusal| own(refusal, to_head, version))
            }
        };
        // Whatever is left of the call ends before the response is read.
        this.stage.set(Stage::Answered { response: None });
        Poll::Ready(Ok(response))
    }
}

fn own<RD>(refusal: Refusal, to_head: bool, version: Version) -> Response<ProxyBody<RD>> {
    let is_multiplexed = version >= Version::HTTP_2;
    refusal.response(to_head, is_multiplexed).map(ProxyBody::own)
}

/// A backend's response made fit for the client.
fn pass<RD>(response: Response<RD>, mut exchange: Exchange) -> Result<Response<ProxyBody<RD>>, Refusal>
where
    RD: Body<Data = Bytes> + Send + 'static,
{
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let upgrade = exchange.upgrade.take().ok_or(Refusal::INVALID)?;
        return switch(response, upgrade, &exchange);
    }
    // The backend may read on, and the client may take a good answer for being asked.
    if let Some(upload) = exchange.upload.as_ref().filter(|_| response.status().is_success()) {
        upload.hold().ask();
    }
    let is_wanted = exchange.upload.as_ref().is_none_or(|upload| upload.answered());
    let has_trailers = exchange.upload.as_ref().is_some_and(UploadWatch::has_trailers);
    let (mut head, body) = response.into_parts();
    let demanded = upgrade::demanded(&head).filter(|_| exchange.version == Version::HTTP_11);
    framing::of_response(&mut head, &body.size_hint(), exchange.to_head);
    hop::strip(&mut head.headers);
    if let Some(protocols) = demanded {
        upgrade::write(&mut head.headers, protocols);
    }
    if (!is_wanted || has_trailers) && exchange.version < Version::HTTP_2 {
        // What the client was not asked for may come all the same, and is not to be read as its next request. And hyper
        // takes an empty line without its CR for trailers that go on: who came before may have seen a request there.
        head.headers.append(CONNECTION, HeaderValue::from_static("close"));
    }
    // The server lowers it to what the client understands.
    head.version = Version::HTTP_11;
    if exchange.to_head {
        // There is none, whatever the backend sends: hyper would pass it on in HTTP/2.
        return Ok(Response::from_parts(head, ProxyBody::own(Bytes::new())));
    }
    let upload = exchange.upload.filter(|upload| !upload.is_ended());
    Ok(Response::from_parts(head, ProxyBody::passed(body, upload)))
}

/// Answers the client with 101 too, and has the bytes carried as soon as that is written.
fn switch<RD>(
    mut response: Response<RD>,
    upgrade: Upgrade,
    exchange: &Exchange,
) -> Result<Response<ProxyBody<RD>>, Refusal>
where
    RD: Body<Data = Bytes> + Send + 'static,
{
    let backend = hyper::upgrade::on(&mut response);
    let (mut head, body) = response.into_parts();
    let granted = upgrade::granted(&head, &upgrade.protocols).ok_or(Refusal::INVALID)?;
    framing::of_response(&mut head, &body.size_hint(), exchange.to_head);
    hop::strip(&mut head.headers);
    upgrade::write(&mut head.headers, granted);
    head.version = Version::HTTP_11;
    // Held from now on: the server could think that it is done with this client before the task runs.
    let hold = upgrade.connection.map(|connection| connection.hold());
    tokio::spawn(tunnel::carry(upgrade.client, backend, body, exchange.tunnel_idle, hold));
    Ok(Response::from_parts(head, ProxyBody::own(Bytes::new())))
}

impl<F> fmt::Debug for ProxyFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyFuture")
    }
}
