use std::net::SocketAddr;

use equipoise::{
    Endpoint, HealthProbe,
    health::Report,
    http::Origin,
    probes::{Grpc, ProbeError},
};
use tonic::transport::{Server, server::TcpIncoming};
use tonic_health::{
    ServingStatus,
    server::{HealthReporter, health_reporter},
};

use crate::{
    asking::{asked, asked_at, refused_at, stalls},
    serving::{answers, goes_on, nobody, resets, says_and_hangs, serve, web},
};

/// tonic's own health service.
pub(crate) async fn health() -> (SocketAddr, HealthReporter) {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = incoming.local_addr().unwrap();
    let (reporter, service) = health_reporter();
    tokio::spawn(Server::builder().serve_with_incoming(service, incoming));
    (address, reporter)
}

/// A server of HTTP/2 whose answers are these bytes, and these headers and trailers.
pub(crate) async fn calls(
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static [u8],
    trailers: Option<&'static [(&'static str, &'static str)]>,
) -> SocketAddr {
    use http::{HeaderMap, HeaderName, HeaderValue};
    use http_body_util::{BodyExt, Full};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let fields = fields.iter().copied();
        fields
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }
    serve(move |stream| async move {
        let service = hyper::service::service_fn(move |_| async move {
            let trailers = trailers.map(|trailers| Ok(map(trailers)));
            let body = Full::new(hyper::body::Bytes::from_static(body));
            let body = body.with_trailers(std::future::ready(trailers));
            let mut response = http::Response::new(body);
            *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
            *response.headers_mut() = map(headers);
            Ok::<_, std::convert::Infallible>(response)
        });
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
    })
    .await
}

#[tokio::test]
async fn who_serves_passes_and_who_does_not_fails() {
    let (address, reporter) = health().await;
    // The server as a whole, which tonic's says it is from the start.
    assert_eq!(asked_at(&Grpc::new(), address).await, Ok(Report::new()));
    let cart = Grpc::new().service("shop.v1.Cart").unwrap();
    assert_eq!(
        refused_at(&cart, address).await,
        "the call ended with NOT_FOUND (5): 'service not registered'"
    );
    for (status, answer) in [
        (ServingStatus::Serving, Ok(Report::new())),
        (
            ServingStatus::NotServing,
            Err("the backend says NOT_SERVING".to_owned()),
        ),
        (ServingStatus::Unknown, Err("the backend says UNKNOWN".to_owned())),
    ] {
        reporter.set_service_status("shop.v1.Cart", status).await;
        assert_eq!(asked_at(&cart, address).await, answer);
    }
    assert!(asked_at(&Grpc::new(), address).await.is_ok());
    let origin: Endpoint<Origin> = format!("http://{address}").parse().unwrap();
    assert!(asked(&Grpc::new().host("shop.example").unwrap(), &origin).await.is_ok());
    assert!(Grpc::new().service(&"x".repeat(1025)).is_err() && Grpc::new().host("").is_err());
}

#[tokio::test]
async fn who_has_no_health_service_fails() {
    // As any server of gRPC answers to what it does not know (grpc/grpc, doc/statuscodes.md).
    let unknown: &[_] = &[("content-type", "application/grpc"), ("grpc-status", "12")];
    let address = calls(200, unknown, b"", None).await;
    let error = Grpc::new().probe(&Endpoint::new("a", address)).await.unwrap_err();
    assert!(matches!(error, ProbeError::Grpc { code: 12, .. }), "{error}");
    let error = Grpc::new()
        .watch()
        .probe(&Endpoint::new("a", address))
        .await
        .unwrap_err();
    assert!(matches!(error, ProbeError::Grpc { code: 12, .. }), "{error}");
}

const GRPC: &[(&str, &str)] = &[("content-type", "application/grpc+proto")];
const OK: Option<&[(&str, &str)]> = Some(&[("grpc-status", "0")]);
const SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 1];

