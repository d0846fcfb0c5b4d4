//! A backend of HTTP/1.1 and HTTP/2 by hyper.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{
    Method, Request, Response,
    body::{Body, Bytes, Incoming},
    header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::net::TcpListener;

use crate::pattern::{Comparison, Pattern};

type Answer = Response<BoxBody<Bytes, hyper::Error>>;

/// "compressed" by `gzip -9n`.
pub(crate) const GZIP: &[u8] = &[
    31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 75, 206, 207, 45, 40, 74, 45, 46, 78, 77, 1, 0, 30, 75, 86, 151, 10, 0, 0, 0,
];

/// Starts one. By the path of a request it
/// - `/told`: tells what it was sent when it has read it: the request line, and the headers in one line each;
/// - `/echo`: sends the content back as it comes;
/// - `/pattern/N`: sends so many bytes of the [pattern](crate::pattern);
/// - `/compare`: compares the content with the pattern, and tells how many bytes there were; `/compare/slowly` takes a
///   part, and then a break;
/// - `/gzip`: sends what is compressed.
///
/// To HEAD it tells the same, without content.
pub(crate) async fn start() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let builder = auto::Builder::new(TokioExecutor::new());
            tokio::spawn(async move {
                // How a connection ends is what its other side sees.
                let _ = builder.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
            });
        }
    });
    address
}

async fn answer(request: Request<Incoming>) -> Result<Answer, Infallible> {
    let is_head = request.method() == Method::HEAD;
    let path = request.uri().path().to_owned();
    let mut answer = match path.split('/').nth(1).unwrap_or_default() {
        "echo" => Response::new(request.into_body().boxed()),
        "pattern" => {
            let length = path.rsplit('/').next().and_then(|length| length.parse().ok());
            Response::new(Pattern::new(length.unwrap()).map_err(|never| match never {}).boxed())
        }
        "compare" => Response::new(text(compare(request.into_body(), path.ends_with("slowly")).await)),
        "gzip" => Response::new(text(GZIP)),
        _ => {
            let told = told(&request);
            // How it ends is the client's affair.
            let _ = request.into_body().collect().await;
            Response::new(text(told))
        }
    };
    if path == "/gzip" {
        let headers = answer.headers_mut();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    // hyper sends it all the same in HTTP/2.
    if let (true, Some(length)) = (is_head, answer.body().size_hint().exact()) {
        answer.headers_mut().insert(CONTENT_LENGTH, length.into());
        *answer.body_mut() = text("");
    }
    Ok(answer)
}

fn text(text: impl Into<Bytes>) -> BoxBody<Bytes, hyper::Error> {
    Full::from(text.into()).map_err(|never| match never {}).boxed()
}

fn told(request: &Request<Incoming>) -> String {
    let mut told = format!("{} {} {:?}\n", request.method(), request.uri(), request.version());
    for (name, value) in request.headers() {
        told += &format!("{name}: {}\n", value.to_str().unwrap());
    }
    told
}

async fn compare(mut body: Incoming, slowly: bool) -> String {
    let mut comparison = Comparison::default();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map(|frame| frame.into_data().unwrap_or_default()) else {
            return format!("broken after {}", comparison.seen());
        };
        comparison.next(&data);
        if slowly {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    comparison.seen().to_string()
}
