//! From hyper's requests to the service's, and back.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{Connection, in_flight::InFlight, line::Line, reply::Reply, stream::Flow};

/// Makes the requests of one connection known to its line, and calls the service.
pub(super) struct Exchanges<S> {
    pub(super) service: S,
    pub(super) line: Arc<Line>,
    pub(super) max_headers: usize,
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Exchanges<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone,
    B: Body,
{
    type Response = Response<Reply<B>>;
    type Error = S::Error;
    type Future = Exchange<S, B>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let in_flight = InFlight::new(&self.line, request.version());
        let flow = (request.version() == Version::HTTP_2).then(Arc::<Flow>::default);
        // On HTTP/1 hyper has counted them already.
        let state = if request.headers().len() > self.max_headers {
            State::Refusing
        } else {
            let connection = Connection::new(Arc::clone(&self.line), in_flight.speaker);
            request.extensions_mut().insert(connection);
            State::Waiting {
                service: self.service.clone(),
                request: Some(request),
            }
        };
        // The last thing: had the service's clone panicked, this would be taken for the next stream's.
        Flow::announce(flow.clone());
        Exchange {
            in_flight: Some(in_flight),
            flow,
            state,
        }
    }
}

pin_project! {
    /// One request's way through the service.
    pub(super) struct Exchange<S, B>
    where
        S: Service<Request<Incoming>, Response = Response<B>>,
    {
        in_flight: Option<InFlight>,
        flow: Option<Arc<Flow>>,
        #[pin]
        state: State<S, B, S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, B, F> {
        // Readiness is this clone's, and it is this clone that is called.
        Waiting { service: S, request: Option<Request<Incoming>> },
        Calling { #[pin] future: F },
        // Until the interim responses are written.
        Holding { response: Option<Response<B>> },
        Refusing,
    }
}

impl<S, B> Future for Exchange<S, B>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
    B: Body,
{
    type Output = Result<Response<Reply<B>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let response = loop {
            match this.state.as_mut().project() {
                StateProj::Waiting { service, request } => {
                    ready!(service.poll_ready(cx))?;
                    let Some(request) = request.take() else {
                        return Poll::Pending;
                    };
                    let future = service.call(request);
                    this.state.set(State::Calling { future });
                }
                StateProj::Calling { future } => {
                    let response = ready!(future.poll(cx))?;
                    if let Some(in_flight) = &*this.in_flight {
                        in_flight.is_answered();
                    }
                    this.state.set(State::Holding {
                        response: Some(response),
                    });
                }
                StateProj::Holding { response } => {
                    // The stream's next flush writes them, in this very poll of hyper, and wakes.
                    if this.in_flight.as_ref().is_some_and(InFlight::holds) {
                        return Poll::Pending;
                    }
                    let Some(response) = response.take() else {
                        return Poll::Pending;
                    };
                    break response.map(Some);
                }
                StateProj::Refusing => {
                    let mut refusal = Response::new(None);
                    *refusal.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                    break refusal;
                }
            }
        };
        let (in_flight, flow) = (this.in_flight.take(), this.flow.take());
        Poll::Ready(Ok(response.map(|body| Reply::new(body, flow, in_flight))))
    }
}
