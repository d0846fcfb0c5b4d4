//! A member's ejection: how long it lasts, and how it ends.

use std::time::{Duration, Instant};

use super::OutlierDetection;
use crate::fitness::Ejection;

/// How a member stands with outlier detection, and how often it was ejected of late.
///
/// Ejected for the n-th time it stays away for n times the base: n is told by the ejections before, less one for each
/// interval of good standing.
#[derive(Debug, Default)]
pub(crate) struct Sentence {
    state: State,
    /// By how many times the base the last ejection was multiplied, less what has decayed since.
    times: u32,
}

#[derive(Debug)]
enum State {
    Good {
        /// Whether a sweep has come by since: the one after that comes a whole interval later.
        is_swept: bool,
    },
    Ejected {
        until: Instant,
    },
    Probation {
        succeeded: u32,
    },
}

impl Default for State {
    fn default() -> Self {
        Self::Good { is_swept: false }
    }
}

impl Sentence {
    pub(crate) fn state(&self) -> Ejection {
        match self.state {
            State::Good { .. } => Ejection::None,
            State::Ejected { .. } => Ejection::Ejected,
            State::Probation { .. } => Ejection::Probation,
        }
    }

    /// Ejects it, from good standing or from probation, and says for how long. Where it is ejected already, that goes on
    /// as it was: failures are told of more than once.
    pub(crate) fn eject(&mut self, now: Instant, settings: &OutlierDetection) -> Duration {
        if let State::Ejected { until } = self.state {
            return until.saturating_duration_since(now);
        }
        let (base, longest) = settings.ejection;
        // No more than what makes the longest: beyond, good standing would shorten nothing for a while.
        if base.saturating_mul(self.times) < longest {
            self.times += 1;
        }
        let lasts = base.saturating_mul(self.times).min(longest);
        self.state = State::Ejected { until: now + lasts };
        lasts
    }

    /// When its time is over, while it is ejected.
    pub(crate) fn until(&self) -> Option<Instant> {
        match self.state {
            State::Ejected { until } => Some(until),
            _ => None,
        }
    }

    /// If its time is over, probation begins. True if it begins now.
    pub(crate) fn serve(&mut self, now: Instant) -> bool {
        let is_over = self.until().is_some_and(|until| until <= now);
        if is_over {
            self.state = State::Probation { succeeded: 0 };
        }
        is_over
    }

    /// A request of its probation succeeded. True if probation ends with it.
    pub(crate) fn probation_succeeded(&mut self, settings: &OutlierDetection) -> bool {
        let State::Probation { succeeded } = &mut self.state else {
            return false;
        };
        *succeeded += 1;
        let is_enough = *succeeded >= settings.probation;
        if is_enough {
            self.end();
        }
        is_enough
    }

    /// A request of its probation failed: ejected again, for so long. Where it is on probation no more, it stands as it
    /// did, and what remains of its ejection, if any, is said.
    pub(crate) fn probation_failed(&mut self, now: Instant, settings: &OutlierDetection) -> Duration {
        match self.state {
            State::Good { .. } => Duration::ZERO,
            State::Ejected { .. } | State::Probation { .. } => self.eject(now, settings),
        }
    }

    /// Back to good standing at once, by a probe or by hand.
    pub(crate) fn end(&mut self) {
        if !matches!(self.state, State::Good { .. }) {
            self.state = State::default();
        }
    }

