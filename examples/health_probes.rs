//! Asks one backend whether it is fit: `cargo run --features probes --example health_probes -- redis 127.0.0.1:6379`.
//!
//! It prints `fit`, with what else the backend says of itself, or why it is not, and exits with 0 or 1. Redis, PostgreSQL
//! and an external command are no probes of the crate, but here is how each is one.

use std::{io::Write, process::ExitCode, time::Duration};

use equipoise::{
    Backend, BoxError, Endpoint, HealthProbe,
    health::Report,
    http::HttpEndpoint,
    probes::{self, Agent, Grpc, Http, ProbeTarget, Tcp},
};
use tokio::process::Command;

/// The address of a server: HOST:PORT.
type Server = Endpoint<String>;

const HELP: &str = "\
expected one of
  tcp       HOST:PORT                      it takes a connection
  http      http[s]://HOST[:PORT] [PATH [REGEX]]    2xx or 3xx, and a body that matches
  grpc      http[s]://HOST[:PORT] [SERVICE]         grpc.health.v1 says SERVING
  agent     HOST:PORT                      HAProxy's agent-check
  redis     HOST:PORT                      +PONG to PING
  postgres  HOST:PORT                      it answers whether it would speak TLS
  command   TARGET PROGRAM [ARGUMENT...]   the program, with the target as its last argument, exits with 0";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let asked = match &arguments[..] {
        ["tcp", server] => ask(Ok(Tcp::new()), server.parse::<Server>()).await,
        ["http", origin, rest @ ..] if rest.len() <= 2 => ask(http(rest), origin.parse::<HttpEndpoint>()).await,
        ["grpc", origin] => ask(Ok(Grpc::new()), origin.parse::<HttpEndpoint>()).await,
        ["grpc", origin, service] => ask(Grpc::new().service(service), origin.parse::<HttpEndpoint>()).await,
        ["agent", server] => ask(Ok(Agent::new()), server.parse::<Server>()).await,
        ["redis", server] => ask(redis(), server.parse::<Server>()).await,
        ["postgres", server] => ask(postgres(), server.parse::<Server>()).await,
        ["command", target, program, rest @ ..] => ask(Ok(command(program, rest)), target.parse::<Server>()).await,
        _ => Err(HELP.into()),
    };
    let (words, code) = match asked {
        Ok(Ok(report)) => (fit(&report), 0),
        Ok(Err(why)) => (format!("not fit: {why}"), 1),
        Err(wrong) => (wrong.to_string(), 2),
    };
    // Whoever has closed the other end does not want to know.
    let _ = writeln!(std::io::stdout(), "{words}");
    ExitCode::from(code)
}

/// PING as telnet would send it. With a password redis says `-NOAUTH`, which could be expected as well.
fn redis() -> Result<Tcp, probes::SettingError> {
    Tcp::new().send("PING\r\n").expect("+PONG\r\n")
}

/// PostgreSQL's SSLRequest, which it answers with one letter, and before anybody logs in: a postmaster is there, and has a
/// process for this client. (`pg_isready` goes one message further, and so learns that a server is starting up;
/// PostgreSQL, "Message Formats" and `src/bin/scripts/pg_isready.c`.)
fn postgres() -> Result<Tcp, probes::SettingError> {
    // Its length, and a number that is no version of the protocol: 1234 and 5679.
    Tcp::new().send([0, 0, 0, 8, 4, 210, 22, 47]).expect("S")?.expect("N")
}

/// A program that exits with 0 where the target is fit, as those for Nagios do.
fn command(program: &str, arguments: &[&str]) -> impl HealthProbe<Server, Error = BoxError> {
    let program = program.to_owned();
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    probes::function(move |server: &Server| {
        let mut command = Command::new(&program);
        // Nothing of a probe goes on when it was given up.
        command.args(&arguments).arg(server.target()).kill_on_drop(true);
        async move {
            match command.status().await? {
                status if status.success() => Ok(Report::new()),
                status => Err(BoxError::from(status.to_string())),
            }
        }
    })
}

fn http(arguments: &[&str]) -> Result<Http, probes::SettingError> {
    let probe = Http::get(arguments.first().unwrap_or(&"/"))?;
    match arguments.get(1) {
        Some(regex) => probe.expect_match(regex),
        None => Ok(probe),
    }
}

/// Asks once, as a pool does: within a time. An error: there is no such probe or backend.
async fn ask<B, P>(
    probe: Result<P, probes::SettingError>,
    backend: Result<B, impl Into<BoxError>>,
) -> Result<Result<Report, BoxError>, BoxError>
where
    B: Backend + ProbeTarget,
    P: HealthProbe<B>,
{
    let (probe, backend) = (probe?, backend.map_err(Into::into)?);
    let answer = tokio::time::timeout(Duration::from_secs(2), probe.probe(&backend)).await;
    Ok(match answer {
        Ok(answer) => answer.map_err(Into::into),
        Err(_elapsed) => Err("no answer within 2 s".into()),
    })
}

fn fit(report: &Report) -> String {
    let standing = report.standing().map(|standing| format!(", {standing}"));
    let percent = report.percent().map(|percent| format!(", weight {percent} %"));
    format!("fit{}{}", standing.unwrap_or_default(), percent.unwrap_or_default())
}
