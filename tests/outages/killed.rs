//! A backend whose process is killed: connections to it are refused.

use crate::outage::Outage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_killed_is_kept_off() {
    let mut outage = Outage::begin().await;
    let fault = "killed (SIGKILL)";
    let [without, outliers, health, both] = outage.suffer(fault, |bad| bad.signal("KILL")).await;
    assert!(without.is_never(), "{without:?}");
    // Five in a row of 40 a second; three probes in a row, of which the first is within 275 ms.
    assert!(outliers.is_within(1000), "{outliers:?}");
    assert!(health.is_within(1500), "{health:?}");
    assert!(both.is_within(1000), "{both:?}");
    let most = outliers.failed.max(health.failed).max(both.failed);
    assert!(
        most < without.failed / 2,
        "{without:?}, {outliers:?}, {health:?}, {both:?}"
    );
}
