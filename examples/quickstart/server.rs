//! A backend: an HTTP/1.1 server that takes its time.

use std::{convert::Infallible, io, net::Ipv4Addr, time::Duration};

use equipoise::BoxError;
use http::{HeaderValue, Response};
use http_body_util::Full;
use hyper::{body::Bytes, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// The backends: id, how long one takes to answer, and what is to become of it.
pub(crate) const BACKENDS: [(&str, Duration, &str); 4] = [
    ("a", Duration::from_millis(2), "drained"),
    ("b", Duration::from_millis(2), "killed"),
    ("c", Duration::from_millis(20), "slow"),
    ("d", Duration::from_millis(2), "added"),
];

/// The response header with the id of the backend that answered.
pub(crate) const BACKEND: &str = "x-backend";

/// Serves as one of [`BACKENDS`]: tells its port on stdout, and serves for as long as stdin is open.
pub(crate) async fn serve(id: &str) -> Result<(), BoxError> {
    let (id, delay, _) = (BACKENDS.into_iter().find(|backend| backend.0 == id)).ok_or("no such backend")?;
    // The other end of stdin goes with the process that holds it, even if SIGKILL ends it: no backend outlives it.
    std::thread::spawn(|| {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        std::process::exit(0);
    });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let service = service_fn(move |_| answer(id, delay));
            // A client that goes away is no failure of the server.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(id: &'static str, delay: Duration) -> Result<Response<Full<Bytes>>, Infallible> {
    tokio::time::sleep(delay).await;
    let mut response = Response::new(Full::from("hello\n"));
    response.headers_mut().insert(BACKEND, HeaderValue::from_static(id));
    Ok(response)
}
