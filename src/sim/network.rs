//! What is between balancers and servers: the inner service of each balanced one, and the probe.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_channel::oneshot;
use parking_lot::Mutex;
use tower_service::Service;

use crate::{Assigned, Endpoint, HealthProbe, Lease, LoadReport, Outcome, Protocol, health::Report};

/// A server, by its number.
pub(super) type Backend = Endpoint<usize>;

/// A request as balancers see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) id: u32,
    pub(super) key: Option<u64>,
}

/// What balancers send, until the simulation takes it up.
#[derive(Clone, Default)]
pub(super) struct Network(Arc<Mutex<Vec<Message>>>);

/// A message to a server, and where its answer goes.
pub(super) enum Message {
    Request(u32, usize, oneshot::Sender<Result<Reply, Failed>>),
    Probe(usize, Question, oneshot::Sender<Result<LoadReport, Failed>>),
}

/// What a probe asks a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// How loaded it is, or only whether it is there.
    Shallow,
    /// To do what a request asks for.
    Deep,
}

/// A server's answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reply {
    pub(super) is_good: bool,
    pub(super) load: LoadReport,
}

/// There is no answer, and none will be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Failed {
    Refused,
    /// It did answer, that it fails.
    Answered,
    TimedOut,
    /// The simulation has ended.
    Over,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "the server refused or dropped the request",
            Self::Answered => "the server answered with a failure",
            Self::TimedOut => "the server did not answer in time",
            Self::Over => "the simulation has ended",
        })
    }
}

impl std::error::Error for Failed {}

impl Network {
    /// All that was sent since it was asked last.
    pub(super) fn take(&self) -> Vec<Message> {
        std::mem::take(&mut *self.0.lock())
    }

    async fn ask(&self, backend: &Backend, question: Question) -> Result<LoadReport, Failed> {
        let (answer, answered) = oneshot::channel();
        self.0.lock().push(Message::Probe(*backend.target(), question, answer));
        answered.await.unwrap_or(Err(Failed::Over))
    }
}

impl Service<Assigned<Call, Backend>> for Network {
    type Response = Reply;
    type Error = Failed;
    type Future = Answered;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, assigned: Assigned<Call, Backend>) -> Answered {
        let (answer, answered) = oneshot::channel();
        let message = Message::Request(assigned.request.id, *assigned.backend.target(), answer);
        self.0.lock().push(message);
        Answered(answered)
    }
}

/// The answer to a request, once it is there.
pub(super) struct Answered(oneshot::Receiver<Result<Reply, Failed>>);

impl Future for Answered {
    type Output = Result<Reply, Failed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(Pin::new(&mut self.0).poll(cx)).unwrap_or(Err(Failed::Over)))
    }
}

impl HealthProbe<Backend> for Network {
    type Error = Failed;

    async fn probe(&self, backend: &Backend) -> Result<Report, Failed> {
        let load = self.ask(backend, Question::Shallow).await?;
        Ok(Report::new().with_load(load))
    }
}

/// The probe of a health check. What it hears of loads it keeps to itself: who selects by these has probes of its own,
/// and does as well or as badly with a health check as without.
pub(super) struct Inquiry {
    pub(super) network: Network,
    pub(super) question: Question,
}

impl HealthProbe<Backend> for Inquiry {
    type Error = Failed;

    async fn probe(&self, backend: &Backend) -> Result<Report, Failed> {
        self.network.ask(backend, self.question).await.map(|_| Report::new())
    }
}

/// How replies are understood: they say how loaded their server is.
#[derive(Clone, Copy)]
pub(super) struct Spoken;

impl Protocol<Reply> for Spoken {
    type Response = bool;

    fn answered(&self, reply: &Reply) -> Outcome {
        if reply.is_good {
            Outcome::Success
        } else {
            Outcome::Failure
        }
    }

    fn report<A: ?Sized>(&self, reply: &Reply, lease: &Lease<A>) {
        lease.report(&reply.load);
    }

    fn attach(reply: Reply, mut lease: Lease) -> bool {
        lease.settle(Outcome::Success);
        reply.is_good
    }
}
