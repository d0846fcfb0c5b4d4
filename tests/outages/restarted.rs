//! All backends are restarted, one after the other.

use std::time::{Duration, Instant};

use equipoise::{Event, Health};
use tokio::task::JoinSet;

use crate::{
    backend::{Backend, NEVER},
    balancer::{Balancer, becomes, told},
    check::check,
};

const RATE: u32 = 2000;
/// How long requests that are open are waited for.
const DEADLINE: Duration = Duration::from_millis(500);

/// Restarts a backend, which is another process on another port afterwards; tells whether it had to be killed.
async fn restart(balancer: &Balancer, backend: &mut Backend, drains: bool) -> bool {
    let (handle, mut events) = (balancer.pool.handle(), balancer.pool.events());
    let mut is_drained = true;
    if drains {
        assert!(handle.drain(backend.id).await.unwrap());
        let drained = told(&mut events, |event| {
            matches!(event, Event::Drained { .. }).then_some(())
        });
        is_drained = tokio::time::timeout(DEADLINE, drained).await.is_ok();
    }
    backend.end(if is_drained { "TERM" } else { "KILL" }).await;
    becomes(&mut events, Health::Failing).await;
    *backend = Backend::start(backend.id);
    assert!(!handle.insert(backend.endpoint()).await.unwrap());
    becomes(&mut events, Health::Passing).await;
    if drains {
        assert!(handle.undrain(backend.id).await.unwrap());
    }
    !is_drained
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_fails_nothing_but_what_is_open_at_who_is_killed() {
    let mut backends = ["a", "b", "c", "d", "e"].map(Backend::start);
    let undrained = Balancer::new(&backends, |pool| pool.health_check(check()));
    let traffic = undrained.traffic(RATE);
    restart(&undrained, &mut backends[0], false).await;
    drop(traffic);
    let failed = undrained.log().failures.len();
    assert!(failed > 0);

    let balancer = Balancer::new(&backends, |pool| pool.health_check(check()));
    let mut stuck = JoinSet::new();
    for _ in 0..2 {
        let balancer = balancer.clone();
        stuck.spawn(async move { balancer.get(NEVER).await });
    }
    while balancer.log().sent.len() < 2 {
        tokio::task::yield_now().await;
    }
    let stuck_at: Vec<_> = balancer.log().sent.iter().map(|(port, _)| *port).collect();

    let (traffic, begun) = (balancer.traffic(RATE), Instant::now());
    for backend in &mut backends {
        let is_stuck = stuck_at.contains(&backend.port);
        assert_eq!(restart(&balancer, backend, true).await, is_stuck, "{}", backend.id);
    }
    drop(traffic);
    let log = balancer.log();
    let rate = log.sent.len() as f64 / begun.elapsed().as_secs_f64();
    let stuck = stuck.join_all().await;
    println!(
        "undrained {failed} failed; drained {} of {} at {rate:.0} a second, and {} that were open at who was killed",
        log.failures.len(),
        log.sent.len(),
        stuck.iter().filter(|answer| answer.is_err()).count(),
    );
    assert!(log.failures.is_empty(), "{:?}", log.failures);
    assert!(stuck.iter().all(Result::is_err) && stuck_at.len() == 2 && stuck_at[0] != stuck_at[1]);
    assert!(rate > 0.95 * f64::from(RATE), "{rate}");
}
