//! Where an HTTP backend is, and requests sent there.

use std::{
    fmt,
    str::FromStr,
    task::{Context, Poll},
};

use http::{
    Request, Uri,
    uri::{Authority, InvalidUri, PathAndQuery, Scheme},
};
use tower_service::Service;

use crate::{Assigned, Backend};

/// A scheme and an authority, such as `http://127.0.0.1:9001`.
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
}

impl Origin {
    /// The scheme, `http` or `https`.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// The host and, perhaps, the port.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The same path and query at this origin.
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
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let parts = text.parse::<Uri>().map_err(OriginError::Uri)?.into_parts();
        let scheme = parts.scheme.ok_or(OriginError::Scheme)?;
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(OriginError::Scheme);
        }
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
            _ => Ok(Self { scheme, authority }),
        }
    }
}

/// A text that is no [`Origin`].
#[derive(Debug)]
#[non_exhaustive]
pub enum OriginError {
    /// It is no URI.
    Uri(InvalidUri),
    /// The scheme is missing, or neither `http` nor `https`.
    Scheme,
    /// The host is missing, the port is not from 1 to 65535, or there is a user name.
    Authority,
    /// There is a path or a query: an origin has none.
    Path,
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected http://HOST[:PORT] or https://HOST[:PORT]")?;
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

/// Sends each request to the origin of the backend that it is assigned to: only the URI is changed.
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

    fn call(&mut self, assigned: Assigned<Request<Body>, B>) -> I::Future {
        let Assigned { mut request, backend } = assigned;
        let uri = std::mem::take(request.uri_mut());
        *request.uri_mut() = (*backend).as_ref().uri(uri);
        self.0.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port() {
        for text in ["http://127.0.0.1:9001", "https://[::1]:443", "http://a.example"] {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "/",
            "a.example",
            "a.example:80",
            "ftp://a.example",
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
}
