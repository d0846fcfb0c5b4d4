//! Whether a gRPC server says that it serves.

use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version, header, uri::Authority};
use http_body_util::Full;

use super::{
    address::{Address, ProbeTarget},
    dial::Dial,
    error::{ProbeError, SettingError},
    exchange::Exchange,
    grpc_message::{HealthCheckRequest, Statuses, framed},
    http::{authority, named, not_http2},
    tls::{Alpn, Tls},
};
use crate::{Backend, HealthProbe, health::Report};

/// Asks a gRPC server's health service, `grpc.health.v1.Health/Check` (grpc/grpc, `doc/health-checking.md`).
///
/// Who is `SERVING` passes. Who is not, does not know, or does not know the service fails, and so does who has no health
/// service (`UNIMPLEMENTED`): any gRPC server would answer that, also one that is not the one that was meant, and one
/// whose health service somebody forgot to add. For a server that has none, [`Tcp`](super::Tcp) asks what it can answer.
///
/// ```
/// use equipoise::probes::Grpc;
/// let probe = Grpc::new().service("shop.v1.Cart")?;
/// # Ok::<_, equipoise::probes::SettingError>(())
/// ```
/// It is HTTP/2 in any case; in TLS if the backend is an origin of `https`, or if told so.
#[derive(Clone, Debug, Default)]
pub struct Grpc {
    dial: Dial,
    service: String,
    host: Option<Authority>,
}

impl Grpc {
    /// Asks for the server as a whole.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for one of its services, by the full name.
    ///
    /// # Errors
    /// The name is longer than 1,024 bytes.
    pub fn service(mut self, name: &str) -> Result<Self, SettingError> {
        if name.len() > 1024 {
            return Err(SettingError::new("service", name.as_bytes(), "at most 1024 bytes"));
        }
        name.clone_into(&mut self.service);
        Ok(self)
    }

    /// The host, and perhaps a port, that the call names (`:authority`), and that a certificate is for unless
    /// [`Tls::name`] says otherwise; in place of the backend's address.
    ///
    /// # Errors
    /// It is no host.
    pub fn host(mut self, host: &str) -> Result<Self, SettingError> {
        self.host = Some(named(host)?);
        Ok(self)
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

    /// Where this asks such a backend.
    pub(super) fn place(&self, target: &(impl ProbeTarget + ?Sized)) -> Result<Address, ProbeError> {
        Ok(self.dial.place(target.address()?))
    }

    /// Calls a method of the health service.
    pub(super) async fn call(&self, address: &Address, method: &str) -> Result<(Exchange, Statuses), ProbeError> {
        let name = match &self.host {
            Some(host) => host.host().trim_matches(['[', ']']).to_owned(),
            None => address.host(),
        };
        let dialled = self.dial.connect(address, &name, Alpn::Http2).await?;
        if dialled.is_tls && !dialled.is_h2 {
            return Err(not_http2());
        }
        let (scheme, usual) = if dialled.is_tls { ("https", 443) } else { ("http", 80) };
        let authority = match &self.host {
            Some(host) => host.to_string(),
            None => authority(address, usual),
        };
        let uri = Uri::builder().scheme(scheme).authority(authority);
        let uri = uri.path_and_query(format!("/grpc.health.v1.Health/{method}")).build();
        let service = self.service.clone();
        let mut request = Request::new(Full::new(framed(&HealthCheckRequest { service })));
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = uri.map_err(|error| ProbeError::broken(&error))?;
        *request.headers_mut() = headers();
        let (exchange, response) = Exchange::open(dialled, true, request).await?;
        Ok((exchange, Statuses::of(response)?))
    }

    async fn ask(&self, target: &(impl ProbeTarget + ?Sized)) -> Result<Report, ProbeError> {
        let (mut exchange, mut statuses) = self.call(&self.place(target)?, "Check").await?;
        let reading = async {
            let status = statuses.next().await?;
            let end = if status.is_some() { statuses.next().await? } else { None };
            match (status, end) {
                (Some(status), None) => status.report(),
                _ => Err(ProbeError::unexpected("one status", "none, or more than one")),
            }
        };
        exchange.read(reading).await
    }
}

fn headers() -> HeaderMap {
    let agent = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
    let headers = [
        (header::CONTENT_TYPE, "application/grpc"),
        (header::TE, "trailers"),
        (header::USER_AGENT, agent),
    ];
    let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
    headers.into_iter().collect()
}

impl<B: Backend + ProbeTarget> HealthProbe<B> for Grpc {
    type Error = ProbeError;

    async fn probe(&self, backend: &B) -> Result<Report, ProbeError> {
        self.ask(backend).await
    }
}
