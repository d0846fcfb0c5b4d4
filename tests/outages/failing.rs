//! A backend that answers with errors.

use std::time::Duration;

use equipoise::OutlierDetection;

use crate::{backend::Manner, outage::Outage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_fails_is_kept_off() {
    let mut outage = Outage::begin().await;
    let fault = "100 % of answers are 500s";
    let [without, outliers, health, both] = outage.suffer(fault, |bad| bad.answer(Manner::Failing)).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_fails_but_to_probes_is_kept_off_by_its_requests() {
    let mut outage = Outage::begin().await;
    let fault = "the same, but to probes";
    let [without, outliers, health, both] = outage.suffer(fault, |bad| bad.answer(Manner::FailingButToProbes)).await;
    assert!(without.is_never() && health.is_never(), "{without:?}, {health:?}");
    assert!(outliers.is_within(1000), "{outliers:?}");
    // Though probes pass all the time.
    assert!(both.is_within(1000), "{both:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_fails_every_other_time_is_kept_off_by_what_the_others_do() {
    // The defaults, but that members are compared sooner, and so by fewer requests.
    let outliers = OutlierDetection::new()
        .with_interval(Duration::from_millis(500))
        .and_then(|outliers| outliers.with_success_rate_minimum(5, 10));
    let mut outage = Outage::begin_with(outliers.unwrap()).await;
    let fault = "50 % of answers are 500s, but to probes";
    let [without, outliers, health, both] = outage.suffer(fault, |bad| bad.answer(Manner::FailingEveryOther)).await;
    assert!(without.is_never() && health.is_never(), "{without:?}, {health:?}");
    // By the next sweep but one, at the latest.
    assert!(outliers.is_within(2000), "{outliers:?}");
    assert!(both.is_within(2000), "{both:?}");
}
