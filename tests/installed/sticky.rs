//! curl's cookie jar as the session of a client of the example `reverse_proxy`.

use std::{fs, net::Ipv4Addr};

use axum::Router;
use tokio::net::TcpListener;

use crate::{curl::curl, program::Folder, proxy::Proxy};

/// A backend that answers everything with its name; its origin.
async fn named(name: &'static str) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let answers = Router::new().fallback(move || async move { name });
    tokio::spawn(async move { axum::serve(listener, answers).await });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "needs curl: apt-get install curl"]
async fn a_cookie_jar_keeps_its_backend_through_a_drain_and_a_restart_of_the_proxy() {
    let folder = Folder::new();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (jar, keys, socket) = (path("jar"), path("keys"), path("operations"));
    fs::write(&keys, "7f".repeat(32)).unwrap();
    let names = ["a", "b", "c"];
    let backends = [named("a").await, named("b").await, named("c").await];
    let start = |backends: &[String]| {
        let sticky = ["--sticky", "cookie", "--sticky-keys", &keys, "--operations", &socket];
        Proxy::start(backends, &[&["--strategy", "round_robin"], &sticky[..]].concat())
    };
    let versions = ["--http1.0", "--http1.1", "--http2-prior-knowledge"];
    let known = |proxy: &Proxy, version| curl(&[version, "--cookie", &jar, "--cookie-jar", &jar, &proxy.uri("/")]);
    let stranger = |proxy: &Proxy, version| curl(&[version, &proxy.uri("/")]);
    let operator = |path: &str, id: &str| {
        let url = format!("http://localhost{path}");
        curl(&["--unix-socket", &socket, "--data", id, &url])
    };

    let proxy = start(&backends);
    let home = known(&proxy, "--http1.1");
    let at = names.iter().position(|name| *name == home).unwrap();
    let kept = fs::read_to_string(&jar).unwrap();
    assert!(
        kept.contains("equipoise") && !kept.contains(&backends[at]["http://".len()..]),
        "{kept}"
    );
    let stays = |proxy: &Proxy| {
        for version in versions.iter().cycle().take(15) {
            assert_eq!(known(proxy, version), home);
        }
    };
    let goes_elsewhere = |proxy: &Proxy| {
        for version in versions.iter().cycle().take(15) {
            assert_ne!(stranger(proxy, version), home);
        }
    };
    stays(&proxy);

    assert_eq!(operator("/drain", &backends[at]), "done\n");
    stays(&proxy);
    goes_elsewhere(&proxy);

    // The next one begins with what the last has left: the backend has no weight, and drains as well.
    proxy.signal("TERM");
    let (code, told) = proxy.end().await;
    assert_eq!(code, Some(0), "{told}");
    assert!(!fs::exists(&socket).unwrap(), "the socket is left behind");
    let mut drained = backends.clone();
    drained[at] += &format!(",weight=0,id={}", backends[at]);
    let proxy = start(&drained);
    stays(&proxy);
    goes_elsewhere(&proxy);
    assert_eq!(operator("/drain", &backends[at]), "done\n");
    stays(&proxy);
    assert_eq!(operator("/undrain", &backends[at]), "done\n");
    stays(&proxy);
}
