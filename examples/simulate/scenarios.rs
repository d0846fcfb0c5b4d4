//! What is played: scenarios by name, changed by what was given.

use std::time::Duration;

use equipoise::sim::{Arrivals, Discipline, Keys, Scenario, ScenarioError, ServiceTime};

use crate::{
    command_line::CommandLine,
    recorded,
    values::{number, time, whole, wrong},
};

/// The name of all scenarios of the standard set.
pub(crate) const STANDARD: &str = "standard";
/// As many at once as in the scenario `bursts`.
const BURST: f64 = 20.0;
/// What a trace has of its own.
const RECORDED: [&str; 5] = ["--service", "--mean", "--arrivals", "--keys", "--zipf"];

/// Each once.
pub(crate) fn read(line: &CommandLine) -> Result<Vec<Scenario>, String> {
    let name = line.text("--scenario").unwrap_or("equal".into());
    let named = match &*name {
        STANDARD => Scenario::standard(),
        name => Scenario::named(name).map(|scenario| vec![scenario]),
    };
    let named = named.map_err(|error| {
        let names: Vec<_> = Scenario::names().map(|(name, _)| name).collect();
        wrong(
            "--scenario",
            &name,
            format!("{error}: expected {STANDARD}, {}", names.join(", ")),
        )
    })?;
    let mut scenarios = Vec::new();
    for scenario in named {
        let scenario = changed(line, scenario)?;
        // With a load that is given, those that differ in nothing else are one.
        if !scenarios.contains(&scenario) {
            scenarios.push(scenario);
        }
    }
    replayed(line, scenarios)?
        .into_iter()
        .map(|scenario| measured(line, scenario))
        .collect()
}

/// Other servers, other requests.
fn changed(line: &CommandLine, scenario: Scenario) -> Result<Scenario, String> {
    let change = Change { line };
    let scenario = change.whole(scenario, "--servers", Scenario::with_servers)?;
    let scenario = change.whole(scenario, "--slots", Scenario::with_slots)?;
    let scenario = change.whole(scenario, "--clients", Scenario::with_clients)?;
    let scenario = change.number(scenario, "--load", Scenario::with_load)?;
    let scenario = speeds(line, scenario)?;
    let scenario = match line.text("--queue").as_deref() {
        None => scenario,
        Some("first_come") => scenario.with_discipline(Discipline::FirstCome),
        Some("shared") => scenario.with_discipline(Discipline::ProcessorSharing),
        Some(other) => return Err(wrong("--queue", other, "expected first_come or shared")),
    };
    let scenario = service(line, scenario)?;
    let scenario = change.with(scenario, "--mean", time, Scenario::with_mean, |least, most| {
        let [least, most] = [least, most].map(Duration::from_secs_f64);
        format!("a time such as 10ms, from {least:?} to {most:?}")
    })?;
    let scenario = arrivals(line, scenario)?;
    let scenario = change.number(scenario, "--failures", Scenario::with_failures)?;
    let scenario = change.whole(scenario, "--keys", |scenario, number| {
        let keys = Keys {
            number,
            ..scenario.keys()
        };
        scenario.with_keys(keys)
    })?;
    change.number(scenario, "--zipf", |scenario, exponent| {
        let keys = Keys {
            exponent,
            ..scenario.keys()
        };
        scenario.with_keys(keys)
    })
}

/// With requests that were recorded, if so.
fn replayed(line: &CommandLine, mut scenarios: Vec<Scenario>) -> Result<Vec<Scenario>, String> {
    let Some(path) = line.path("--trace") else {
        // That there is no trace it finds as well, and more that may be wrong with that.
        return recorded::read(line).map(|_| scenarios);
    };
    if let Some(other) = RECORDED.into_iter().find(|flag| line.has(flag)) {
        return Err(format!(
            "{other} beside --trace: expected one of both, as a trace has its own"
        ));
    }
    if scenarios.len() > 1 {
        return Err(format!(
            "--trace with --scenario {STANDARD}: expected a scenario that says what servers there are"
        ));
    }
    let (Some(trace), Some(scenario)) = (recorded::read(line)?, scenarios.pop()) else {
        return Ok(scenarios);
    };
    let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let name = format!("{} at {}", file.escape_debug(), scenario.name());
    // A load that is given stretches what was recorded.
    let load = line.has("--load").then_some(scenario.load());
    let replayed = scenario.replay(trace).and_then(|replayed| {
        let replayed = match load {
            Some(load) => replayed.with_load(load)?,
            None => replayed,
        };
        replayed.check()?;
        Ok(replayed.with_name(name))
    });
    let replayed = replayed.map_err(|error| {
        let why = format!("{error} (--servers, --slots and --speeds say what serves them, --load how close together)");
        wrong("--trace", &path.to_string_lossy(), why)
    })?;
    Ok(vec![replayed])
}

