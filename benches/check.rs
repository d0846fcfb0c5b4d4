//! What it costs to check the health of 10,000 members each 5 s: of a core, as the kernel counts the driver's thread, and
//! of memory. And whether picks on another thread wait for it.
//!
//! The probes are TCP connects over loopback, where the one that connects does the listener's part of the handshake too.
//! `cargo bench --features full --bench check` needs Linux; with `-- --test` it only tries that all of it works.

use std::{
    env,
    error::Error,
    fs,
    future::Future,
    io,
    net::{SocketAddr, TcpListener},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Waker},
    thread,
    time::{Duration, Instant},
};

use equipoise::{Ask, Driver, Endpoint, HealthCheck, HealthProbe, ManualClock, Pool, health::Report};
use tokio::{net::TcpStream, runtime, task, time::timeout};

type Place = Endpoint<SocketAddr>;

/// How many members, and how long to measure.
const FULL: (usize, Duration) = (10_000, Duration::from_secs(20));
const TRIAL: (usize, Duration) = (100, Duration::from_millis(200));
/// All members are asked in the first of these, while nothing is measured.
const INTERVAL: Duration = Duration::from_secs(5);
/// Ports to connect to, so that those to connect from do not run out: each pair rests for a minute.
const PORTS: usize = 64;

/// How to ask.
#[derive(Clone, Copy)]
enum Way {
    /// Nobody.
    Unchecked,
    /// Ready at the second poll: what the checker costs by itself.
    Nothing,
    Connect,
}

struct Probe {
    way: Way,
    asked: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
}

impl HealthProbe<Place> for Probe {
    type Error = io::Error;

    async fn probe(&self, backend: &Place) -> Result<Report, io::Error> {
        self.asked.fetch_add(1, Relaxed);
        let answer = match self.way {
            Way::Connect => TcpStream::connect(backend.target()).await.map(drop),
            Way::Unchecked | Way::Nothing => {
                task::yield_now().await;
                Ok(())
            }
        };
        self.failed.fetch_add(u64::from(answer.is_err()), Relaxed);
        answer.map(|()| Report::new())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let is_trial = !env::args().any(|arg| arg == "--bench") || env::args().any(|arg| arg == "--test");
    let (members, time) = if is_trial { TRIAL } else { FULL };
    let places = listen()?;
    if is_trial {
        println!("Testing check");
    } else {
        println!("{members} members, each every {INTERVAL:?}");
    }
    let head = [
        "probes/s",
        "failed",
        "% of a core",
        "us a probe",
        "pick ns",
        "99.9 %",
        "bytes a member",
    ];
    println!("{:<12}{}", "probe", head.map(|name| format!("{name:>16}")).concat());
    let unchecked = memory(Way::Unchecked, &places, members);
    for (name, way) in [
        ("none", Way::Unchecked),
        ("nothing", Way::Nothing),
        ("TCP connect", Way::Connect),
    ] {
        let cost = measure(way, &places, members, time)?;
        let seconds = cost.took.as_secs_f64();
        let columns = [
            format!("{:.0}", cost.asked as f64 / seconds),
            cost.failed.to_string(),
            format!("{:.2}", cost.cpu.as_secs_f64() / seconds * 100.0),
            match cost.asked {
                0 => "-".into(),
                asked => format!("{:.1}", cost.cpu.as_secs_f64() * 1e6 / asked as f64),
            },
            cost.pick[0].to_string(),
            cost.pick[1].to_string(),
            format!(
                "{:.0}",
                (memory(way, &places, members) - unchecked) as f64 / members as f64
            ),
        ];
        println!("{name:<12}{}", columns.map(|column| format!("{column:>16}")).concat());
        if cost.failed > 0 {
            return Err(format!("{} probes have failed", cost.failed).into());
        }
    }
    if is_trial {
        println!("Success");
    }
    Ok(())
}

/// Listeners that let go of whoever connects.
fn listen() -> io::Result<Vec<SocketAddr>> {
    let listener = |_| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let place = listener.local_addr()?;
        thread::spawn(move || listener.incoming().for_each(drop));
        Ok(place)
    };
    (0..PORTS).map(listener).collect()
}

