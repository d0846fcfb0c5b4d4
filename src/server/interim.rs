//! Interim responses on their way to the client.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, Ordering},
};

use http::{HeaderName, Response, StatusCode, header};
use parking_lot::Mutex;

/// So many interim responses, or bytes of them, wait for the client at most.
const MOST: usize = 16;
const MOST_BYTES: usize = 16 * 1024;

/// Headers that frame a message or belong to one connection (RFC 9110 section 7.6.1).
const LEFT_OUT: [HeaderName; 6] = [
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
];

/// The interim responses of one connection that are not written yet.
///
/// A request may add to them from when its service is called until that has answered; its answer then waits until they
/// are written. So whatever is queued belongs before the bytes that hyper is yet to make up, and after all that it has.
#[derive(Default)]
pub(super) struct Interims {
    queue: Mutex<Queue>,
    /// Not all written: seen without the lock, at each flush.
    unsent: AtomicBool,
}

#[derive(Default)]
struct Queue {
    heads: VecDeque<Vec<u8>>,
    bytes: usize,
    /// The request that may add; 0: none.
    speaker: u64,
}

impl Interims {
    /// Lets this request add, and no other.
    pub(super) fn open(&self, request: u64) {
        self.queue.lock().speaker = request;
    }

    /// Lets this request add no more.
    pub(super) fn close(&self, request: u64) {
        let mut queue = self.queue.lock();
        if queue.speaker == request {
            queue.speaker = 0;
        }
    }

    pub(super) fn push(&self, request: u64, interim: &Response<()>) -> bool {
        let Some(head) = serialize(interim) else { return false };
        let mut queue = self.queue.lock();
        if request == 0 || queue.speaker != request || queue.heads.len() >= MOST {
            return false;
        }
        if queue.bytes + head.len() > MOST_BYTES {
            return false;
        }
        queue.bytes += head.len();
        queue.heads.push_back(head);
        self.unsent.store(true, Ordering::Release);
        true
    }

    /// The next to be written; none says that all of them have been.
    pub(super) fn next(&self) -> Option<Vec<u8>> {
        let mut queue = self.queue.lock();
        let head = queue.heads.pop_front();
        match &head {
            Some(head) => queue.bytes -= head.len(),
            None => self.unsent.store(false, Ordering::Release),
        }
        head
    }

    pub(super) fn are_unsent(&self) -> bool {
        self.unsent.load(Ordering::Acquire)
    }
}

/// The bytes of an interim response on HTTP/1.1 (RFC 9112 section 4), if it is one that may be sent.
fn serialize(interim: &Response<()>) -> Option<Vec<u8>> {
    let status = interim.status();
    if !status.is_informational() || status == StatusCode::CONTINUE || status == StatusCode::SWITCHING_PROTOCOLS {
        return None;
    }
    let named = |name: &HeaderName| {
        let lists = interim.headers().get_all(header::CONNECTION).iter();
        lists
            .flat_map(|list| list.as_bytes().split(|byte| *byte == b','))
            .any(|token| token.trim_ascii().eq_ignore_ascii_case(name.as_str().as_bytes()))
    };
    let mut head = Vec::with_capacity(256);
    head.extend_from_slice(b"HTTP/1.1 ");
    head.extend_from_slice(status.as_str().as_bytes());
    head.push(b' ');
    head.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    head.extend_from_slice(b"\r\n");
    for (name, value) in interim.headers() {
        let is_hop = matches!(name.as_str(), "keep-alive" | "proxy-connection");
        if is_hop || LEFT_OUT.contains(name) || named(name) {
            continue;
        }
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    Some(head)
}
