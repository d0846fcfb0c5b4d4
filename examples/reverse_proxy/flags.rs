//! The command line.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use equipoise::{
    Backend, Strategy,
    http::HttpEndpoint,
    proxy::{ProxyLayer, Upstream, UpstreamBuilder},
    server::Server,
};
use ipnet::IpNet;

use crate::{
    failover::Failover,
    fitness::Fitness,
    keys::{self, Key},
    sticky::{Stickiness, Sticky},
};

const HELP: &str = "\
A streaming reverse proxy for HTTP/1.1 and h2c.

  --backend URL        http://HOST[:PORT] or h2c://HOST[:PORT] (HTTP/2 without TLS), with [,id=TEXT][,weight=N]
                       [,priority=N][,locality=REGION[/ZONE]] behind it; one for each backend
  --listen ADDRESS     IP:PORT, 127.0.0.1:8080 unless said otherwise
  --strategy TEXT      which backend: one of those below; least_loaded unless said otherwise
  --key TEXT           what strategies go by that bring the same to the same: client (unless said otherwise), path,
                       header:NAME, cookie:NAME or query:NAME; several are combined in their order
  --sticky WAY         a session stays with its backend, however it is known: cookie (one of the proxy's own, sealed; behind it
                       [,pool=TEXT][,name=TEXT][,path=TEXT][,domain=TEXT][,secure][,same-site=strict|lax|none], the first two
                       for proxies of other backends with the same keys or under the same host), learned:COOKIE (the
                       application's own, in a table), source (the client's address) or header:NAME (these two by a strategy
                       that goes by keys, maglev unless said otherwise: a drain moves them)
  --sticky-keys FILE   secrets of sealed cookies, or the one of sessions in Redis: a line of 64 hexadecimal digits each, such
                       as 'openssl rand -hex 32' makes; the first seals. Without, cookies end with the process
  --sticky-idle T      after how long without a request a session of a cookie or a table is over: 30m. One of a cookie also is
                       after 24h, or after this if it is longer
  --home-lost WHAT     what becomes of a session whose backend is unfit: move (unless said otherwise), a time such as 30s, for
                       which it is a guest elsewhere, or refuse (503, or 502 until it is found out). From a backend that left
                       it always moves
  --redis URL          redis://HOST[:PORT]: the table of sessions that several proxies share; wants --sticky-keys with one
  --operations PATH    a Unix socket for operators, by HTTP: drain, undrain, backends; 'curl --unix-socket PATH
                       http://localhost/' tells how
  --health PATH        asks every backend for this with GET, with [,expect=TEXT][,interval=T][,timeout=T] behind it: a
                       status of 200 to 399, and the text in the body, again and again each 5s and within 1s; who does
                       not answer so three times in a row gets no requests until it does twice
  --outliers WORD      on (unless said otherwise): a backend gets no requests for a while that fails five in a row, or
                       many more than the others; or off
  --panic-threshold N  below this percentage of fit backends all get requests; 50 unless said otherwise, 0 for never
  --slow-start T       a backend that comes back is brought in over this time, while others serve; at once without
  --locality TEXT      REGION[/ZONE] of this proxy: backends of the same come first
  --tries N            how often a request is sent at most, to another backend each time, if it may be sent twice (GET,
                       HEAD, OPTIONS, PUT, DELETE); 3 unless said otherwise. Others go elsewhere only if nothing was sent
  --retry-budget P[,N] how many of the requests that succeed may be sent twice, in percent, and N a second besides;
                       20,10 unless said otherwise
  --hedge WHEN         asks a second backend as well when the first takes longer than a time, such as 50ms, or than this
                       part of requests, such as 95%, and then 5% of them at most; not unless said so
  --replay BYTES       how much of a request's content is kept to be sent again; 65536 unless said otherwise
  --trust NET          IP or IP/BITS whose X-Forwarded-* and Forwarded headers are believed; may be said several times. Who
                       the client is, for keys, X-Forwarded-For says alone: such a peer has to set it

