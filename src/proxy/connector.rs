//! TCP connections to backends.

use std::{
    error, fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio::net::TcpStream;
use tower_service::Service;

use crate::BoxError;

/// hyper-util's connector within a time that counts the resolution of the name as well.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    tcp: HttpConnector,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(timeout: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        // A head and a short body are two writes: the second must not wait for the first one's acknowledgement.
        tcp.set_nodelay(true);
        Self { tcp, timeout }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(cx).map_err(BoxError::from)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = tokio::time::timeout(self.timeout, self.tcp.call(uri));
        Box::pin(async move { Ok(connecting.await.map_err(|_elapsed| ConnectTimeout)??) })
    }
}

/// No connection in time.
#[derive(Debug)]
pub(super) struct ConnectTimeout;

impl fmt::Display for ConnectTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no connection in time")
    }
}

impl error::Error for ConnectTimeout {}
