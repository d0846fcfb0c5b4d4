//! The backends' processes.

use std::{
    io,
    process::{ExitStatus, Stdio},
};

use equipoise::{BoxError, http::HttpEndpoint};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::flags::SERVE;

/// The processes that were started, each a backend.
#[derive(Default)]
pub(crate) struct Fleet(Vec<(&'static str, Child)>);

impl Fleet {
    /// Starts a backend, on a port of its own choice.
    pub(crate) async fn start(&mut self, id: &'static str) -> Result<HttpEndpoint, BoxError> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([SERVE, id])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().ok_or("a backend has no stdout")?;
        self.0.push((id, child));
        let port = BufReader::new(stdout).lines().next_line().await?;
        let port = port.ok_or("a backend ended before it told its port")?;
        Ok(format!("http://127.0.0.1:{port},id={id}").parse()?)
    }

    /// Crashes one: SIGKILL. Returns what is seen of its end.
    pub(crate) async fn crash(&mut self, id: &str) -> io::Result<ExitStatus> {
        let child = self.child(id)?;
        child.start_kill()?;
        child.wait().await
    }

    /// Lets one end by itself: to wait for it closes its stdin.
    pub(crate) async fn retire(&mut self, id: &str) -> io::Result<ExitStatus> {
        self.child(id)?.wait().await
    }

    /// Ends all.
    pub(crate) async fn stop(&mut self) {
        for (id, mut child) in self.0.drain(..) {
            if let Err(error) = child.kill().await {
                eprintln!("backend {id} could not be ended: {error}");
            }
        }
    }

    fn child(&mut self, id: &str) -> io::Result<&mut Child> {
        let child = self.0.iter_mut().find(|(other, _)| *other == id);
        child.map(|(_, child)| child).ok_or(io::ErrorKind::NotFound.into())
    }
}
