//! TLS, as probes speak it.

use std::{
    fmt, io,
    sync::{Arc, OnceLock},
};

use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
        client::{
            Resumption,
            danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        },
        crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    },
};

use super::{
    error::{ProbeError, SettingError},
    excerpt::reason,
};

/// Whom a probe trusts to be the backend, over TLS 1.2 or 1.3.
///
/// The certificate has to be for the backend's host, or for the host that the probe's request names, or for what
/// [`name`](Tls::name) says; that name is also sent (SNI), unless it is an IP address. Handshakes are never abbreviated, so
/// that a certificate that has expired is seen with the next probe; each takes several times the work of a plain request.
#[derive(Clone, Debug)]
pub struct Tls {
    trust: Trust,
    name: Option<ServerName<'static>>,
}

#[derive(Clone)]
enum Trust {
    System,
    These(Arc<RootCertStore>),
    Anybody,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("the system's roots"),
            Self::These(roots) => write!(f, "{} roots", roots.len()),
            Self::Anybody => f.write_str("ANYBODY"),
        }
    }
}

/// What is offered to be spoken within TLS (RFC 7301).
#[derive(Clone, Copy)]
pub(super) enum Alpn {
    Nothing,
    Http1,
    Http2,
    Either,
}

impl Tls {
    /// By the roots that the machine trusts, which are read when they are first needed. `SSL_CERT_FILE` and `SSL_CERT_DIR`
    /// say where, as for OpenSSL.
    pub fn system() -> Self {
        Self::by(Trust::System)
    }

    /// By these roots alone, certificates in PEM: of one's own authority, or a backend's own that it has signed itself.
    /// One that a server shows as its own may not be an authority's (`CA:TRUE`, as `openssl req -x509` makes them unless
    /// told otherwise).
    ///
    /// # Errors
    /// It is no PEM, or has no certificate, or one that can't be read.
    pub fn roots(pem: &[u8]) -> Result<Self, SettingError> {
        // Not what is in there: a key may have been given by mistake.
        let given = format!("{} bytes", pem.len());
        let wrong = |why: String| SettingError::new("roots", given.as_bytes(), format!("certificates in PEM ({why})"));
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| wrong(reason(&error)))?;
            roots.add(certificate).map_err(|error| wrong(reason(&error)))?;
        }
        if roots.is_empty() {
            return Err(wrong("there is none".to_owned()));
        }
        Ok(Self::by(Trust::These(roots.into())))
    }

    /// By nobody: whoever answers is taken for the backend, whatever its certificate says, as with HAProxy's `verify none`.
    /// For backends that have signed their certificates themselves, on a network where that does.
    pub fn dangerously_unverified() -> Self {
        Self::by(Trust::Anybody)
    }

    fn by(trust: Trust) -> Self {
        let name = None;
        Self { trust, name }
    }

    /// Whom the certificate has to be for, and what name is sent: a host's name or an IP address.
    ///
    /// # Errors
    /// It is neither.
    pub fn name(mut self, name: &str) -> Result<Self, SettingError> {
        let parsed = ServerName::try_from(name.to_owned());
        let allowed = "a host's name or an IP address, without a port";
        self.name = Some(parsed.map_err(|_| SettingError::new("TLS name", name.as_bytes(), allowed))?);
        Ok(self)
    }

    /// TLS over this connection, and whether HTTP/2 was agreed upon.
    pub(super) async fn connect(
        &self,
        stream: TcpStream,
        host: &str,
        alpn: Alpn,
    ) -> Result<(TlsStream<TcpStream>, bool), ProbeError> {
        let named = match &self.name {
            Some(name) => Ok(name.clone()),
            None => ServerName::try_from(host.to_owned()),
        };
        let shown = named.as_ref().map_or(host.into(), |name| name.to_str().into_owned());
        let failed = |source: io::Error| ProbeError::Tls {
            name: shown.clone(),
            // Which may repeat the names of the certificate.
            source: io::Error::new(source.kind(), reason(&source)),
        };
        let name = named.map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let mut config = self.config().await.map_err(failed)?;
        let (h1, h2) = (b"http/1.1".to_vec(), b"h2".to_vec());
        config.alpn_protocols = match alpn {
            Alpn::Nothing => vec![],
            Alpn::Http1 => vec![h1],
            Alpn::Http2 => vec![h2],
            Alpn::Either => vec![h2, h1],
        };
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, stream).await.map_err(failed)?;
        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((stream, is_h2))
    }

    async fn config(&self) -> io::Result<ClientConfig> {
        // Not the process's default, which others may set, or set twice.
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let mut config = match &self.trust {
            Trust::System => builder
                .with_root_certificates(system_roots().await?)
                .with_no_client_auth(),
            Trust::These(roots) => builder.with_root_certificates(Arc::clone(roots)).with_no_client_auth(),
            Trust::Anybody => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Unverified(provider)))
                .with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

/// The roots that the machine trusts, read once.
async fn system_roots() -> io::Result<Arc<RootCertStore>> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(Arc::clone(roots));
    }
    // Some hundred files, perhaps: not between two requests.
    let read = tokio::task::spawn_blocking(|| {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            // Not kept: they may be installed by the next time.
            let why = found
                .errors
                .first()
                .map(|error| format!(": {error}"))
                .unwrap_or_default();
            return Err(io::Error::other(format!("this machine trusts no certificates{why}")));
        }
        Ok(Arc::clone(ROOTS.get_or_init(|| Arc::new(roots))))
    });
    read.await.map_err(io::Error::other)?
}

/// Takes any certificate; that who sent it has its key is still seen to.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
