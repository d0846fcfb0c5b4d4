//! Servers to ask.

use std::{
    convert::Infallible,
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A listener on a free port.
pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A server that does this with each connection.
pub(crate) async fn serve<F, A>(attend: F) -> SocketAddr
where
    F: Fn(TcpStream) -> A + Send + Sync + 'static,
    A: Future<Output = ()> + Send + 'static,
{
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(attend(stream));
        }
    });
    address
}

/// A server that says this at once, and no more.
pub(crate) async fn says(words: impl Into<Vec<u8>>) -> SocketAddr {
    let words = Arc::new(words.into());
    serve(move |stream| say(stream, Arc::clone(&words))).await
}

/// A server that says this once it was asked for anything, and no more.
pub(crate) async fn answers(words: impl Into<Vec<u8>>) -> SocketAddr {
    let words = Arc::new(words.into());
    serve(move |mut stream| {
        let words = Arc::clone(&words);
        async move {
            let _ = stream.read(&mut [0; 4096]).await;
            say(stream, words).await;
        }
    })
    .await
}

async fn say(mut stream: TcpStream, words: Arc<Vec<u8>>) {
    let _ = stream.write_all(&words).await;
    let _ = stream.shutdown().await;
    // Closed with bytes that were not read it would be reset, and what was said lost.
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}

/// A server that says this at once, and then nothing, for ever.
pub(crate) async fn says_and_hangs(words: impl Into<Vec<u8>>) -> SocketAddr {
    let words = Arc::new(words.into());
    serve(move |mut stream| {
        let words = Arc::clone(&words);
        async move {
            let _ = stream.write_all(&words).await;
            std::future::pending().await
        }
    })
    .await
}

/// A server that says the first once, and the second again and again.
pub(crate) async fn goes_on(first: &'static str, next: impl Into<Vec<u8>>) -> SocketAddr {
    let next = Arc::new(next.into());
    serve(move |mut stream| {
        let next = Arc::clone(&next);
        async move {
            let mut sent = stream.write_all(first.as_bytes()).await;
            while sent.is_ok() {
                sent = stream.write_all(&next).await;
                tokio::task::yield_now().await;
            }
        }
    })
    .await
}

/// The same, once it was asked for anything.
pub(crate) async fn goes_on_when_asked(first: &'static str, next: impl Into<Vec<u8>>) -> SocketAddr {
    let next = Arc::new(next.into());
    serve(move |mut stream| {
        let next = Arc::clone(&next);
        async move {
            let _ = stream.read(&mut [0; 4096]).await;
            let mut sent = stream.write_all(first.as_bytes()).await;
            while sent.is_ok() {
                sent = stream.write_all(&next).await;
                // However much of it is read at once, others have their turn.
                tokio::task::yield_now().await;
            }
        }
    })
    .await
}

/// A server that resets each connection.
pub(crate) async fn resets() -> SocketAddr {
    serve(async |stream| {
        // A connection that is closed with bytes that were not read is reset; one without may be read to its end first.
        stream.set_zero_linger().unwrap();
    })
    .await
}

/// An address at which nobody listens.
pub(crate) async fn nobody() -> SocketAddr {
    listen().await.1
}

/// The requests that a server has seen: version, method, target and headers.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<http::request::Parts>>>);

impl Seen {
    /// The last one.
    pub(crate) fn last(&self) -> http::request::Parts {
        self.0.lock().unwrap().last().unwrap().clone()
    }

    /// Answers `/status/200` with that status and a short body, and with `/long/99` a body as long as that.
    fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, _) = request.into_parts();
        let mut parts = head.uri.path().split('/').skip(1);
        let (kind, number) = (parts.next(), parts.next().and_then(|number| number.parse().ok()));
        let response = match (kind, number) {
            (Some("long"), Some(length)) => Response::new(Full::from(vec![b'x'; length])),
            (_, status) => {
                let mut response = Response::new(Full::from("it is well\n"));
                *response.status_mut() = http::StatusCode::from_u16(status.unwrap_or(200) as u16).unwrap();
                response
            }
        };
        self.0.lock().unwrap().push(head);
        response
    }

    /// Serves HTTP/1.1 and HTTP/2 on a connection.
    pub(crate) async fn attend<T>(self, stream: T)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = hyper::service::service_fn(move |request| {
            let response = self.answer(request);
            async { Ok::<_, Infallible>(response) }
        });
        let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
    }
}

/// A server of HTTP/1.1 and HTTP/2, without TLS.
pub(crate) async fn web() -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let served = seen.clone();
    let address = serve(move |stream| served.clone().attend(stream)).await;
    (address, seen)
}
