use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const WINDOW: Duration = Duration::from_secs(10);

/// A member as a test wants it.
#[derive(Clone, Debug)]
struct Wanted {
    facts: Facts,
    weight: u32,
    priority: u8,
    zone: Option<u8>,
}

/// Nothing before it, and nothing after so long.
fn facts(now: Instant) -> impl proptest::strategy::Strategy<Value = Facts> {
    let health = prop_oneof![Just(Health::Unchecked), Just(Health::Passing), Just(Health::Failing)];
    let ejection = prop_oneof![4 => Just(Ejection::None), 1 => Just(Ejection::Ejected), 1 => Just(Ejection::Probation)];
    let standing = prop_oneof![
        6 => Just(Standing::Ready),
        1 => Just(Standing::Draining),
        1 => Just(Standing::Maintenance)
    ];
    let percent = prop_oneof![6 => Just(100), 1 => Just(0), 3 => 1..10_000_u32];
    let warmth = prop_oneof![
        Just(Warmth::Cold),
        Just(Warmth::Warm),
        (0_u64..12_000).prop_map(move |ago| Warmth::Since(now - Duration::from_millis(ago)))
    ];
    (health, ejection, prop::bool::weighted(0.1), standing, percent, warmth).prop_map(
        |(health, ejection, draining, standing, percent, warmth)| Facts {
            health,
            ejection,
            draining,
            standing,
            percent,
            warmth,
            ..Facts::default()
        },
    )
}

fn wanted(now: Instant) -> impl proptest::strategy::Strategy<Value = Wanted> {
    let weight = prop_oneof![1 => Just(0), 4 => Just(1), 3 => 1..1_000_u32, 1 => Just(u32::MAX)];
    (facts(now), weight, 0_u8..4, prop::option::of(0_u8..4)).prop_map(|(facts, weight, priority, zone)| Wanted {
        facts,
        weight,
        priority,
        zone,
    })
}

fn zone(zone: u8) -> Locality {
    Locality::new(if zone < 2 { "eu" } else { "us" }, zone.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_holds_what_it_promises(
        (now, wanted) in {
            let now = Instant::now() + Duration::from_secs(60);
            (Just(now), prop::collection::vec(wanted(now), 0..24))
        },
        checked in any::<bool>(),
        panic in prop_oneof![Just(0.0), Just(0.5), Just(1.0)],
        is_somewhere in any::<bool>(),
        slow_start in any::<bool>(),
        by_key in any::<bool>(),
    ) {
        let rules = Rules {
            checked,
            panic,
            here: is_somewhere.then(|| zone(0)),
            slow_start: slow_start.then(|| SlowStart::over(WINDOW)),
        };
        let zones: Vec<Option<Locality>> = wanted.iter().map(|wanted| wanted.zone.map(zone)).collect();
        let candidates: Vec<Candidate<'_>> = wanted.iter().zip(&zones).map(|(wanted, zone)| Candidate {
            facts: wanted.facts,
            weight: wanted.weight,
            priority: wanted.priority,
            locality: zone.as_ref(),
        }).collect();
        let planned = plan(&candidates, &rules, by_key, now);
        let open = &planned.order[..planned.open];
        let is_willing = |index: &usize| candidates[*index].facts.is_willing() && candidates[*index].weight > 0;
        let is_fit = |index: &usize| planned.facts[*index].is_fit;
        let all = || 0..candidates.len();

        // Everybody has one place.
        let places: BTreeSet<usize> = planned.order.iter().copied().collect();
        prop_assert_eq!(places.len(), candidates.len());
        prop_assert_eq!(planned.order.len(), candidates.len());
        prop_assert!(planned.open <= planned.homes && planned.homes <= planned.order.len());
        prop_assert!(open.windows(2).all(|pair| pair[0] < pair[1]), "in the order of joining");

        // Nobody serves against its wish; whoever is unfit only in panic.
        prop_assert!(open.iter().all(is_willing));
        for index in open {
            let panics = planned.panics.contains(&candidates[*index].priority);
            prop_assert!(is_fit(index) || (panics && panic > 0.0));
        }
        // Traffic is never kept off all.
        let anybody = all().any(|index| is_willing(&index) && (is_fit(&index) || panic > 0.0));
        prop_assert_eq!(planned.open > 0, anybody);
        // Nor are they all left to who takes one request at a time.
        let probation = |index: &usize| candidates[*index].facts.ejection == Ejection::Probation;
        let others = all().any(|index| is_willing(&index) && !probation(&index) && (is_fit(&index) || panic > 0.0));
        prop_assert!(!others || open.iter().any(|index| !probation(index)));
        prop_assert!(panic == 0.0 || open.is_empty() || !planned.spares || open.iter().any(|index| !probation(index)));
        // A home takes sessions unless it is unfit or in maintenance.
        for index in &planned.order[planned.open..planned.homes] {
            prop_assert!(is_fit(index) && candidates[*index].facts.standing != Standing::Maintenance);
        }

        // The groups share everything, and have each open member once.
        let shares: f64 = planned.groups.iter().map(|group| group.share).sum();
        prop_assert!(planned.groups.is_empty() || (shares - 1.0).abs() < 1e-9, "{}", shares);
        let grouped: Vec<At> = planned.groups.iter().flat_map(|group| group.places.clone()).collect();
        prop_assert_eq!(grouped.len(), planned.open);
        prop_assert_eq!(grouped.into_iter().collect::<BTreeSet<_>>().len(), planned.open);
        prop_assert!(planned.groups.iter().all(|group| group.share >= 0.0 && !group.places.is_empty()));

        // Weights are those of backends, times their word, times the part: as near as whole numbers come.
        prop_assert_eq!(planned.weights.len(), planned.open);
        prop_assert!(planned.weights.iter().all(|weight| *weight > 0));
        let exact = |index: &usize| {
            let part = if by_key { 1.0 } else { f64::from(planned.facts[*index].part) };
            f64::from(candidates[*index].weight) * f64::from(candidates[*index].facts.percent) / 100.0 * part
        };
        let most = open.iter().map(exact).fold(0.0, f64::max);
        let scale = planned.weights.iter().copied().max().map(|heaviest| f64::from(heaviest) / most);
        for (index, weight) in open.iter().zip(&planned.weights) {
            let expected = exact(index) * scale.unwrap_or(1.0);
            prop_assert!((f64::from(*weight) - expected).abs() <= 1.0 + expected * 1e-3, "{} for {}", weight, expected);
        }

        // Whoever is brought in by key is told so, in order, and nobody else.
        prop_assert!(planned.ramps.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let ramping: Vec<usize> = planned.ramps.iter().map(|(at, _)| open[at.index()]).collect();
        let expected: Vec<usize> = open.iter().copied().filter(|index| by_key && planned.facts[*index].part < 1.0).collect();
        prop_assert_eq!(ramping, expected);
        // Nobody is brought in but slowly, and only if told to; whoever is, is looked at again.
        let is_ramping = planned.facts.iter().any(|facts| facts.part < 1.0);
        prop_assert!(slow_start || !is_ramping);
        prop_assert_eq!(planned.again.is_some(), is_ramping);
        prop_assert!(planned.facts.iter().all(|facts| (0.1..=1.0).contains(&facts.part)));
    }
}