#[tokio::test]
async fn what_is_no_answer_of_grpc_fails() {
    assert!(
        asked_at(&Grpc::new(), calls(200, GRPC, SERVING, OK).await)
            .await
            .is_ok()
    );
    for (status, headers, body, trailers, said) in [
        (
            503,
            GRPC,
            SERVING,
            OK,
            "expected status 200 and gRPC, but there came 503",
        ),
        (
            200,
            &[],
            SERVING,
            OK,
            "expected gRPC, but there came content of type ''",
        ),
        (
            200,
            &[("content-type", "text/html")],
            SERVING,
            OK,
            "expected gRPC, but there came content of type 'text/html'",
        ),
        (200, GRPC, SERVING, None, "broken off: the call ended without a status"),
        (
            200,
            GRPC,
            SERVING,
            Some(&[("grpc-status", "14"), ("grpc-message", "late")]),
            "the call ended with UNAVAILABLE (14): 'late'",
        ),
        (
            200,
            GRPC,
            SERVING,
            Some(&[("grpc-status", "99")]),
            "the call ended with an unknown status (99)",
        ),
        (
            200,
            GRPC,
            SERVING,
            Some(&[("grpc-status", "x")]),
            "expected a number as grpc-status, but there came 'x'",
        ),
        (
            200,
            GRPC,
            b"",
            OK,
            "expected one status, but there came none, or more than one",
        ),
        (200, GRPC, &[0, 0, 0, 0, 0], OK, "the backend says UNKNOWN"),
        (200, GRPC, &[0, 0, 0, 0, 2, 8, 77], OK, "the backend says UNKNOWN"),
        (
            200,
            GRPC,
            &[0, 0, 0, 0, 2, 8, 1, 0, 0, 0, 0, 2, 8, 1],
            OK,
            "expected one status, but there came none, or more than one",
        ),
        (
            200,
            GRPC,
            &[1, 0, 0, 0, 2, 8, 1],
            OK,
            "expected a message of at most 1024 bytes, not compressed",
        ),
        (
            200,
            GRPC,
            &[0, 0xff, 0xff, 0xff, 0xff, 8, 1],
            OK,
            "expected a message of at most 1024 bytes, not compressed",
        ),
        (
            200,
            GRPC,
            &[0, 0, 0, 0, 9, 8, 1],
            OK,
            "expected one status, but there came none, or more than one",
        ),
        (200, GRPC, &[0, 0, 0, 0, 2, 0xff, 0xff], OK, "broken off: "),
    ] {
        let answer = refused_at(&Grpc::new(), calls(status, headers, body, trailers).await).await;
        assert!(answer.starts_with(said), "{answer}");
    }
    // A head that is an end.
    let ends: &[_] = &[("content-type", "application/grpc"), ("grpc-status", "7")];
    let said = refused_at(&Grpc::new(), calls(200, ends, b"", None).await).await;
    assert_eq!(said, "the call ended with PERMISSION_DENIED (7)");
}

#[tokio::test]
async fn what_is_no_server_of_grpc_fails_or_is_waited_for() {
    let (plain, _) = web().await;
    let said = refused_at(&Grpc::new(), plain).await;
    assert_eq!(said, "expected gRPC, but there came content of type ''");
    for gone in [
        nobody().await,
        resets().await,
        answers("HTTP/1.1 400 Bad Request\r\n\r\n").await,
        goes_on("", "x").await,
    ] {
        refused_at(&Grpc::new(), gone).await;
        refused_at(&Grpc::new().watch(), gone).await;
    }
    let hangs = says_and_hangs("").await;
    assert!(stalls(&Grpc::new(), hangs).await && stalls(&Grpc::new().watch(), hangs).await);
    // One that is always about to say something: empty SETTINGS.
    assert!(stalls(&Grpc::new(), goes_on("", *b"\0\0\0\x04\0\0\0\0\0").await).await);
}
