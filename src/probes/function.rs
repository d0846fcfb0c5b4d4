//! Whatever an async function asks.

use std::future::Future;

use crate::{Backend, BoxError, HealthProbe, health::Report};

/// A probe of an async function: one that is given the backend, and returns `Ok` where it is fit.
///
/// ```
/// use equipoise::{BoxError, Endpoint, health::Report, probes};
/// use std::net::SocketAddr;
/// use tokio::{net::TcpStream, process::Command};
///
/// type Server = Endpoint<SocketAddr>;
///
/// // A closure that needs nothing but the backend.
/// let connects = probes::function(async |server: &Server| {
///     TcpStream::connect(server.target()).await?;
///     Ok::<_, BoxError>(Report::new())
/// });
///
/// // One that needs other things as well has to own what its future works with.
/// let program = String::from("/usr/local/bin/check");
/// let command = probes::function(move |server: &Server| {
///     let mut command = Command::new(&program);
///     command.arg(server.target().to_string()).kill_on_drop(true);
///     async move {
///         let status = command.status().await?;
///         if status.success() { Ok(Report::new()) } else { Err(BoxError::from(status.to_string())) }
///     }
/// });
///
/// // A function.
/// async fn always(_: &Server) -> Result<Report, BoxError> {
///     Ok(Report::new())
/// }
/// let always = probes::function(always);
/// # fn is_probe(_: impl equipoise::HealthProbe<Server>) {}
/// # is_probe(connects); is_probe(command); is_probe(always);
/// ```
pub fn function<B: Backend, F>(function: F) -> Function<F>
where
    F: for<'a> AsyncProbe<'a, B>,
{
    Function(function)
}

/// The probe that [`function`] makes.
#[derive(Clone, Copy, Debug)]
pub struct Function<F>(F);

/// An async function that can be a probe: implemented for every `Fn(&B) -> impl Future<Output = Result<Report, E>> + Send`.
pub trait AsyncProbe<'a, B>: Send + Sync + 'static {
    /// What it returns.
    type Asking: Future<Output = Result<Report, Self::Error>> + Send + 'a;
    /// Why there was no report.
    type Error: Into<BoxError>;

    /// Calls it.
    fn ask(&self, backend: &'a B) -> Self::Asking;
}

impl<'a, B, F, A, E> AsyncProbe<'a, B> for F
where
    B: 'a,
    F: Fn(&'a B) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Report, E>> + Send + 'a,
    E: Into<BoxError>,
{
    type Asking = A;
    type Error = E;

    fn ask(&self, backend: &'a B) -> A {
        self(backend)
    }
}

impl<B: Backend, F: for<'a> AsyncProbe<'a, B>> HealthProbe<B> for Function<F> {
    type Error = BoxError;

    async fn probe(&self, backend: &B) -> Result<Report, BoxError> {
        self.0.ask(backend).await.map_err(Into::into)
    }
}
