//! Bringing members in gently.

use std::time::{Duration, Instant};

/// How a member that comes, or comes back, is brought in: with a part of its share that grows to the whole within a
/// window.
///
/// The part is `max(10 %, (t / window) ^ (1 / aggression))` of the member's weight, after Envoy's
/// [slow start](https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/slow_start).
/// Selectors that go by key keep their table: a member takes the keys whose hash with its id is below that part, others go
/// to their next preference meanwhile, so that each key moves once.
///
/// A member is only brought in where another of its priority serves already; who comes alone, or with all others, has
/// its whole share at once. So has everybody where too few are fit and
/// [all count](crate::PoolBuilder::panic_threshold).
///
/// ```
/// use equipoise::{Endpoint, Pool, SlowStart};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let pool = Pool::builder()
///     .backend(Endpoint::new("a", "10.0.0.1:80"))
///     .slow_start(SlowStart::over(Duration::from_secs(30)))
///     .spawn();
/// # drop(pool); }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowStart {
    window: Duration,
    aggression: f64,
}

/// The least part of a share, Envoy's default.
const LEAST: f64 = 0.1;
/// In so many steps a share grows.
const STEPS: u32 = 50;
/// No step is shorter.
const STEP: Duration = Duration::from_millis(10);

impl SlowStart {
    /// In this time, evenly (an aggression of 1, Envoy's default). 0 is none.
    pub const fn over(window: Duration) -> Self {
        let aggression = 1.0;
        Self { window, aggression }
    }

    /// How fast at first: 1 evenly, more for faster first and slower then; from 0.1 to 10, what is out of that is as much
    /// as the nearest.
    pub const fn with_aggression(self, aggression: f64) -> Self {
        // What is no number is taken for 1.
        let aggression = if aggression.is_nan() {
            1.0
        } else {
            aggression.clamp(0.1, 10.0)
        };
        Self { aggression, ..self }
    }

    /// The part that a member has after this time.
    pub(crate) fn part(&self, since: Duration) -> f64 {
        if since >= self.window {
            return 1.0;
        }
        let passed = since.as_secs_f64() / self.window.as_secs_f64();
        passed.powf(1.0 / self.aggression).max(LEAST)
    }

    /// How long until the part is looked at again.
    pub(crate) fn step(&self) -> Duration {
        (self.window / STEPS).max(STEP)
    }
}

/// How far a member has been brought in.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Warmth {
    /// It does not serve.
    #[default]
    Cold,
    /// It has served since then.
    Since(Instant),
    Warm,
}

impl Warmth {
    /// The part of its share that a member which serves is to have, and how warm it is from now on; `alone`: no other of
    /// its priority has served before.
    pub(crate) fn serve(self, settings: Option<&SlowStart>, alone: bool, now: Instant) -> (Self, f64) {
        let Some(settings) = settings else {
            return (Self::Warm, 1.0);
        };
        let since = match self {
            Self::Warm => return (self, 1.0),
            Self::Cold if alone => return (Self::Warm, 1.0),
            Self::Cold => now,
            Self::Since(since) => since,
        };
        match settings.part(now.saturating_duration_since(since)) {
            part if part >= 1.0 => (Self::Warm, 1.0),
            part => (Self::Since(since), part),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    #[test]
    fn a_part_grows_to_the_whole() {
        let even = SlowStart::over(WINDOW);
        let parts = |settings: SlowStart| {
            [0, 500, 2_500, 5_000, 9_999, 10_000].map(|at| settings.part(Duration::from_millis(at)))
        };
        assert_eq!(parts(even), [0.1, 0.1, 0.25, 0.5, 0.9999, 1.0]);
        // Twice as aggressive: the root of the time that has passed.
        let fast = parts(even.with_aggression(2.0));
        assert_eq!(fast[2], 0.5);
        assert!((fast[3] - 0.5f64.sqrt()).abs() < 1e-12);
        assert_eq!(even.with_aggression(f64::NAN), even);
        assert_eq!(SlowStart::over(Duration::ZERO).part(Duration::ZERO), 1.0);
    }

    #[test]
    fn who_comes_alone_has_its_whole_share() {
        let settings = SlowStart::over(WINDOW);
        let now = Instant::now();
        let cold = Warmth::default();
        assert_eq!(cold.serve(None, false, now), (Warmth::Warm, 1.0));
        assert_eq!(cold.serve(Some(&settings), true, now), (Warmth::Warm, 1.0));
        let (since, part) = cold.serve(Some(&settings), false, now);
        assert_eq!((since, part), (Warmth::Since(now), 0.1));
        // Others that have gone meanwhile change nothing.
        assert_eq!(
            since.serve(Some(&settings), true, now + WINDOW / 2),
            (Warmth::Since(now), 0.5)
        );
        assert_eq!(since.serve(Some(&settings), false, now + WINDOW), (Warmth::Warm, 1.0));
    }
}
