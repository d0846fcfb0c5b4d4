use std::{net::SocketAddr, sync::Arc};

use equipoise::{
    Endpoint, HealthProbe,
    http::Origin,
    probes::{Http, ProbeError, Tcp, Tls},
};
use rcgen::{CertificateParams, KeyPair};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use crate::{
    asking::{asked, asked_at, refused_at, stalls},
    serving::{Seen, answers, says_and_hangs, serve},
};

/// A server of these protocols in TLS, whose certificate is for these names, and signed by itself.
async fn secure(names: &[&str], protocols: &[&str]) -> (SocketAddr, Seen, String) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    serve_by(CertificateParams::new(names).unwrap(), protocols).await
}

async fn serve_by(params: CertificateParams, protocols: &[&str]) -> (SocketAddr, Seen, String) {
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    let chain = vec![CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth();
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let seen = Seen::default();
    let served = seen.clone();
    let address = serve(move |stream| {
        let (acceptor, served) = (acceptor.clone(), served.clone());
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                served.attend(stream).await;
            }
        }
    })
    .await;
    (address, seen, pem)
}

fn by(pem: &str) -> Http {
    Http::get("/")
        .unwrap()
        .expect_text("well")
        .unwrap()
        .tls(Tls::roots(pem.as_bytes()).unwrap())
}

#[tokio::test]
async fn http2_is_spoken_where_both_would() {
    for (offered, version) in [
        (&["h2", "http/1.1"][..], http::Version::HTTP_2),
        (&["http/1.1"], http::Version::HTTP_11),
        (&[], http::Version::HTTP_11),
    ] {
        let (address, seen, pem) = secure(&["127.0.0.1"], offered).await;
        assert!(asked_at(&by(&pem), address).await.is_ok());
        assert_eq!(seen.last().version, version);
        assert!(asked_at(&by(&pem).http1(), address).await.is_ok());
        assert_eq!(seen.last().version, http::Version::HTTP_11);
        let http2 = asked_at(&by(&pem).http2(), address).await;
        assert_eq!(http2.is_ok(), version == http::Version::HTTP_2, "{http2:?}");
    }
}

#[tokio::test]
async fn a_certificate_has_to_be_for_the_name_that_was_meant() {
    let (address, seen, pem) = secure(&["shop.example"], &["http/1.1"]).await;
    let said = refused_at(&by(&pem), address).await;
    assert!(
        said.starts_with("no TLS with 127.0.0.1: ") && said.contains("shop.example"),
        "{said}"
    );
    let named = Tls::roots(pem.as_bytes()).unwrap().name("shop.example").unwrap();
    assert!(asked_at(&by(&pem).tls(named.clone()), address).await.is_ok());
    assert_eq!(seen.last().headers["host"], address.to_string());
    assert!(asked_at(&Tcp::new().tls(named), address).await.is_ok());
    // The host that the request is for is the one that is meant.
    assert!(
        asked_at(&by(&pem).host("shop.example:444").unwrap(), address)
            .await
            .is_ok()
    );
    assert_eq!(seen.last().headers["host"], "shop.example:444");
    assert!(asked_at(&by(&pem).host("shop.test").unwrap(), address).await.is_err());
    for wrong in ["", "a b", "a:80", "[::1]"] {
        assert!(Tls::system().name(wrong).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn nobody_is_trusted_unless_told_so() {
    let (address, _, _) = secure(&["127.0.0.1"], &["h2"]).await;
    let (_, _, other) = secure(&["127.0.0.1"], &["h2"]).await;
    assert!(asked_at(&by(&other), address).await.is_err());
    // By the machine's roots: an origin of https is asked in TLS without being told.
    let origin: Endpoint<Origin> = format!("https://{address}").parse().unwrap();
    let probe = Http::get("/").unwrap();
    let error = probe.probe(&origin).await.unwrap_err();
    assert!(matches!(error, ProbeError::Tls { .. }), "{error}");
    let anybody = probe.clone().tls(Tls::dangerously_unverified());
    assert!(asked(&anybody, &origin).await.is_ok());
    assert!(asked_at(&anybody, address).await.is_ok());
    // That it listens is known without TLS.
    assert!(asked(&Tcp::new(), &origin).await.is_ok());
    let said = asked(&probe.plain(), &origin).await.unwrap_err();
    assert!(said.starts_with("broken off: "), "{said}");
}

#[tokio::test]
async fn a_certificate_that_has_expired_fails() {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let (address, _, pem) = serve_by(params, &[]).await;
    let said = refused_at(&by(&pem), address).await;
    assert!(said.contains("expired"), "{said}");
    let anybody = by(&pem).tls(Tls::dangerously_unverified());
    assert!(asked_at(&anybody, address).await.is_ok());
}

#[tokio::test]
async fn who_speaks_no_tls_fails_or_is_waited_for() {
    let probe = Http::get("/").unwrap().tls(Tls::dangerously_unverified());
    let said = refused_at(&probe, answers("HTTP/1.1 400 Bad Request\r\n\r\n").await).await;
    assert!(said.starts_with("no TLS with 127.0.0.1: "), "{said}");
    refused_at(&probe, answers("").await).await;
    assert!(stalls(&probe, says_and_hangs("").await).await);
}

#[test]
fn roots_are_certificates() {
    let key = KeyPair::generate().unwrap().serialize_pem();
    for wrong in [
        "",
        "x",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        &key,
    ] {
        let error = Tls::roots(wrong.as_bytes()).unwrap_err().to_string();
        let begins = format!("invalid roots '{} bytes': expected certificates in PEM (", wrong.len());
        assert!(error.starts_with(&begins), "{error}");
    }
}
