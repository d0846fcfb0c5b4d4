//! Time, injectable: the system's clock, one moved by hand, or one of your own.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// A source of time for runtimes without a clock here: what it is now, and a timer.
pub trait Timer: Send + Sync + 'static {
    /// The time now; it never goes back.
    fn now(&self) -> Instant;
    /// A future that is ready once [`now`](Timer::now) has reached `deadline`.
    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Some 136 years, which every platform's instants can bear.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

/// When something was: one more than the nanoseconds since its pool was made, of which 61 bits are 73 years. 0 is
/// never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp(pub(crate) u64);

impl Stamp {
    #[inline]
    pub(crate) fn since(epoch: Instant, now: Option<Instant>) -> Self {
        let nanos = |now: Instant| now.saturating_duration_since(epoch).as_nanos() as u64;
        Self(now.map_or(0, |now| nanos(now) + 1))
    }

    pub(crate) fn at(self, epoch: Instant) -> Option<Instant> {
        let nanos = self.0.checked_sub(1)?;
        Some(epoch + Duration::from_nanos(nanos))
    }
}

/// Where a pool takes its time from. Cheap to clone; clones are one clock.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    #[cfg(feature = "tokio")]
    System,
    Manual(ManualClock),
    Custom(Arc<dyn Timer>),
}

impl Clock {
    /// The system's monotonic clock with tokio's timer. It follows tokio's paused time; sleeping needs a runtime
    /// with its timer enabled.
    #[cfg(feature = "tokio")]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock of your own, for a runtime other than tokio.
    pub fn custom(timer: impl Timer) -> Self {
        Self(Source::Custom(Arc::new(timer)))
    }

    /// The time now.
    pub fn now(&self) -> Instant {
        match &self.0 {
            #[cfg(feature = "tokio")]
            Source::System => tokio::time::Instant::now().into_std(),
            Source::Manual(manual) => manual.now(),
            Source::Custom(timer) => timer.now(),
        }
    }

    /// When `after` will have passed: after the longest time that clocks can tell, if that is shorter.
    pub(crate) fn deadline(&self, after: Duration) -> Instant {
        self.now() + after.min(LONGEST)
    }

    /// A future that is ready once the clock has reached `deadline`.
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        Sleep(match &self.0 {
            #[cfg(feature = "tokio")]
            Source::System => Box::pin(tokio::time::sleep_until(deadline.into())),
            Source::Manual(manual) => Box::pin(ManualSleep {
                clock: manual.clone(),
                deadline,
                ticket: None,
            }),
            Source::Custom(timer) => timer.sleep_until(deadline),
        })
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            #[cfg(feature = "tokio")]
            Source::System => "Clock::system",
            Source::Manual(_) => "Clock::manual",
            Source::Custom(_) => "Clock::custom",
        })
    }
}

/// What [`Clock::sleep_until`] returns.
pub struct Sleep(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sleep")
    }
}

/// A clock that stands still until it is moved, for tests and simulations. It goes some 136 years (2³² − 1 seconds) from
/// where it started, and no further.
///
/// ```
/// use equipoise::ManualClock;
/// use std::time::Duration;
///
/// let manual = ManualClock::new();
/// let clock = manual.clock();
/// let before = clock.now();
/// manual.advance(Duration::from_secs(1));
/// assert_eq!(clock.now() - before, Duration::from_secs(1));
/// ```
#[derive(Clone)]
pub struct ManualClock(Arc<Mutex<Hands>>);

struct Hands {
    now: Instant,
    end: Instant,
    tickets: u64,
    sleepers: BTreeMap<(Instant, u64), Waker>,
}

impl ManualClock {
    /// A clock that starts at an arbitrary instant.
    pub fn new() -> Self {
        let now = Instant::now();
        Self(Arc::new(Mutex::new(Hands {
            now,
            end: now + LONGEST,
            tickets: 0,
            sleepers: BTreeMap::new(),
        })))
    }

    /// The clock to give to a pool.
    pub fn clock(&self) -> Clock {
        Clock(Source::Manual(self.clone()))
    }

    /// The time now.
    pub fn now(&self) -> Instant {
        self.0.lock().now
    }

