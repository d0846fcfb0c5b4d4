//! Which strategy is best for which servers, simulated with real pools: `cargo run --release --features sim --example
//! simulate -- --scenario antagonists --strategies all --load 0.8 --clients 1 --seed 11 --format table --plot out.svg`.
//!
//! All that is simulated is in `equipoise::sim`. What is here is a command line: what to play, on how many threads, and
//! how the figures are told. `--trace FILE` replays requests that were recorded, `--list` tells what there is to play.

mod axis;
mod command_line;
mod contenders;
mod curves;
mod format;
mod play;
mod plot;
mod plot_file;
mod recorded;
mod report;
mod rows;
mod scenarios;
mod summary;
mod table;
mod values;
mod wish;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use crate::{
    command_line::CommandLine,
    report::Report,
    wish::{Simulation, Wish},
};

fn main() -> ExitCode {
    let wish = CommandLine::read(std::env::args_os().skip(1)).and_then(|line| Wish::of(&line));
    let done = match wish {
        Ok(Wish::Help) => print(command_line::help().as_bytes()),
        Ok(Wish::List) => print(wish::list().as_bytes()),
        Ok(Wish::Simulate(simulation)) => simulate(&simulation),
        Err(wrong) => {
            complain(&wrong);
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn simulate(simulation: &Simulation) -> Result<(), String> {
    let played = play::play(simulation).map_err(|error| error.to_string())?;
    if let (Some(file), [first]) = (&simulation.plot, &*played) {
        let drawn = plot::draw(first).map_err(|error| format!("{}: {error}", file.path().display()))?;
        file.write(drawn.as_bytes())?;
    }
    let report = Report::new(played, simulation.seeds);
    print(&simulation.format.write(&report)?)
}

/// To stdout, of which the reader may have had enough.
fn print(bytes: &[u8]) -> Result<(), String> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("stdout: {error}")),
        _ => Ok(()),
    }
}

/// To stderr: whoever closed it does not want to know.
fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
