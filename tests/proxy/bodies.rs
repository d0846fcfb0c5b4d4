//! Content on its way, in both directions.

use std::time::Duration;

use equipoise::{
    BoxError,
    proxy::{ProxyLayer, Upstream},
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};

use crate::{
    speaker::{self, AnyBody, client_h2},
    stage::{Backend, Recorder, Stage},
    wire::soon,
};

#[tokio::test]
async fn content_goes_on_as_it_comes() {
    let backend = Backend::start().await;
    let stage = Stage::before(backend.address).await;
    let mut client = stage.connect().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        .await;
    let (mut wire, _) = backend.request().await;
    assert_eq!(wire.read(8).await, b"3\r\none\r\n");
    // The answer begins, and both go on in turns.
    wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nA1\r\n")
        .await;
    assert_eq!(client.head().await.unwrap().status(), 200);
    assert_eq!(client.read(7).await, b"2\r\nA1\r\n");
    client.send("3\r\ntwo\r\n").await;
    assert_eq!(wire.read(8).await, b"3\r\ntwo\r\n");
    wire.send("2\r\nA2\r\n").await;
    assert_eq!(client.read(7).await, b"2\r\nA2\r\n");
    assert_eq!(stage.state(), "1 in flight");
    client.send("0\r\n\r\n").await;
    assert_eq!(wire.read(5).await, b"0\r\n\r\n");
    wire.send("0\r\n\r\n").await;
    assert_eq!(client.read(5).await, b"0\r\n\r\n");
    stage.settles("1 succeeded").await;
}

/// How much a peer that is not read from takes until it takes no more.
async fn fill(wire: &mut crate::wire::Wire, block: &[u8]) -> usize {
    let mut taken = 0;
    let moment = Duration::from_millis(500);
    while let Ok(written) = tokio::time::timeout(moment, wire.write(block)).await {
        taken += written;
        assert!(taken < 256 << 20, "it takes whatever comes");
    }
    taken
}

#[tokio::test]
async fn who_does_not_read_is_not_written_for() {
    let backend = Backend::start().await;
    let stage = Stage::before(backend.address).await;
    let block = vec![b'x'; 1 << 16];

    let mut client = stage.connect().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999\r\n\r\n")
        .await;
    let (mut wire, _) = backend.request().await;
    let taken = fill(&mut client, &block).await;
    // What the sockets' buffers hold, and little more: nothing of it is kept in the proxy.
    assert!(taken < 64 << 20, "{taken} bytes of the upload");
    assert_eq!(wire.read(taken / 2).await.len(), taken / 2);
    assert!(fill(&mut client, &block).await > 0, "it goes on once it is read");

    let mut client = stage.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (mut wire, _) = backend.request().await;
    wire.send("HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n")
        .await;
    let taken = fill(&mut wire, &block).await;
    assert!(taken < 64 << 20, "{taken} bytes of the download");
    client.head().await.unwrap();
    assert_eq!(client.read(taken / 2).await.len(), taken / 2);
    assert!(fill(&mut wire, &block).await > 0, "it goes on once it is read");
}

#[tokio::test]
async fn trailers_pass_both_ways_in_http1() {
    let backend = Backend::start().await;
    let stage = Stage::before(backend.address).await;
    let mut client = stage.connect().await;
    let trailers = "0\r\nX-Sum: 42\r\nHost: evil\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
    let announced = "Trailer: x-sum, host, content-length, transfer-encoding";
    client
        .send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: te\r\n{announced}\r\n\
             Transfer-Encoding: chunked\r\n\r\n{trailers}"
        ))
        .await;
    let (mut wire, mut request) = backend.request().await;
    wire.content(&mut request).await;
    let sum = [("x-sum".to_owned(), "42".to_owned())];
    assert_eq!(
        (request.get("te"), request.trailers.as_slice()),
        (Some("trailers"), &sum[..])
    );
    wire.send(format!(
        "HTTP/1.1 200 OK\r\n{announced}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n{trailers}"
    ))
    .await;
    let answer = client.message().await.unwrap();
    assert_eq!((answer.text(), answer.trailers.as_slice()), ("ok", &sum[..]));

    // A client that does not take them gets none. (One that sent some has had its connection.)
    assert_eq!(answer.get("connection"), Some("close"));
    let mut client = stage.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let request = wire.head().await.unwrap();
    assert_eq!(request.get("te"), None);
    wire.send(format!(
        "HTTP/1.1 200 OK\r\n{announced}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n{trailers}"
    ))
    .await;
    let answer = client.message().await.unwrap();
    assert_eq!(
        (answer.text(), answer.trailers.as_slice(), answer.is_whole),
        ("ok", &[][..], true)
    );
}

fn body_with_trailers(text: &'static str) -> AnyBody {
    let trailers = HeaderMap::from_iter([
        (HeaderName::from_static("x-sum"), HeaderValue::from_static("42")),
        (HeaderName::from_static("content-length"), HeaderValue::from_static("3")),
    ]);
    let frames = [Frame::data(Bytes::from(text)), Frame::trailers(trailers)];
    StreamBody::new(futures_util::stream::iter(frames.map(Ok::<_, BoxError>))).boxed_unsync()
}