Times, such as 500ms, 5s, 2m or 1h:
  --header-timeout T   a client's request head; 30s
  --idle-timeout T     a client's connection without a request; 75s
  --stall-timeout T    a client that takes nothing of its answer; 60s
  --upload-gap T       a client that sends nothing of its content; 60s
  --tunnel-idle T      nothing through an upgraded connection; 1h
  --connect-timeout T  a connection to a backend; 5s
  --head-timeout T     a backend's answer; 60s
  --try-timeout T      a backend's answer until another is tried; --head-timeout unless said otherwise
  --deadline T         an answer, all tries together; as long as they take unless said otherwise
  --longest-wait T     what a backend's Retry-After may ask for, when there is no other: 1s; the answer is passed on if it
                       asks for more
  --body-gap T         a backend that sends nothing of its content; 60s
  --keep T             an unused connection to a backend; 4s
  --grace T            what is open after SIGTERM or SIGINT; 25s

  --help               this text

Strategies, with what they take unless said otherwise:
";

/// The text that `--help` asks for.
pub(crate) fn help() -> String {
    let strategies = Strategy::help();
    let lines = strategies.lines().map(|line| format!("  {line}\n"));
    lines.fold(HELP.to_owned(), |help, line| help + &line)
}

/// What the flags come to.
pub(crate) struct Setup {
    pub(crate) listen: SocketAddr,
    pub(crate) strategy: Strategy,
    pub(crate) keys: Vec<Key>,
    pub(crate) trusted: Vec<IpNet>,
    pub(crate) sticky: Sticky,
    pub(crate) operations: Option<PathBuf>,
    pub(crate) backends: Vec<HttpEndpoint>,
    pub(crate) fitness: Fitness,
    pub(crate) failover: Failover,
    pub(crate) proxy: ProxyLayer,
    pub(crate) upstream: UpstreamBuilder,
    pub(crate) server: Server,
}

pub(crate) enum Wish {
    Proxy(Box<Setup>),
    Help,
}

/// As far as they are read.
struct Flags {
    listen: SocketAddr,
    strategy: Option<Strategy>,
    keys: Vec<String>,
    trusted: Vec<IpNet>,
    sticky: Stickiness,
    operations: Option<PathBuf>,
    backends: Vec<HttpEndpoint>,
    fitness: Fitness,
    failover: Failover,
    proxy: ProxyLayer,
    upstream: UpstreamBuilder,
    server: Server,
}

impl Wish {
    /// The arguments without the program's name; the error names the flag, the value and what is allowed.
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut flags = Flags {
            listen: ([127, 0, 0, 1], 8080).into(),
            strategy: None,
            keys: Vec::new(),
            trusted: Vec::new(),
            sticky: Stickiness::default(),
            operations: None,
            backends: Vec::new(),
            fitness: Fitness::default(),
            failover: Failover::default(),
            proxy: ProxyLayer::new(),
            upstream: Upstream::builder(),
            server: Server::new(),
        };
        while let Some(flag) = arguments.next() {
            if matches!(&*flag, "--help" | "-h") {
                return Ok(Self::Help);
            }
            flags = flags.with(&flag, &mut arguments)?;
        }
        Ok(Self::Proxy(Box::new(flags.finish()?)))
    }
}

impl Flags {
    fn with(mut self, flag: &str, arguments: &mut impl Iterator<Item = String>) -> Result<Self, String> {
        let mut value = || arguments.next().unwrap_or_default();
        match flag {
            "--listen" => self.listen = listen(&value())?,
            "--strategy" => self.strategy = Some(strategy(&value())?),
            "--key" => {
                let key = value();
                keys::read(&key).map_err(|why| format!("invalid --key '{}': {why}", key.escape_debug()))?;
                self.keys.push(key);
            }
            "--sticky" | "--sticky-keys" | "--sticky-idle" | "--home-lost" | "--redis" => {
                self.sticky = self.sticky.with(flag, &value())?;
            }
            "--operations" => self.operations = Some(value().into()),
            "--backend" => {
                let backend = backend(&value(), &self.backends)?;
                self.backends.push(backend);
            }
            "--health" | "--outliers" | "--panic-threshold" | "--slow-start" | "--locality" => {
                self.fitness = self.fitness.with(flag, &value())?;
            }
            "--tries" | "--try-timeout" | "--deadline" | "--longest-wait" | "--hedge" | "--retry-budget"
            | "--replay" => {
                self.failover = self.failover.with(flag, &value())?;
            }
            "--trust" => self.trusted.push(trust(&value())?),
            "--header-timeout" => self.server = self.server.header_timeout(time(flag, &value())?),
            "--idle-timeout" => self.server = self.server.idle_timeout(time(flag, &value())?),
            "--stall-timeout" => self.server = self.server.stall_timeout(time(flag, &value())?),
            "--grace" => self.server = self.server.grace(time(flag, &value())?),
            "--upload-gap" => self.proxy = self.proxy.upload_gap(time(flag, &value())?),
            "--tunnel-idle" => self.proxy = self.proxy.tunnel_idle(time(flag, &value())?),
            "--connect-timeout" => self.upstream = self.upstream.connect_timeout(time(flag, &value())?),
            "--head-timeout" => self.upstream = self.upstream.head_timeout(time(flag, &value())?),
            "--body-gap" => self.upstream = self.upstream.body_gap(time(flag, &value())?),
            "--keep" => self.upstream = self.upstream.idle_timeout(time(flag, &value())?),
            _ => {
                return Err(format!(
                    "unknown flag '{}': expected one of those that --help tells",
                    flag.escape_debug()
                ));
            }
        }
        Ok(self)
    }

