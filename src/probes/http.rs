//! Whether a backend answers a request of HTTP as expected.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Version, header,
    uri::{Authority, PathAndQuery},
};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;

use super::{
    LONGEST,
    address::{Address, ProbeTarget},
    dial::Dial,
    error::{ProbeError, SettingError},
    exchange::Exchange,
    expect::{Content, Statuses},
    tls::{Alpn, Tls},
};
use crate::{Backend, HealthProbe, health::Report};

/// Sends a request, and sees whether the reply is what is expected: its status, and if told so its body.
///
/// ```
/// use equipoise::probes::{Http, Tls};
///
/// let probe = Http::get("/health")?
///     .host("shop.example")?
///     .header("authorization", "Bearer let-me-see")?
///     .expect_status([200, 204])?
///     .expect_match(r#""status":\s*"(ok|warning)""#)?;
///
/// // At an administrator's port, whose certificate is signed by an authority of one's own.
/// # fn read() -> Result<Vec<u8>, equipoise::BoxError> {
/// # let key = rcgen::KeyPair::generate()?;
/// # Ok(rcgen::CertificateParams::new(vec![])?.self_signed(&key)?.pem().into_bytes()) }
/// # let authority = read()?;
/// let probe = Http::head("/ready")?.port(9443)?.tls(Tls::roots(&authority)?);
/// # Ok::<_, equipoise::BoxError>(())
/// ```
///
/// It is HTTP/1.1, unless the backend is an origin of `h2c`, or one of `https` that takes HTTP/2 when it is offered.
/// Redirections are an answer, and not followed. Unless a body is expected none is read: an answer is its head.
#[derive(Clone, Debug)]
pub struct Http {
    dial: Dial,
    method: Method,
    path: PathAndQuery,
    host: Option<Authority>,
    headers: HeaderMap,
    version: Option<Version>,
    statuses: Statuses,
    content: Option<Content>,
}

/// Headers that the connection's own, or another setting, says.
const TAKEN: [HeaderName; 8] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::EXPECT,
];

impl Http {
    /// `GET` of a path, with its query.
    ///
    /// # Errors
    /// It does not begin with `/`, has a fragment, or characters that a path can't have.
    pub fn get(path: &str) -> Result<Self, SettingError> {
        Self::new(Method::GET, path)
    }

    /// `HEAD` of a path, with its query.
    ///
    /// # Errors
    /// As [`get`](Http::get).
    pub fn head(path: &str) -> Result<Self, SettingError> {
        Self::new(Method::HEAD, path)
    }

    /// Any method but `CONNECT`, with an empty body. For `OPTIONS` the path may be `*`.
    ///
    /// # Errors
    /// As [`get`](Http::get); the method is `CONNECT`.
    pub fn new(method: Method, path: &str) -> Result<Self, SettingError> {
        if method == Method::CONNECT {
            return Err(SettingError::new("method", b"CONNECT", "one that asks for an answer"));
        }
        let allowed = "a path that begins with '/', such as '/health', without '#'";
        let wrong = || SettingError::new("path", path.as_bytes(), allowed);
        let is_path = path.starts_with('/') && !path.contains('#') || path == "*" && method == Method::OPTIONS;
        let parsed = Some(path).filter(|_| is_path).and_then(|path| path.parse().ok());
        let agent = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        Ok(Self {
            dial: Dial::default(),
            method,
            path: parsed.ok_or_else(wrong)?,
            host: None,
            headers,
            version: None,
            statuses: Statuses::usual(),
            content: None,
        })
    }

    /// The host, and perhaps a port, that the request names (`Host`, `:authority`), and that a certificate is for unless
    /// [`Tls::name`] says otherwise; in place of the backend's address.
    ///
    /// # Errors
    /// It is no host.
    pub fn host(mut self, host: &str) -> Result<Self, SettingError> {
        self.host = Some(named(host)?);
        Ok(self)
    }

