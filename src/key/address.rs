//! The key of an IP address.

use std::{
    error, fmt,
    net::{IpAddr, SocketAddr},
};

use super::{HashFunction, HashKey};

/// The key of an address: the hash of its network's bytes, in the order in which they are sent.
///
/// What counts as one client is a prefix of the address. Of IPv4 it is all 32 bits, unless said otherwise: a shorter
/// prefix, such as the 24 of nginx's `ip_hash`, keeps those together who move within one provider's pool, and sends a
/// whole office to one backend. Of IPv6 it is the first 64: one subscriber has at least as many addresses as the rest
/// can tell apart, and changes between them by the day ([RFC 8981](https://www.rfc-editor.org/rfc/rfc8981)); nginx
/// takes all 128.
///
/// An IPv4 address within IPv6 (`::ffff:192.0.2.7`, [RFC 4291 §2.5.5.2](https://www.rfc-editor.org/rfc/rfc4291)) is
/// that IPv4 address: which of the two a server sees depends on its socket alone.
///
/// Others hash other bytes: nginx's `$binary_remote_addr` is these bytes, with all 128 bits of IPv6, while its
/// `$remote_addr` and Envoy's `source_ip` are the address as text, for which there are closures.
///
/// ```
/// use equipoise::key::{AddressKey, PrefixLengthError};
///
/// let key = AddressKey::new().with_v4_prefix(24)?;
/// assert_eq!(key.hash("192.0.2.1".parse().unwrap()), key.hash("192.0.2.99".parse().unwrap()));
/// assert!(AddressKey::new().with_v4_prefix(33).is_err());
/// # Ok::<_, PrefixLengthError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressKey {
    v4_prefix: u8,
    v6_prefix: u8,
    function: HashFunction,
}

impl AddressKey {
    /// Of 32 bits of IPv4 and 64 of IPv6.
    pub const fn new() -> Self {
        Self {
            v4_prefix: 32,
            v6_prefix: 64,
            function: HashFunction::Xxh3,
        }
    }

    /// So many bits of an IPv4 address count: 0 to 32; with 0 all of IPv4 has one key.
    ///
    /// # Errors
    /// More than 32.
    pub fn with_v4_prefix(self, bits: u8) -> Result<Self, PrefixLengthError> {
        let v4_prefix = PrefixLengthError::check(bits, 32, "an IPv4")?;
        Ok(Self { v4_prefix, ..self })
    }

    /// So many bits of an IPv6 address count: 0 to 128; with 0 all of IPv6 has one key.
    ///
    /// # Errors
    /// More than 128.
    pub fn with_v6_prefix(self, bits: u8) -> Result<Self, PrefixLengthError> {
        let v6_prefix = PrefixLengthError::check(bits, 128, "an IPv6")?;
        Ok(Self { v6_prefix, ..self })
    }

    /// What it is hashed with, instead of XXH3.
    pub fn with_function(self, function: HashFunction) -> Self {
        Self { function, ..self }
    }

    /// The key of an address.
    #[inline]
    pub fn hash(&self, address: IpAddr) -> u64 {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.v4_prefix)).unwrap_or(0);
                self.function.hash(&(address.to_bits() & mask).to_be_bytes())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.v6_prefix)).unwrap_or(0);
                self.function.hash(&(address.to_bits() & mask).to_be_bytes())
            }
        }
    }
}

impl Default for AddressKey {
    fn default() -> Self {
        Self::new()
    }
}

impl HashKey<IpAddr> for AddressKey {
    #[inline]
    fn key(&self, address: &IpAddr) -> Option<u64> {
        Some(self.hash(*address))
    }
}

/// Of the address; the port, which is another for each connection, does not count.
impl HashKey<SocketAddr> for AddressKey {
    #[inline]
    fn key(&self, address: &SocketAddr) -> Option<u64> {
        Some(self.hash(address.ip()))
    }
}

/// A prefix longer than the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixLengthError {
    bits: u8,
    most: u8,
    family: &'static str,
}

