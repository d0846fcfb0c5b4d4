//! The name of a session.

use std::{borrow::Cow, fmt, ops::Deref};

/// What names a session: bytes, borrowed from the request where they are there as they are. An integer's are its eight, the
/// highest first.
#[derive(Clone)]
pub struct Name<'a>(Bytes<'a>);

#[derive(Clone)]
enum Bytes<'a> {
    Borrowed(&'a [u8]),
    Owned(Vec<u8>),
    Number([u8; 8]),
}

impl Deref for Name<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Borrowed(bytes) => bytes,
            Bytes::Owned(bytes) => bytes,
            Bytes::Number(bytes) => bytes,
        }
    }
}

impl<'a> From<&'a [u8]> for Name<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(Bytes::Borrowed(bytes))
    }
}

impl<'a> From<&'a str> for Name<'a> {
    fn from(text: &'a str) -> Self {
        Self(Bytes::Borrowed(text.as_bytes()))
    }
}

impl From<Vec<u8>> for Name<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Bytes::Owned(bytes))
    }
}

impl From<String> for Name<'_> {
    fn from(text: String) -> Self {
        Self(Bytes::Owned(text.into_bytes()))
    }
}

impl<'a> From<Cow<'a, [u8]>> for Name<'a> {
    fn from(bytes: Cow<'a, [u8]>) -> Self {
        match bytes {
            Cow::Borrowed(bytes) => bytes.into(),
            Cow::Owned(bytes) => bytes.into(),
        }
    }
}

impl From<u64> for Name<'_> {
    fn from(number: u64) -> Self {
        Self(Bytes::Number(number.to_be_bytes()))
    }
}

impl PartialEq for Name<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Name<'_> {}

/// Without the name, which may be all that it takes to be its client.
impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name(of {} bytes)", self.len())
    }
}
