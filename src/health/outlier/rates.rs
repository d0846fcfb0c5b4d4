//! Whose requests fail too often: the part of outlier detection that compares members, at each sweep.

use super::{Minimum, OutlierDetection};
use crate::fitness::EjectionReason;

/// What a member's requests came to in an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
}

impl Sample {
    fn total(&self) -> u64 {
        self.succeeded.saturating_add(self.failed)
    }

    /// How many of a hundred: exact wherever it is a whole number.
    fn percent(&self, count: u64) -> f64 {
        count as f64 * 100.0 / self.total() as f64
    }
}

impl OutlierDetection {
    /// Which of these members, none of which is ejected, are to be ejected, by their positions. Those first whose success
    /// rate is too far below the others', then those of whose requests too many failed, and the worst of each first: a
    /// cap that refuses some refuses the better ones.
    ///
    /// O(n log n) in the number of outliers, O(n) in that of members.
    pub(crate) fn outliers(&self, samples: &[Sample]) -> Vec<(usize, EjectionReason)> {
        let mut outliers = self.below_the_others(samples);
        let known: Vec<usize> = outliers.iter().map(|(index, _)| *index).collect();
        let failing = self.failing(samples).into_iter();
        outliers.extend(failing.filter(|(index, _)| !known.contains(index)));
        outliers
    }

    /// The positions of the members with enough requests, if these are enough.
    fn measured(samples: &[Sample], minimum: Minimum) -> Option<Vec<usize>> {
        let is_measured = |index: &usize| samples[*index].total() >= minimum.requests;
        let measured: Vec<usize> = (0..samples.len()).filter(is_measured).collect();
        (measured.len() >= minimum.members).then_some(measured)
    }

    /// Those below the mean by more than so many standard deviations, as Envoy and gRPC's A50 compute both: of the
    /// success rates of the members, a member one vote however many requests it had.
    fn below_the_others(&self, samples: &[Sample]) -> Vec<(usize, EjectionReason)> {
        let Some(factor) = self.success_rate else {
            return Vec::new();
        };
        let Some(measured) = Self::measured(samples, self.success_rate_minimum) else {
            return Vec::new();
        };
        let rate = |index: &usize| samples[*index].percent(samples[*index].succeeded);
        let best = measured.iter().map(rate).fold(0.0, f64::max);
        // As differences from the best: equal rates differ by 0 then, whereas their mean may come out as a little more
        // than each of them, and all would be below it.
        let short = |index: &usize| rate(index) - best;
        let count = measured.len() as f64;
        let mean = measured.iter().map(short).sum::<f64>() / count;
        let variance = measured.iter().map(|index| (short(index) - mean).powi(2)).sum::<f64>() / count;
        let threshold = mean - factor * variance.sqrt();
        let mut below: Vec<usize> = measured.into_iter().filter(|index| short(index) < threshold).collect();
        below.sort_by(|one, other| rate(one).total_cmp(&rate(other)));
        let outlier = |index: usize| {
            let (percent, threshold) = (rate(&index), best + threshold);
            (index, EjectionReason::SuccessRate { percent, threshold })
        };
        below.into_iter().map(outlier).collect()
    }

    fn failing(&self, samples: &[Sample]) -> Vec<(usize, EjectionReason)> {
        let Some(threshold) = self.failure_percentage else {
            return Vec::new();
        };
        let Some(measured) = Self::measured(samples, self.failure_percentage_minimum) else {
            return Vec::new();
        };
        let percent = |index: &usize| samples[*index].percent(samples[*index].failed);
        let mut failing: Vec<usize> = measured
            .into_iter()
            .filter(|index| percent(index) >= threshold)
            .collect();
        failing.sort_by(|one, other| percent(other).total_cmp(&percent(one)));
        let outlier = |index: usize| {
            let percent = percent(&index);
            (index, EjectionReason::FailurePercentage { percent, threshold })
        };
        failing.into_iter().map(outlier).collect()
    }

    /// Whether one more may be ejected where so many `of` so many members are: asked before each ejection, so that the
    /// cap is never passed.
    ///
    /// The cap is the percentage of the members, rounded down, or one member if that is none; with a percentage of 0
    /// nobody is ever ejected. So 100 % of one member is that one, and so is 10 % of it: that a pool of one is not left
    /// without any is up to who uses the ejected when too few are left. Envoy up to 1.30 ejects one member whatever the
    /// percentage; since 1.31 it rounds down to none, unless told `always_eject_one_host`.
    pub(crate) fn may_eject(&self, ejected: usize, of: usize) -> bool {
        let share = of as u128 * u128::from(self.most_ejected) / 100;
        let most = if self.most_ejected == 0 { 0 } else { share.max(1) };
        ejected < of && (ejected as u128) < most
    }
}
