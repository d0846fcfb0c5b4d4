//! Clients and backends that speak HTTP properly, where a test is not about bytes.

use std::{convert::Infallible, future::Future, net::SocketAddr};

use equipoise::BoxError;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    body::{Body, Bytes, Incoming},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};

use crate::stage::listen;

pub(crate) type AnyBody = UnsyncBoxBody<Bytes, BoxError>;

pub(crate) fn text(text: &str) -> AnyBody {
    Full::new(Bytes::copy_from_slice(text.as_bytes()))
        .map_err(BoxError::from)
        .boxed_unsync()
}

/// A client of HTTP/2 without TLS.
pub(crate) fn client_h2<B>() -> Client<HttpConnector, B>
where
    B: Body<Data: Send> + Send,
{
    Client::builder(TokioExecutor::new()).http2_only(true).build_http()
}

/// A backend of HTTP/2 without TLS.
pub(crate) async fn h2c<A, R>(answer: A) -> SocketAddr
where
    A: Fn(Request<Incoming>) -> R + Clone + Send + 'static,
    R: Future<Output = Response<AnyBody>> + Send + 'static,
{
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            let service = service_fn(move |request| {
                let answer = answer(request);
                async { Ok::<_, Infallible>(answer.await) }
            });
            let server = http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}
