//! Real HTTP traffic over a changing set of backends: `cargo run --release --features http --example quickstart`.
//!
//! Three backends, each a process of its own, one of them slow, serve the requests of 64 tasks through a hyper-util
//! client under one layer. Meanwhile one is drained, one is added and one is killed. No request may be lost, and no
//! more may fail than were in flight at the kill.
//!
//! Read [`traffic`] first: there the client is made and used. [`operations`] changes the members meanwhile.

mod flags;
mod operations;
mod process;
mod report;
mod server;
mod traffic;

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
};

use equipoise::{BoxError, Pool};

use crate::{
    flags::{Flags, HELP, Role},
    process::Fleet,
    traffic::Traffic,
};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1);
    let role = Role::parse(arguments.map(|argument| argument.to_string_lossy().into_owned()));
    let done = match role {
        Ok(Role::Balance(flags)) => supervise(&flags).await,
        Ok(Role::Serve(id)) => server::serve(&id).await,
        Ok(Role::Help) => io::stdout().write_all(HELP.as_bytes()).map_err(BoxError::from),
        Err(wrong) => {
            eprintln!("{wrong}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whatever comes of the run, and should a signal end it: no process is left behind.
async fn supervise(flags: &Flags) -> Result<(), BoxError> {
    let mut fleet = Fleet::default();
    let done = tokio::select! {
        biased;
        signal = signal() => Err(signal?.into()),
        done = run(flags, &mut fleet) => done,
    };
    fleet.stop().await;
    done
}

async fn run(flags: &Flags, fleet: &mut Fleet) -> Result<(), BoxError> {
    let pool = Pool::builder()
        .selector(flags.strategy.selector())
        .backend(fleet.start("a").await?)
        .backend(fleet.start("b").await?)
        .backend(fleet.start("c").await?)
        .spawn();
    let traffic = Arc::new(Traffic::new(flags.requests));
    tokio::spawn(operations::tell(pool.events(), Arc::clone(&traffic)));

    let requests = traffic::send(&traffic, &pool);
    let changes = operations::change(&pool, &traffic, fleet);
    let (report, in_flight_at_kill) = tokio::try_join!(requests, changes)?;

    pool.close().await?;
    traffic.progress.finish_and_clear();
    let (failed, lost) = (report.failed(), flags.requests - report.ended());
    let mut out = io::stdout().lock();
    writeln!(out, "{report}")?;
    writeln!(
        out,
        "failed requests: {failed} (in flight at the kill: {in_flight_at_kill})"
    )?;
    writeln!(out, "lost requests: {lost}")?;
    match (failed, lost) {
        (_, 1..) => Err("requests were lost: neither a response nor a typed error in time".into()),
        _ if failed > in_flight_at_kill => Err("more requests failed than were in flight at the kill".into()),
        _ => Ok(()),
    }
}

/// Resolves once the program is asked to end, with what asked.
async fn signal() -> io::Result<&'static str> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::select! {
            _ = interrupt.recv() => Ok("interrupted by SIGINT"),
            _ = terminate.recv() => Ok("ended by SIGTERM"),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.map(|()| "interrupted")
}
