//! equipoise beside other balancers: the same work, in one run.
//!
//! The work: choose one of the members, call it (a service that answers at once), see the answer through to its end.
//! tower's and ours are called as tower services, so that choosing, readiness and completion are all in it; pingora
//! has no calls, so its choice is followed by a call of the same service. All run in turns, and the unit beside each;
//! allocations are those of all threads, in calls of their own.
//!
//! `cargo bench --manifest-path benches/peers/Cargo.toml`. Building pingora takes a C compiler and cmake (zlib-ng).

#[path = "../measure/ratio.rs"]
mod ratio;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    collections::BTreeSet,
    convert::Infallible,
    future::{Future, Ready, poll_fn, ready},
    hint::black_box,
    pin::pin,
    rc::Rc,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use equipoise::{
    Assigned, BalanceLayer, Endpoint, LeastLoaded, Pool, Random, RoundRobin, Selector, Strategy, selector::Choices,
};
use futures_util::FutureExt;
use pingora_load_balancing::{Backend, Backends, LoadBalancer, discovery, selection};
use ratio::{Case, figures, unit};
use tokio::runtime::{self, Runtime};
use tower::{
    Layer, Service,
    balance::p2c,
    buffer::Buffer,
    discover::ServiceList,
    load::{CompleteOnResponse, Load, PeakEwma, PendingRequests},
};

/// The system's allocator; while it is asked to, it counts.
struct Counting;

static IS_COUNTING: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if IS_COUNTING.load(Relaxed) {
            ALLOCATIONS.fetch_add(1, Relaxed);
        }
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Answers at once with the request.
#[derive(Clone)]
struct Echo;

impl Service<u64> for Echo {
    type Response = u64;
    type Error = Infallible;
    type Future = Ready<Result<u64, Infallible>>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: u64) -> Self::Future {
        ready(Ok(black_box(request)))
    }
}

impl<B> Service<Assigned<u64, B>> for Echo {
    type Response = u64;
    type Error = Infallible;
    type Future = Ready<Result<u64, Infallible>>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, assigned: Assigned<u64, B>) -> Self::Future {
        ready(Ok(black_box(assigned.request)))
    }
}

/// Ready, called and polled to its end, which is at once.
#[inline]
fn call<S: Service<u64, Response = u64>>(service: &mut S) -> Option<u64> {
    let mut cx = Context::from_waker(Waker::noop());
    if !matches!(service.poll_ready(&mut cx), Poll::Ready(Ok(()))) {
        return None;
    }
    match pin!(service.call(black_box(7))).poll(&mut cx) {
        Poll::Ready(Ok(answer)) => Some(answer),
        _ => None,
    }
}

fn direct<S: Service<u64, Response = u64> + 'static>(name: String, mut service: S) -> Case {
    assert_eq!(call(&mut service), Some(7), "{name} calls nobody");
    Case::new(name, move || call(&mut service))
}

#[derive(Clone, Copy)]
enum Weights {
    Equal,
    Different,
}

impl Weights {
    fn of(self, index: usize) -> u32 {
        match self {
            Self::Equal => 1,
            Self::Different => 1 + index as u32 % 3,
        }
    }
}

fn ours<S: Selector<Endpoint<()>>>(name: &str, members: usize, weights: Weights, selector: S) -> Case {
    let backends = (0..members).map(|index| Endpoint::new(format!("b{index}"), ()).with_weight(weights.of(index)));
    let pool = Pool::builder().selector(selector).seed(1).backends(backends).build().0;
    direct(
        format!("equipoise {name}/{members}"),
        BalanceLayer::new(pool).layer(Echo),
    )
}

type P2c<S> = p2c::Balance<ServiceList<Vec<S>>, u64>;

fn pending(members: usize) -> P2c<PendingRequests<Echo>> {
    balance((0..members).map(|_| PendingRequests::new(Echo, CompleteOnResponse::default())))
}

fn peak_ewma(members: usize) -> P2c<PeakEwma<Echo>> {
    const SECOND: f64 = 1e9;
    let rtt = Duration::from_millis(1);
    balance((0..members).map(|_| PeakEwma::new(Echo, rtt, 10.0 * SECOND, CompleteOnResponse::default())))
}

fn balance<S>(services: impl Iterator<Item = S>) -> P2c<S>
where
    S: Service<u64, Error: Into<tower::BoxError>> + Load<Metric: std::fmt::Debug>,
{
    p2c::Balance::new(ServiceList::new::<u64>(services.collect()))
}

