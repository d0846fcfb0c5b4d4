//! The example `reverse_proxy` as a process.

use std::{
    net::SocketAddr,
    process::{Command, Output},
};

use crate::{
    example::example,
    program::{Program, until},
};

/// A running proxy; dropped, it is killed.
pub(crate) struct Proxy {
    program: Program,
    pub(crate) address: SocketAddr,
}

/// The command with these flags.
pub(crate) fn command(flags: &[&str]) -> Command {
    let mut command = Command::new(example("reverse_proxy"));
    command.args(flags);
    command
}

impl Proxy {
    /// One on a free port, before these backends.
    pub(crate) fn start(backends: &[String], flags: &[&str]) -> Self {
        let mut command = command(&["--listen", "127.0.0.1:0"]);
        for backend in backends {
            command.args(["--backend", backend]);
        }
        let mut program = Program::start(command.args(flags));
        let address = until("the proxy tells its address", || {
            let told = program.stdout();
            assert!(program.is_running(), "{told}{}", program.stderr());
            let line = told.strip_suffix('\n')?;
            Some(line.strip_prefix("listening on http://").expect(line).parse().unwrap())
        });
        Self { program, address }
    }

    pub(crate) fn uri(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn signal(&self, signal: &str) {
        self.program.signal(signal);
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.program.is_running()
    }

    /// What it has complained of so far.
    pub(crate) fn stderr(&self) -> String {
        self.program.stderr()
    }

    /// How it ends by itself: its exit code, and what it has complained of. What serves it goes on meanwhile.
    pub(crate) async fn end(self) -> (Option<i32>, String) {
        let ending = tokio::task::spawn_blocking(|| self.program.output());
        let Output { status, stderr, .. } = ending.await.unwrap();
        (status.code(), String::from_utf8(stderr).unwrap())
    }

    /// A figure in KiB of its memory: `VmRSS` is what it has now, `VmHWM` the most that it ever had.
    #[cfg(target_os = "linux")]
    pub(crate) fn memory(&self, figure: &str) -> u64 {
        let told = std::fs::read_to_string(format!("/proc/{}/status", self.program.process())).unwrap();
        let line = told.lines().find(|line| line.starts_with(figure));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        number.and_then(|number| number.parse().ok()).expect(&told)
    }
}
