//! What is wished for.

use std::{num::NonZero, thread};

use equipoise::{
    Strategy,
    sim::{Contender, Scenario},
};

use crate::{
    command_line::CommandLine,
    contenders,
    format::Format,
    plot_file::PlotFile,
    scenarios::{self, STANDARD},
    values::{count, wrong},
};

const SEED: u64 = 11;

pub(crate) enum Wish {
    Help,
    List,
    Simulate(Box<Simulation>),
}

/// All that is played, and how it is told.
pub(crate) struct Simulation {
    /// Those that differ in nothing but the seed, of which there are so many, follow each other.
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) seeds: usize,
    pub(crate) contenders: Vec<Contender>,
    pub(crate) threads: usize,
    pub(crate) format: Format,
    /// Only if there is one scenario.
    pub(crate) plot: Option<PlotFile>,
}

impl Wish {
    /// The error names the flag, the value and what is allowed.
    pub(crate) fn of(line: &CommandLine) -> Result<Self, String> {
        if line.has("--help") || line.has("-h") {
            return Ok(Self::Help);
        }
        if line.has("--list") {
            return Ok(Self::List);
        }
        let format = Format::read(line)?;
        let contenders = contenders::read(line)?;
        let machine = thread::available_parallelism().map_or(1, NonZero::get);
        let threads = count(line, "--threads", 1..=1024, u32::try_from(machine).unwrap_or(1))?;
        let seeds = seeds(line)?;
        let scenarios: Vec<_> = scenarios::read(line)?
            .into_iter()
            .flat_map(|scenario| seeds.iter().map(move |seed| scenario.clone().with_seed(*seed)))
            .collect();
        let plot = line.path("--plot").map(|path| match scenarios.len() {
            1 => PlotFile::new(path),
            number => Err(wrong(
                "--plot",
                &path.to_string_lossy(),
                format!("expected one scenario and one seed, not {number} of both"),
            )),
        });
        Ok(Self::Simulate(Box::new(Simulation {
            scenarios,
            seeds: seeds.len(),
            contenders,
            threads: threads as usize,
            format,
            plot: plot.transpose()?,
        })))
    }
}

fn seeds(line: &CommandLine) -> Result<Vec<u64>, String> {
    let number = u64::from(count(line, "--seeds", 1..=1000, 1)?);
    let first = line.text("--seed").map_or(Ok(SEED), |text| {
        // The last of them is a number as well.
        let most = u64::MAX - (number - 1);
        let seed = text.parse().ok().filter(|seed| *seed <= most);
        seed.ok_or_else(|| wrong("--seed", &text, format!("expected a whole number from 0 to {most}")))
    })?;
    Ok((first..=first + (number - 1)).collect())
}

/// The text that `--list` asks for.
pub(crate) fn list() -> String {
    let mut list =
        format!("Scenarios:\n  {STANDARD:26} all of the standard set: the first 14, at loads of 0.7 and 0.9\n");
    for (name, summary) in Scenario::names() {
        list += &format!("  {name:26} {summary}\n");
    }
    list += "\nStrategies, with what they take unless said otherwise:\n";
    for line in Strategy::help().lines() {
        list += &format!("  {line}\n");
    }
    list
}
