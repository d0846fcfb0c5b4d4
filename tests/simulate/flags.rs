//! What the simulation says to those who start it.

use std::process::Output;

use equipoise::{Strategy, sim::Scenario};

use crate::{command, printed, program::Program, run};

#[test]
fn what_it_does_not_understand_it_names() {
    for (flags, told) in [
        (&["--what"][..], &["unknown flag '--what'", "--help"][..]),
        (&["equal"], &["unknown flag 'equal'"]),
        (&["--wh\nat"], &["unknown flag '--wh\\nat'"]),
        (&["--load"], &["missing value of --load", "NUMBER"]),
        (&["--load", "--seed", "1"], &["missing value of --load"]),
        (
            &["--seed", "1", "--load", "0.8", "--seed", "1"],
            &["--seed is given twice"],
        ),
        (
            &["--scenario", "best"],
            &["invalid --scenario 'best'", "standard, equal", "scale_out"],
        ),
        (
            &["--strategies", "random,best"],
            &["invalid --strategies 'random,best'", "'best'", "round_robin"],
        ),
        (&["--strategies", ""], &["invalid --strategies ''"]),
        (&["--strategies", "random,"], &["invalid --strategies 'random,'"]),
        (
            &["--strategies", "least_loaded(d=2"],
            &["invalid --strategies 'least_loaded(d=2'"],
        ),
        (
            &["--strategies", "random@0"],
            &["invalid --strategies 'random@0'", "from 1 to 1000000"],
        ),
        (
            &["--strategies", "random+health+eject"],
            &["invalid --strategies 'random+health+eject'", "'eject'", "outliers"],
        ),
        (
            &["--fitness", "health,eject"],
            &["invalid --fitness 'health,eject'", "'eject'", "outliers"],
        ),
        (&["--fitness", ""], &["invalid --fitness ''", "expected none"]),
        (&["--fitness", "health,"], &["invalid --fitness 'health,'"]),
        (
            &["--fitness", "health(interval=0s)"],
            &[
                "invalid --fitness 'health(interval=0s)'",
                "interval '0ns'",
                "from 1 ms to 24 h",
            ],
        ),
        (
            &["--fitness", "outliers", "--strategies", "random,least_loaded+health"],
            &["invalid --fitness 'outliers'", "has its own, least_loaded+health"],
        ),
        (&["--failures", "2"], &["invalid --failures '2'", "from 0 to 1"]),
        (&["--load", "x"], &["invalid --load 'x'", "from 0.01 to 2"]),
        (&["--load", "7"], &["invalid --load '7'", "from 0.01 to 2"]),
        (&["--load", "NaN"], &["invalid --load 'NaN'", "from 0.01 to 2"]),
        (&["--load", "0.\n8"], &["invalid --load '0.\\n8'"]),
        (
            &["--clients", "0"],
            &["invalid --clients '0'", "whole number from 1 to 10000"],
        ),
        (
            &["--clients", "1.5"],
            &["invalid --clients '1.5'", "whole number from 1 to 10000"],
        ),
        (
            &["--requests", "99"],
            &["invalid --requests '99'", "from 100 to 10000000"],
        ),
        (
            &["--requests", "99999999999"],
            &["invalid --requests '99999999999'", "from 100 to 10000000"],
        ),
        (
            &["--servers", "10001"],
            &["invalid --servers '10001'", "from 1 to 10000"],
        ),
        (
            &["--scenario", "fail_fast", "--servers", "3"],
            &["invalid --scenario 'fail_fast'", "3 servers", "at least 4"],
        ),
        (
            &["--servers", "10000", "--clients", "101"],
            &["invalid --scenario 'equal'", "1010000 members", "at most 1000000"],
        ),
        (&["--slots", "-4"], &["invalid --slots '-4'", "from 1 to 1000"]),
        (
            &["--speeds", "1,fast"],
            &["invalid --speeds '1,fast'", "from 0.01 to 100"],
        ),
        (
            &["--speeds", "1,0"],
            &["invalid --speeds '1,0'", "speed 0", "from 0.01 to 100"],
        ),
        (
            &["--queue", "last"],
            &["invalid --queue 'last'", "first_come or shared"],
        ),
        (
            &["--service", "slow"],
            &["invalid --service 'slow'", "constant", "heavy_tailed"],
        ),
        (&["--mean", "10"], &["invalid --mean '10'", "from 1µs to 3600s"]),
        (&["--mean", "2h"], &["invalid --mean '2h'", "from 1µs to 3600s"]),
        (&["--delay", "-1ms"], &["invalid --delay '-1ms'", "from 0ns to 10s"]),
        (
            &["--mean", "1ms", "--delay", "2s"],
            &["invalid --delay '2s'", "from 0ns to 1s"],
        ),
        (&["--timeout", "0s"], &["invalid --timeout '0s'", "from 1ms to 10000s"]),
        (
            &["--arrivals", "late"],
            &["invalid --arrivals 'late'", "poisson, bursty or bursty=MEAN"],
        ),
        (
            &["--arrivals", "bursty=0"],
            &["invalid --arrivals 'bursty=0'", "from 1 to 1000"],
        ),
        (&["--keys", "0"], &["invalid --keys '0'", "from 1 to 10000000"]),
        (&["--zipf", "11"], &["invalid --zipf '11'", "from 0 to 10"]),
        (
            &["--seed", "-1"],
            &["invalid --seed '-1'", "from 0 to 18446744073709551615"],
        ),
        (
            &["--seed", "18446744073709551615", "--seeds", "2"],
            &["invalid --seed", "to 18446744073709551614"],
        ),
        (&["--seeds", "0"], &["invalid --seeds '0'", "from 1 to 1000"]),
        (&["--threads", "0"], &["invalid --threads '0'", "from 1 to 1024"]),
        (&["--format", "xml"], &["invalid --format 'xml'", "table, csv or json"]),
        (&["--log-key", "path"], &["--log-key without --trace"]),
        (
            &["--trace", "a.log", "--log-key", "agent"],
            &["invalid --log-key 'agent'", "client or path"],
        ),
        (
            &["--trace", "/nobody/has.csv"],
            &["invalid --trace '/nobody/has.csv'", "No such file"],
        ),
        (&["--trace", "a.csv", "--mean", "1ms"], &["--mean beside --trace"]),
        (
            &["--trace", "a.csv", "--scenario", "standard"],
            &["--trace with --scenario standard"],
        ),
    ] {
        let (code, stdout, stderr) = run(flags);
        assert_eq!((code, &*stdout), (Some(2), ""), "{flags:?}: {stderr}");
        assert!(told.iter().all(|told| stderr.contains(told)), "{flags:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{flags:?}: {stderr}");
    }
}

