//! What balancing costs of a proxied HTTP request: one proxy over one client, once with a fixed backend and once
//! balanced over four, in one process and one run under callgrind, which counts instructions thread by thread.
//!
//! `cargo bench --features full --bench proxy` needs valgrind, and Linux for the rest; with `-- --test` it only tries that
//! all of it works. The kernel's part of a request is not among what callgrind counts, so the same requests are also run
//! natively: beside the balancer's part of the instructions stands its part of the CPU time, taking its instructions to
//! be as fast as the proxy's others. (Measured as such, it drowns in the noise of the scheduler.)

use std::{
    convert::Infallible,
    env, fs,
    future::Future,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{self, Command, ExitCode},
    sync::mpsc,
    task::{Context, Poll},
    thread,
};

use equipoise::{
    BalanceLayer, BoxError, LeastLoaded, Pool, RoundRobin, Selector,
    http::{HttpEndpoint, Origin},
    proxy::{Proxy, Upstream},
    server::Server,
};
use http::{Request, Response, Uri, Version};
use http_body_util::Full;
use hyper::body::Bytes;
use tokio::runtime;
use tower::{Layer, Service, service_fn};

/// How many requests each proxy gets in the two runs whose difference is taken, so that what starting costs drops out.
const REQUESTS: [u64; 2] = [500, 2500];
/// In the environment of a run under callgrind: how many.
const RUN: &str = "EQUIPOISE_BENCH_REQUESTS";
/// How many natively.
const NATIVE: u64 = 100_000;
/// The proxies' threads, and how callgrind numbers them: after the main one and the backend's.
const PROXIES: [(&str, u32); 3] = [("bare", 3), ("least_loaded", 4), ("round_robin", 5)];
const ANSWER: &[u8] = b"hello";