    fn finish(self) -> Result<Setup, String> {
        if self.backends.is_empty() {
            return Err("missing --backend: expected at least one http://HOST[:PORT] or h2c://HOST[:PORT]".to_owned());
        }
        let mut strategy = self.strategy;
        let keys = match self.sticky.key(&mut strategy)? {
            Some(_) if !self.keys.is_empty() => {
                return Err("--key and --sticky source or header:NAME are the same: expected one of them".to_owned());
            }
            Some(key) => vec![key.to_owned()],
            None if self.keys.is_empty() => vec!["client".to_owned()],
            None => self.keys,
        };
        let keys = keys.iter().map(|key| keys::read(key));
        Ok(Setup {
            listen: self.listen,
            strategy: strategy.unwrap_or_default(),
            keys: keys.collect::<Result<_, _>>()?,
            sticky: self.sticky.build(self.backends.iter().map(Backend::id))?,
            operations: self.operations,
            backends: self.backends,
            fitness: self.fitness,
            failover: self.failover,
            proxy: self.trusted.iter().fold(self.proxy, |proxy, peers| proxy.trust(*peers)),
            trusted: self.trusted,
            upstream: self.upstream,
            server: self.server,
        })
    }
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    let allowed = "expected IP:PORT, such as 127.0.0.1:8080 or [::1]:8080";
    text.parse()
        .map_err(|_| format!("invalid --listen '{}': {allowed}", text.escape_debug()))
}

fn strategy(text: &str) -> Result<Strategy, String> {
    (text.parse()).map_err(|error| format!("invalid --strategy '{}': {error}", text.escape_debug()))
}

fn backend(text: &str, others: &[HttpEndpoint]) -> Result<HttpEndpoint, String> {
    let wrong = |why: &str| format!("invalid --backend '{}': {why}", text.escape_debug());
    let backend: HttpEndpoint = text.parse().map_err(|error| wrong(&format!("{error}")))?;
    if backend.target().scheme().as_str() != "http" {
        return Err(wrong("expected http:// or h2c://, as TLS is not spoken here"));
    }
    if others.iter().any(|other| other.id() == backend.id()) {
        return Err(wrong("another one has this id; expected ,id=TEXT with one of its own"));
    }
    Ok(backend)
}

fn trust(text: &str) -> Result<IpNet, String> {
    let net = match text.parse::<IpAddr>() {
        Ok(address) => Ok(address.into()),
        Err(_) => text.parse(),
    };
    let allowed = "expected an address or a network, such as 10.0.0.0/8";
    net.map_err(|_| format!("invalid --trust '{}': {allowed}", text.escape_debug()))
}

/// A whole number without a sign.
pub(crate) fn number(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

pub(crate) fn time(flag: &str, text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let millis = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let number = number.parse::<u32>().ok().map(u64::from);
    match number.zip(millis) {
        Some((number, millis)) => Ok(Duration::from_millis(number * millis)),
        None => Err(format!(
            "invalid {flag} '{}': expected a whole number up to {} with ms, s, m or h behind it",
            text.escape_debug(),
            u32::MAX
        )),
    }
}
