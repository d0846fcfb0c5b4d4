//! The stream under hyper: notes what moves, and slips interim responses in.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{drain::Slot, line::Line};

/// What a client of HTTP/2 begins with (RFC 9113 section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a client speaks.
pub(super) enum Version {
    Http1,
    Http2,
}

/// A connection's stream. hyper reads and writes it, and whoever asked for an upgrade after it.
pub(super) struct Wire<T> {
    stream: T,
    line: Arc<Line>,
    _slot: Slot,
    /// What was read to know the version, and how much of it hyper has been given.
    opening: [u8; PREFACE.len()],
    read: usize,
    given: usize,
    /// The interim response being written, and how much of it has been.
    interim: Vec<u8>,
    written: usize,
    closed: bool,
}

impl<T> Wire<T> {
    pub(super) fn new(stream: T, line: Arc<Line>, slot: Slot) -> Self {
        Self {
            stream,
            line,
            _slot: slot,
            opening: [0; PREFACE.len()],
            read: 0,
            given: 0,
            interim: Vec::new(),
            written: 0,
            closed: false,
        }
    }

    /// Notes whether the client takes what is written.
    fn note<V>(&self, polled: Poll<io::Result<V>>) -> Poll<io::Result<V>> {
        match &polled {
            Poll::Pending => self.line.is_blocked(),
            Poll::Ready(_) => self.line.moves(),
        }
        polled
    }
}

impl<T: AsyncRead + Unpin> Wire<T> {
    /// Reads until the version is known: one byte is enough for nearly all of HTTP/1, and none but the whole preface
    /// for HTTP/2. A stream that ends before is hyper's to judge.
    pub(super) fn poll_version(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Version>> {
        while self.read < PREFACE.len() {
            let mut buf = ReadBuf::new(&mut self.opening[self.read..]);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
            let more = buf.filled().len();
            self.read += more;
            if more > 0 {
                self.line.heard();
            }
            if more == 0 || self.opening[..self.read] != PREFACE[..self.read] {
                return Poll::Ready(Ok(Version::Http1));
            }
        }
        self.line.is_http2();
        Poll::Ready(Ok(Version::Http2))
    }
}

impl<T: AsyncWrite + Unpin> Wire<T> {
    /// Writes the rest of an interim response that was begun.
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.interim.len() {
            let polled = Pin::new(&mut self.stream).poll_write(cx, &self.interim[self.written..]);
            match ready!(self.note(polled))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.written += n,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Wire<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.given < self.read {
            let opening = &self.opening[self.given..self.read];
            let fits = opening.len().min(buf.remaining());
            buf.put_slice(&opening[..fits]);
            self.given += fits;
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.line.heard();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_interim(cx))?;
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.note(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes at the end of each of its polls on HTTP/1, and only once it has written all it has: whatever it
    /// has made up is out, and since a response waits for the interim ones of its request, this is their place.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.line.interims.are_unsent() {
            loop {
                ready!(self.poll_interim(cx))?;
                let Some(next) = self.line.interims.next() else { break };
                self.interim = next;
                self.written = 0;
            }
            // A response may be waiting for this, in the same task.
            self.line.wake();
        }
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.note(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closed {
            let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
            ready!(self.note(polled))?;
            self.closed = true;
            if !self.line.lingers() {
                return Poll::Ready(Ok(()));
            }
        }
        // What still comes is thrown away, until the client closes as well or its time is up.
        let mut scratch = [MaybeUninit::<u8>::uninit(); 4096];
        loop {
            let mut buf = ReadBuf::uninit(&mut scratch);
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf));
            if read.is_err() || buf.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
