//! The task of one connection.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, Sleep, sleep_until},
};
use tower_service::Service;

use super::{
    Server,
    drain::Slot,
    exchange::Exchanges,
    line::{Late, Line, after},
    protocol::{Closing, Opening},
    wire::{Version, Wire},
};
use crate::BoxError;

/// Serves one connection until it ends, is late or is cut. One that was upgraded has ended for this.
pub(super) async fn attend<T, S, B>(server: Arc<Server>, stream: T, line: Arc<Line>, slot: Slot, service: S)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>, Future: Send + 'static>,
    S: Clone + Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let mut wire = Wire::new(stream, Arc::clone(&line), slot);
    let exchanges = Exchanges {
        service,
        line: Arc::clone(&line),
        max_headers: server.max_headers,
    };
    let mut watch = Watch::new(&server, &line);
    let mut alarm = pin!(sleep_until(after(Instant::now(), server.header.min(server.idle))));
    let opening = Opening {
        wire: &mut wire,
        closed: false,
    };
    match watch.over(opening, alarm.as_mut()).await.flatten() {
        Some(Version::Http1) => {
            let http1 = server.http1(&line);
            let connection = http1.serve_connection(TokioIo::new(wire), exchanges).with_upgrades();
            watch.over(connection, alarm).await;
        }
        Some(Version::Http2) => {
            let connection = server.http2(&line).serve_connection(TokioIo::new(wire), exchanges);
            watch.over(connection, alarm).await;
        }
        None => {}
    }
}

/// Looks after a connection's time-outs, and passes on that it is to close.
struct Watch<'a> {
    server: &'a Server,
    line: &'a Line,
    /// Since when the connection is asked to close.
    closing: Option<Instant>,
}

impl<'a> Watch<'a> {
    fn new(server: &'a Server, line: &'a Line) -> Self {
        Self {
            server,
            line,
            closing: None,
        }
    }

    /// None if it came to no end by itself.
    async fn over<C: Closing>(&mut self, mut connection: C, mut alarm: Pin<&mut Sleep>) -> Option<C::Output> {
        poll_fn(|cx| self.poll(&mut connection, alarm.as_mut(), cx)).await
    }

    fn poll<C: Closing>(
        &mut self,
        connection: &mut C,
        mut alarm: Pin<&mut Sleep>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<C::Output>> {
        self.line.attend(cx.waker());
        loop {
            if self.line.drain.is_cut() {
                return Poll::Ready(None);
            }
            if let Poll::Ready(end) = connection.poll(cx) {
                return Poll::Ready(Some(end));
            }
            // Asked for after the poll: what has come by now is a request in flight, and is answered.
            let late = if self.closing.is_none() && self.line.drain.begun().is_some() && !self.line.is_fresh() {
                Late::Request
            } else {
                std::task::ready!(self.poll_late(alarm.as_mut(), cx))
            };
            match late {
                Late::Client => return Poll::Ready(None),
                Late::Request => {
                    self.closing = Some(Instant::now());
                    connection.close();
                }
            }
        }
    }

    /// Resolves when something is late.
    ///
    /// There is one timer, not set anew by what moves. It may fire early, never late: what becomes due sooner by this
    /// task's own doing is looked at here, and what others begin (an HTTP/2 connection's idling) is not due before a
    /// full idle time-out.
    fn poll_late(&self, mut alarm: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<Late> {
        if let Some((at, _)) = self.line.due(self.server, self.closing) {
            if at < alarm.deadline() {
                alarm.as_mut().reset(at);
            }
        }
        while alarm.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            match self.line.due(self.server, self.closing) {
                Some((at, late)) if at <= now => return Poll::Ready(late),
                Some((at, _)) => alarm.as_mut().reset(at),
                None => alarm.as_mut().reset(after(now, self.server.idle)),
            }
        }
        Poll::Pending
    }
}
