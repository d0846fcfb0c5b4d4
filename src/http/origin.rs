//! Where an HTTP backend is, and requests sent there.

use std::{
    fmt,
    str::FromStr,
    task::{Context, Poll},
};

use http::{
    Request, Uri, Version,
    uri::{Authority, InvalidUri, PathAndQuery, Scheme},
};
use tower_service::Service;

use crate::{Assigned, Backend};

/// A scheme and an authority, such as `http://127.0.0.1:9001`.
///
/// `h2c://127.0.0.1:9001` is `http` to a server that is known to speak HTTP/2 without TLS, as Traefik and Caddy write
/// it.
///
/// ```
/// use equipoise::http::Origin;
/// let origin: Origin = "https://api.example.com".parse()?;
/// assert_eq!(origin.authority().host(), "api.example.com");
/// assert!("api.example.com".parse::<Origin>().is_err());
/// # Ok::<_, equipoise::http::OriginError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: Scheme,
    authority: Authority,
    /// What requests are sent as; none: as the caller says.
    version: Option<Version>,
}

/// HTTP/2 without TLS and without asking first (prior knowledge, RFC 9113 §3.3).
const H2C: &str = "h2c";

impl Origin {
    /// The scheme, `http` or `https`; it is `http` for `h2c`.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// The host and, perhaps, the port.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Whether it is written `h2c`: its server speaks HTTP/2 without TLS.
    pub fn is_h2c(&self) -> bool {
        self.version == Some(Version::HTTP_2)
    }

    /// The same path and query at this origin.
    #[inline]
    fn uri(&self, uri: Uri) -> Uri {
        let mut parts = uri.into_parts();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
        // All three are there, which is all that the conversion checks.
        Uri::from_parts(parts).unwrap_or_default()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_h2c() { H2C } else { self.scheme.as_str() };
        write!(f, "{scheme}://{}", self.authority)
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let parts = text.parse::<Uri>().map_err(OriginError::Uri)?.into_parts();
        let (scheme, version) = match parts.scheme.ok_or(OriginError::Scheme)? {
            scheme if scheme == Scheme::HTTP => (scheme, Some(Version::HTTP_11)),
            scheme if scheme == Scheme::HTTPS => (scheme, None),
            scheme if scheme.as_str().eq_ignore_ascii_case(H2C) => (Scheme::HTTP, Some(Version::HTTP_2)),
            _ => return Err(OriginError::Scheme),
        };
        let authority = parts.authority.ok_or(OriginError::Authority)?;
        // `http://a;weight=2` is a typing error for `http://a,weight=2`, not a host.
        let is_host = !authority.host().is_empty() && !authority.as_str().contains(['@', ';', '=']);
        // `host:` and `host:99999` have no port that `port_u16` could read, but more than a host.
        let is_port = authority.port_u16().is_some_and(|port| port > 0) || authority.as_str() == authority.host();
        if !is_host || !is_port {
            return Err(OriginError::Authority);
        }
        match parts.path_and_query {
            Some(path) if path != "/" => Err(OriginError::Path),
            _ => Ok(Self {
                scheme,
                authority,
                version,
            }),
        }
    }
}

/// A text that is no [`Origin`].
#[derive(Debug)]
#[non_exhaustive]
pub enum OriginError {
    /// It is no URI.
    Uri(InvalidUri),
    /// The scheme is missing, or none of `http`, `https` and `h2c`.
    Scheme,
    /// The host is missing, the port is not from 1 to 65535, or there is a user name.
    Authority,
    /// There is a path or a query: an origin has none.
    Path,
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected http://HOST[:PORT], https://HOST[:PORT] or h2c://HOST[:PORT]")?;
        match self {
            Self::Uri(error) => write!(f, ", but this is no URI: {error}"),
            Self::Scheme => f.write_str(", but the scheme is another or missing"),
            Self::Authority => {
                f.write_str(", but the host is missing, the port is not from 1 to 65535, or there is a user")
            }
            Self::Path => f.write_str(", but there is a path or a query"),
        }
    }
}

impl std::error::Error for OriginError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Uri(error) => Some(error),
            _ => None,
        }
    }
}

