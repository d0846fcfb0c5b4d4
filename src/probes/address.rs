//! Where a backend is asked.

use std::{
    error, fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use super::excerpt::excerpt;
use crate::{Endpoint, http::Origin};

/// What a probe can find: a backend, or its target, that knows its own address.
///
/// ```
/// use equipoise::{Backend, probes::{Address, AddressError, ProbeTarget}};
/// use std::net::SocketAddr;
///
/// struct Server { name: String, address: SocketAddr }
///
/// impl Backend for Server {
///     fn id(&self) -> &str {
///         &self.name
///     }
/// }
/// impl ProbeTarget for Server {
///     fn address(&self) -> Result<Address, AddressError> {
///         self.address.address()
///     }
/// }
/// ```
/// For a backend of a type that is not one's own there is [`at`](super::at).
pub trait ProbeTarget {
    /// Where to ask. Asked for with each probe.
    ///
    /// # Errors
    /// Where there is none, since it is a text that is no address.
    fn address(&self) -> Result<Address, AddressError>;
}

/// A host and a port, and how one speaks there if that is known.
///
/// Parsed from `HOST:PORT`, where the host is a name, an IPv4 address or, in brackets, an IPv6 address.
///
/// ```
/// use equipoise::probes::Address;
/// let address: Address = "cache-1.internal:6379".parse()?;
/// assert_eq!((address.host().as_str(), address.port()), ("cache-1.internal", 6379));
/// assert!("cache-1.internal".parse::<Address>().is_err());
/// # Ok::<_, equipoise::probes::AddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub(super) place: Place,
    pub(super) is_tls: bool,
    pub(super) is_http2: bool,
}

/// What is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Socket(SocketAddr),
    Name(String, u16),
}

impl Address {
    /// A name, or an IP address in brackets or not, and a port.
    ///
    /// # Errors
    /// The host is neither a name of ASCII letters, digits, `-`, `_` and `.`, nor an IP address; the port is 0.
    pub fn new(host: &str, port: u16) -> Result<Self, AddressError> {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let ip = match bare {
            Some(bare) => bare.parse().ok().map(|ip: Ipv6Addr| IpAddr::V6(ip)),
            None => host.parse().ok(),
        };
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        // RFC 1035 §2.3.4: 255 octets on the wire are 253 characters.
        let is_name = (1..=253).contains(&host.len()) && host.chars().all(is_part);
        let place = match ip {
            Some(ip) => Place::Socket(SocketAddr::new(ip, port)),
            None if is_name => Place::Name(host.to_owned(), port),
            None => return Err(AddressError(format!("{host}:{port}"))),
        };
        if port == 0 {
            return Err(AddressError(format!("{host}:{port}")));
        }
        Ok(Self::of(place))
    }

    fn of(place: Place) -> Self {
        Self {
            place,
            is_tls: false,
            is_http2: false,
        }
    }

    /// One speaks TLS there, unless a probe says otherwise.
    pub fn with_tls(mut self) -> Self {
        self.is_tls = true;
        self
    }

    /// One speaks HTTP/2 there without asking first, unless a probe says otherwise.
    pub fn with_http2(mut self) -> Self {
        self.is_http2 = true;
        self
    }

    /// The name or the IP address, without brackets.
    pub fn host(&self) -> String {
        match &self.place {
            Place::Socket(address) => address.ip().to_string(),
            Place::Name(name, _) => name.clone(),
        }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        match &self.place {
            Place::Socket(address) => address.port(),
            Place::Name(_, port) => *port,
        }
    }

    /// The same host at another port.
    pub(super) fn at_port(mut self, other: u16) -> Self {
        match &mut self.place {
            Place::Socket(address) => address.set_port(other),
            Place::Name(_, port) => *port = other,
        }
        self
    }
}

/// `HOST:PORT`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Socket(address) => address.fmt(f),
            Place::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::of(Place::Socket(address))
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = || AddressError(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        // `+80` would parse, and `::1:80` is an address without a port.
        if host.contains(':') && !host.starts_with('[') || !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        Self::new(host, port.parse().map_err(|_| wrong())?).map_err(|_| wrong())
    }
}

/// A text that is no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressError(String);

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = excerpt(self.0.as_bytes());
        write!(
            f,
            "invalid address {given}: expected HOST:PORT with a port from 1 to 65535"
        )
    }
}

impl error::Error for AddressError {}

impl ProbeTarget for Address {
    fn address(&self) -> Result<Address, AddressError> {
        Ok(self.clone())
    }
}

impl ProbeTarget for SocketAddr {
    fn address(&self) -> Result<Address, AddressError> {
        Ok((*self).into())
    }
}

impl ProbeTarget for str {
    fn address(&self) -> Result<Address, AddressError> {
        self.parse()
    }
}

impl ProbeTarget for String {
    fn address(&self) -> Result<Address, AddressError> {
        self.parse()
    }
}

/// Without a port: 80, or 443 for `https`.
impl ProbeTarget for Origin {
    fn address(&self) -> Result<Address, AddressError> {
        let is_tls = self.scheme().as_str() == "https";
        let port = self.authority().port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let mut address = Address::new(self.authority().host(), port)?;
        address.is_tls = is_tls;
        address.is_http2 = self.is_h2c();
        Ok(address)
    }
}

impl<T: ProbeTarget> ProbeTarget for Endpoint<T> {
    fn address(&self) -> Result<Address, AddressError> {
        self.target().address()
    }
}

impl<T: ProbeTarget + ?Sized> ProbeTarget for &T {
    fn address(&self) -> Result<Address, AddressError> {
        (**self).address()
    }
}

impl<T: ProbeTarget + ?Sized> ProbeTarget for Arc<T> {
    fn address(&self) -> Result<Address, AddressError> {
        (**self).address()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for (text, host, port) in [
            ("127.0.0.1:80", "127.0.0.1", 80),
            ("[::1]:443", "::1", 443),
            ("a.example:65535", "a.example", 65535),
            ("a_b-c:1", "a_b-c", 1),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.host().as_str(), address.port()), (host, port));
            assert_eq!(address.to_string(), text);
            assert_eq!(address.clone().at_port(7).port(), 7);
        }
        for text in [
            "",
            ":",
            ":80",
            "a",
            "a:",
            "a:0",
            "a:65536",
            "a:+80",
            "a:-1",
            "a b:80",
            "::1",
            "::1:80",
            "[::1]",
            "[::1]80",
            "[1.2.3.4]:80",
            "[a]:80",
            "a/b:80",
            "http://a:80",
            "ä:80",
            "a\r\n:80",
            "[]:80",
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(
                error.starts_with("invalid address '") && error.contains("HOST:PORT"),
                "{error}"
            );
            assert!(text.address().is_err(), "{text}");
        }
        assert!("x".repeat(300).parse::<Address>().unwrap_err().to_string().len() < 200);
    }

    #[test]
    fn an_origin_says_how_one_speaks_there() {
        for (text, port, is_tls, is_http2) in [
            ("http://a", 80, false, false),
            ("http://a:81", 81, false, false),
            ("https://[::1]", 443, true, false),
            ("h2c://a:82", 82, false, true),
        ] {
            let endpoint: Endpoint<Origin> = text.parse().unwrap();
            let address = endpoint.address().unwrap();
            assert_eq!(
                (address.port(), address.is_tls, address.is_http2),
                (port, is_tls, is_http2),
                "{text}"
            );
        }
        let origin: Origin = "http://a!b".parse().unwrap();
        assert!(origin.address().is_err());
    }
}
