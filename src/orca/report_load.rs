//! The server's side: a layer that answers each request with the server's load.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{Format, HEADER, HEADER_BIN, ReportedBody};
use crate::{
    Clock, LoadReport,
    load::{Meter, Metered},
};

/// A layer for a server that answers each request with its load, in a header of ORCA (see [`orca`](crate::orca)): how
/// many requests are in flight, this one included, until their responses' bodies have ended; how many were answered in a
/// second, and how many of those failed, over the last ten; the latency of late, at about this load; and, if the
/// application [says so](ReportLoad::with_utilization), its utilization.
///
/// A failure is a status of 500 to 599 or an error of the service. Latency is that until the head of the response, the
/// median of the last 16 good ones, of these ten seconds, that came when about as many were in flight.
///
/// All services that one layer and its clones wrap are one server: give the same to each connection and each route.
/// Nothing is locked, and nothing but the header's value allocated. A report that the service itself has put into its
/// response is replaced.
pub struct ReportLoad {
    meter: Meter,
    utilization: Option<Utilization>,
    format: Format,
}

type Utilization = Arc<dyn Fn() -> f64 + Send + Sync>;

impl ReportLoad {
    /// Reports in text, without utilization, by the system's clock.
    #[cfg(feature = "tokio")]
    pub fn new() -> Self {
        Self::on(Clock::system())
    }

    /// The same by a clock of your own.
    pub fn on(clock: Clock) -> Self {
        Self {
            meter: Meter::new(clock),
            utilization: None,
            format: Format::default(),
        }
    }

    /// How much of what the server can do is used, 1 being all: asked for with each answer, and so to be quick. What is
    /// no number from 0 to 100 is left out of the report.
    ///
    /// [`ReportedLoad`](crate::ReportedLoad) goes by nothing without it.
    pub fn with_utilization(self, utilization: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        Self {
            utilization: Some(Arc::new(utilization)),
            ..self
        }
    }

    /// How the report is written; as text unless said otherwise.
    pub fn with_format(self, format: Format) -> Self {
        Self { format, ..self }
    }

    /// What would be reported now: for the answers to probes.
    pub fn load(&self) -> LoadReport {
        self.complete(self.meter.load())
    }

    fn complete(&self, report: LoadReport) -> LoadReport {
        let utilization = self.utilization.as_ref().map(|utilization| utilization());
        let with = utilization.and_then(|utilization| report.with_utilization(utilization).ok());
        with.unwrap_or(report)
    }

    fn answer<D: Body>(&self, mut response: Response<D>, in_flight: Metered) -> Response<ReportedBody<D>> {
        let status = response.status();
        let report = in_flight.answered(status.is_server_error());
        let headers = response.headers_mut();
        if let Some((name, value)) = self.format.header(&self.complete(report)) {
            headers.remove(HEADER);
            headers.remove(HEADER_BIN);
            headers.insert(name, value);
        }
        response.map(|body| ReportedBody::new(body, in_flight, status))
    }
}

#[cfg(feature = "tokio")]
impl Default for ReportLoad {
    fn default() -> Self {
        Self::new()
    }
}

impl Clone for ReportLoad {
    fn clone(&self) -> Self {
        Self {
            meter: self.meter.clone(),
            utilization: self.utilization.clone(),
            format: self.format,
        }
    }
}

impl fmt::Debug for ReportLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReportLoad")
            .field("format", &self.format)
            .field("load", &self.meter.load())
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for ReportLoad {
    type Service = Reporting<S>;

    fn layer(&self, inner: S) -> Reporting<S> {
        let report = self.clone();
        Reporting { report, inner }
    }
}

/// A service that answers each request with the server's load: what [`ReportLoad`] makes.
#[derive(Clone, Debug)]
pub struct Reporting<S> {
    report: ReportLoad,
    inner: S,
}

impl<S, Content, D> Service<Request<Content>> for Reporting<S>
where
    S: Service<Request<Content>, Response = Response<D>>,
    D: Body,
{
    type Response = Response<ReportedBody<D>>;
    type Error = S::Error;
    type Future = Reported<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Content>) -> Self::Future {
        let in_flight = self.report.meter.begin();
        Reported {
            future: self.inner.call(request),
            report: self.report.clone(),
            in_flight: Some(in_flight),
        }
    }
}

pin_project! {
    /// The future of a [`Reporting`]'s call. Dropped before it is ready, the request was not answered.
    #[derive(Debug)]
    pub struct Reported<F> {
        #[pin]
        future: F,
        report: ReportLoad,
        in_flight: Option<Metered>,
    }
}

impl<F, D, E> Future for Reported<F>
where
    F: Future<Output = Result<Response<D>, E>>,
    D: Body,
{
    type Output = Result<Response<ReportedBody<D>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.future.poll(cx));
        let in_flight = this
            .in_flight
            .take()
            .expect("a future is not polled again after it was ready");
        Poll::Ready(match result {
            Ok(response) => Ok(this.report.answer(response, in_flight)),
            Err(error) => {
                // There is no answer to say it with.
                let _ = in_flight.answered(true);
                Err(error)
            }
        })
    }
}
