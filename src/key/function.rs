//! Hash functions that have a name, and give the same on every machine, in every version and in other languages.

use std::{fmt, str::FromStr};

/// A named, version-stable hash function from bytes to 64 bits, with seed 0.
///
/// ```
/// use equipoise::key::HashFunction;
///
/// // Test vectors of their authors.
/// assert_eq!(HashFunction::Xxh3.hash(b""), 0x2d06_8005_38d3_94c2);
/// assert_eq!(HashFunction::Xxh64.hash(b""), 0xef46_db37_51d8_e999);
/// assert_eq!(HashFunction::Crc32.hash(b"123456789"), 0xcbf4_3926);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HashFunction {
    /// XXH3, 64 bits (<https://github.com/Cyan4973/xxHash>): the fastest here, and what equipoise uses unless said
    /// otherwise.
    #[default]
    Xxh3,
    /// XXH64 (same source): Envoy's and gRPC's.
    Xxh64,
    /// CRC-32 of ISO 3309 in the lower 32 bits: nginx's. Its values fill only 32 bits, so it is for the modes that copy
    /// nginx alone.
    Crc32,
}

impl HashFunction {
    /// The hash of some bytes.
    #[inline]
    pub fn hash(self, bytes: &[u8]) -> u64 {
        match self {
            Self::Xxh3 => twox_hash::XxHash3_64::oneshot(bytes),
            Self::Xxh64 => xxh64(0, bytes),
            Self::Crc32 => crc32fast::hash(bytes).into(),
        }
    }

    /// All there are.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Xxh3, Self::Xxh64, Self::Crc32].into_iter()
    }

    /// The name: `xxh3`, `xxh64` or `crc32`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Xxh3 => "xxh3",
            Self::Xxh64 => "xxh64",
            Self::Crc32 => "crc32",
        }
    }
}

/// XXH64 with a seed, for the tables that copy those who use one.
pub(crate) fn xxh64(seed: u64, bytes: &[u8]) -> u64 {
    twox_hash::XxHash64::oneshot(seed, bytes)
}

impl fmt::Display for HashFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Of a [name](HashFunction::name).
impl FromStr for HashFunction {
    type Err = UnknownHashFunction;

    fn from_str(name: &str) -> Result<Self, UnknownHashFunction> {
        let found = Self::all().find(|function| function.name() == name);
        found.ok_or_else(|| UnknownHashFunction(name.to_owned()))
    }
}

/// A name of no [`HashFunction`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownHashFunction(String);

impl fmt::Display for UnknownHashFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "unknown hash function '{}': expected xxh3, xxh64 or crc32",
            self.0.escape_debug()
        )
    }
}

impl std::error::Error for UnknownHashFunction {}
