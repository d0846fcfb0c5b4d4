//! How long nothing may move.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// A limit on the time in which nothing moves.
///
/// What moves all the time costs nothing: the clock is read when a wait begins, and the timer, made at the first wait,
/// is not set anew with every movement; it goes off at most once a limit, and is then set to what is left.
pub(super) struct Gap {
    limit: Duration,
    /// When the wait that is going on began.
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

/// No limit is longer than what every platform's clock can bear: some 30 years.
const LONGEST: Duration = Duration::from_secs(1_000_000_000);

impl Gap {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit: limit.min(LONGEST),
            since: None,
            timer: None,
        }
    }

    /// Something has moved.
    pub(super) fn moved(&mut self) {
        self.since = None;
    }

    /// Ready once nothing has moved for as long as the limit, here or, as the latest time it tells, `elsewhere`.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>, elsewhere: impl Fn() -> Option<Instant>) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let timer = (self.timer).get_or_insert_with(|| Box::pin(sleep_until(since + self.limit)));
        loop {
            ready!(timer.as_mut().poll(cx));
            let last = elsewhere().map_or(since, |moved| since.max(moved));
            let due = last + self.limit;
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::poll_fn};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    async fn over(gap: &mut Gap) {
        poll_fn(|cx| gap.poll_over(cx, || None)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_is_measured_from_its_own_beginning() {
        let begun = Instant::now();
        let mut gap = Gap::new(LIMIT);
        let early = tokio::time::timeout(LIMIT - Duration::from_secs(1), over(&mut gap)).await;
        assert!(early.is_err());
        gap.moved();
        over(&mut gap).await;
        assert_eq!(begun.elapsed().as_secs(), 19);
    }

    #[tokio::test(start_paused = true)]
    async fn what_moves_elsewhere_counts() {
        let begun = Instant::now();
        let elsewhere = Cell::new(begun);
        let mut gap = Gap::new(LIMIT);
        let wait = poll_fn(|cx| gap.poll_over(cx, || Some(elsewhere.get())));
        let moves = async {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_secs(7)).await;
                elsewhere.set(Instant::now());
            }
        };
        tokio::join!(wait, moves);
        assert_eq!(begun.elapsed().as_secs(), 31);
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_limit_is_no_panic() {
        let mut gap = Gap::new(Duration::MAX);
        assert!(tokio::time::timeout(LIMIT, over(&mut gap)).await.is_err());
    }
}
