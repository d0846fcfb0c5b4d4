use equipoise::{
    health::Report,
    probes::{LONGEST, Tcp},
};

use crate::{
    asking::{asked_at, refused_at, stalls},
    serving::{goes_on, nobody, resets, says, says_and_hangs, serve},
};

#[tokio::test]
async fn who_takes_a_connection_passes() {
    let hangs = serve(async |_stream| std::future::pending().await).await;
    assert_eq!(asked_at(&Tcp::new(), hangs).await, Ok(Report::new()));
    let address = nobody().await;
    let said = refused_at(&Tcp::new(), address).await;
    assert!(said.starts_with(&format!("no connection to {address}: ")), "{said}");
}

#[tokio::test]
async fn it_asks_at_another_port_if_told_so() {
    let (there, elsewhere) = (says("").await, nobody().await);
    let probe = Tcp::new().port(there.port()).unwrap();
    assert!(asked_at(&probe, elsewhere).await.is_ok());
    let probe = Tcp::new().port(elsewhere.port()).unwrap();
    assert!(asked_at(&probe, there).await.is_err());
    let error = Tcp::new().port(0).unwrap_err();
    assert_eq!(error.to_string(), "invalid port '0': expected 1 to 65535");
}

#[tokio::test]
async fn who_answers_as_expected_passes_at_once() {
    let probe = Tcp::new().send("PING\r\n").expect("+PONG").unwrap();
    for good in ["+PONG", "+PONG\r\n", "+PONGS and more"] {
        assert!(asked_at(&probe, says(good).await).await.is_ok(), "{good}");
        // Without an end.
        assert!(asked_at(&probe, says_and_hangs(good).await).await.is_ok(), "{good}");
    }
    let either = probe.clone().expect("-NOAUTH").unwrap();
    for good in ["+PONG", "-NOAUTH Authentication required."] {
        assert!(asked_at(&either, says(good).await).await.is_ok(), "{good}");
    }
}

#[tokio::test]
async fn who_answers_otherwise_fails_at_once() {
    let probe = Tcp::new().send("PING\r\n").expect("+PONG").unwrap();
    // Nobody waits for the rest of what is wrong by now.
    let said = refused_at(&probe, says_and_hangs("+PINK\r\n").await).await;
    assert_eq!(said, r"expected '+PONG', but there came '+PINK\r\n'");
    for (bad, shown) in [
        ("+PON", "'+PON'"),
        ("", "the end"),
        ("\u{1b}[2J", r"'\u{1b}[2J'"),
        ("-ERR", "'-ERR'"),
    ] {
        let said = refused_at(&probe, says(bad).await).await;
        assert_eq!(said, format!("expected '+PONG', but there came {shown}"));
    }
    let either = probe.expect("S").unwrap();
    let said = refused_at(&either, says("N").await).await;
    assert_eq!(said, "expected '+PONG' or 'S', but there came 'N'");
    refused_at(&either, says([0xff; 5000]).await).await;
    refused_at(&either, resets().await).await;
}

#[tokio::test]
async fn who_says_nothing_is_waited_for() {
    let probe = Tcp::new().expect("220 ").unwrap();
    assert!(stalls(&probe, says_and_hangs("").await).await);
    assert!(stalls(&probe, says_and_hangs("22").await).await);
    // Who does not even read what is said.
    let long = Tcp::new().send(vec![b'x'; 64 << 20]).expect("ok").unwrap();
    assert!(stalls(&long, says_and_hangs("").await).await);
}

#[tokio::test]
async fn it_reads_no_more_than_it_looks_for() {
    let probe = Tcp::new().expect(vec![b'x'; LONGEST]).unwrap();
    assert!(asked_at(&probe, goes_on("", "x").await).await.is_ok());
    assert!(asked_at(&probe, goes_on("y", "x").await).await.is_err());
    for wrong in [0, LONGEST + 1] {
        assert!(Tcp::new().expect(vec![b'x'; wrong]).is_err());
    }
}
