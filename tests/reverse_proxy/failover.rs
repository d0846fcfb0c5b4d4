//! Requests that fail go to another backend, as far as that is safe.

use crate::{
    backends::{Backend, Played, nobody},
    failing::{GET, answers, counts},
    proxy::Proxy,
    wire::{Wire, soon},
};

const IN_TURNS: [&str; 4] = ["--strategy", "first_available", "--outliers", "off"];

/// A proxy before one that the test plays, and then one that answers.
async fn before(flags: &[&str]) -> (Played, Backend, Proxy) {
    let (played, other) = (Backend::played().await, Backend::named("other").await);
    let flags = [&IN_TURNS[..], flags].concat();
    let proxy = Proxy::start(&[played.http(), other.http()], &flags);
    (played, other, proxy)
}

fn with_content(method: &str, content: &str) -> String {
    let length = content.len();
    format!("{method} / HTTP/1.1\r\nHost: a\r\ncontent-length: {length}\r\n\r\n{content}")
}

#[tokio::test]
async fn what_may_be_sent_twice_is_when_a_backend_fails_before_its_head_is_there() {
    for sent in [
        "",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "HTTP/1.1 503 Sorry\r\ncontent-length: 0\r\n\r\n",
    ] {
        for request in [GET.to_owned(), with_content("PUT", "content")] {
            let (played, _other, proxy) = before(&[]).await;
            let mut client = Wire::connect(proxy.address).await;
            client.send(&request).await;
            let (mut wire, _) = played.request().await;
            wire.send(sent).await;
            drop(wire);
            let answer = client.message().await.unwrap();
            assert_eq!((answer.status(), answer.text()), (200, "other"), "{request} {sent}");
        }
    }
}

#[tokio::test]
async fn what_may_not_be_sent_twice_is_not() {
    for (sent, status) in [("", 502), ("HTTP/1.1 503 Sorry\r\ncontent-length: 0\r\n\r\n", 503)] {
        let (played, other, proxy) = before(&[]).await;
        let mut client = Wire::connect(proxy.address).await;
        client.send(with_content("POST", "order")).await;
        let (mut wire, _) = played.request().await;
        wire.send(sent).await;
        drop(wire);
        assert_eq!(client.message().await.unwrap().status(), status);
        assert_eq!(other.connections(), 0);
    }
    // Of this nothing was sent.
    let other = Backend::named("other").await;
    let proxy = Proxy::start(&[nobody().await, other.http()], &IN_TURNS);
    let answer = Wire::connect(proxy.address)
        .await
        .ask(with_content("POST", "order"))
        .await;
    assert_eq!((answer.status(), answer.text()), (200, "other"));
}

#[tokio::test]
async fn content_that_is_too_long_to_be_kept_is_sent_once() {
    for (kept, status) in [("7", 200), ("6", 502), ("0", 502)] {
        let (played, _other, proxy) = before(&["--replay", kept]).await;
        let mut client = Wire::connect(proxy.address).await;
        client.send(with_content("PUT", "content")).await;
        let (mut wire, mut message) = played.request().await;
        // All of it, so that it was read.
        wire.content(&mut message).await;
        assert_eq!(message.text(), "content");
        drop(wire);
        assert_eq!(client.message().await.unwrap().status(), status, "{kept}");
    }
}

#[tokio::test]
async fn who_takes_too_long_is_left_for_another() {
    for flags in [["--try-timeout", "200ms"], ["--hedge", "200ms"]] {
        let (played, _other, proxy) = before(&flags).await;
        let mut client = Wire::connect(proxy.address).await;
        client.send(GET).await;
        let (mut silent, _) = played.request().await;
        let answer = client.message().await.unwrap();
        assert_eq!((answer.status(), answer.text()), (200, "other"), "{flags:?}");
        assert!(silent.is_closed().await, "{flags:?}");
    }
}

#[tokio::test]
async fn past_its_deadline_a_request_is_told_so() {
    let played = Backend::played().await;
    let proxy = Proxy::start(&[played.http()], &["--deadline", "300ms", "--try-timeout", "100ms"]);
    let mut client = Wire::connect(proxy.address).await;
    client.send(GET).await;
    let (_wire, _) = played.request().await;
    let answer = client.message().await.unwrap();
    assert_eq!(
        (answer.status(), answer.text()),
        (504, "No backend answered in time.\n")
    );
    // The connection is the client's still.
    client.send(GET).await;
    assert_eq!(soon(client.message()).await.unwrap().status(), 504);
}

#[tokio::test]
async fn without_a_budget_only_what_was_not_sent_goes_elsewhere() {
    let (played, _other, proxy) = before(&["--retry-budget", "0,0"]).await;
    let mut client = Wire::connect(proxy.address).await;
    client.send(GET).await;
    drop(played.request().await);
    assert_eq!(client.message().await.unwrap().status(), 502);
    drop(played);
    assert_eq!(answers(&proxy, 5).await, counts([("other", 5)]));
}

/// A backend of HTTP/2 that refuses every stream.
#[tokio::test]
async fn what_a_backend_refuses_to_look_at_goes_to_another_whatever_it_is() {
    let refusing = Backend::start(|stream| async {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_, mut reply))) = connection.accept().await {
            reply.send_reset(h2::Reason::REFUSED_STREAM);
        }
    })
    .await;
    let other = Backend::named("other").await;
    let origin = refusing.http().replace("http", "h2c");
    let proxy = Proxy::start(&[origin, other.http()], &IN_TURNS);
    for request in [GET.to_owned(), with_content("POST", "order")] {
        let answer = Wire::connect(proxy.address).await.ask(&request).await;
        assert_eq!((answer.status(), answer.text()), (200, "other"), "{request}");
    }
}

#[tokio::test]
async fn a_retry_after_that_is_too_long_to_wait_for_is_the_client_s_to_read() {
    let busy = |seconds: u32| {
        Backend::start(move |stream| async move {
            let mut wire = Wire::new(stream);
            while wire.message().await.is_some() {
                wire.send(format!(
                    "HTTP/1.1 503 Busy\r\nretry-after: {seconds}\r\ncontent-length: 0\r\n\r\n"
                ))
                .await;
            }
        })
    };
    let [one, two] = [busy(20).await, busy(30).await];
    let proxy = Proxy::start(&[one.http(), two.http()], &IN_TURNS);
    let answer = soon(Wire::connect(proxy.address).await.ask(GET)).await;
    assert_eq!((answer.status(), answer.get("retry-after")), (503, Some("30")));
}
