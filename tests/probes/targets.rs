use std::sync::Arc;

use equipoise::{
    Backend, Endpoint,
    http::{HttpEndpoint, Origin},
    probes::{self, Address, Http, Tcp},
};

use crate::{
    asking::asked,
    serving::{nobody, web},
};

#[tokio::test]
async fn every_way_to_name_a_backend_leads_there() {
    let (address, seen) = web().await;
    let port = address.port();
    let probe = Http::get("/").unwrap();
    assert!(asked(&probe, &Endpoint::new("a", address)).await.is_ok());
    assert!(
        asked(&probe, &Endpoint::new("a", format!("127.0.0.1:{port}")))
            .await
            .is_ok()
    );
    assert!(asked(&probe, &Endpoint::new("a", Address::from(address))).await.is_ok());
    assert!(asked(&probe, &Arc::new(Endpoint::new("a", address))).await.is_ok());
    // A name is resolved, and named in the request.
    assert!(
        asked(&probe, &Endpoint::new("a", format!("localhost:{port}")))
            .await
            .is_ok()
    );
    assert_eq!(seen.last().headers["host"], format!("localhost:{port}"));
    let origin: HttpEndpoint = format!("http://127.0.0.1:{port}").parse().unwrap();
    assert!(asked(&probe, &origin).await.is_ok());
    assert_eq!(seen.last().version, http::Version::HTTP_11);
    let origin: Endpoint<Origin> = format!("h2c://127.0.0.1:{port}").parse().unwrap();
    assert!(asked(&probe, &origin).await.is_ok());
    assert_eq!(seen.last().version, http::Version::HTTP_2);
}

#[tokio::test]
async fn a_text_that_is_no_address_fails_and_says_why() {
    for text in ["", "localhost", "localhost:0", "localhost:port", "a b:80"] {
        let said = asked(&Tcp::new(), &Endpoint::new("a", text.to_owned()))
            .await
            .unwrap_err();
        let expected = format!("invalid address '{text}': expected HOST:PORT with a port from 1 to 65535");
        assert_eq!(said, expected);
    }
    let said = asked(&Tcp::new(), &Endpoint::new("a", "no-such-host.invalid:80".to_owned())).await;
    let said = said.unwrap_err();
    assert!(said.starts_with("no connection to no-such-host.invalid:80: "), "{said}");
}

#[tokio::test]
async fn backends_that_do_not_say_where_they_are_can_be_told_for() {
    struct Client(u16);
    impl Backend for Client {
        fn id(&self) -> &str {
            "client"
        }
    }
    let (address, _) = web().await;
    let probe = probes::at(
        |client: &Client| format!("127.0.0.1:{}", client.0),
        Http::get("/").unwrap(),
    );
    assert!(asked(&probe, &Client(address.port())).await.is_ok());
    assert!(asked(&probe, &Client(nobody().await.port())).await.is_err());
}