fn main() -> ExitCode {
    let is_trial =
        !env::args().any(|argument| argument == "--bench") || env::args().any(|argument| argument == "--test");
    let done = match env::var(RUN) {
        Ok(requests) => requests.parse().map_err(BoxError::from).and_then(run),
        Err(_) if is_trial => {
            println!("Testing proxy");
            run(20).map(|()| println!("Success"))
        }
        Err(_) => compare(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs twice under callgrind, and natively, and prints what a request costs in each proxy.
fn compare() -> Result<(), BoxError> {
    let folder = env::temp_dir().join(format!("equipoise-bench-proxy-{}", process::id()));
    fs::create_dir(&folder)?;
    let counted = REQUESTS.map(|requests| count(&folder, requests));
    fs::remove_dir_all(&folder)?;
    let [few, many] = counted;
    let (few, many) = (few?, many?);
    let requests = (REQUESTS[1] - REQUESTS[0]) as f64;
    let costs: Vec<f64> = (few.iter().zip(&many))
        .map(|(few, many)| (many - few) as f64 / requests)
        .collect();
    run(NATIVE)?;
    let times = PROXIES
        .map(|(name, _)| cpu(name))
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    // Of all together: the kernel samples who runs, a hundred times a second.
    let (user, kernel) = times
        .iter()
        .fold((0.0, 0.0), |sum, time| (sum.0 + time.0, sum.1 + time.1));
    println!("proxy           instructions    more    part  part of CPU");
    for ((name, _), cost) in PROXIES.iter().zip(&costs) {
        let more = cost - costs[0];
        let part = 100.0 * more / cost;
        let of_cpu = part * user / (user + kernel);
        println!("{name:<16}{cost:>12.0}{more:>8.0}{part:>7.2}%{of_cpu:>12.2}%");
    }
    let of_each = |time: f64| time / PROXIES.len() as f64;
    println!(
        "CPU time of a request: {:.1} µs in user mode, {:.1} µs in the kernel",
        of_each(user),
        of_each(kernel)
    );
    Ok(())
}

/// The CPU time of a request, in µs, that the thread of this name took in the native run: in user mode and in the kernel.
fn cpu(name: &str) -> Result<(f64, f64), BoxError> {
    for thread in fs::read_dir("/proc/self/task")? {
        let folder = thread?.path();
        if fs::read_to_string(folder.join("comm"))?.trim() == name {
            let stat = fs::read_to_string(folder.join("stat"))?;
            // proc(5): the name is in parentheses; utime and stime are the 14th and 15th field, in ticks of 10 ms.
            let after = stat.rsplit(')').next().ok_or("no fields")?;
            let mut times = after.split_whitespace().skip(11).map(str::parse::<f64>);
            let mut micros =
                || -> Result<f64, BoxError> { Ok(times.next().ok_or("too few fields")?? * 10_000.0 / NATIVE as f64) };
            return Ok((micros()?, micros()?));
        }
    }
    Err(format!("no thread '{name}'").into())
}

/// The instructions of each proxy's thread, for so many requests.
fn count(folder: &Path, requests: u64) -> Result<Vec<u64>, BoxError> {
    let out = folder.join(format!("{requests}"));
    let ended = Command::new("valgrind")
        .args(["--tool=callgrind", "--separate-threads=yes", "--quiet"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(env::current_exe()?)
        .env(RUN, requests.to_string())
        .status()
        .map_err(|error| format!("valgrind: {error} (apt-get install valgrind)"))?;
    if !ended.success() {
        return Err(format!("the run under callgrind ended with {ended}").into());
    }
    let totals = PROXIES.map(|(_, thread)| -> Result<u64, BoxError> {
        let counts = fs::read_to_string(format!("{}-{thread:02}", out.display()))?;
        let total = counts.lines().find_map(|line| line.strip_prefix("totals: "));
        Ok(total.ok_or("callgrind has written no totals")?.trim().parse()?)
    });
    totals.into_iter().collect()
}

/// Starts the backend and the proxies, each on a thread of its own, and sends them requests in turn.
fn run(requests: u64) -> Result<(), BoxError> {
    let backend = start("backend", async |listener| {
        let hello = service_fn(async |_| Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(ANSWER)))));
        Server::new().serve(listener, hello, std::future::pending()).await;
    })?;
    let origin: Origin = format!("http://{backend}").parse()?;
    let bare = start("bare", async move |listener| {
        let proxy = Proxy::new(Fixed {
            origin,
            client: Upstream::new(),
        });
        Server::new().serve(listener, proxy, std::future::pending()).await;
    })?;
    let least_loaded = balanced("least_loaded", backend, LeastLoaded::new())?;
    let round_robin = balanced("round_robin", backend, RoundRobin::new())?;

    let mut connections = Vec::new();
    for address in [bare, least_loaded, round_robin] {
        let connection = TcpStream::connect(address)?;
        connection.set_nodelay(true)?;
        connections.push(connection);
    }
    for _ in 0..requests {
        for connection in &mut connections {
            exchange(connection)?;
        }
    }
    Ok(())
}

/// Over four members, all of them the one backend: so both proxies keep one connection.
fn balanced<S>(name: &str, backend: SocketAddr, selector: S) -> Result<SocketAddr, BoxError>
where
    S: Selector<HttpEndpoint>,
{
    let member = |id| format!("http://{backend},id={id}").parse::<HttpEndpoint>();
    let members = (0..4).map(member).collect::<Result<Vec<_>, _>>()?;
    start(name, async move |listener| {
        let pool = Pool::builder().selector(selector).backends(members).spawn();
        let proxy = Proxy::new(BalanceLayer::http(pool).layer(Upstream::new()));
        Server::new().serve(listener, proxy, std::future::pending()).await;
    })
}

/// Serves on a thread with a runtime of its own. It is started before this returns: callgrind counts threads in that
/// order.
fn start<F>(
    name: &str,
    serve: impl FnOnce(tokio::net::TcpListener) -> F + Send + 'static,
) -> Result<SocketAddr, BoxError>
where
    F: Future<Output = ()>,
{
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let (started, is_started) = mpsc::channel();
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        let _ = started.send(());
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let served = runtime.and_then(|runtime| {
            runtime.block_on(async {
                serve(tokio::net::TcpListener::from_std(listener)?).await;
                Ok(())
            })
        });
        if let Err(error) = served {
            eprintln!("error: {error}");
        }
    })?;
    is_started.recv()?;
    Ok(address)
}

/// One request and its answer, as a browser would send it.
fn exchange(connection: &mut TcpStream) -> Result<(), BoxError> {
    connection.write_all(
        b"GET /some/path?query=1 HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: bench\r\nAccept: */*\r\n\
          Accept-Encoding: gzip, br\r\nAccept-Language: en\r\nCookie: session=0123456789abcdef\r\n\r\n",
    )?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !answer.ends_with(ANSWER) {
        match connection.read(&mut buffer)? {
            0 => return Err(format!("no answer: {}", String::from_utf8_lossy(&answer)).into()),
            read => answer.extend_from_slice(&buffer[..read]),
        }
    }
    if !answer.starts_with(b"HTTP/1.1 200 ") {
        return Err(format!("no good answer: {}", String::from_utf8_lossy(&answer)).into());
    }
    Ok(())
}

/// A client of one backend: what a proxy that does not balance would put below.
#[derive(Clone)]
struct Fixed<C> {
    origin: Origin,
    client: C,
}

impl<C: Service<Request<D>>, D> Service<Request<D>> for Fixed<C> {
    type Response = C::Response;
    type Error = C::Error;
    type Future = C::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.client.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<D>) -> C::Future {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(self.origin.scheme().clone());
        parts.authority = Some(self.origin.authority().clone());
        *request.uri_mut() = Uri::from_parts(parts).expect("a path came with the request");
        *request.version_mut() = Version::HTTP_11;
        self.client.call(request)
    }
}
