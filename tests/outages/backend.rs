//! A backend: this very program once more, as a process that serves HTTP and misbehaves as it is told.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::Ipv4Addr,
    process::{ChildStdin, Command},
    time::Duration,
};

use equipoise::http::HttpEndpoint;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::program::Program;

/// How a backend answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Well,
    /// With a 500.
    Failing,
    /// With a 500 but to probes.
    FailingButToProbes,
    /// Every other request with a 500, probes well.
    FailingEveryOther,
    /// With a reset of the connection.
    Resetting,
    /// A hundred times slower.
    Slow,
}

const MANNERS: [Manner; 6] = [
    Manner::Well,
    Manner::Failing,
    Manner::FailingButToProbes,
    Manner::FailingEveryOther,
    Manner::Resetting,
    Manner::Slow,
];

/// How long it takes over an answer.
const TIME: Duration = Duration::from_millis(8);
/// Asked for this, it never answers.
pub(crate) const NEVER: &str = "/never";
pub(crate) const HEALTH: &str = "/health";

/// A running backend; dropped, it is killed, stopped or not.
pub(crate) struct Backend {
    program: Program,
    orders: ChildStdin,
    /// Which it has as a member of a pool, as do those that are started in its place.
    pub(crate) id: &'static str,
    pub(crate) port: u16,
}

/// Where it is said to a process of this program that it is a backend.
const ROLE: &str = "EQUIPOISE_OUTAGES_BACKEND";

impl Backend {
    /// One on a port of its own choice, that answers well.
    pub(crate) fn start(id: &'static str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "backend::process", "--ignored", "--nocapture"]);
        let (program, orders, words) = Program::start_piped(command.env(ROLE, "1"));
        let mut lines = BufReader::new(words).lines().map_while(Result::ok);
        let port = lines.find_map(|line| line.strip_prefix("port ").map(str::to_owned));
        let port = port.unwrap_or_else(|| panic!("a backend did not start: {}", program.stderr()));
        Self {
            program,
            orders,
            id,
            port: port.parse().unwrap(),
        }
    }

    pub(crate) fn endpoint(&self) -> HttpEndpoint {
        format!("http://127.0.0.1:{},id={}", self.port, self.id)
            .parse()
            .unwrap()
    }

    /// From now on.
    pub(crate) fn answer(&mut self, manner: Manner) {
        let order = MANNERS.iter().position(|other| *other == manner).unwrap();
        writeln!(self.orders, "{order}").unwrap();
    }

    /// `KILL`, `STOP`, `CONT` or `TERM`.
    pub(crate) fn signal(&self, signal: &str) {
        self.program.signal(signal);
    }

    /// Tells it to end, and waits until it has.
    pub(crate) async fn end(&mut self, signal: &str) {
        self.signal(signal);
        while self.program.is_running() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[test]
#[ignore = "no test: a backend's process, which the tests start"]
fn process() {
    if std::env::var_os(ROLE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(serve()).unwrap();
    }
}

async fn serve() -> io::Result<()> {
    let (order, manner) = watch::channel(Manner::Well);
    std::thread::spawn(move || {
        let orders = io::stdin().lock().lines().map_while(Result::ok);
        orders
            .filter_map(|order| MANNERS.get(order.parse::<usize>().ok()?))
            .for_each(|manner| _ = order.send_replace(*manner));
        // Nobody is there any more.
        std::process::exit(0);
    });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    // In a line of its own, whatever the test harness has written before.
    println!("\nport {}", listener.local_addr()?.port());
    loop {
        let (stream, _) = listener.accept().await?;
        // How it ends is the client's affair.
        tokio::spawn(attend(stream, manner.clone()));
    }
}

async fn attend(mut stream: TcpStream, manner: watch::Receiver<Manner>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut head, mut is_odd) = (Vec::new(), false);
    loop {
        head.clear();
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let asks_for = |path: &str| head.starts_with(format!("GET {path} ").as_bytes());
        if asks_for(NEVER) {
            std::future::pending::<()>().await;
        }
        is_odd = !is_odd;
        let manner = *manner.borrow();
        let time = if manner == Manner::Slow { 100 * TIME } else { TIME };
        tokio::time::sleep(time).await;
        let is_bad = match manner {
            Manner::Well | Manner::Slow => false,
            Manner::Failing => true,
            Manner::FailingButToProbes => !asks_for(HEALTH),
            Manner::FailingEveryOther => !asks_for(HEALTH) && is_odd,
            // With nothing left to be sent the end of it is a reset.
            Manner::Resetting => return stream.set_zero_linger(),
        };
        let status = if is_bad { "500 Sorry" } else { "200 OK" };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok");
        stream.write_all(answer.as_bytes()).await?;
    }
}