fn backends(places: &[SocketAddr], members: usize) -> impl Iterator<Item = Place> {
    (0..members).map(|member| Endpoint::new(format!("b{member}"), places[member % places.len()]))
}

fn check(way: Way, counts: &[Arc<AtomicU64>; 2]) -> HealthCheck<Place> {
    let [asked, failed] = counts.clone();
    let check = HealthCheck::new(Probe { way, asked, failed });
    check.with_interval(INTERVAL).expect("in its range")
}

/// What the pool and its driver hold, in bytes, once members are watched.
fn memory(way: Way, places: &[SocketAddr], members: usize) -> i64 {
    let mut kept: Option<(Pool<Place>, Driver<Place, _>)> = None;
    let allocated = allocation_counter::measure(|| {
        let builder = Pool::builder_on(ManualClock::new().clock()).backends(backends(places, members));
        let builder = match way {
            Way::Unchecked => builder,
            way => builder.health_check(check(way, &Default::default())),
        };
        let (pool, mut driver) = builder.build();
        let _ = Pin::new(&mut driver).poll(&mut Context::from_waker(Waker::noop()));
        kept = Some((pool, driver));
    });
    allocated.bytes_current
}

struct Cost {
    took: Duration,
    cpu: Duration,
    asked: u64,
    failed: u64,
    /// The median of what a pick took, and what 99.9 % took at most, in ns: after a sleep, so that caches are cold.
    pick: [u128; 2],
}

fn measure(way: Way, places: &[SocketAddr], members: usize, time: Duration) -> Result<Cost, Box<dyn Error>> {
    let counts: [Arc<AtomicU64>; 2] = Default::default();
    let builder = Pool::builder().backends(backends(places, members));
    let builder = match way {
        Way::Unchecked => builder,
        way => builder.health_check(check(way, &counts)),
    };
    let (mut pool, mut driver) = builder.build();
    let is_measured = Arc::new(AtomicBool::new(true));
    let goes_on = Arc::clone(&is_measured);
    let [asked, failed] = counts;
    let driven = thread::spawn(move || -> io::Result<Cost> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let _ = timeout(INTERVAL.min(time), &mut driver).await;
            let (start, cpu, before) = (Instant::now(), cpu()?, asked.load(Relaxed));
            let _ = timeout(time, &mut driver).await;
            let cost = Cost {
                took: start.elapsed(),
                cpu: self::cpu()? - cpu,
                asked: asked.load(Relaxed) - before,
                failed: failed.load(Relaxed),
                pick: [0; 2],
            };
            goes_on.store(false, Relaxed);
            Ok(cost)
        })
    });
    let mut times = Vec::new();
    while is_measured.load(Relaxed) && !driven.is_finished() {
        // Not one after the other, which would take a core of those that are measured.
        thread::sleep(Duration::from_millis(1));
        for _ in 0..10 {
            let start = Instant::now();
            drop(pool.pick(&Ask::new())?);
            times.push(start.elapsed().as_nanos());
        }
    }
    let mut cost = driven.join().map_err(|_| "the driver panicked")??;
    times.sort_unstable();
    let at = |part: usize| times.get(times.len() * part / 1000).copied().unwrap_or(0);
    cost.pick = [at(500), at(999)];
    Ok(cost)
}

/// How long this thread has run, in the kernel too.
fn cpu() -> io::Result<Duration> {
    let told = fs::read_to_string("/proc/thread-self/schedstat")?;
    let ran = told.split(' ').next().and_then(|nanos| nanos.parse().ok());
    ran.map(Duration::from_nanos)
        .ok_or_else(|| io::Error::other(format!("can't read {told:?}")))
}
