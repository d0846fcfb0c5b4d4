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

    /// How many of a hundred: exact wherever it is a whole number, and never more, whatever is rounded on the way.
    fn percent(&self, count: u64) -> f64 {
        (count as f64 * 100.0 / self.total() as f64).min(100.0)
    }
}

/// So many standard deviations are taken for chance. Of ten members that are all as good, each with three failures on
/// average, one is further below in one sweep of 200; with three deviations it were one of 25, and with each of these a
/// tenth of the servers is gone for half a minute.
const CHANCE: f64 = 4.0;

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
    /// success rates of the members, a member one vote however many requests it had. And by more than chance is.
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
        // What fails by chance: of as many requests that each fail as on average at the others. A binomial distribution, with
        // one added to its variance: where hardly any request fails, one that does is many deviations from none.
        let is_chance = |index: &usize| {
            let others = best + (mean * count - short(index)) / (count - 1.0);
            let part = (1.0 - others / 100.0).clamp(0.0, 1.0);
            let expected = part * samples[*index].total() as f64;
            let deviation = (expected * (1.0 - part) + 1.0).sqrt();
            samples[*index].failed as f64 <= expected + CHANCE * deviation
        };
        let is_below = |index: &usize| short(index) < threshold && !is_chance(index);
        let mut below: Vec<usize> = measured.into_iter().filter(is_below).collect();
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
    /// nobody is ever ejected. So 100 % of one member is that one, and so is 10 % of it: not to leave a pool without any
    /// is up to who has the ejected serve when too few others are left. A50 and older Envoys look before they eject whether
    /// the cap is passed already, and so go one beyond it; newer Envoys stay within, which is none of less than ten members
    /// unless `always_eject_one_host` is set.
    pub(crate) fn may_eject(&self, ejected: usize, of: usize) -> bool {
        let share = of as u128 * u128::from(self.most_ejected) / 100;
        let most = if self.most_ejected == 0 { 0 } else { share.max(1) };
        ejected < of && (ejected as u128) < most
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn sample(succeeded: u64, failed: u64) -> Sample {
        Sample { succeeded, failed }
    }

    fn indices(outliers: Vec<(usize, EjectionReason)>) -> Vec<usize> {
        outliers.into_iter().map(|(index, _)| index).collect()
    }

    fn rates_alone() -> OutlierDetection {
        OutlierDetection::new().with_failure_percentage(None).unwrap()
    }

    fn percentage_alone() -> OutlierDetection {
        OutlierDetection::new().with_success_rate(None).unwrap()
    }

    /// Envoy, test/common/upstream/outlier_detection_impl_test.cc, BasicFlowSuccessRateExternalOrigin, and the comment on
    /// successRateEjectionThreshold in source/common/upstream/outlier_detection_impl.cc: rates of 50 and four of 100, mean 90,
    /// deviation 20, threshold 52; then the fifth with half of the requests it takes.
    #[test]
    fn envoys_example_of_success_rates() {
        let mut samples = [sample(200, 0); 5];
        samples[4] = sample(200, 200);
        let reason = EjectionReason::SuccessRate {
            percent: 50.0,
            threshold: 52.0,
        };
        assert_eq!(rates_alone().outliers(&samples), [(4, reason)]);
        let mut samples = [sample(25, 0); 5];
        samples[4] = sample(25, 25);
        assert_eq!(rates_alone().outliers(&samples), []);
    }

    /// Envoy, the same file, BasicFlowFailurePercentageExternalOrigin: a threshold of 40 and half of the requests failed; then
    /// with 25 and 50 requests, where only the fifth has enough.
    #[test]
    fn envoys_example_of_failure_percentages() {
        let settings = percentage_alone().with_failure_percentage(40.0).unwrap();
        let mut samples = [sample(200, 0); 5];
        samples[4] = sample(200, 200);
        let reason = EjectionReason::FailurePercentage {
            percent: 50.0,
            threshold: 40.0,
        };
        assert_eq!(settings.outliers(&samples), [(4, reason)]);
        let mut samples = [sample(25, 0); 5];
        samples[4] = sample(25, 25);
        assert_eq!(settings.outliers(&samples), []);
    }

    /// gRPC, util/src/test/java/io/grpc/util/OutlierDetectionLoadBalancerTest.java: five servers of 20 calls each, of which
    /// these fail all; the mean and deviation of mathChecksOut as well, as rates of 1000.
    #[test]
    fn grpcs_examples() {
        let rates = rates_alone().with_success_rate_minimum(3, 10).unwrap();
        let load = |failing: &[usize]| {
            let of = |index| {
                if failing.contains(&index) {
                    sample(0, 20)
                } else {
                    sample(20, 0)
                }
            };
            [0, 1, 2, 3, 4].map(of)
        };
        // successRateNoOutliers, successRateOneOutlier, successRateTwoOutliers and successRateThreeOutliers.
        assert_eq!(rates.outliers(&load(&[])), []);
        assert_eq!(indices(rates.outliers(&load(&[0]))), [0]);
        let narrow = rates.clone().with_success_rate(0.001).unwrap();
        assert_eq!(indices(narrow.outliers(&load(&[0, 1]))), [0, 1]);
        assert_eq!(indices(narrow.outliers(&load(&[0, 1, 2]))), [0, 1, 2]);
        // successRateOneOutlier_notEnoughVolume and _notEnoughAddressesWithVolume.
        let mut scarce = load(&[0]);
        scarce[0] = sample(0, 19);
        let twenty = |members| rates.clone().with_success_rate_minimum(members, 20).unwrap();
        assert_eq!(twenty(3).outliers(&scarce), []);
        let mut few = load(&[0]);
        few[1] = sample(19, 0);
        assert_eq!(twenty(5).outliers(&few), []);
        assert_eq!(indices(twenty(5).outliers(&load(&[0]))), [0]);
        // failurePercentageNoOutliers, failurePercentageOneOutlier and _notEnoughVolume.
        let percentage = |members, requests| {
            percentage_alone()
                .with_failure_percentage_minimum(members, requests)
                .unwrap()
        };
        assert_eq!(percentage(3, 10).outliers(&load(&[])), []);
        assert_eq!(indices(percentage(3, 10).outliers(&load(&[0]))), [0]);
        assert_eq!(percentage(3, 100).outliers(&load(&[0])), []);
        // successRateAndFailurePercentageThreeOutliers. Its threshold of 0 is any failure, which is 0.01 here.
        let both = narrow
            .with_failure_percentage(0.01)
            .and_then(|settings| settings.with_failure_percentage_minimum(3, 1))
            .unwrap();
        let mut three = load(&[0, 1]);
        three[2] = sample(0, 1);
        let outliers = both.outliers(&three);
        assert!(matches!(outliers[2].1, EjectionReason::FailurePercentage { .. }));
        assert_eq!(indices(outliers), [0, 1, 2]);
        // mathChecksOut: a mean of 394 and a deviation of 147.32277488562318.
        let values = [600, 470, 170, 430, 300].map(|value| sample(value, 1000 - value));
        let once = rates_alone().with_success_rate(1.0).unwrap();
        let [(2, EjectionReason::SuccessRate { threshold, .. })] = once.outliers(&values)[..] else {
            panic!("{:?}", once.outliers(&values));
        };
        assert!((threshold - (39.4 - 14.732277488562318)).abs() < 1e-12, "{threshold}");
    }

    #[test]
    fn what_may_be_chance_is_no_outlier() {
        // However many others there are: one failed request among all of them says nothing of whose it was.
        for others in [4, 11, 19, 99, 999] {
            for (failed, is_outlier) in [(1, false), (2, false), (4, false), (5, true), (50, true)] {
                let mut samples = vec![sample(100, 0); others];
                samples.push(sample(100 - failed, failed));
                let outliers = if is_outlier { vec![others] } else { vec![] };
                let told = indices(rates_alone().outliers(&samples));
                assert_eq!(told, outliers, "{failed} beside {others}");
            }
        }
        // Three at each of the others, on average.
        for (failed, outliers) in [(9, vec![]), (10, vec![]), (12, vec![9])] {
            let mut samples = [2, 4, 3, 1, 5, 3, 2, 4, 3]
                .map(|failed| sample(3_000 - failed, failed))
                .to_vec();
            samples.push(sample(3_000 - failed, failed));
            assert_eq!(indices(rates_alone().outliers(&samples)), outliers, "{failed}");
        }
        // The more requests, the less is chance.
        let mut samples = vec![sample(10_000, 0); 4];
        samples.push(sample(9_990, 10));
        assert_eq!(indices(rates_alone().outliers(&samples)), [4]);
    }

    #[test]
    fn one_outlier_among_four_is_no_outlier() {
        let mut samples = vec![sample(1000, 0); 4];
        samples[0] = sample(0, 1000);
        let settings = rates_alone().with_success_rate_minimum(1, 1).unwrap();
        assert_eq!(settings.outliers(&samples), []);
        samples.push(sample(1000, 0));
        assert_eq!(indices(settings.outliers(&samples)), [0]);
    }

    #[test]
    fn exactly_the_threshold_is_a_success_rate_that_will_do_and_a_failure_percentage_that_will_not() {
        // One of two: below the mean by exactly one deviation.
        let settings = rates_alone()
            .with_success_rate(1.0)
            .and_then(|settings| settings.with_success_rate_minimum(2, 1))
            .unwrap();
        assert_eq!(settings.outliers(&[sample(50, 50), sample(100, 0)]), []);
        let mut samples = [sample(100, 0); 5];
        for (failed, is_outlier) in [(28, false), (29, true)] {
            samples[3] = sample(100 - failed, failed);
            let settings = percentage_alone().with_failure_percentage(29.0).unwrap();
            assert_eq!(!settings.outliers(&samples).is_empty(), is_outlier, "{failed}");
        }
    }

    #[test]
    fn the_worst_come_first() {
        let settings = rates_alone().with_success_rate(0.5).unwrap();
        let mut samples = vec![sample(100, 0); 20];
        for (index, failed) in [(3, 60), (7, 90), (11, 40), (12, 60)] {
            samples[index] = sample(100 - failed, failed);
        }
        assert_eq!(indices(settings.outliers(&samples)), [7, 3, 12, 11]);
        let settings = percentage_alone().with_failure_percentage(30.0).unwrap();
        assert_eq!(indices(settings.outliers(&samples)), [7, 3, 12, 11]);
        // By both rules each is told once, those by success rate first, whoever is worse.
        let both = rates_alone()
            .with_success_rate_minimum(5, 100)
            .and_then(|settings| settings.with_success_rate(0.5))
            .and_then(|settings| settings.with_failure_percentage(30.0))
            .unwrap();
        samples[15] = sample(0, 99);
        assert_eq!(indices(both.outliers(&samples)), [7, 3, 12, 11, 15]);
    }

    #[test]
    fn the_cap_is_a_share_and_at_least_one() {
        let may = |percent, ejected, of| {
            let settings = OutlierDetection::new().with_most_ejected(percent).unwrap();
            settings.may_eject(ejected, of)
        };
        // Envoy, test/common/upstream/outlier_detection_impl_test.cc, Overflow: 1 % of two.
        assert!(may(1, 0, 2) && !may(1, 1, 2));
        assert!(may(10, 0, 19) && !may(10, 1, 19));
        assert!(may(10, 1, 20) && !may(10, 2, 20));
        assert!(may(100, 0, 1) && !may(100, 1, 1));
        assert!(may(10, 0, 1));
        assert!(!may(0, 0, 1000));
        assert!(!may(100, 0, 0));
        assert!(may(100, usize::MAX - 1, usize::MAX));
    }

    fn samples() -> impl proptest::strategy::Strategy<Value = Vec<Sample>> {
        let count = || prop_oneof![0_u64..400, any::<u64>()];
        proptest::collection::vec((count(), count()).prop_map(|(good, bad)| sample(good, bad)), 0..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn members_alike_are_no_outliers(
            (succeeded, failed) in (0_u64..1000, 0_u64..1000),
            sizes in proptest::collection::vec(1_u64..1000, 1..100),
            factor in 0.0_f64..5.0,
        ) {
            let settings = rates_alone()
                .with_success_rate(factor)
                .and_then(|settings| settings.with_success_rate_minimum(1, 1))
                .unwrap();
            // The same rate of more requests or fewer.
            let samples: Vec<_> = sizes.iter().map(|size| sample(succeeded * size, failed * size)).collect();
            prop_assert_eq!(settings.outliers(&samples), []);
        }

        #[test]
        fn outliers_are_told_once_with_numbers_and_not_everybody_is_one(samples in samples(), factor in 0.0_f64..3.0) {
            let settings = OutlierDetection::new()
                .with_success_rate(factor)
                .and_then(|settings| settings.with_success_rate_minimum(1, 1))
                .and_then(|settings| settings.with_failure_percentage_minimum(1, 1))
                .unwrap();
            let outliers = settings.outliers(&samples);
            let mut seen = vec![false; samples.len()];
            let mut by_rate = 0;
            for (index, reason) in outliers {
                prop_assert!(!std::mem::replace(&mut seen[index], true));
                prop_assert!(samples[index].failed > 0);
                let (percent, threshold) = match reason {
                    EjectionReason::SuccessRate { percent, threshold } => {
                        by_rate += 1;
                        // Where rates are a rounding apart, so are these.
                        prop_assert!(percent <= threshold);
                        (percent, threshold)
                    }
                    EjectionReason::FailurePercentage { percent, threshold } => {
                        prop_assert!(percent >= threshold);
                        (percent, threshold)
                    }
                    reason => panic!("{reason}"),
                };
                prop_assert!((0.0..=100.0).contains(&percent) && (0.0..=100.0).contains(&threshold));
            }
            prop_assert!(by_rate == 0 || by_rate < samples.len());
        }

        #[test]
        fn the_cap_is_never_passed(percent in 0_u32..=100, of in 0_usize..1000) {
            let settings = OutlierDetection::new().with_most_ejected(percent).unwrap();
            let ejected = (0..).find(|ejected| !settings.may_eject(*ejected, of)).unwrap();
            let share = of * percent as usize / 100;
            prop_assert_eq!(ejected, if percent == 0 || of == 0 { 0 } else { share.max(1) });
        }
    }
}
