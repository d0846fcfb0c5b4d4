//! A whole balanced call (ready, call, polled to its end) beside the same call of the bare inner service; what two
//! threads do together beside one.

mod measure;

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    hint::black_box,
    pin::{Pin, pin},
    sync::{
        Barrier,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

use equipoise::{
    Ask, Assigned, Backend, Balance, BalanceLayer, Dispatch, Endpoint, FailoverLayer, Home, KeyedLayer, LeastLoaded,
    Pool, Random, RoundRobin, Selector, SessionAffinity, StickyLayer,
    affinity::{Bind, Located, Served, Undelayed},
    balance::Repeatable,
    key::HashFunction,
    selector::{At, Completion, Members, Needs, Pick},
};
use measure::ratio::{Case, median};
use tower_layer::Layer;
use tower_service::Service;

/// Answers at once with the request.
#[derive(Clone)]
struct Echo;

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

/// A random member, and the latency of every request measured and remembered.
struct Timed;

impl<B: Backend> Selector<B> for Timed {
    /// The last latency in nanoseconds.
    type Memory = AtomicU64;
    type Table = ();

    fn needs(&self) -> Needs {
        Needs::nothing().completions()
    }

    fn memory(&self, _: &B) -> AtomicU64 {
        AtomicU64::new(0)
    }

    fn prepare(&self, _: &Members<'_, B, AtomicU64>) {}

    fn select(&self, (): &(), pick: &Pick<'_, B, AtomicU64>) -> Option<At> {
        pick.now();
        if pick.is_empty() {
            return None;
        }
        let at = pick.at(pick.below(pick.len() as u64) as usize);
        if pick.is_open(at) { Some(at) } else { pick.any_open() }
    }

    fn observe(&self, memory: &AtomicU64, completion: &Completion) {
        if let Some(latency) = completion.latency {
            memory.store(latency.as_nanos() as u64, Relaxed);
        }
    }
}

type Balanced<S> = Balance<Echo, Endpoint<()>, S>;

fn balanced<S: Selector<Endpoint<()>>>(members: usize, selector: S) -> Balanced<S> {
    let backends = (0..members).map(|index| Endpoint::new(format!("b{index}"), ()));
    let pool = Pool::builder().selector(selector).seed(1).backends(backends).build().0;
    BalanceLayer::new(pool).layer(Echo)
}

/// Ready, called and polled to its end, which is at once.
#[inline]
fn call<S: Service<u64, Response = u64>>(service: &mut S) -> Option<u64> {
    let mut cx = Context::from_waker(Waker::noop());
    if !matches!(service.poll_ready(&mut cx), Poll::Ready(Ok(()))) {
        return None;
    }
    match pin!(service.call(black_box(7))).poll(&mut cx) {
        Poll::Ready(result) => result.ok(),
        Poll::Pending => None,
    }
}

/// The same as a service around the pick makes it: with an ask, and with the answer in its hands.
#[inline]
fn dispatch<S: Dispatch<u64, Response = u64>>(service: &mut S, ask: &Ask) -> Option<u64> {
    let mut cx = Context::from_waker(Waker::noop());
    if !matches!(service.poll_ready(&mut cx), Poll::Ready(Ok(()))) {
        return None;
    }
    match pin!(service.dispatch(ask, black_box(7))).poll(&mut cx) {
        Poll::Ready(answer) => S::conclude(answer).ok(),
        Poll::Pending => None,
    }
}

fn call_case<S: Selector<Endpoint<()>>>(name: &str, members: usize, selector: S) -> Case {
    let mut service = balanced(members, selector);
    assert!(matches!(call(&mut service), Some(7)), "{name} calls nobody");
    Case::new(format!("{name}/{members}"), move || call(&mut service))
}

fn dispatch_case<S: Selector<Endpoint<()>>>(name: &str, members: usize, selector: S) -> Case {
    let mut service = balanced(members, selector);
    let ask = Ask::new();
    assert!(matches!(dispatch(&mut service, &ask), Some(7)), "{name} calls nobody");
    Case::new(format!("dispatch {name}/{members}"), move || {
        dispatch(&mut service, black_box(&ask))
    })
}

/// A call whose key is taken on the way, by a closure that hashes the request with `function` or hands it on as it is.
fn keyed_case<S: Selector<Endpoint<()>>>(
    name: &str,
    members: usize,
    selector: S,
    function: Option<HashFunction>,
) -> Case {
    let key = move |request: &u64| Some(function.map_or(*request, |function| function.hash(&request.to_le_bytes())));
    let mut service = KeyedLayer::new(key).layer(balanced(members, selector));
    assert!(matches!(call(&mut service), Some(7)), "{name} calls nobody");
    let function = function.map_or("given", HashFunction::name);
    Case::new(format!("keyed {name}/{members}, key {function}"), move || {
        call(&mut service)
    })
}

/// A call that might be tried elsewhere, and need not be; `timed` with time-outs that are not reached.
fn failover_case<S: Selector<Endpoint<()>>>(name: &str, members: usize, selector: S, timed: bool) -> Case {
    let mut layer = FailoverLayer::new(Repeatable);
    if timed {
        layer = layer
            .try_timeout(Duration::from_secs(1))
            .deadline(Duration::from_secs(5));
    }
    let mut service = layer.layer(balanced(members, selector));
    assert!(matches!(call(&mut service), Some(7)), "{name} calls nobody");
    let timed = if timed { ", timed" } else { "" };
    Case::new(format!("failover {name}/{members}{timed}"), move || call(&mut service))
}

/// Every request is of a session, with this home or none, and nobody waits for anything.
struct Settled(Option<Home>);

struct Told;

impl<Req: 'static, Res: 'static> SessionAffinity<Req, Res> for Settled {
    type Session = Told;
    type Later = Undelayed<Told>;

    #[inline]
    fn locate(&self, _: &mut Req) -> Located<Told, Undelayed<Told>> {
        Located::Now(Told, self.0.clone())
    }
}

impl<Res> Bind<Res> for Told {
    #[inline]
    fn poll_bind(self: Pin<&mut Self>, _: &mut Context<'_>, served: &Served<'_>, _: &mut Res) -> Poll<Option<Home>> {
        black_box(served.may_bind());
        Poll::Ready(None)
    }
}

/// A call of a session, at home or anywhere.
fn sticky_case<S: Selector<Endpoint<()>>>(name: &str, members: usize, selector: S, home: Option<&str>) -> Case {
    let affinity = Settled(home.map(Home::new));
    let mut service = StickyLayer::new(affinity).layer(balanced(members, selector));
    assert!(matches!(call(&mut service), Some(7)), "{name} calls nobody");
    let home = if home.is_some() { ", at home" } else { "" };
    Case::new(format!("sticky {name}/{members}{home}"), move || call(&mut service))
}

/// Calls a second that so many threads make together, each with a clone of its own.
fn throughput<S: Selector<Endpoint<()>>>(threads: usize, service: &Balanced<S>) -> f64 {
    const TURN: Duration = Duration::from_millis(60);
    let start = Barrier::new(threads);
    let one = || {
        let mut service = service.clone();
        start.wait();
        let begun = Instant::now();
        let mut calls = 0u32;
        while begun.elapsed() < TURN {
            for _ in 0..1_000 {
                black_box(call(&mut service));
            }
            calls += 1_000;
        }
        f64::from(calls) / begun.elapsed().as_secs_f64()
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        running.into_iter().filter_map(|thread| thread.join().ok()).sum()
    })
}

/// What two threads do together as a multiple of one: the median of 15 pairs, taken in turns.
fn scaling<S: Selector<Endpoint<()>>>(name: &str, selector: S) {
    let service = balanced(1_000, selector);
    let pair = |_| {
        let alone = throughput(1, &service);
        throughput(2, &service) / alone
    };
    let mut ratios: Vec<f64> = (0..15).map(pair).collect();
    ratios.sort_by(f64::total_cmp);
    let (least, most) = (ratios[0], ratios[14]);
    println!("{name:<44}{:>10.2}{least:>10.2}{most:>10.2}", median(ratios));
}

fn main() {
    let mut bare = Echo;
    let mut cases = vec![Case::new("bare inner call", move || call(&mut bare))];
    for members in [10, 1_000] {
        cases.extend([
            call_case("random", members, Random::new()),
            call_case("round_robin", members, RoundRobin::new()),
            call_case("least_loaded", members, LeastLoaded::new()),
            call_case("random, latency measured", members, Timed),
            dispatch_case("random", members, Random::new()),
            dispatch_case("least_loaded", members, LeastLoaded::new()),
            failover_case("random", members, Random::new(), false),
            failover_case("random", members, Random::new(), true),
            failover_case("least_loaded", members, LeastLoaded::new(), false),
            sticky_case("random", members, Random::new(), None),
            sticky_case("least_loaded", members, LeastLoaded::new(), None),
            sticky_case("random", members, Random::new(), Some("b1")),
            keyed_case("random", members, Random::new(), None),
            keyed_case("random", members, Random::new(), Some(HashFunction::Xxh3)),
        ]);
    }
    let is_measured = measure::run("call", cases);
    if is_measured {
        println!(
            "\n{:<44}{:>10}{:>10}{:>10}",
            "two threads / one, 1,000 members, 15 pairs", "median", "least", "most"
        );
        scaling("random", Random::new());
        scaling("least_loaded", LeastLoaded::new());
        scaling("random, latency measured", Timed);
        scaling("round_robin (apart: one shared position)", RoundRobin::new());
    }
}