    /// The earliest instant that somebody sleeps for: where a simulation may jump to.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.0.lock().sleepers.keys().next().map(|(deadline, _)| *deadline)
    }

    /// Moves the clock on, to its end at most, and wakes whoever slept until then, in the order of their deadlines. As
    /// long as nobody did, nothing is allocated: a simulation moves its clock for every event.
    pub fn advance(&self, by: Duration) {
        let mut due = Vec::new();
        let mut hands = self.0.lock();
        let now = hands.now.checked_add(by).map_or(hands.end, |now| now.min(hands.end));
        hands.now = now;
        while let Some(first) = hands.sleepers.first_entry().filter(|first| first.key().0 <= now) {
            due.push(first.remove());
        }
        drop(hands);
        // Woken outside the lock: a waker may poll at once.
        due.into_iter().for_each(Waker::wake);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock").field("now", &self.now()).finish()
    }
}

struct ManualSleep {
    clock: ManualClock,
    deadline: Instant,
    ticket: Option<u64>,
}

impl Future for ManualSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // Wakers are cloned and dropped outside the lock: that is not our code.
        let waker = cx.waker().clone();
        let mut hands = this.clock.0.lock();
        if hands.now >= this.deadline {
            return Poll::Ready(());
        }
        let ticket = *this.ticket.get_or_insert_with(|| {
            hands.tickets += 1;
            hands.tickets
        });
        let last = hands.sleepers.insert((this.deadline, ticket), waker);
        drop(hands);
        drop(last);
        Poll::Pending
    }
}

impl Drop for ManualSleep {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let last = self.clock.0.lock().sleepers.remove(&(self.deadline, ticket));
            drop(last);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use futures_util::{FutureExt, task::noop_waker_ref};

    #[test]
    fn sleepers_wake_when_their_time_has_come_and_leave_nothing_behind() {
        let manual = ManualClock::new();
        let clock = manual.clock();
        let mut cx = Context::from_waker(noop_waker_ref());
        let mut short = clock.sleep_until(clock.now() + Duration::from_secs(1));
        let mut long = clock.sleep_until(clock.now() + Duration::from_secs(2));
        assert!(short.poll_unpin(&mut cx).is_pending());
        assert!(long.poll_unpin(&mut cx).is_pending());
        assert_eq!(manual.next_deadline(), Some(manual.now() + Duration::from_secs(1)));
        manual.advance(Duration::from_secs(1));
        assert!(short.poll_unpin(&mut cx).is_ready());
        assert!(long.poll_unpin(&mut cx).is_pending());
        drop(long);
        assert_eq!(manual.next_deadline(), None);
    }

    #[test]
    fn a_clock_moved_too_far_stands_at_its_end() {
        let manual = ManualClock::new();
        let start = manual.now();
        manual.advance(Duration::from_secs(1));
        let mut cx = Context::from_waker(noop_waker_ref());
        let mut last = manual.clock().sleep_until(start + LONGEST);
        assert!(last.poll_unpin(&mut cx).is_pending());
        for by in [Duration::MAX, Duration::MAX, LONGEST, Duration::from_nanos(1)] {
            manual.advance(by);
            assert_eq!(manual.now() - start, LONGEST);
        }
        assert!(last.poll_unpin(&mut cx).is_ready());
        // What begins there can still be told from what is long over.
        assert!(manual.clock().deadline(Duration::MAX) > manual.now());
    }

    #[test]
    fn a_clock_that_wakes_nobody_allocates_nothing() {
        let manual = ManualClock::new();
        let mut cx = Context::from_waker(noop_waker_ref());
        let mut sleep = manual.clock().sleep_until(manual.now() + Duration::from_secs(1));
        assert!(sleep.poll_unpin(&mut cx).is_pending());
        let allocations = allocation_counter::measure(|| {
            for _ in 0..1000 {
                manual.advance(Duration::from_micros(1));
            }
        });
        assert_eq!(allocations.count_total, 0);
        manual.advance(Duration::from_secs(1));
        assert!(sleep.poll_unpin(&mut cx).is_ready());
    }
}
