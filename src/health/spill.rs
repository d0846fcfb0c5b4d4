//! How requests spill from a group of members over to the next.

/// Members that stand together: a tier of one priority, or those of a tier that are equally far away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Group {
    /// The weight of those that are fit.
    pub(crate) fit: f64,
    /// The weight that would be enough for all requests: of a tier that of all its members.
    pub(crate) enough: f64,
}

/// What comes to a group.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Share {
    /// Of all requests, from 0 to 1.
    pub(crate) of_all: f64,
    /// Whether too few are fit, so that all its members count.
    pub(crate) panics: bool,
}

/// How many times what it has to do a group of members is able to do: Envoy's default overprovisioning factor.
const OVERPROVISIONING: f64 = 1.4;

/// What sums of parts may be off by: 50 % and 3 of 14, 1.4 times each, are all there is to do, and not a little less.
const ROUNDING: f64 = 1e-9;

/// What comes to each group, the preferred first.
///
/// A group takes as much as it is able to, which is 1.4 times its part that is fit, at most all; the next takes of what is
/// left, and so on. What nobody is able to take is spread in proportion, and a group of which less than `threshold` is fit
/// panics if there is such a rest. These are the rules of Envoy
/// ([priority levels](https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/priority),
/// [panic threshold](https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/panic_threshold)),
/// but by weight in place of numbers of hosts, as with its `weighted_priority_health`, and exactly in place of whole
/// percents. Where nobody is fit all panic, each with a share by its weight; without a threshold none has any.
pub(crate) fn spill(groups: &[Group], threshold: f64) -> Vec<Share> {
    let part = |group: &Group| {
        if group.enough > 0.0 {
            group.fit / group.enough
        } else {
            0.0
        }
    };
    let able = |group: &Group| (OVERPROVISIONING * part(group)).min(1.0);
    let total: f64 = groups.iter().map(able).sum();
    if total <= 0.0 {
        let weight: f64 = groups.iter().map(|group| group.enough).sum();
        let share = |group: &Group| match threshold > 0.0 && group.enough > 0.0 {
            true => Share {
                of_all: group.enough / weight,
                panics: true,
            },
            false => Share::default(),
        };
        return groups.iter().map(share).collect();
    }
    let is_short = total < 1.0 - ROUNDING;
    let mut left = 1.0;
    let mut shares: Vec<Share> = groups
        .iter()
        .map(|group| {
            let of_all = (able(group) / total.min(1.0)).min(left);
            left -= of_all;
            // Else a tier that nothing is left for would serve, if it were of one request in 2⁵⁰.
            if left < ROUNDING {
                left = 0.0;
            }
            let panics = is_short && group.enough > 0.0 && part(group) < threshold;
            Share { of_all, panics }
        })
        .collect();
    // What rounding left belongs to the first that has anybody.
    if let Some(first) = shares.iter_mut().find(|share| share.of_all > 0.0) {
        first.of_all += left;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In whole percents, and who panics.
    fn shares(fit: &[f64], threshold: f64) -> (Vec<f64>, Vec<bool>) {
        let groups: Vec<_> = fit
            .iter()
            .map(|fit| Group {
                fit: *fit,
                enough: 100.0,
            })
            .collect();
        let shares = spill(&groups, threshold);
        let sum: f64 = shares.iter().map(|share| share.of_all).sum();
        assert!((sum - 1.0).abs() < 1e-9 || sum == 0.0, "{shares:?}");
        let percent = |share: &Share| (share.of_all * 100.0).round();
        (
            shares.iter().map(percent).collect(),
            shares.iter().map(|share| share.panics).collect(),
        )
    }

    /// The tables of Envoy's documentation, "Priority levels" and "Panic threshold".
    #[test]
    fn two_tiers_share_as_envoy_s_tables_say() {
        for (fit, expected, panics) in [
            ([100.0, 100.0], [100.0, 0.0], [false, false]),
            ([72.0, 100.0], [100.0, 0.0], [false, false]),
            ([71.0, 100.0], [99.0, 1.0], [false, false]),
            ([50.0, 100.0], [70.0, 30.0], [false, false]),
            ([25.0, 100.0], [35.0, 65.0], [false, false]),
            ([0.0, 100.0], [0.0, 100.0], [false, false]),
            ([72.0, 72.0], [100.0, 0.0], [false, false]),
            ([71.0, 71.0], [99.0, 1.0], [false, false]),
            ([50.0, 60.0], [70.0, 30.0], [false, false]),
            ([25.0, 25.0], [50.0, 50.0], [true, true]),
            ([5.0, 65.0], [7.0, 93.0], [true, false]),
        ] {
            let (percents, panic) = shares(&fit, 0.5);
            assert_eq!((&percents[..], &panic[..]), (&expected[..], &panics[..]), "{fit:?}");
        }
    }

    /// The table of three tiers ibid.
    #[test]
    fn three_tiers_share_as_envoy_s_table_says() {
        for (fit, expected) in [
            ([100.0, 100.0, 100.0], [100.0, 0.0, 0.0]),
            ([72.0, 72.0, 100.0], [100.0, 0.0, 0.0]),
            ([71.0, 71.0, 100.0], [99.0, 1.0, 0.0]),
            ([50.0, 50.0, 100.0], [70.0, 30.0, 0.0]),
            ([25.0, 100.0, 100.0], [35.0, 65.0, 0.0]),
            ([25.0, 25.0, 100.0], [35.0, 35.0, 30.0]),
            ([25.0, 25.0, 20.0], [36.0, 36.0, 28.0]),
        ] {
            let (percents, _) = shares(&fit, 0.5);
            // Envoy deals in whole percents, of which what is left goes to the first.
            let off = percents.iter().zip(expected).map(|(a, b): (&f64, f64)| (a - b).abs());
            assert!(off.clone().all(|off| off <= 1.0), "{fit:?}: {percents:?}");
        }
    }

    /// Whatever the numbers of members: 1.4 times what is fit of two tiers is exactly everything.
    #[test]
    fn tiers_that_are_just_able_to_do_everything_neither_panic_nor_spill() {
        let group = |fit: u32, enough: u32| Group {
            fit: fit.into(),
            enough: enough.into(),
        };
        let mut tried = 0;
        for (first, second) in (1..30).flat_map(|first| (1..30).map(move |second| (first, second))) {
            for (a, b) in (1..first).flat_map(|a| (1..second).map(move |b| (a, b))) {
                let is_just_all = 14 * (a * second + b * first) == 10 * first * second;
                if is_just_all && 14 * a < 10 * first {
                    tried += 1;
                    let shares = spill(&[group(a, first), group(b, second), group(1, 1)], 0.9);
                    assert!(shares.iter().all(|share| !share.panics), "{a}/{first}, {b}/{second}");
                    assert_eq!(shares[2].of_all, 0.0, "{a}/{first}, {b}/{second}");
                }
            }
        }
        assert!(tried > 100);
        for weight in 1..1_000 {
            // Five of seven that are as heavy.
            let one = f64::from(weight) * 0.7;
            let fit = [one; 5].iter().sum();
            let enough = [one; 7].iter().sum();
            let shares = spill(&[Group { fit, enough }, group(1, 1)], 1.0);
            assert_eq!((shares[0].panics, shares[1].of_all), (false, 0.0), "{weight}");
        }
    }

    #[test]
    fn where_nobody_is_fit_all_panic_or_nobody_serves() {
        assert_eq!(shares(&[0.0, 0.0], 0.5), (vec![50.0, 50.0], vec![true, true]));
        assert_eq!(shares(&[0.0, 0.0], 0.0), (vec![0.0, 0.0], vec![false, false]));
        assert_eq!(shares(&[40.0], 0.5), (vec![100.0], vec![true]));
        assert_eq!(shares(&[40.0], 0.0), (vec![100.0], vec![false]));
        assert_eq!(shares(&[72.0], 1.0), (vec![100.0], vec![false]));
        assert_eq!(spill(&[], 0.5), []);
        let empty = Group { fit: 0.0, enough: 0.0 };
        let one = Group { fit: 1.0, enough: 1.0 };
        assert_eq!(spill(&[empty, one], 0.5)[1].of_all, 1.0);
    }
}
