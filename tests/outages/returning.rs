//! Backends that come back.

use std::time::{Duration, Instant};

use equipoise::{EjectionReason, Event, Health, OutlierDetection, SlowStart};

use crate::{
    backend::{Backend, Manner},
    balancer::{Balancer, becomes, told},
    check::check,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_ejected_returns_by_a_single_request() {
    let mut backends = ["bad", "b", "c"].map(Backend::start);
    let base = Duration::from_millis(400);
    let settings = OutlierDetection::new().with_ejection(base, 2 * base).unwrap();
    let balancer = Balancer::new(&backends, |pool| pool.outlier_detection(settings));
    let mut events = balancer.pool.events();
    let _traffic = balancer.traffic(200);
    backends[0].answer(Manner::Failing);
    let ejected = |event| match event {
        Event::Ejected { reason, .. } => Some(reason),
        _ => None,
    };
    let on_probation = |event| matches!(event, Event::ProbationStarted { .. }).then_some(());
    assert_eq!(
        told(&mut events, ejected).await,
        EjectionReason::ConsecutiveFailures { count: 5 }
    );
    // So that there would be time for others beside the one on probation.
    backends[0].answer(Manner::Slow);
    // What was on its way to it when it was ejected is there by then.
    let from = Instant::now() + base / 2;
    told(&mut events, on_probation).await;
    assert_eq!(told(&mut events, ejected).await, EjectionReason::Probation);
    let sent = |from: Instant| {
        let log = balancer.log();
        log.sent
            .iter()
            .filter(|(port, at)| *port == backends[0].port && *at >= from)
            .count()
    };
    assert_eq!(sent(from), 1, "while there were 200 requests a second");

    let from = Instant::now();
    backends[0].answer(Manner::Well);
    told(&mut events, on_probation).await;
    told(&mut events, |event| {
        matches!(event, Event::EjectionEnded { .. }).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let sent = balancer
        .log()
        .sent
        .iter()
        .filter(|(port, at)| *port == backends[0].port && *at >= from)
        .count();
    assert!(sent > 5, "{sent}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_share_of_who_returns_follows_the_ramp() {
    const WINDOW: Duration = Duration::from_secs(10);
    let mut backends = ["returning", "b", "c", "d", "e"].map(Backend::start);
    let at_once = Balancer::new(&backends, |pool| pool.health_check(check()));
    let gently = Balancer::new(&backends, |pool| {
        pool.health_check(check()).slow_start(SlowStart::over(WINDOW))
    });
    let mut events = [&at_once, &gently].map(|balancer| balancer.pool.events());
    backends[0].signal("KILL");
    for events in &mut events {
        becomes(events, Health::Failing).await;
    }
    backends[0] = Backend::start("returning");
    let mut handles = [&at_once, &gently].map(|balancer| balancer.pool.handle());
    for handle in &mut handles {
        handle.insert(backends[0].endpoint()).await.unwrap();
    }
    let mut since = Vec::new();
    for events in &mut events {
        becomes(events, Health::Passing).await;
        since.push(Instant::now());
    }
    let _traffic = [&at_once, &gently].map(|balancer| balancer.traffic(500));
    tokio::time::sleep(WINDOW + Duration::from_secs(1)).await;

    // How many requests it was sent within these parts of the window, over how many the ramp gives it.
    let over_ramp = |balancer: &Balancer, since: Instant| {
        [(0.15, 0.35), (0.4, 0.6), (0.65, 0.85), (1.05, 1.15)].map(|(from, to)| {
            let (mut sent, mut due) = (0.0, 0.0);
            for (port, at) in balancer.log().sent {
                let passed = (at - since).as_secs_f64() / WINDOW.as_secs_f64();
                if (from..to).contains(&passed) {
                    let part = passed.clamp(0.1, 1.0);
                    due += part / (part + 4.0);
                    sent += f64::from(u8::from(port == backends[0].port));
                }
            }
            sent / due
        })
    };
    let [at_once, gently] =
        [(&at_once, since[0]), (&gently, since[1])].map(|(balancer, since)| over_ramp(balancer, since));
    println!("share over that of the ramp: at once {at_once:.2?}, gently {gently:.2?}");
    assert!(at_once[0] > 2.0 && at_once[1] > 1.5, "{at_once:?}");
    assert!(gently.iter().all(|share| (0.9..1.1).contains(share)), "{gently:?}");
}
