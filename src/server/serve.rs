//! Accepting connections, and letting go of them.

use std::{io::ErrorKind, pin::pin, sync::Arc, time::Duration};

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tower_service::Service;

use super::{Drained, Listener, Server, attend::attend, drain::Drain, line::Line, listener::Accepted};
use crate::BoxError;

/// How long to wait when the listener fails, for want of descriptors for instance.
const PAUSE: Duration = Duration::from_millis(50);
/// So many failures of single connections in a row are taken for one of the listener.
const FAILURES: u32 = 16;
/// So many connections that were made before the shutdown are taken from the listening socket's queue, which is as long
/// on most systems.
const QUEUE: usize = 4096;
/// How long they are taken. A runtime learns of them only when it next looks at its sockets: not waiting at all would
/// leave behind, to be reset, those that came since it looked last.
const QUEUED: Duration = Duration::from_millis(10);
/// How long connections and holds may take to notice that they are cut.
const LAST: Duration = Duration::from_secs(1);

impl Server {
    /// Serves the listener's connections until `shutdown` resolves, and then those that are open, within the grace.
    ///
    /// The service is called with a [`Connection`](super::Connection) among each request's extensions; a clone of it is
    /// made for each request, asked whether it is ready, and called. Its errors end the connection (on HTTP/2 the
    /// stream) without an answer, as its panics do: what the client is to know has to be a response.
    ///
    /// A connection is closed for writing first; what its client still sends is thrown away until that closes as well,
    /// for 2 s at most, so that an early response is not lost to it (RFC 9112 section 9.6).
    ///
    /// When `shutdown` resolves, the connections in the listening socket's queue are accepted as the last and the
    /// socket is closed. Open connections finish what is in flight, with `Connection: close` or GOAWAY where there is
    /// still a way to say so, and are closed; those without a request are closed at once (100 ms later if they have not
    /// had any: it may be on its way). After the grace what is left is cut: connections end, and
    /// [`Hold::cut`](super::Hold::cut) resolves. A second at most is then left to notice.
    ///
    /// Dropping the future cuts at once.
    ///
    /// # Panics
    /// Outside a tokio runtime with time and IO enabled.
    pub async fn serve<L, S, B>(self, listener: L, service: S, shutdown: impl Future<Output = ()>) -> Drained
    where
        L: Listener,
        S: Service<Request<Incoming>, Response = Response<B>, Error: Into<BoxError>, Future: Send + 'static>,
        S: Clone + Send + 'static,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let cut = Cut(Drain::new());
        let drain = &cut.0;
        let server = Arc::new(self);
        let admit = {
            let (drain, server) = (Arc::clone(drain), Arc::clone(&server));
            move |accepted: Accepted<L::Stream>| {
                let line = Arc::new(Line::new(Arc::clone(&drain), accepted.peer, accepted.local));
                let slot = drain.admit(line.driver());
                let served = attend(Arc::clone(&server), accepted.stream, line, slot, service.clone());
                tokio::spawn(served);
            }
        };

        let mut listener = listener;
        let mut shutdown = pin!(shutdown);
        let mut failures = 0;
        loop {
            let next = async {
                drain.room(server.max_connections).await;
                listener.accept().await
            };
            let accepted = tokio::select! {
                biased;
                () = &mut shutdown => break,
                accepted = next => accepted,
            };
            match accepted {
                Ok(accepted) => {
                    failures = 0;
                    admit(accepted);
                }
                Err(error) => {
                    failures += 1;
                    if failures >= FAILURES || !is_of_one_connection(error.kind()) {
                        tokio::select! {
                            biased;
                            () = &mut shutdown => break,
                            () = sleep(PAUSE) => {}
                        }
                    }
                }
            }
        }

        // Those that end meanwhile count as well.
        let mut open = drain.open();
        let enough = Instant::now() + QUEUED;
        for _ in 0..QUEUE.min(server.max_connections.saturating_sub(open)) {
            match timeout_at(enough, listener.accept()).await {
                Ok(Ok(accepted)) => {
                    open += 1;
                    admit(accepted);
                }
                Ok(Err(error)) if is_of_one_connection(error.kind()) => {}
                _ => break,
            }
        }
        drop(listener);
        drain.begin();
        // Elapsed or not: what matters is what is left.
        let _ = timeout(server.grace, drain.empty()).await;
        let left = drain.open();
        drain.cut();
        let _ = timeout(LAST, drain.empty()).await;
        Drained {
            finished: open.saturating_sub(left),
            cut: left,
        }
    }
}

/// Whether accepting failed for that connection only (accept(2), "Error handling").
fn is_of_one_connection(error: ErrorKind) -> bool {
    matches!(
        error,
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::Interrupted
            | ErrorKind::BrokenPipe
            | ErrorKind::NetworkDown
            | ErrorKind::NetworkUnreachable
            | ErrorKind::HostUnreachable
    )
}

/// Cuts when dropped: nobody waits any more.
struct Cut(Arc<Drain>);

impl Drop for Cut {
    fn drop(&mut self) {
        self.0.begin();
        self.0.cut();
    }
}
