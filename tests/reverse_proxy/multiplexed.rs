//! Backends of HTTP/2: all requests to one share a connection from the proxy.

use std::{convert::Infallible, net::Ipv4Addr, time::Duration};

use futures_util::stream;
use http_body_util::{BodyExt, Either, Empty, Full, StreamBody};
use hyper::{
    Request, Response,
    body::{Bytes, Frame, Incoming},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use tokio::{net::TcpListener, time::sleep};

use crate::{
    proxy::Proxy,
    wire::{Wire, soon},
};

/// A backend by hyper: `/endless` is so, all else is `ok`, also to HEAD, as hyper leaves that to its user in HTTP/2.
async fn start() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let origin = format!("h2c://{}", listener.local_addr().unwrap());
    let answer = async |request: Request<Incoming>| {
        let part = |_| async { Some((Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[0; 16_384]))), ())) };
        let body = match request.uri().path() {
            "/endless" => Either::Left(StreamBody::new(Box::pin(stream::unfold((), part)))),
            _ => Either::Right(Full::<Bytes>::from("ok")),
        };
        Ok::<_, Infallible>(Response::new(body))
    };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let builder = http2::Builder::new(TokioExecutor::new());
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    });
    origin
}

#[tokio::test]
async fn clients_who_read_nothing_hold_up_nobody_else() {
    let proxy = Proxy::start(&[start().await], &[]);
    let mut silent = Vec::new();
    for _ in 0..8 {
        let mut client = Wire::connect(proxy.address).await;
        client.send("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(client.head().await.unwrap().status(), 200);
        silent.push(client);
    }
    // Until all that holds something on the way is full.
    sleep(Duration::from_millis(500)).await;
    let mut client = Wire::connect(proxy.address).await;
    let answer = client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(answer.text(), "ok");
}

#[tokio::test]
async fn an_answer_to_head_has_no_content() {
    let proxy = Proxy::start(&[start().await], &[]);
    for is_http2 in [false, true] {
        let mut builder = Client::builder(TokioExecutor::new());
        let client = builder.http2_only(is_http2).build_http::<Empty<Bytes>>();
        for _ in 0..3 {
            let request = Request::head(proxy.uri("/")).body(Empty::new()).unwrap();
            let answer = soon(client.request(request)).await.unwrap();
            assert_eq!(answer.status(), 200);
            let content = soon(answer.collect()).await;
            let content = content.unwrap_or_else(|error| panic!("with HTTP/2: {is_http2}: {error:?}"));
            assert!(content.to_bytes().is_empty());
        }
    }
}
