//! Content of any length that is never in memory as a whole: what is where can be told of each byte.

use std::{
    convert::Infallible,
    io::{Read, Write},
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll},
};

use hyper::body::{Body, Bytes, Frame, SizeHint};

/// Repeated; of a length that divides no buffer's, and nowhere like itself a little further on.
static BLOCK: LazyLock<Bytes> = LazyLock::new(|| {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let bytes = (0..1_048_573).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    });
    bytes.collect()
});

/// The first bytes of it.
pub(crate) fn first(bytes: usize) -> Vec<u8> {
    BLOCK.iter().copied().cycle().take(bytes).collect()
}

/// What comes at this place, as far as it comes in one piece.
fn at(place: u64) -> Bytes {
    BLOCK.slice((place % BLOCK.len() as u64) as usize..)
}

/// A message's content: so many bytes.
#[derive(Default)]
pub(crate) struct Pattern {
    sent: u64,
    length: u64,
}

impl Pattern {
    pub(crate) fn new(length: u64) -> Self {
        Self { sent: 0, length }
    }
}

impl Body for Pattern {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        const PART: u64 = 64 * 1024;
        let mut part = at(self.sent);
        part.truncate(PART.min(self.length - self.sent) as usize);
        self.sent += part.len() as u64;
        Poll::Ready((!part.is_empty()).then(|| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.sent == self.length
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length - self.sent)
    }
}

/// Compares what comes with what has to.
#[derive(Default)]
pub(crate) struct Comparison {
    seen: u64,
}

impl Comparison {
    /// The next bytes. Panics if they are others.
    pub(crate) fn next(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let expected = at(self.seen);
            let (now, later) = bytes.split_at(bytes.len().min(expected.len()));
            assert!(now == &expected[..now.len()], "other bytes after {}", self.seen);
            self.seen += now.len() as u64;
            bytes = later;
        }
    }

    /// How many there were.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }
}

/// Writes so many bytes of it.
pub(crate) fn write(mut into: impl Write, length: u64) {
    let mut written = 0;
    while written < length {
        let mut part = at(written);
        part.truncate((length - written).try_into().unwrap_or(usize::MAX));
        into.write_all(&part).unwrap();
        written += part.len() as u64;
    }
}

/// Reads to the end, and returns how many bytes that were.
pub(crate) fn read(mut from: impl Read) -> u64 {
    let mut comparison = Comparison::default();
    let mut part = vec![0; 256 * 1024];
    loop {
        match from.read(&mut part).unwrap() {
            0 => return comparison.seen(),
            count => comparison.next(&part[..count]),
        }
    }
}
