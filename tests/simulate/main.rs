//! The example `simulate` as the program that it is: what it says, what it refuses, and that it plays what it is told.
#![cfg(all(not(loom), unix, feature = "sim"))]

#[path = "../installed/example.rs"]
mod example;
mod flags;
mod formats;
mod playing;
mod plots;
#[allow(dead_code, reason = "others use the rest of it")]
#[path = "../installed/program.rs"]
mod program;
mod recorded;

use std::process::{Command, Output};

use program::Program;

/// The program with these arguments.
fn command(flags: &[&str]) -> Command {
    let mut command = Command::new(example::example("simulate"));
    command.args(flags);
    command
}

/// How it ends: the exit code, stdout and stderr.
fn run(flags: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = Program::start(&mut command(flags)).output();
    let [stdout, stderr] = [stdout, stderr].map(|words| String::from_utf8(words).unwrap());
    (status.code(), stdout, stderr)
}

/// What it prints, provided that it ends well and complains of nothing.
fn printed(flags: &[&str]) -> String {
    let (code, stdout, stderr) = run(flags);
    assert_eq!((code, &*stderr), (Some(0), ""), "{flags:?}");
    stdout
}