#[test]
fn help_is_no_mistake() {
    for flag in ["--help", "-h"] {
        let help = printed(&["--load", "0.8", flag]);
        for flag in [
            "--scenario",
            "--strategies",
            "--fitness",
            "--failures",
            "--load",
            "--clients",
            "--seed",
            "--seeds",
            "--requests",
            "--servers",
            "--slots",
            "--speeds",
            "--service",
            "--mean",
            "--delay",
            "--timeout",
            "--queue",
            "--arrivals",
            "--keys",
            "--zipf",
            "--trace",
            "--log-key",
            "--format",
            "--plot",
            "--threads",
            "--list",
            "--help",
        ] {
            assert!(help.contains(&format!("  {flag} ")), "{flag} is not in {help}");
        }
        assert!(help.lines().all(|line| line.chars().count() <= 110), "{help}");
    }
}

#[test]
fn the_list_has_all_that_can_be_played() {
    let list = printed(&["--list"]);
    for (name, summary) in Scenario::names() {
        let mut lines = list.lines().map(str::trim_start);
        let line = lines.find(|line| line.starts_with(&format!("{name} ")));
        assert!(
            line.is_some_and(|line| line.ends_with(summary)),
            "{name} is not in {list}"
        );
    }
    for line in Strategy::help().lines() {
        assert!(list.contains(line), "{line} is not in {list}");
    }
    assert!(list.contains("\n  standard "), "{list}");
}

#[test]
fn who_stops_reading_is_no_failure() {
    for flags in [
        &["--list"][..],
        &["--help"],
        &["--requests", "100", "--strategies", "random"],
    ] {
        let (program, _, stdout) = Program::start_piped(&mut command(flags));
        drop(stdout);
        let Output { status, stderr, .. } = program.output();
        assert_eq!(
            (status.code(), &*String::from_utf8_lossy(&stderr)),
            (Some(0), ""),
            "{flags:?}"
        );
    }
}
