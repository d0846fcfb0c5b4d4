//! Backends that say what no library would.

use std::net::Ipv4Addr;

use tokio::net::TcpListener;

use crate::wire::Wire;

/// Does this with each connection, for as long as the test runs; returns its origin.
pub(crate) async fn backend<F>(serve: impl Fn(Wire) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(Wire::new(stream)));
        }
    });
    origin
}
