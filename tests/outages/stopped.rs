//! A backend whose process is stopped: it takes connections, and says nothing.

use std::time::{Duration, Instant};

use equipoise::Health;

use crate::{balancer::becomes, outage::Outage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_stopped_is_kept_off_and_back_when_it_goes_on() {
    let mut outage = Outage::begin().await;
    let fault = "stopped (SIGSTOP)";
    let [without, outliers, health, both] = outage.suffer(fault, |bad| bad.signal("STOP")).await;
    assert!(without.is_never(), "{without:?}");
    // 500 ms pass until the first has failed.
    assert!(outliers.is_within(1500), "{outliers:?}");
    // Each of three probes is given up after 300 ms.
    assert!(health.is_within(2200), "{health:?}");
    assert!(both.is_within(1500), "{both:?}");

    let mut events = outage.checked().map(|balancer| balancer.pool.events());
    let from = Instant::now();
    outage.bad().signal("CONT");
    for events in &mut events {
        becomes(events, Health::Passing).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let port = outage.bad().port;
    let [checked, with_outliers] = outage.checked().map(|balancer| {
        let log = balancer.log();
        log.sent.iter().filter(|(to, at)| *to == port && *at >= from).count()
    });
    assert!(checked > 5, "{checked}");
    // That probes pass does not end an ejection.
    assert_eq!(with_outliers, 0);
}
