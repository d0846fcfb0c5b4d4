//! What a connection has become after a switch of protocols: bytes both ways.

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::{select, try_join};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional},
    time::Instant,
};

use super::gap::Gap;
use crate::server::Hold;

/// Carries bytes between a client and a backend until both have said their last, nothing has moved for `idle`, or the
/// server waits no more. `held` is the backend's response, whose lease lives as long.
pub(super) async fn carry<H>(client: OnUpgrade, backend: OnUpgrade, held: H, idle: Duration, hold: Option<Hold>) {
    let tunnel = pin!(open(client, backend, idle));
    match &hold {
        Some(hold) => {
            select(tunnel, pin!(hold.cut())).await;
        }
        None => tunnel.await,
    }
    drop(held);
}

async fn open(client: OnUpgrade, backend: OnUpgrade, idle: Duration) {
    // Both are there as soon as the response with the 101 is written; one that never comes is a client that has gone.
    let ends = tokio::time::timeout(idle, try_join(client, backend)).await;
    if let Ok(Ok((client, backend))) = ends {
        let moved = Arc::new(AtomicBool::new(false));
        let mut client = Side::new(TokioIo::new(client), &moved);
        let mut backend = Side::new(TokioIo::new(backend), &moved);
        let mut gap = Gap::new(idle);
        let mut latest = None;
        // It ends each direction on its own, and shuts the other side's writing down when one has said its last.
        let mut copy = pin!(copy_bidirectional(&mut client, &mut backend));
        poll_fn(|cx| {
            // A side that breaks off ends the tunnel like one that leaves: there is nobody to tell.
            if copy.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if moved.swap(false, Relaxed) {
                latest = Some(Instant::now());
            }
            gap.poll_over(cx, || latest)
        })
        .await;
    }
}

/// One end of a tunnel, which notes that something went through.
struct Side<T> {
    io: T,
    moved: Arc<AtomicBool>,
}

impl<T> Side<T> {
    fn new(io: T, moved: &Arc<AtomicBool>) -> Self {
        let moved = Arc::clone(moved);
        Self { io, moved }
    }

    fn note<R>(&self, polled: Poll<R>) -> Poll<R> {
        if polled.is_ready() {
            self.moved.store(true, Relaxed);
        }
        polled
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Side<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_read(cx, into);
        self.note(polled)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Side<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.note(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
