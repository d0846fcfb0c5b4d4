//! The settings of outlier detection: their defaults and ranges.

use super::*;

#[test]
fn defaults_are_what_they_are_said_to_be() {
    let said = OutlierDetection::new()
        .with_consecutive_failures(5)
        .and_then(|settings| settings.with_consecutive_gateway_failures(None))
        .and_then(|settings| settings.with_consecutive_local_failures(5))
        .and_then(|settings| settings.with_success_rate(1.9))
        .and_then(|settings| settings.with_success_rate_minimum(5, 100))
        .and_then(|settings| settings.with_failure_percentage(85.0))
        .and_then(|settings| settings.with_failure_percentage_minimum(5, 50))
        .and_then(|settings| settings.with_interval(Duration::from_secs(10)))
        .and_then(|settings| settings.with_ejection(Duration::from_secs(30), Duration::from_secs(300)))
        .and_then(|settings| settings.with_most_ejected(10))
        .and_then(|settings| settings.with_probation(1))
        .unwrap()
        .with_ended_by_probe(false);
    assert_eq!(said, OutlierDetection::new());
    assert_eq!(said, OutlierDetection::default());
    assert!(!said.is_ended_by_probe() && said.clone().with_ended_by_probe(true).is_ended_by_probe());
    let limits = Limits {
        failures: 5,
        gateway: 0,
        local: 5,
    };
    assert_eq!(said.limits(), limits);
}

#[test]
fn the_ends_of_all_ranges_are_in_them() {
    let millis = Duration::from_millis;
    let settings = OutlierDetection::new;
    for accepted in [
        settings().with_consecutive_failures(1),
        settings().with_consecutive_failures(1_000_000),
        settings().with_consecutive_gateway_failures(1_000_000),
        settings().with_consecutive_local_failures(1_000_000),
        settings().with_consecutive_failures(None),
        settings().with_consecutive_local_failures(None),
        settings().with_success_rate(0.0),
        settings().with_success_rate(100.0),
        settings().with_success_rate(None),
        settings().with_success_rate_minimum(1, 1),
        settings().with_success_rate_minimum(usize::MAX, u64::MAX),
        settings().with_failure_percentage(f64::MIN_POSITIVE),
        settings().with_failure_percentage(100.0),
        settings().with_failure_percentage(None),
        settings().with_failure_percentage_minimum(1, 1),
        settings().with_interval(millis(10)),
        settings().with_interval(millis(3_600_000)),
        settings().with_ejection(millis(10), millis(10)),
        settings().with_ejection(millis(86_400_000), millis(86_400_000)),
        settings().with_most_ejected(0),
        settings().with_most_ejected(100),
        settings().with_probation(1),
        settings().with_probation(1_000),
    ] {
        accepted.unwrap();
    }
}

#[test]
fn what_is_out_of_range_is_refused_by_name() {
    let millis = Duration::from_millis;
    let settings = OutlierDetection::new;
    let counts = "expected a whole number from 1 to 1000000, or none";
    let factors = "expected a number from 0 to 100, or none";
    let percentages = "expected a number above 0, up to 100, or none";
    let minimums = "expected at least 1 member and 1 request";
    let intervals = "expected a time from 10ms to 1h";
    let ejections = "expected a base from 10ms on, and a longest from the base to 24h";
    for (refused, what, expected) in [
        (
            settings().with_consecutive_failures(0),
            "consecutive_failures '0'",
            counts,
        ),
        (
            settings().with_consecutive_gateway_failures(1_000_001),
            "consecutive_gateway_failures '1000001'",
            counts,
        ),
        (
            settings().with_consecutive_local_failures(u32::MAX),
            "consecutive_local_failures '4294967295'",
            counts,
        ),
        (settings().with_success_rate(-0.1), "success_rate '-0.1'", factors),
        (settings().with_success_rate(100.1), "success_rate '100.1'", factors),
        (settings().with_success_rate(f64::NAN), "success_rate 'NaN'", factors),
        (
            settings().with_success_rate_minimum(0, 1),
            "success_rate_minimum '0 and 1'",
            minimums,
        ),
        (
            settings().with_failure_percentage_minimum(1, 0),
            "failure_percentage_minimum '1 and 0'",
            minimums,
        ),
        (
            settings().with_failure_percentage(0.0),
            "failure_percentage '0'",
            percentages,
        ),
        (
            settings().with_failure_percentage(100.5),
            "failure_percentage '100.5'",
            percentages,
        ),
        (
            settings().with_failure_percentage(f64::NAN),
            "failure_percentage 'NaN'",
            percentages,
        ),
        (settings().with_interval(millis(9)), "interval '9ms'", intervals),
        (
            settings().with_interval(millis(3_600_001)),
            "interval '3600.001s'",
            intervals,
        ),
        (
            settings().with_ejection(millis(9), millis(20)),
            "ejection '9ms to 20ms'",
            ejections,
        ),
        (
            settings().with_ejection(millis(2_000), millis(1_000)),
            "ejection '2s to 1s'",
            ejections,
        ),
        (
            settings().with_ejection(millis(10), millis(86_400_001)),
            "ejection '10ms to 86400.001s'",
            ejections,
        ),
        (
            settings().with_most_ejected(101),
            "most_ejected '101'",
            "expected a whole number from 0 to 100",
        ),
        (
            settings().with_probation(0),
            "probation '0'",
            "expected a whole number from 1 to 1000",
        ),
        (
            settings().with_probation(1_001),
            "probation '1001'",
            "expected a whole number from 1 to 1000",
        ),
    ] {
        let told = refused.unwrap_err().to_string();
        assert_eq!(told, format!("invalid {what} of outlier detection: {expected}"));
    }
}

#[test]
fn sweeps_come_a_tenth_of_the_interval_around_it() {
    let settings = OutlierDetection::new();
    for (random, seconds) in [(0.0, 9.0), (0.25, 9.5), (0.5, 10.0), (1.0, 11.0)] {
        let until = settings.until_sweep(random).as_secs_f64();
        assert!((until - seconds).abs() < 1e-6, "{random}: {until}");
    }
}
