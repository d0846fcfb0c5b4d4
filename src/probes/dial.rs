//! A connection to a backend.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use super::{
    address::{Address, Place},
    error::{ProbeError, SettingError},
    excerpt::reason,
    tls::{Alpn, Tls},
};

/// Where and how a probe connects, in so far as it says.
#[derive(Clone, Debug, Default)]
pub(super) struct Dial {
    port: Option<u16>,
    security: Security,
}

#[derive(Clone, Debug, Default)]
enum Security {
    /// As the backend's address says.
    #[default]
    Told,
    Plain,
    Tls(Tls),
}

/// Bytes to and from a backend, in TLS or not.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A connection.
pub(super) struct Dialled {
    pub(super) wire: Box<dyn Wire>,
    pub(super) is_tls: bool,
    /// Whether HTTP/2 was agreed upon within TLS.
    pub(super) is_h2: bool,
}

impl Dial {
    pub(super) fn set_port(&mut self, port: u16) -> Result<(), SettingError> {
        if port == 0 {
            return Err(SettingError::new("port", b"0", "1 to 65535"));
        }
        self.port = Some(port);
        Ok(())
    }

    pub(super) fn set_tls(&mut self, tls: Tls) {
        self.security = Security::Tls(tls);
    }

    pub(super) fn set_plain(&mut self) {
        self.security = Security::Plain;
    }

    /// Where this asks a backend that has this address.
    pub(super) fn place(&self, address: Address) -> Address {
        match self.port {
            Some(port) => address.at_port(port),
            None => address,
        }
    }

    /// Connects; `name` is whom the certificate is for, unless the settings say otherwise.
    pub(super) async fn connect(&self, address: &Address, name: &str, alpn: Alpn) -> Result<Dialled, ProbeError> {
        let connected = match &address.place {
            Place::Socket(address) => TcpStream::connect(address).await,
            Place::Name(name, port) => TcpStream::connect((name.as_str(), *port)).await,
        };
        let stream = connected.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
        let stream = stream.map_err(|source| ProbeError::Connect {
            to: address.to_string(),
            source: io::Error::new(source.kind(), reason(&source)),
        })?;
        let system = Tls::system();
        let tls = match &self.security {
            Security::Tls(tls) => tls,
            Security::Told if address.is_tls => &system,
            Security::Told | Security::Plain => {
                return Ok(Dialled {
                    wire: Box::new(stream),
                    is_tls: false,
                    is_h2: false,
                });
            }
        };
        let (wire, is_h2) = tls.connect(stream, name, alpn).await?;
        Ok(Dialled {
            wire: Box::new(wire),
            is_tls: true,
            is_h2,
        })
    }
}