#[tokio::test]
async fn trailers_do_not_say_who_the_client_is() {
    let recorder = Recorder::start().await;
    let stage = Stage::before(recorder.address).await;
    let names = "X-Sum, X-Forwarded-For, X-Real-IP, Forwarded, X_Forwarded_Proto";
    let trailers = names.replace(", ", ": 192.0.2.1\r\n");
    let mut client = stage.connect().await;
    let answer = client
        .ask(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTrailer: {names}\r\nTransfer-Encoding: chunked\r\n\r\n\
             0\r\n{trailers}: 192.0.2.1\r\n\r\n"
        ))
        .await;
    assert_eq!(answer.status(), 200);
    let sum = [("x-sum".to_owned(), "192.0.2.1".to_owned())];
    assert_eq!(recorder.take()[0].trailers, sum);
}

#[tokio::test]
async fn trailers_pass_both_ways_in_http2() {
    let backend = speaker::h2c(|request: Request<Incoming>| async {
        let te = request.headers()["te"].clone();
        let received = request.into_body().collect().await.unwrap();
        let sum = received.trailers().unwrap()["x-sum"].clone();
        assert!(!received.trailers().unwrap().contains_key("content-length"));
        assert_eq!(
            (te.as_bytes(), sum.as_bytes(), &received.to_bytes()[..]),
            (&b"trailers"[..], &b"42"[..], &b"up"[..])
        );
        Response::new(body_with_trailers("down"))
    })
    .await;
    let stage = Stage::before_h2c(backend).await;
    let client = client_h2::<AnyBody>();
    let request = Request::post(format!("http://{}/", stage.address)).header("te", "trailers");
    let answer = soon(client.request(request.body(body_with_trailers("up")).unwrap()))
        .await
        .unwrap();
    let received = soon(answer.into_body().collect()).await.unwrap();
    let trailers = received.trailers().unwrap().clone();
    assert_eq!(received.to_bytes(), "down");
    assert_eq!(
        (&trailers["x-sum"], trailers.len()),
        (&HeaderValue::from_static("42"), 1)
    );
}

#[tokio::test]
async fn no_content_that_says_so_late_is_no_content() {
    let recorder = Recorder::start().await;
    let stage = Stage::before(recorder.address).await;
    let request = Request::post(format!("http://{}/", stage.address)).header("content-length", "0");
    // As curl sends it: the stream ends after the head.
    let nothing = StreamBody::new(tokio_stream::empty::<Result<Frame<Bytes>, BoxError>>());
    let request = request.body(nothing.boxed_unsync()).unwrap();
    let answer = soon(client_h2::<AnyBody>().request(request)).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(recorder.take()[0].get("content-length"), Some("0"));
    assert_eq!(stage.state(), "1 succeeded");
}

#[tokio::test]
async fn an_upload_that_stalls_is_given_up() {
    let backend = Backend::start().await;
    let proxy = ProxyLayer::new().upload_gap(Duration::from_millis(300));
    let stage = Stage::with(backend.address, proxy, Upstream::builder()).await;
    let mut client = stage.connect().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
        .await;
    let (mut wire, _) = backend.request().await;
    assert_eq!(wire.read(4).await, b"half");
    let answer = client.message().await.unwrap();
    assert_eq!((answer.status(), answer.get("connection")), (408, Some("close")));
    assert!(client.is_closed().await);
    assert!(
        wire.is_closed().await,
        "the backend learns that there is no more to come"
    );
    assert_eq!(stage.state(), "1 cancelled");
}

#[tokio::test]
async fn an_upload_that_stalls_is_no_failure_of_the_backend_that_waits_for_it() {
    // As long as each other, as they are unless said otherwise, and the head's far shorter.
    for (gap, head) in [(300, 300), (900, 200)] {
        let backend = Backend::start().await;
        let proxy = ProxyLayer::new().upload_gap(Duration::from_millis(gap));
        let upstream = Upstream::builder().head_timeout(Duration::from_millis(head));
        let stage = Stage::with(backend.address, proxy, upstream).await;
        let mut clients = Vec::new();
        for sent in ["", "half"].repeat(10) {
            let mut client = stage.connect().await;
            client
                .send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{sent}"))
                .await;
            clients.push(client);
        }
        for mut client in clients {
            let answer = client.message().await.unwrap();
            assert_eq!((answer.status(), gap, head), (408, gap, head));
        }
        stage.settles("20 cancelled").await;
    }
}

