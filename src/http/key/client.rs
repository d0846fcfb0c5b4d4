//! The key of the client's address.

use std::{fmt, marker::PhantomData, net::IpAddr, sync::Arc};

use http::Request;
use ipnet::IpNet;

use crate::{
    http::forwarded::{ForwardedHeader, client},
    key::{AddressKey, HashFunction, HashKey, PrefixLengthError},
};

/// The key of the address that a request came from, as an [`AddressKey`] is made of it; none if the request does not
/// say.
///
/// It is told by what the server, or whoever stands before the balancer, has put into the request's extensions: a
/// `SocketAddr` or `IpAddr`, the `Connection` of the `server` here, axum's `ConnectInfo`. That is the peer. A peer that
/// is [trusted](ClientAddress::trust), because it is a proxy of one's own, is believed who was connected to it, and so on;
/// nobody else is, as a client that could write its address as it likes would choose its backend.
///
/// ```
/// use std::net::SocketAddr;
/// use equipoise::{KeyedLayer, http::ClientAddress};
///
/// let layer = KeyedLayer::new(ClientAddress::new(SocketAddr::ip).with_v4_prefix(24)?);
/// # #[cfg(feature = "proxy")]
/// use equipoise::server::Connection;
/// # #[cfg(feature = "proxy")]
/// let layer = KeyedLayer::new(ClientAddress::new(|connection: &Connection| connection.peer().ip()));
/// # Ok::<_, equipoise::key::PrefixLengthError>(())
/// ```
pub struct ClientAddress<E, F> {
    address_of: F,
    key: AddressKey,
    header: ForwardedHeader,
    trusted: Arc<[IpNet]>,
    extension: PhantomData<fn(&E)>,
}

impl<E, F: Fn(&E) -> IpAddr> ClientAddress<E, F> {
    /// Of the address that this finds in the request's extension of type `E`: of 32 bits of IPv4 and 64 of IPv6, hashed
    /// with XXH3.
    pub fn new(address_of: F) -> Self {
        Self {
            address_of,
            key: AddressKey::new(),
            header: ForwardedHeader::default(),
            trusted: Arc::default(),
            extension: PhantomData,
        }
    }

    /// Believes these peers who was connected to them, in `X-Forwarded-For` unless [said otherwise](ClientAddress::said_in):
    /// the client is the nearest that is not trusted. May be said several times.
    ///
    /// Ask it before the proxy of this crate rather than behind it: that drops the whole of a header of which a part is not well
    /// formed, as here only what comes before that part is.
    pub fn trust(mut self, peers: IpNet) -> Self {
        self.trusted = self.trusted.iter().copied().chain([peers]).collect();
        self
    }

    /// Which header trusted peers say it in. Only one is read: what a proxy does not write itself, it may pass on as a client
    /// wrote it.
    pub fn said_in(self, header: ForwardedHeader) -> Self {
        Self { header, ..self }
    }

    /// The client's address; none if the request does not say who the peer is.
    pub fn address<D>(&self, request: &Request<D>) -> Option<IpAddr>
    where
        E: Send + Sync + 'static,
    {
        let peer = (self.address_of)(request.extensions().get()?);
        Some(match &*self.trusted {
            [] => peer,
            trusted => client(peer, request.headers(), self.header, trusted),
        })
    }

    /// So many bits of an IPv4 address count: 0 to 32.
    ///
    /// # Errors
    /// More than 32.
    pub fn with_v4_prefix(self, bits: u8) -> Result<Self, PrefixLengthError> {
        let key = self.key.with_v4_prefix(bits)?;
        Ok(Self { key, ..self })
    }

    /// So many bits of an IPv6 address count: 0 to 128.
    ///
    /// # Errors
    /// More than 128.
    pub fn with_v6_prefix(self, bits: u8) -> Result<Self, PrefixLengthError> {
        let key = self.key.with_v6_prefix(bits)?;
        Ok(Self { key, ..self })
    }

    /// Hashed with another function.
    pub fn with_function(self, function: HashFunction) -> Self {
        let key = self.key.with_function(function);
        Self { key, ..self }
    }
}

impl<D, E: Send + Sync + 'static, F: Fn(&E) -> IpAddr> HashKey<Request<D>> for ClientAddress<E, F> {
    fn key(&self, request: &Request<D>) -> Option<u64> {
        Some(self.key.hash(self.address(request)?))
    }
}

impl<E, F: Clone> Clone for ClientAddress<E, F> {
    fn clone(&self) -> Self {
        Self {
            address_of: self.address_of.clone(),
            trusted: Arc::clone(&self.trusted),
            ..*self
        }
    }
}

impl<E, F> fmt::Debug for ClientAddress<E, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAddress")
            .field("key", &self.key)
            .field("header", &self.header)
            .field("trusted", &self.trusted)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn from(extension: impl Clone + Send + Sync + 'static) -> Request<()> {
        let mut request = Request::new(());
        request.extensions_mut().insert(extension);
        request
    }

    #[test]
    fn the_address_is_that_of_the_extension() {
        let peer: SocketAddr = "192.0.2.7:4711".parse().unwrap();
        let expected = AddressKey::new().key(&peer);
        let by_peer = ClientAddress::new(SocketAddr::ip);
        assert_eq!(by_peer.key(&from(peer)), expected);
        assert_eq!(ClientAddress::new(IpAddr::clone).key(&from(peer.ip())), expected);
        assert_eq!(by_peer.key(&from(peer.ip())), None, "another extension");
        assert_eq!(by_peer.clone().key(&Request::new(())), None);
    }

    #[test]
    fn who_is_behind_trusted_proxies_is_the_client() {
        let mut request = from("10.0.0.1".parse::<IpAddr>().unwrap());
        let headers = request.headers_mut();
        headers.insert("x-forwarded-for", "203.0.113.1, 10.1.0.1".parse().unwrap());
        headers.insert("forwarded", "for=203.0.113.2".parse().unwrap());
        let of = |key: ClientAddress<IpAddr, fn(&IpAddr) -> IpAddr>| key.address(&request).unwrap().to_string();
        let key = || ClientAddress::new((|address| *address) as fn(&IpAddr) -> IpAddr);
        let net = |text: &str| text.parse::<IpNet>().unwrap();
        assert_eq!(of(key()), "10.0.0.1");
        assert_eq!(of(key().trust(net("10.0.0.1/32"))), "10.1.0.1");
        let key = || key().trust(net("10.0.0.1/32")).trust(net("10.1.0.0/16"));
        assert_eq!(of(key()), "203.0.113.1");
        assert_eq!(of(key().said_in(ForwardedHeader::Forwarded)), "203.0.113.2");
        let expected = AddressKey::new().hash("203.0.113.1".parse().unwrap());
        assert_eq!(key().clone().key(&request), Some(expected));
    }

    #[test]
    fn prefixes_and_function_are_the_address_keys() {
        let key = ClientAddress::new(IpAddr::clone).with_function(HashFunction::Crc32);
        let key = key.with_v4_prefix(24).unwrap().with_v6_prefix(48).unwrap();
        let mut network = [0; 16];
        network[..6].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8, 0, 1]);
        for (address, bytes) in [("192.0.2.7", &[192, 0, 2, 0][..]), ("2001:db8:1:2::7", &network)] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(key.clone().key(&from(address)), Some(HashFunction::Crc32.hash(bytes)));
        }
        assert!(key.clone().with_v4_prefix(33).is_err() && key.with_v6_prefix(129).is_err());
    }
}
