//! A server's settings.

use std::time::Duration;

use super::protocol::HYPERS_MAX_HEADERS;

/// A server of HTTP/1.1 and HTTP/2 (by prior knowledge, RFC 9113 section 3.3) in the making; everything has a default.
///
/// See the [module](super) for what it does and an example.
#[derive(Clone, Debug)]
#[must_use]
pub struct Server {
    pub(super) header: Duration,
    pub(super) idle: Duration,
    pub(super) stall: Duration,
    pub(super) grace: Duration,
    pub(super) max_connections: usize,
    pub(super) max_headers: usize,
    pub(super) max_header_bytes: usize,
    pub(super) max_streams: u32,
    pub(super) ping: Option<Duration>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(30),
            idle: Duration::from_secs(75),
            stall: Duration::from_secs(60),
            grace: Duration::from_secs(25),
            max_connections: 10_000,
            max_headers: HYPERS_MAX_HEADERS,
            max_header_bytes: 64 * 1024,
            max_streams: 128,
            ping: Some(Duration::from_secs(30)),
        }
    }
}

impl Server {
    /// A server with the defaults that its methods name.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a request's head may take to come in full; 30 s unless said otherwise. A client that is late loses its
    /// connection, without an answer.
    ///
    /// A connection's first head counts from when it was accepted, a later one of HTTP/1 from its first byte; if that came
    /// together with the request before, the [`idle_timeout`](Self::idle_timeout) is what counts. Once
    /// HTTP/2 has begun, with its preface, all that a client without requests says or does not say is idling, see
    /// [`idle_timeout`](Self::idle_timeout).
    pub fn header_timeout(mut self, time: Duration) -> Self {
        self.header = time;
        self
    }

    /// How long a connection may be without a request; 75 s unless said otherwise. Then it is closed: HTTP/1 at once,
    /// HTTP/2 by GOAWAY and at the latest one [`header_timeout`](Self::header_timeout) later.
    ///
    /// It should be longer than clients keep connections that they do not use: one that sends a request while the
    /// server closes gets no answer, and does not know whether it was served. A request in flight is never cut by it,
    /// however long the service thinks; on HTTP/2 it is in flight until its response has been handed over.
    pub fn idle_timeout(mut self, time: Duration) -> Self {
        self.idle = time;
        self
    }

    /// How long a client may take nothing of what is written for it; 60 s unless said otherwise. Then its connection
    /// ends, and the responses with it: so none holds its buffers and its lease for ever.
    ///
    /// Taken is what the socket's send buffer has room for again: a client of a few KiB/s behind a large one may look
    /// stalled for a while. On HTTP/2 a client may also hold up one response by opening no window for it: that stream
    /// is reset when the client has not taken the piece before, of 64 KiB at most, within the time-out.
    pub fn stall_timeout(mut self, time: Duration) -> Self {
        self.stall = time;
        self
    }

    /// How many bytes a request's head may have, the request line included; 65,536 unless said otherwise, and at most
    /// `u32::MAX`. A longer one is answered 431 (RFC 6585 section 5), and on HTTP/1 the connection closed.
    ///
    /// A target longer than 65,534 bytes is answered 414, if the limit lets it get so far.
    pub fn max_header_bytes(mut self, bytes: usize) -> Self {
        self.max_header_bytes = bytes;
        self
    }

    /// How many header fields a request may have; 100 unless said otherwise, which costs least. More are answered 431,
    /// and on HTTP/1 the connection closed.
    pub fn max_headers(mut self, fields: usize) -> Self {
        self.max_headers = fields;
        self
    }

    /// How many requests a client may have in flight on one connection of HTTP/2; 128 unless said otherwise.
    pub fn max_streams(mut self, streams: u32) -> Self {
        self.max_streams = streams;
        self
    }

    /// How many connections may be open, those upgraded included; 10,000 unless said otherwise, and 0 means 1. Further
    /// ones are not accepted: they wait in the listening socket's queue until one ends.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.max(1);
        self
    }

    /// How often a client of HTTP/2 is asked whether it is still there; every 30 s unless said otherwise. One that does
    /// not answer within 20 s loses its connection. None: it is not asked.
    pub fn ping(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.ping = interval.into();
        self
    }

    /// How long a shutdown waits for requests in flight, upgraded connections and [`Hold`](super::Hold)s; 25 s unless
    /// said otherwise.
    pub fn grace(mut self, time: Duration) -> Self {
        self.grace = time;
        self
    }
}
