//! A backend: this very program once more, as a process that serves HTTP and misbehaves as it is told.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::Ipv4Addr,
    process::{ChildStdin, ChildStdout, Command},
    sync::{Arc, Mutex},
    thread,
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
    /// With a head, a part of what it announces, and a reset of the connection.
    BreakingOff,
    /// A hundred times slower.
    Slow,
}

const MANNERS: [Manner; 7] = [
    Manner::Well,
    Manner::Failing,
    Manner::FailingButToProbes,
    Manner::FailingEveryOther,
    Manner::Resetting,
    Manner::BreakingOff,
    Manner::Slow,
];

/// How long it takes over an answer.
const TIME: Duration = Duration::from_millis(8);
/// Asked for this, it never answers.
pub(crate) const NEVER: &str = "/never";
pub(crate) const HEALTH: &str = "/health";
/// Before the number of a request that is to be known by it.
pub(crate) const NUMBERED: &str = "/n/";

/// A running backend; dropped, it is killed, stopped or not.
pub(crate) struct Backend {
    program: Program,
    orders: ChildStdin,
    /// Takes in what it says.
    hearing: thread::JoinHandle<()>,
    heard: Heard,
    /// Which it has as a member of a pool, as do those that are started in its place.
    pub(crate) id: &'static str,
    pub(crate) port: u16,
}

/// The numbers of the requests that it got, in order.
type Heard = Arc<Mutex<Vec<u64>>>;

/// Where it is said to a process of this program that it is a backend, and on which port: 0 for one of its own choice.
const ROLE: &str = "EQUIPOISE_OUTAGES_BACKEND";

impl Backend {
    /// One on a port of its own choice, that answers well.
    pub(crate) fn start(id: &'static str) -> Self {
        Self::start_on(id, 0, Heard::default())
    }

    fn start_on(id: &'static str, port: u16, heard: Heard) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "backend::process", "--ignored", "--nocapture"]);
        let (program, orders, words) = Program::start_piped(command.env(ROLE, port.to_string()));
        let mut words = BufReader::new(words);
        let mut said = words.by_ref().lines().map_while(Result::ok);
        let port = said.find_map(|line| line.strip_prefix("port ")?.parse().ok());
        let port = port.unwrap_or_else(|| panic!("a backend did not start: {}", program.stderr()));
        let hearing = hear(words, Arc::clone(&heard));
        Self {
            program,
            orders,
            hearing,
            heard,
            id,
            port,
        }
    }

    /// Starts it anew, on the same port, once it has ended; the numbers of before stay known.
    pub(crate) fn start_again(&mut self) {
        *self = Self::start_on(self.id, self.port, Arc::clone(&self.heard));
    }

    /// Ends it, and tells the numbers of all requests that it ever got, whatever became of them.
    pub(crate) fn heard(self) -> Vec<u64> {
        drop(self.program);
        // What it has written is there though it is not.
        self.hearing.join().unwrap();
        std::mem::take(&mut self.heard.lock().unwrap())
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

fn hear(words: BufReader<ChildStdout>, heard: Heard) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let said = words.lines().map_while(Result::ok);
        let numbers = said.filter_map(|line| line.strip_prefix("got ")?.parse().ok());
        numbers.for_each(|number| heard.lock().unwrap().push(number));
    })
}

#[test]
#[ignore = "no test: a backend's process, which the tests start"]
fn process() {
    serve_if_told();
}

/// Whether this process is a backend; it then was one for as long as it was wanted.
pub(crate) fn serve_if_told() -> bool {
    let Ok(port) = std::env::var(ROLE) else {
        return false;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(serve(port.parse().unwrap())).unwrap();
    true
}

async fn serve(port: u16) -> io::Result<()> {
    let (order, manner) = watch::channel(Manner::Well);
    thread::spawn(move || {
        let orders = io::stdin().lock().lines().map_while(Result::ok);
        orders
            .filter_map(|order| MANNERS.get(order.parse::<usize>().ok()?))
            .for_each(|manner| _ = order.send_replace(*manner));
        // Nobody is there any more.
        std::process::exit(0);
    });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
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
    let (mut bytes, mut is_odd) = (Vec::new(), false);
    while let Some(request) = Request::read(&mut stream, &mut bytes).await? {
        if let Some(number) = request.number() {
            // Written at once, so that it is known whatever happens to this process.
            println!("got {number}");
        }
        if request.path == NEVER {
            std::future::pending::<()>().await;
        }
        is_odd = !is_odd;
        let manner = *manner.borrow();
        let time = if manner == Manner::Slow { 100 * TIME } else { TIME };
        tokio::time::sleep(time).await;
        let is_bad = match manner {
            Manner::Well | Manner::Slow => false,
            Manner::Failing => true,
            Manner::FailingButToProbes => request.path != HEALTH,
            Manner::FailingEveryOther => request.path != HEALTH && is_odd,
            // With nothing left to be sent the end of it is a reset.
            Manner::Resetting => return stream.set_zero_linger(),
            Manner::BreakingOff => {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart of it")
                    .await?;
                tokio::time::sleep(TIME).await;
                return stream.set_zero_linger();
            }
        };
        let status = if is_bad { "500 Sorry" } else { "200 OK" };
        let content = request.answer();
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{content}",
            content.len()
        );
        stream.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

struct Request {
    method: String,
    path: String,
    content: String,
}

impl Request {
    /// The next on a connection, of which these bytes have been read; none if there is none.
    async fn read(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<Option<Self>> {
        loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                let whole = end + 4 + length.map_or(0, |length| length.parse::<usize>().unwrap());
                if bytes.len() >= whole {
                    let content = String::from_utf8_lossy(&bytes[end + 4..whole]).into_owned();
                    bytes.drain(..whole);
                    let mut words = head.split(' ').map(str::to_owned);
                    let [method, path] = [words.next(), words.next()].map(Option::unwrap_or_default);
                    return Ok(Some(Self { method, path, content }));
                }
            }
            if stream.read_buf(bytes).await? == 0 {
                return Ok(None);
            }
        }
    }

    fn number(&self) -> Option<&str> {
        self.path.strip_prefix(NUMBERED)
    }

    /// All that came, so that nobody takes one answer for another.
    fn answer(&self) -> String {
        format!("{} {} {}", self.method, self.path, self.content)
    }
}