/// How tower's own balancer is shared: behind a buffer, whose worker owns it. The worker runs on the caller's thread;
/// on another, each call would wait for that to wake up, which is the system's cost and many times the rest.
fn buffered<S>(name: String, runtime: &Rc<Runtime>, service: S) -> Case
where
    S: Service<u64, Response = u64, Error: Into<tower::BoxError> + Send + Sync, Future: Send> + Send + 'static,
{
    let (mut buffer, worker) = Buffer::pair(service, 1_024);
    runtime.spawn(worker);
    let runtime = Rc::clone(runtime);
    Case::timed(name, move |times| {
        runtime.block_on(async {
            let start = Instant::now();
            for _ in 0..times {
                let answer = match poll_fn(|cx| buffer.poll_ready(cx)).await {
                    Ok(()) => buffer.call(black_box(7)).await,
                    Err(error) => Err(error),
                };
                assert!(matches!(black_box(answer), Ok(7)), "the buffer has failed");
            }
            start.elapsed()
        })
    })
}

fn pingora<A>(name: &str, members: usize, weights: Weights) -> Case
where
    A: selection::BackendSelection<Config = (), Iter: selection::BackendIter> + Send + Sync + 'static,
{
    let address = |index: usize| format!("10.{}.{}.1:80", index / 250, index % 250);
    let backends: BTreeSet<Backend> = (0..members)
        .filter_map(|index| Backend::new_with_weight(&address(index), weights.of(index) as usize).ok())
        .collect();
    assert_eq!(backends.len(), members);
    let balancer = LoadBalancer::<A>::from_backends(Backends::new(discovery::Static::new(backends)));
    let updated = balancer.update().now_or_never();
    assert!(matches!(updated, Some(Ok(()))), "pingora takes its members in at once");
    let chosen = move || {
        let backend = balancer.select(black_box(b""), 256)?;
        let answer = call::<Echo>(&mut Echo);
        drop(backend);
        answer
    };
    assert_eq!(chosen(), Some(7), "pingora's {name} calls nobody");
    Case::new(format!("pingora {name}/{members}"), chosen)
}

/// Allocations a call, on all threads.
fn allocations(case: &mut Case) -> f64 {
    const CALLS: u64 = 1_000;
    (case.run)(CALLS);
    ALLOCATIONS.store(0, Relaxed);
    IS_COUNTING.store(true, Relaxed);
    (case.run)(CALLS);
    IS_COUNTING.store(false, Relaxed);
    ALLOCATIONS.load(Relaxed) as f64 / CALLS as f64
}

fn main() -> Result<(), std::io::Error> {
    use Weights::{Different, Equal};
    let runtime = Rc::new(runtime::Builder::new_current_thread().build()?);
    let two = Choices::new(2).expect("2 is from 1 to 32");
    let mut bare = Echo;
    let mut cases = vec![unit(), Case::new("bare call", move || call::<Echo>(&mut bare))];
    for members in [10, 1_000] {
        cases.extend([
            ours("least_loaded (the default)", members, Equal, LeastLoaded::new()),
            ours("least_loaded weighted", members, Different, LeastLoaded::new()),
            ours("least_loaded(d=2)", members, Equal, LeastLoaded::of(two)),
            ours("round_robin", members, Equal, RoundRobin::new()),
            ours("round_robin weighted", members, Different, RoundRobin::new()),
            ours("random", members, Equal, Random::new()),
            ours("random weighted", members, Different, Random::new()),
            ours(
                "AnySelector least_loaded",
                members,
                Equal,
                Strategy::default().selector(),
            ),
            direct(format!("tower p2c, pending/{members}"), pending(members)),
            direct(format!("tower p2c, peak EWMA/{members}"), peak_ewma(members)),
            buffered(
                format!("tower p2c, pending, Buffer/{members}"),
                &runtime,
                pending(members),
            ),
            buffered(
                format!("tower p2c, peak EWMA, Buffer/{members}"),
                &runtime,
                peak_ewma(members),
            ),
        ]);
        cases.extend([
            pingora::<selection::RoundRobin>("RoundRobin", members, Equal),
            pingora::<selection::RoundRobin>("RoundRobin weighted", members, Different),
            pingora::<selection::Random>("Random", members, Equal),
            pingora::<selection::Random>("Random weighted", members, Different),
        ]);
    }
    let allocations: Vec<f64> = cases.iter_mut().map(allocations).collect();
    let figures = figures(&mut cases);
    println!(
        "{:<56}{:>10}{:>10}{:>14}",
        "what / members", "ns", "units", "allocations"
    );
    for ((case, figure), allocations) in cases.iter().zip(figures).zip(allocations) {
        println!(
            "{:<56}{:>10.1}{:>10.2}{allocations:>14.2}",
            case.name, figure.nanos, figure.units
        );
    }
    Ok(())
}