/// Sends each request to the origin of the backend that it is assigned to: the URI is changed, and the version is
/// HTTP/2 for `h2c` and HTTP/1.1 for `http`, whatever the request came as. For `https`, where TLS negotiates it, it is
/// left as it is.
#[derive(Clone, Debug)]
pub struct ToOrigin<I>(I);

/// The layer of [`ToOrigin`].
#[derive(Clone, Copy, Debug, Default)]
pub struct ToOriginLayer;

impl<I> ToOrigin<I> {
    /// Before a client that takes absolute URIs.
    pub fn new(client: I) -> Self {
        Self(client)
    }
}

impl<I, Body, B> Service<Assigned<Request<Body>, B>> for ToOrigin<I>
where
    I: Service<Request<Body>>,
    B: Backend + AsRef<Origin>,
{
    type Response = I::Response;
    type Error = I::Error;
    type Future = I::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), I::Error>> {
        self.0.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, mut assigned: Assigned<Request<Body>, B>) -> I::Future {
        // In place: a request is large to move.
        let (request, origin) = (&mut assigned.request, (*assigned.backend).as_ref());
        let uri = std::mem::take(request.uri_mut());
        *request.uri_mut() = origin.uri(uri);
        if let Some(version) = origin.version {
            *request.version_mut() = version;
        }
        self.0.call(assigned.request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port() {
        for text in [
            "http://127.0.0.1:9001",
            "https://[::1]:443",
            "http://a.example",
            "h2c://a:1",
        ] {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "/",
            "a.example",
            "a.example:80",
            "ftp://a.example",
            "h2://a.example",
            "h2c://",
            "http://",
            "http://a.example/path",
            "http://a?q",
            "http://a:",
            "http://a:0",
            "http://a:65536",
            "http://u@a",
            "http://a;weight=2",
            "http://:80",
            "http://a b",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }

    #[test]
    fn path_and_query_are_kept_whatever_the_form_of_the_request() {
        let origin: Origin = "http://b:81".parse().unwrap();
        for (from, to) in [
            ("/p?q=1", "http://b:81/p?q=1"),
            ("https://a:80/p?q=1", "http://b:81/p?q=1"),
            ("https://a", "http://b:81/"),
            ("a:80", "http://b:81/"),
        ] {
            assert_eq!(origin.uri(from.parse().unwrap()).to_string(), to);
        }
        // `OPTIONS *` has no path; a client sends just what is asked for.
        assert_eq!(origin.uri("*".parse().unwrap()).path(), "*");
    }

    #[test]
    fn h2c_is_http_on_the_wire() {
        let origin: Origin = "h2c://b:81".parse().unwrap();
        assert!(origin.is_h2c());
        assert_eq!(origin.scheme(), &Scheme::HTTP);
        assert_eq!(origin.uri("/p".parse().unwrap()).to_string(), "http://b:81/p");
        assert_ne!(origin, "http://b:81".parse().unwrap());
    }

    #[test]
    fn requests_are_sent_as_what_the_origin_speaks() {
        use crate::{BalanceLayer, Pool, RoundRobin, http::HttpEndpoint};
        use futures_util::FutureExt;
        use tower_layer::Layer;

        let versions = ["http://a", "h2c://b", "https://c"].map(|origin| {
            let endpoint: HttpEndpoint = origin.parse().unwrap();
            let clock = crate::ManualClock::new().clock();
            let (pool, _driver) = Pool::builder_on(clock)
                .selector(RoundRobin::new())
                .backend(endpoint)
                .build();
            let seen = tower::service_fn(async |request: Request<String>| {
                Ok::<_, crate::BoxError>(http::Response::new(format!("{:?}", request.version())))
            });
            let mut request = Request::new(String::new());
            *request.version_mut() = Version::HTTP_10;
            let answer = BalanceLayer::http(pool).layer(seen).call(request).now_or_never();
            let mut body = answer.unwrap().unwrap().into_body();
            let frame = http_body::Body::poll_frame(
                std::pin::Pin::new(&mut body),
                &mut Context::from_waker(futures_util::task::noop_waker_ref()),
            );
            let Poll::Ready(Some(Ok(frame))) = frame else { panic!() };
            String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
        });
        assert_eq!(versions, ["HTTP/1.1", "HTTP/2.0", "HTTP/1.0"]);
    }
}