/// How much is measured, and times in units of the mean, which is known by now.
fn measured(line: &CommandLine, scenario: Scenario) -> Result<Scenario, String> {
    let change = Change { line };
    let scenario = change.whole(scenario, "--requests", Scenario::with_requests)?;
    let scenario = change.time(scenario, "--delay", Scenario::with_delay)?;
    let scenario = change.time(scenario, "--timeout", Scenario::with_timeout)?;
    match scenario.check() {
        Ok(()) => Ok(scenario),
        Err(error) => Err(wrong("--scenario", scenario.name(), error)),
    }
}

fn speeds(line: &CommandLine, scenario: Scenario) -> Result<Scenario, String> {
    let Some(list) = line.text("--speeds") else {
        return Ok(scenario);
    };
    let speeds: Vec<f64> = list.split(',').map(|speed| number(speed.trim())).collect();
    let changed = scenario.with_speeds(speeds);
    changed.map_err(|error| wrong("--speeds", &list, format!("{error}, such as 1,0.5")))
}

fn service(line: &CommandLine, scenario: Scenario) -> Result<Scenario, String> {
    let Some(name) = line.text("--service") else {
        return Ok(scenario);
    };
    let service = ServiceTime::ALL.into_iter().find(|service| service.name() == name);
    service.map(|service| scenario.with_service(service)).ok_or_else(|| {
        let names = ServiceTime::ALL.map(ServiceTime::name);
        wrong("--service", &name, format!("expected {}", names.join(", ")))
    })
}

fn arrivals(line: &CommandLine, scenario: Scenario) -> Result<Scenario, String> {
    let Some(text) = line.text("--arrivals") else {
        return Ok(scenario);
    };
    let arrivals = match text.split_once('=') {
        None if text == "poisson" => Arrivals::Poisson,
        None if text == "bursty" => Arrivals::Bursty(BURST),
        Some(("bursty", mean)) => Arrivals::Bursty(number(mean)),
        _ => return Err(wrong("--arrivals", &text, "expected poisson, bursty or bursty=MEAN")),
    };
    let changed = scenario.with_arrivals(arrivals);
    changed.map_err(|error| match error {
        ScenarioError::Range {
            range: (least, most), ..
        } => {
            let why = format!("expected bursty= and a number from {least} to {most}");
            wrong("--arrivals", &text, why)
        }
        error => wrong("--arrivals", &text, error),
    })
}

/// Changes a scenario by a flag if that was given.
struct Change<'a> {
    line: &'a CommandLine,
}

impl Change<'_> {
    fn number(
        &self,
        scenario: Scenario,
        flag: &str,
        set: impl FnOnce(Scenario, f64) -> Result<Scenario, ScenarioError>,
    ) -> Result<Scenario, String> {
        let allowed = |least, most| format!("a number from {least} to {most}");
        self.with(scenario, flag, number, set, allowed)
    }

    fn whole(
        &self,
        scenario: Scenario,
        flag: &str,
        set: impl FnOnce(Scenario, u32) -> Result<Scenario, ScenarioError>,
    ) -> Result<Scenario, String> {
        let allowed = |least, most| format!("a whole number from {least} to {most}");
        self.with(scenario, flag, whole, set, allowed)
    }

    /// A time that the scenario has in units of its mean.
    fn time(
        &self,
        scenario: Scenario,
        flag: &str,
        set: impl FnOnce(Scenario, f64) -> Result<Scenario, ScenarioError>,
    ) -> Result<Scenario, String> {
        let mean = scenario.mean();
        let set = |scenario, time: Duration| set(scenario, time.as_secs_f64() / mean.as_secs_f64());
        self.with(scenario, flag, time, set, |least, most| {
            let [shortest, longest] = [least, most].map(|means| mean.mul_f64(means));
            format!("a time such as 0.5ms, from {shortest:?} to {longest:?} ({least} to {most} mean service times)")
        })
    }

    fn with<T>(
        &self,
        scenario: Scenario,
        flag: &str,
        read: impl FnOnce(&str) -> T,
        set: impl FnOnce(Scenario, T) -> Result<Scenario, ScenarioError>,
        allowed: impl FnOnce(f64, f64) -> String,
    ) -> Result<Scenario, String> {
        let Some(text) = self.line.text(flag) else {
            return Ok(scenario);
        };
        set(scenario, read(&text)).map_err(|error| match error {
            ScenarioError::Range {
                range: (least, most), ..
            } => wrong(flag, &text, format!("expected {}", allowed(least, most))),
            error => wrong(flag, &text, error),
        })
    }
}