impl PrefixLengthError {
    fn check(bits: u8, most: u8, family: &'static str) -> Result<u8, Self> {
        if bits <= most {
            Ok(bits)
        } else {
            Err(Self { bits, most, family })
        }
    }
}

impl fmt::Display for PrefixLengthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bits, most, family } = self;
        write!(f, "{family} prefix has 0 to {most} bits, not {bits}")
    }
}

impl error::Error for PrefixLengthError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(key: AddressKey, address: &str) -> u64 {
        key.hash(address.parse().unwrap())
    }

    #[test]
    fn the_bytes_of_the_prefix_are_hashed() {
        for function in HashFunction::all() {
            let key = AddressKey::new().with_function(function);
            assert_eq!(hash(key, "192.0.2.7"), function.hash(&[192, 0, 2, 7]));
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 2]);
            assert_eq!(hash(key, "2001:db8:1:2:3:4:5:6"), function.hash(&bytes));
            let key = key.with_v4_prefix(12).unwrap().with_v6_prefix(20).unwrap();
            assert_eq!(hash(key, "192.255.2.7"), function.hash(&[192, 240, 0, 0]));
            bytes[2..].fill(0);
            assert_eq!(hash(key, "2001:db8:1:2:3:4:5:6"), function.hash(&bytes));
        }
    }

    #[test]
    fn only_the_prefix_counts() {
        let of = |v4, v6| {
            AddressKey::new()
                .with_v4_prefix(v4)
                .unwrap()
                .with_v6_prefix(v6)
                .unwrap()
        };
        for (prefix, one, other, is_one) in [
            (32, "192.0.2.6", "192.0.2.7", false),
            (31, "192.0.2.6", "192.0.2.7", true),
            (31, "192.0.2.5", "192.0.2.6", false),
            (24, "192.0.2.0", "192.0.2.255", true),
            (24, "192.0.1.255", "192.0.2.0", false),
            (1, "1.2.3.4", "127.0.0.0", true),
            (1, "1.2.3.4", "128.0.0.0", false),
            (0, "1.2.3.4", "255.0.0.0", true),
        ] {
            let key = of(prefix, 64);
            assert_eq!(hash(key, one) == hash(key, other), is_one, "{one} {other} /{prefix}");
        }
        for (prefix, one, other, is_one) in [
            (128, "2001:db8::6", "2001:db8::7", false),
            (127, "2001:db8::6", "2001:db8::7", true),
            (64, "2001:db8::", "2001:db8::ffff:ffff:ffff:ffff", true),
            (64, "2001:db8::", "2001:db8:0:1::", false),
            (1, "::1", "7fff::", true),
            (1, "::1", "8000::", false),
            (0, "::1", "8000::", true),
        ] {
            let key = of(32, prefix);
            assert_eq!(hash(key, one) == hash(key, other), is_one, "{one} {other} /{prefix}");
        }
    }

    #[test]
    fn ipv4_within_ipv6_is_ipv4() {
        let key = AddressKey::new();
        assert_eq!(hash(key, "::ffff:192.0.2.7"), hash(key, "192.0.2.7"));
        // Of which the prefix of IPv4 counts, not the 64 zeros before it.
        assert_ne!(hash(key, "::ffff:192.0.2.7"), hash(key, "::ffff:192.0.2.8"));
        assert_ne!(hash(key, "::"), hash(key, "0.0.0.0"));
    }

    #[test]
    fn ports_do_not_count() {
        let key = |address: &str| AddressKey::new().key(&address.parse::<SocketAddr>().unwrap());
        assert_eq!(key("192.0.2.7:1"), key("192.0.2.7:2"));
        assert_eq!(key("[2001:db8::7]:1"), Some(hash(AddressKey::new(), "2001:db8::7")));
    }

    #[test]
    fn a_prefix_longer_than_the_address_is_refused() {
        let error = AddressKey::new().with_v4_prefix(33).unwrap_err();
        assert_eq!(error.to_string(), "an IPv4 prefix has 0 to 32 bits, not 33");
        let error = AddressKey::new().with_v6_prefix(129).unwrap_err();
        assert_eq!(error.to_string(), "an IPv6 prefix has 0 to 128 bits, not 129");
    }
}
