//! A backend that answers well, and too late.

use crate::{backend::Manner, outage::Outage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_a_hundred_times_slower_is_kept_off() {
    let mut outage = Outage::begin().await;
    let fault = "100 x slower: 800 ms";
    let [without, outliers, health, both] = outage.suffer(fault, |bad| bad.answer(Manner::Slow)).await;
    assert!(without.is_never(), "{without:?}");
    assert!(outliers.is_within(1500), "{outliers:?}");
    assert!(health.is_within(2200), "{health:?}");
    assert!(both.is_within(1500), "{both:?}");
}
