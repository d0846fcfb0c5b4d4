//! One request of HTTP on a connection of its own.

use http::{Request, Response};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    client::conn::{http1, http2},
    rt::Executor,
};
use hyper_util::rt::TokioIo;

use super::{LONGEST, crew::Crew, dial::Dialled, error::ProbeError};

/// A connection on which a response is on its way.
pub(super) struct Exchange {
    crew: Crew,
    /// A connection that nobody could send on would close.
    _sender: Sender,
}

enum Sender {
    Http1 { _sender: http1::SendRequest<Full<Bytes>> },
    Http2 { _sender: http2::SendRequest<Full<Bytes>> },
}

impl Exchange {
    /// Sends a request, and waits for the head of the response. Interim responses are read over.
    pub(super) async fn open(
        dialled: Dialled,
        is_http2: bool,
        request: Request<Full<Bytes>>,
    ) -> Result<(Self, Response<Incoming>), ProbeError> {
        let mut crew = Crew::new();
        let recruiter = crew.recruiter();
        let wire = TokioIo::new(dialled.wire);
        let opening = async move {
            if is_http2 {
                let mut builder = http2::Builder::new(recruiter.clone());
                // What a backend sends unasked is kept up to here.
                builder.initial_stream_window_size(LONGEST as u32);
                builder.initial_connection_window_size(LONGEST as u32);
                builder.max_header_list_size(LONGEST as u32);
                let (mut sender, connection) = builder.handshake(wire).await?;
                recruiter.execute(async {
                    // Its error is the request's as well.
                    let _ = connection.await;
                });
                let response = sender.send_request(request).await?;
                Ok((Sender::Http2 { _sender: sender }, response))
            } else {
                let mut builder = http1::Builder::new();
                builder.max_buf_size(LONGEST);
                let (mut sender, connection) = builder.handshake(wire).await?;
                recruiter.execute(async {
                    let _ = connection.await;
                });
                let response = sender.send_request(request).await?;
                Ok((Sender::Http1 { _sender: sender }, response))
            }
        };
        let opened: hyper::Result<_> = crew.beside(opening).await;
        let (sender, response) = opened.map_err(|error| ProbeError::broken(&error))?;
        let exchange = Self { crew, _sender: sender };
        Ok((exchange, response))
    }

    /// The outcome of reading the response.
    pub(super) async fn read<F: Future>(&mut self, reading: F) -> F::Output {
        self.crew.beside(reading).await
    }
}
