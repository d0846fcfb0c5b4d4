//! A backend that is bad for a second, good for the next, and so on.

use std::time::{Duration, Instant};

use crate::{backend::Manner, outage::Outage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_flaps_is_kept_off_in_the_first_second_that_is_bad() {
    let mut outage = Outage::begin().await;
    let mut bad = Vec::new();
    for _ in 0..3 {
        let from = Instant::now();
        outage.bad().answer(Manner::Failing);
        tokio::time::sleep(Duration::from_secs(1)).await;
        bad.push((from, Instant::now()));
        outage.bad().answer(Manner::Well);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let [without, outliers, health, both] = outage.seen("flapping each second, by 500s", &bad);
    assert!(without.is_never(), "{without:?}");
    assert!(outliers.is_within(800), "{outliers:?}");
    assert!(both.is_within(800), "{both:?}");
    // Who was ejected stays away, whatever probes say of it in the meantime.
    assert_eq!(
        (
            outliers.sent[1..].iter().sum::<usize>(),
            both.sent[1..].iter().sum::<usize>()
        ),
        (0, 0)
    );
    // Who is only asked is believed each time.
    assert!(health.sent.iter().all(|sent| *sent > 0), "{health:?}");
    assert!(health.failed < without.failed, "{without:?}, {health:?}");
}