    /// Sends this header; a second one of the same name takes the first one's place. `user-agent` is this crate's name and
    /// version unless it is said here.
    ///
    /// # Errors
    /// It is no header, or one that is not for this to say: the host (see [`host`](Http::host)), or how the request is
    /// framed.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, SettingError> {
        let parsed: Option<HeaderName> = name.parse().ok().filter(|name| !TAKEN.contains(name));
        let allowed = "a header's name, but for Host and those that frame a request";
        let name = parsed.ok_or_else(|| SettingError::new("header", name.as_bytes(), allowed))?;
        let parsed = HeaderValue::from_str(value);
        // Which may be a secret.
        let secret = || SettingError::new("header", name.as_str().as_bytes(), "a value without control characters");
        let value = parsed.map_err(|_| secret())?;
        self.headers.insert(name, value);
        Ok(self)
    }

    /// These statuses pass, a range or a list; 200 to 399 unless this is said, as with HAProxy and Kubernetes.
    ///
    /// # Errors
    /// There is none, or one that is not from 200 to 999.
    pub fn expect_status(mut self, statuses: impl IntoIterator<Item = u16>) -> Result<Self, SettingError> {
        self.statuses = Statuses::of(statuses)?;
        Ok(self)
    }

    /// Who passes has this text somewhere in its body, which is not longer than [`LONGEST`].
    ///
    /// # Errors
    /// The text is empty, or longer than 1,024 bytes; the method is `HEAD`, whose answer has no body.
    pub fn expect_text(self, text: &str) -> Result<Self, SettingError> {
        self.expect_content("text", Content::text(text)?)
    }

    /// Who passes has a body that this regular expression matches somewhere, and that is not longer than [`LONGEST`]. The
    /// syntax is that of the crate [`regex`](https://docs.rs/regex/1/regex/#syntax); `(?-u)` matches bytes that are not
    /// UTF-8.
    ///
    /// # Errors
    /// It is none, is empty, or would be very large; the method is `HEAD`, whose answer has no body.
    pub fn expect_match(self, pattern: &str) -> Result<Self, SettingError> {
        self.expect_content("pattern", Content::pattern(pattern)?)
    }

    fn expect_content(mut self, setting: &'static str, content: Content) -> Result<Self, SettingError> {
        if self.method == Method::HEAD {
            return Err(SettingError::new(
                setting,
                b"",
                "none, as an answer to HEAD has no body",
            ));
        }
        self.content = Some(content);
        Ok(self)
    }

    /// In HTTP/1.1, whatever the backend would take.
    pub fn http1(mut self) -> Self {
        self.version = Some(Version::HTTP_11);
        self
    }

    /// In HTTP/2: in TLS the backend has to agree, and without it this is begun with (RFC 9113 §3.3).
    pub fn http2(mut self) -> Self {
        self.version = Some(Version::HTTP_2);
        self
    }

    /// Asks at this port of the backend's host, in place of its own.
    ///
    /// # Errors
    /// It is 0.
    pub fn port(mut self, port: u16) -> Result<Self, SettingError> {
        self.dial.set_port(port)?;
        Ok(self)
    }

    /// In TLS, whatever the backend's address says.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.dial.set_tls(tls);
        self
    }

    /// Without TLS, whatever the backend's address says.
    pub fn plain(mut self) -> Self {
        self.dial.set_plain();
        self
    }

    async fn ask(&self, target: &(impl ProbeTarget + ?Sized)) -> Result<Report, ProbeError> {
        let address = self.dial.place(target.address()?);
        let alpn = match self.version {
            Some(Version::HTTP_2) => Alpn::Http2,
            Some(_) => Alpn::Http1,
            None => Alpn::Either,
        };
        let name = match &self.host {
            Some(host) => host.host().trim_matches(['[', ']']).to_owned(),
            None => address.host(),
        };
        let dialled = self.dial.connect(&address, &name, alpn).await?;
        let is_http2 = match self.version {
            Some(Version::HTTP_2) if dialled.is_tls && !dialled.is_h2 => return Err(not_http2()),
            Some(version) => version == Version::HTTP_2,
            None if dialled.is_tls => dialled.is_h2,
            None => address.is_http2,
        };
        let request = self.request(&address, dialled.is_tls, is_http2)?;
        let (mut exchange, response) = Exchange::open(dialled, is_http2, request).await?;
        let status = response.status().as_u16();
        if !self.statuses.contains(status) {
            let expected = format!("status {}", self.statuses);
            return Err(ProbeError::unexpected(expected, status.to_string()));
        }
        if let Some(content) = &self.content {
            let (body, is_whole) = exchange.read(beginning(response.into_body())).await?;
            if !is_whole {
                return Err(content.too_long(&body));
            }
            if !content.is_in(&body) {
                return Err(content.missing(&body));
            }
        }
        Ok(Report::new())
    }

    fn request(&self, address: &Address, is_tls: bool, is_http2: bool) -> Result<Request<Full<Bytes>>, ProbeError> {
        let authority = match &self.host {
            Some(host) => host.to_string(),
            None => authority(address, if is_tls { 443 } else { 80 }),
        };
        let broken = |error: http::Error| ProbeError::broken(&error);
        let mut request = Request::new(Full::default());
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = self.headers.clone();
        if is_http2 {
            let scheme = if is_tls { "https" } else { "http" };
            let uri = http::Uri::builder().scheme(scheme).authority(authority);
            *request.uri_mut() = uri.path_and_query(self.path.clone()).build().map_err(broken)?;
            *request.version_mut() = Version::HTTP_2;
        } else {
            let host = HeaderValue::from_str(&authority).map_err(|error| broken(error.into()))?;
            request.headers_mut().insert(header::HOST, host);
            // One question only: it is for the backend to close it then.
            let close = HeaderValue::from_static("close");
            request.headers_mut().insert(header::CONNECTION, close);
            *request.uri_mut() = self.path.clone().into();
        }
        Ok(request)
    }
}

/// A host, and perhaps a port, that a request names.
pub(super) fn named(host: &str) -> Result<Authority, SettingError> {
    let wrong = || SettingError::new("host", host.as_bytes(), "HOST or HOST:PORT");
    let authority: Authority = host.parse().map_err(|_| wrong())?;
    let is_port = authority.port_u16().is_some() || authority.as_str() == authority.host();
    if authority.host().is_empty() || host.contains('@') || !is_port {
        return Err(wrong());
    }
    Ok(authority)
}

/// The server speaks TLS, but not HTTP/2 in it.
pub(super) fn not_http2() -> ProbeError {
    ProbeError::unexpected("HTTP/2 to be agreed upon in TLS (ALPN)", "no word of it")
}

/// Host and port as a request names them: without the scheme's own port (RFC 9110 §4.2.3).
pub(super) fn authority(address: &Address, usual: u16) -> String {
    let host = address.host();
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    if address.port() == usual {
        return host;
    }
    format!("{host}:{}", address.port())
}

/// Of a body as much as is read at all, and whether that is all of it.
async fn beginning<B>(mut body: B) -> Result<(Vec<u8>, bool), ProbeError>
where
    B: Body<Data = Bytes, Error = hyper::Error> + Unpin,
{
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| ProbeError::broken(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        let room = LONGEST - read.len();
        read.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            return Ok((read, false));
        }
    }
    Ok((read, true))
}

impl<B: Backend + ProbeTarget> HealthProbe<B> for Http {
    type Error = ProbeError;

    async fn probe(&self, backend: &B) -> Result<Report, ProbeError> {
        self.ask(backend).await
    }
}
