//! A streaming reverse proxy for HTTP/1.1 and h2c:
//! `cargo run --release --features full --example reverse_proxy -- --listen 127.0.0.1:8080 --strategy round_robin
//! --backend http://127.0.0.1:9001 --backend http://127.0.0.1:9002,weight=2`.
//!
//! All of it is in the library: a pool of backends, a client for them under `BalanceLayer::orca`, the rules of a proxy
//! around that, and a server before it. A request that failed goes to another backend. What is here is the command line and the signals: SIGTERM or SIGINT stops
//! accepting and lets what is open finish within the grace; a second one ends at once.

mod failover;
mod fitness;
mod flags;
mod keys;
#[cfg(unix)]
mod operations;
mod signals;
mod sticky;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use equipoise::{AnySelector, BalanceLayer, BoxError, KeyedLayer, Pool, http::HttpEndpoint};
use tokio::{net::TcpListener, sync::oneshot};
use tower::ServiceBuilder;

use crate::{
    flags::{Setup, Wish, help},
    signals::Signals,
};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1);
    let wish = Wish::parse(arguments.map(|argument| argument.to_string_lossy().into_owned()));
    let done = match wish {
        Ok(Wish::Proxy(setup)) => run(*setup).await,
        Ok(Wish::Help) => io::stdout().write_all(help().as_bytes()).map_err(BoxError::from),
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

async fn run(setup: Setup) -> Result<(), BoxError> {
    // With feature `tracing`: who comes, who goes, who is fit, and every request that failed.
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let pool = Pool::builder()
        .selector(setup.strategy.selector())
        .backends(setup.backends);
    let pool = setup.fitness.build(pool).spawn();
    let proxy = ServiceBuilder::new()
        .map_request(keys::note_client(&setup.trusted))
        .layer(setup.proxy)
        .layer(KeyedLayer::new(setup.keys))
        .layer(setup.sticky.layer.clone())
        .layer(setup.failover.layer())
        .layer(BalanceLayer::orca(pool.clone()))
        .service(setup.upstream.build());

    let mut signals = Signals::new()?;
    let listener = TcpListener::bind(setup.listen)
        .await
        .map_err(|error| format!("{}: {error}", setup.listen))?;
    operate(setup.operations, &pool)?;
    setup.sticky.connect().await;
    writeln!(io::stdout(), "listening on http://{}", listener.local_addr()?)?;

    let (stop, stopped) = oneshot::channel();
    let serving = setup.server.serve(listener, proxy, async {
        // Its sender is not dropped before.
        let _ = stopped.await;
    });
    let twice = async {
        signals.next().await;
        eprintln!("draining; a second signal ends at once");
        let _ = stop.send(());
        signals.next().await;
    };
    tokio::select! {
        drained = serving => {
            eprintln!("{} connections finished, {} were cut", drained.finished, drained.cut);
            Ok(())
        }
        () = twice => Err("ended at once, by a second signal".into()),
    }
}

/// Listens to operators, if they are to be listened to.
#[cfg(unix)]
fn operate(path: Option<PathBuf>, pool: &Pool<HttpEndpoint, AnySelector<HttpEndpoint>>) -> Result<(), BoxError> {
    if let Some(path) = path {
        let operations = operations::Operations::bind(&path)
            .map_err(|error| format!("--operations '{}': {error}", path.display()))?;
        tokio::spawn(operations.serve(pool.clone()));
    }
    Ok(())
}

#[cfg(not(unix))]
fn operate(path: Option<PathBuf>, _: &Pool<HttpEndpoint, AnySelector<HttpEndpoint>>) -> Result<(), BoxError> {
    match path {
        Some(_) => Err("--operations: there are no Unix sockets here".into()),
        None => Ok(()),
    }
}