    /// A sweep: a whole interval of good standing makes its next ejection shorter by the base. Neither its ejection nor
    /// probation, in which it may have got no request at all, says that it is any better.
    pub(crate) fn sweep(&mut self) {
        if let State::Good { is_swept } = &mut self.state {
            self.times = self.times.saturating_sub(u32::from(*is_swept));
            *is_swept = true;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn settings(base: u64, longest: u64) -> OutlierDetection {
        OutlierDetection::new()
            .with_ejection(secs(base), secs(longest))
            .unwrap()
    }

    /// Ejected, gone for all of its time, and back for good with one request.
    fn serve_time(sentence: &mut Sentence, now: &mut Instant, settings: &OutlierDetection) -> Duration {
        let lasts = sentence.eject(*now, settings);
        assert_eq!(sentence.until(), Some(*now + lasts));
        *now += lasts - Duration::from_nanos(1);
        assert!(!sentence.serve(*now));
        assert_eq!(sentence.state(), Ejection::Ejected);
        *now += Duration::from_nanos(1);
        assert!(sentence.serve(*now));
        assert_eq!(sentence.state(), Ejection::Probation);
        assert!(sentence.probation_succeeded(settings));
        assert_eq!(sentence.state(), Ejection::None);
        lasts
    }

    /// Envoy, test/common/upstream/outlier_detection_impl_test.cc, EjectTimeBackoff: 10, 20 and 30 s; then two intervals
    /// in good standing, and 20 s; then fifty, and 10 s. There members return with a sweep.
    #[test]
    fn envoys_times_grow_and_decay() {
        let (settings, mut now) = (settings(10, 300), Instant::now());
        let mut sentence = Sentence::default();
        let mut lasts = Vec::new();
        for sweeps in [1, 1, 1 + 2, 1 + 50, 0] {
            lasts.push(serve_time(&mut sentence, &mut now, &settings));
            (0..sweeps).for_each(|_| sentence.sweep());
        }
        assert_eq!(lasts, [10, 20, 30, 20, 10].map(secs));
    }

    /// Envoy, the same file, MaxEjectTime and MaxEjectTimeNotAlligned: base 10 s, longest 300 s and 305 s, thirty ejections
    /// that grow and nine that do not.
    #[test]
    fn envoys_longest_is_the_longest() {
        for (longest, grows) in [(300, 30), (305, 30)] {
            let (settings, mut now) = (settings(10, longest), Instant::now());
            let mut sentence = Sentence::default();
            for times in 1..=grows {
                assert_eq!(serve_time(&mut sentence, &mut now, &settings), secs(10 * times));
                sentence.sweep();
            }
            for _ in 0..9 {
                assert_eq!(serve_time(&mut sentence, &mut now, &settings), secs(longest));
            }
        }
    }

    #[test]
    fn good_standing_shortens_the_next_after_the_longest_too() {
        let (settings, mut now) = (settings(100, 300), Instant::now());
        let mut sentence = Sentence::default();
        (0..10).for_each(|_| _ = serve_time(&mut sentence, &mut now, &settings));
        (0..3).for_each(|_| sentence.sweep());
        assert_eq!(serve_time(&mut sentence, &mut now, &settings), secs(200));
    }

    #[test]
    fn only_whole_intervals_in_good_standing_count() {
        let (settings, mut now) = (settings(10, 300), Instant::now());
        let mut sentence = Sentence::default();
        assert_eq!(sentence.eject(now, &settings), secs(10));
        (0..5).for_each(|_| sentence.sweep());
        now += secs(10);
        assert!(sentence.serve(now));
        // Nothing is known yet of who is on probation.
        (0..5).for_each(|_| sentence.sweep());
        assert_eq!(sentence.probation_failed(now, &settings), secs(20));
    }

    #[test]
    fn the_ejected_are_not_ejected_again() {
        let (settings, now) = (settings(10, 300), Instant::now());
        let mut sentence = Sentence::default();
        sentence.eject(now, &settings);
        assert_eq!(sentence.eject(now + secs(4), &settings), secs(6));
        assert_eq!(sentence.probation_failed(now + secs(5), &settings), secs(5));
        assert_eq!(sentence.until(), Some(now + secs(10)));
        assert!(sentence.serve(now + secs(11)));
        assert!(!sentence.serve(now + secs(12)), "it is on probation already");
        assert_eq!(sentence.eject(now + secs(12), &settings), secs(20));
    }

    #[test]
    fn probation_ends_after_as_many_successes_in_a_row_as_asked_for() {
        let settings = settings(10, 300).with_probation(3).unwrap();
        let mut now = Instant::now();
        let mut sentence = Sentence::default();
        sentence.eject(now, &settings);
        now += secs(10);
        assert!(sentence.serve(now));
        assert!(!sentence.probation_succeeded(&settings));
        assert!(!sentence.probation_succeeded(&settings));
        assert_eq!(sentence.probation_failed(now, &settings), secs(20));
        assert!(!sentence.probation_succeeded(&settings), "it is not on probation");
        now += secs(20);
        assert!(sentence.serve(now));
        assert!(!sentence.probation_succeeded(&settings));
        assert!(!sentence.probation_succeeded(&settings));
        assert!(sentence.probation_succeeded(&settings));
        assert_eq!(sentence.state(), Ejection::None);
    }

    #[test]
    fn an_end_by_hand_is_remembered_like_any_other() {
        let (settings, now) = (settings(10, 300), Instant::now());
        let mut sentence = Sentence::default();
        sentence.eject(now, &settings);
        sentence.end();
        assert_eq!((sentence.state(), sentence.until()), (Ejection::None, None));
        assert!(!sentence.serve(now + secs(60)));
        assert_eq!(
            sentence.probation_failed(now, &settings),
            Duration::ZERO,
            "a late answer"
        );
        assert_eq!(sentence.state(), Ejection::None);
        sentence.sweep();
        // Of who stands well already it ends nothing, not even the interval that counts.
        sentence.end();
        sentence.sweep();
        assert_eq!(sentence.eject(now, &settings), secs(10));
        sentence.end();
        assert_eq!(sentence.eject(now, &settings), secs(20));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn ejections_last_as_many_bases_as_there_were_less_those_that_decayed(
            (base, longest) in (10_u64..100_000).prop_flat_map(|base| (Just(base), base..86_400_000)),
            sweeps in proptest::collection::vec(0_u64..4, 1..100),
        ) {
            let millis = Duration::from_millis;
            let settings = OutlierDetection::new().with_ejection(millis(base), millis(longest)).unwrap();
            let (mut sentence, mut now) = (Sentence::default(), Instant::now());
            let mut times = 0;
            for sweeps in sweeps {
                let lasts = serve_time(&mut sentence, &mut now, &settings);
                times = (times + 1).min(longest.div_ceil(base));
                prop_assert_eq!(lasts, millis((base * times).min(longest)));
                (0..sweeps).for_each(|_| sentence.sweep());
                times = times.saturating_sub(sweeps.saturating_sub(1));
            }
        }
    }
}