#[tokio::test]
async fn a_backend_that_takes_no_content_is_late() {
    let backend = Backend::start().await;
    let upstream = Upstream::builder().head_timeout(Duration::from_millis(300));
    let stage = Stage::with(backend.address, ProxyLayer::new(), upstream).await;
    let mut client = stage.connect().await;
    let length = 64 * 1024 * 1024;
    client
        .send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
        ))
        .await;
    // It is never read, so that not all of it can be sent.
    let (reads, mut writes) = client.stream.into_split();
    let uploads = tokio::spawn(async move {
        let part = [0; 64 * 1024];
        while tokio::io::AsyncWriteExt::write_all(&mut writes, &part).await.is_ok() {}
    });
    let mut status = [0; 12];
    soon(tokio::io::AsyncReadExt::read_exact(&mut { reads }, &mut status))
        .await
        .unwrap();
    assert_eq!(&status, b"HTTP/1.1 504");
    uploads.abort();
    stage.settles("1 failed").await;
    drop(backend);
}

#[tokio::test]
async fn a_client_that_leaves_is_nobodys_failure() {
    let backend = Backend::start().await;
    let stage = Stage::before(backend.address).await;
    let mut client = stage.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (mut wire, _) = backend.request().await;
    assert_eq!(stage.state(), "1 in flight");
    drop(client);
    assert!(wire.is_closed().await, "before the answer");
    stage.settles("1 cancelled").await;

    let mut client = stage.connect().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
        .await;
    let (mut wire, _) = backend.request().await;
    assert_eq!(wire.read(4).await, b"half");
    drop(client);
    assert!(wire.is_closed().await, "within the upload");
    stage.settles("2 cancelled").await;

    let mut client = stage.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (mut wire, _) = backend.request().await;
    wire.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await;
    client.head().await.unwrap();
    drop(client);
    assert!(wire.is_closed().await, "within the answer");
    stage.settles("3 cancelled").await;

    // The answer has begun when the upload breaks: neither is whole.
    let mut client = stage.connect().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        .await;
    let (mut wire, _) = backend.request().await;
    wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        .await;
    client.head().await.unwrap();
    client.send("not a chunk\r\n").await;
    assert_eq!(client.rest().await, b"4\r\nhalf\r\n");
    wire.rest().await;
    stage.settles("4 cancelled").await;
}

#[tokio::test]
async fn a_response_that_stalls_is_cut() {
    let backend = Backend::start().await;
    let upstream = Upstream::builder().body_gap(Duration::from_millis(300));
    let stage = Stage::with(backend.address, ProxyLayer::new(), upstream).await;
    for response in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\n\r\nhalf",
    ] {
        let mut client = stage.connect().await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let (mut wire, _) = backend.request().await;
        wire.send(response).await;
        let answer = client.message().await.unwrap();
        assert_eq!((answer.text(), answer.is_whole), ("half", false), "{response:?}");
        assert!(client.is_closed().await);
        assert!(wire.is_closed().await);
    }
    stage.settles("3 broken").await;
}

#[tokio::test]
async fn an_upload_under_way_is_no_silence() {
    let recorder = Recorder::start().await;
    let limit = Duration::from_millis(1000);
    let upstream = Upstream::builder().head_timeout(limit).body_gap(limit);
    let stage = Stage::with(recorder.address, ProxyLayer::new().upload_gap(limit), upstream).await;
    let mut client = stage.connect().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n")
        .await;
    for _ in 0..8 {
        // Twice the limit in all.
        tokio::time::sleep(limit / 4).await;
        client.send("x").await;
    }
    let answer = client.message().await.unwrap();
    assert_eq!((answer.status(), answer.text()), (200, "ok"));
    assert_eq!(recorder.take()[0].text(), "xxxxxxxx");
}

#[tokio::test]
async fn a_backend_that_takes_its_time_with_an_upload_is_not_late() {
    let backend = Backend::start().await;
    let limit = Duration::from_millis(600);
    let upstream = Upstream::builder().head_timeout(limit);
    let stage = Stage::with(backend.address, ProxyLayer::new(), upstream).await;
    let mut client = stage.connect().await;
    let content = vec![7; 32 << 20];
    let head = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        content.len()
    );
    client.send(head).await;
    let takes = async {
        let (mut wire, _) = backend.request().await;
        for _ in 0..8 {
            // More than twice the limit in all, while the client has always more.
            tokio::time::sleep(limit / 3).await;
            wire.read(4 << 20).await;
        }
        wire.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    };
    tokio::join!(client.send(&content), takes);
    let answer = client.message().await.unwrap();
    assert_eq!((answer.status(), answer.text()), (200, "ok"));
}

#[tokio::test]
async fn an_early_answer_does_not_wait_for_the_upload() {
    let backend = Backend::start().await;
    let stage = Stage::before(backend.address).await;
    let mut client = stage.connect().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf")
        .await;
    let (mut wire, _) = backend.request().await;
    wire.send("HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\nno").await;
    let answer = client.message().await.unwrap();
    assert_eq!((answer.status(), answer.text()), (413, "no"));
    // It may go on all the same, and the connections are used again.
    client.send("half").await;
    assert_eq!(wire.read(8).await, b"halfhalf");
    client.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(wire.head().await.unwrap().start, "GET /next HTTP/1.1");
}
