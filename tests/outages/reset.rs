//! A backend that resets each connection that it is asked on.

use crate::{backend::Manner, outage::Outage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_resets_connections_is_kept_off() {
    let mut outage = Outage::begin().await;
    let fault = "resets connections";
    let [without, outliers, health, both] = outage.suffer(fault, |bad| bad.answer(Manner::Resetting)).await;
    assert!(without.is_never(), "{without:?}");
    assert!(outliers.is_within(1000), "{outliers:?}");
    assert!(health.is_within(1500), "{health:?}");
    assert!(both.is_within(1000), "{both:?}");
    let most = outliers.failed.max(health.failed).max(both.failed);
    assert!(
        most < without.failed / 2,
        "{without:?}, {outliers:?}, {health:?}, {both:?}"
    );
}
