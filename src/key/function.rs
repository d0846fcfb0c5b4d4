//! Hash functions that have a name, and give the same on every machine, in every version and in other languages.

use std::{fmt, str::FromStr};

use crate::excerpt::Excerpt;

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
        let name = Excerpt(&self.0);
        write!(f, "unknown hash function {name}: expected xxh3, xxh64 or crc32")
    }
}

impl std::error::Error for UnknownHashFunction {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that xxHash tests itself with: `XSUM_fillTestBuffer` of its `cli/xsum_sanity_check.c`.
    fn buffer(len: usize) -> Vec<u8> {
        let states = std::iter::successors(Some(2_654_435_761_u64), |state| {
            Some(state.wrapping_mul(11_400_714_785_074_694_797))
        });
        states.take(len).map(|state| (state >> 56) as u8).collect()
    }

    /// All vectors with seed 0 of `XSUM_XXH3_testdata` in `cli/xsum_sanity_check.c` of github.com/Cyan4973/xxHash at
    /// b2e9dbb: each length stands for another way through the algorithm.
    #[test]
    fn xxh3_is_that_of_xxhash() {
        for (len, hash) in [
            (0, 0x2D06_8005_38D3_94C2),
            (1, 0xC44B_DFF4_074E_ECDB),
            (6, 0x27B5_6A84_CD2D_7325),
            (12, 0xA713_DAF0_DFBB_77E7),
            (24, 0xA3FE_70BF_9D35_10EB),
            (48, 0x397D_A259_ECBA_1F11),
            (80, 0xBCDE_FBBB_2C47_C90A),
            (195, 0xCD94_217E_E362_EC3A),
            (403, 0xCDEB_804D_65C6_DEA4),
            (512, 0x617E_4959_9013_CB6B),
            (2048, 0xDD59_E2C3_A5F0_38E0),
            (2099, 0xC6B9_D9B3_FC9A_C765),
            (2240, 0x6E73_A905_39CF_2948),
            (2367, 0xCB37_AEB9_E5D3_61ED),
        ] {
            assert_eq!(HashFunction::Xxh3.hash(&buffer(len)), hash, "{len} bytes");
        }
    }

    /// `XSUM_XXH64_testdata` of the same file with seed 0; and what Envoy expects of it in its
    /// `test/common/common/hash_test.cc` (github.com/envoyproxy/envoy at 01ee5bb).
    #[test]
    fn xxh64_is_that_of_xxhash_and_envoy() {
        for (len, hash) in [
            (0, 0xEF46_DB37_51D8_E999),
            (1, 0xE934_A84A_DB05_2768),
            (4, 0x9136_A0DC_A574_57EE),
            (14, 0x8282_DCC4_994E_35C8),
            (222, 0xB641_AE8C_B691_C174),
        ] {
            assert_eq!(HashFunction::Xxh64.hash(&buffer(len)), hash, "{len} bytes");
        }
        for (text, hash) in [
            ("foo", 3_728_699_739_546_630_719),
            ("bar", 5_234_164_152_756_840_025),
            ("foo\nbar", 8_917_841_378_505_826_757),
            ("lyft", 4_400_747_396_090_729_504),
            ("", 17_241_709_254_077_376_921),
        ] {
            assert_eq!(HashFunction::Xxh64.hash(text.as_bytes()), hash, "{text:?}");
        }
    }

    /// The check value of CRC-32/ISO-HDLC in the CRC RevEng catalogue; and the mebibyte of
    /// `test/test_crc32.cc` of github.com/zlib-ng/zlib-ng at 01c853c.
    #[test]
    fn crc32_is_that_of_iso_3309_and_zlib() {
        assert_eq!(HashFunction::Crc32.hash(b"123456789"), 0xCBF4_3926);
        assert_eq!(HashFunction::Crc32.hash(&[0x55; 1 << 20]), 0x0026_D5FB);
        assert_eq!(HashFunction::Crc32.hash(b""), 0);
    }

    #[test]
    fn names_are_read_back() {
        for function in HashFunction::all() {
            assert_eq!(function.to_string().parse(), Ok(function));
        }
        let error = "md5\n".parse::<HashFunction>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown hash function 'md5\\n': expected xxh3, xxh64 or crc32"
        );
    }
}
