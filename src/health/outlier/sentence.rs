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
