//! The command line: which flags there are, and which were given.

use std::{
    borrow::Cow,
    ffi::{OsStr, OsString},
    path::Path,
};

/// A flag: its name, what its value is called (without one it takes none), and what it does.
struct Flag(&'static str, &'static str, &'static str);

const FLAGS: [Flag; 28] = [
    Flag(
        "--scenario",
        "NAME",
        "what to play: one of those that --list tells, or standard: all of the standard set; equal",
    ),
    Flag(
        "--strategies",
        "LIST",
        "some of those that --list tells, separated by commas, perhaps with @N behind one: at most N requests in flight at a server and a queue for the others, or @+N: N more than slots; all is every one with its defaults, and least_loaded@+1, fleet_least_loaded(d=all) and least_loaded(d=2); all",
    ),
    Flag(
        "--fitness",
        "LIST",
        "plays each strategy with each of these, separated by commas, perhaps several with + between them: none; health, asking each server every 5 s, or health(depth=deep,interval=TIME,timeout=TIME,rise=N,fall=N); outliers, ejecting servers whose requests fail; slow_start or slow_start(window=TIME); panic(percent=N); or behind a strategy in --strategies, after a +; none",
    ),
    Flag("--format", "table|csv|json", "how figures are told; table"),
    Flag(
        "--plot",
        "FILE.svg",
        "latencies and load over time, of one scenario and one seed",
    ),
    Flag("--seed", "N", "where all that is random begins; 11"),
    Flag(
        "--seeds",
        "N",
        "each scenario so many times, with this seed and those that follow it; 1",
    ),
    Flag(
        "--threads",
        "N",
        "how many simulations at a time; as many as the machine can run",
    ),
    Flag(
        "--load",
        "NUMBER",
        "how much is asked of the servers, 1 being all that they can do",
    ),
    Flag("--clients", "N", "balancers that know nothing of each other"),
    Flag(
        "--requests",
        "N",
        "how many are measured, after a fifth as many that are not",
    ),
    Flag("--servers", "N", "how many"),
    Flag("--slots", "N", "how many requests a server works on at full speed"),
    Flag(
        "--speeds",
        "LIST",
        "of servers, 1 being usual, such as 1,0.5: every other one takes twice as long",
    ),
    Flag(
        "--queue",
        "first_come|shared",
        "requests of a server wait in their order, or share its slots",
    ),
    Flag(
        "--service",
        "NAME",
        "how long requests take: constant, exponential, normal, bimodal or heavy_tailed",
    ),
    Flag("--mean", "TIME", "how long they take on average"),
    Flag("--delay", "TIME", "on the way to a server, and as long back"),
    Flag("--timeout", "TIME", "a request without an answer by then has failed"),
    Flag(
        "--failures",
        "NUMBER",
        "which part of the requests fails wherever they go",
    ),
    Flag(
        "--arrivals",
        "poisson|bursty[=MEAN]",
        "each request for itself, or so many at once on average; 20",
    ),
    Flag("--keys", "N", "how many different keys requests have"),
    Flag("--zipf", "NUMBER", "how unlike they are: 0, all as frequent, or more"),
    Flag(
        "--trace",
        "FILE",
        "replays recorded requests at these servers: comma-separated values, of which each line is arrival, service time and perhaps key, in seconds unless a first line names columns and units (arrival_ms), or an access log in the common or combined format with the time that the request took as its last field",
    ),
    Flag(
        "--log-key",
        "client|path",
        "what is a request's key in an access log; client",
    ),
    Flag("--list", "", "the scenarios and the strategies"),
    Flag("--help", "", "this text"),
    Flag("-h", "", ""),
];

/// How many columns of help flags take.
const FLAG: usize = 25;
/// How many there are.
const COLUMNS: usize = 110;

/// The text that `--help` asks for.
pub(crate) fn help() -> String {
    let mut help = "Plays strategies against each other, and against one central first-come queue.\n\n".to_owned();
    for Flag(name, value, does) in FLAGS.iter().filter(|Flag(.., does)| !does.is_empty()) {
        let mut line = format!("  {name} {value} ");
        if line.len() > FLAG {
            help += line.trim_end();
            help.push('\n');
            line.clear();
        }
        line = format!("{line:FLAG$}");
        for word in does.split(' ') {
            if line.len() + word.len() > COLUMNS {
                help += line.trim_end();
                help.push('\n');
                line = " ".repeat(FLAG);
            }
            line += word;
            line.push(' ');
        }
        help += line.trim_end();
        help.push('\n');
    }
    help + "\nOf a scenario only what is given changes. Times are such as 250us, 0.5ms, 10ms or 1s.\n"
}

/// The flags that were given, each once.
pub(crate) struct CommandLine {
    given: Vec<(&'static str, OsString)>,
}

impl CommandLine {
    /// The arguments without the program's name; the error names the flag, the value and what is allowed.
    pub(crate) fn read(mut arguments: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let mut given: Vec<(&str, OsString)> = Vec::new();
        while let Some(argument) = arguments.next() {
            let Some(Flag(name, takes, _)) = FLAGS.iter().find(|Flag(name, ..)| *name == argument) else {
                let shown = argument.to_string_lossy();
                return Err(format!(
                    "unknown flag '{}': expected one of those that --help tells",
                    shown.escape_debug()
                ));
            };
            if given.iter().any(|(other, _)| other == name) {
                return Err(format!("{name} is given twice: expected once at most"));
            }
            let value = match takes.is_empty() {
                true => OsString::new(),
                // A flag where a value should be is no value that was meant.
                false => (arguments.next().filter(|value| !is_flag(value)))
                    .ok_or_else(|| format!("missing value of {name}: expected {takes}"))?,
            };
            given.push((name, value));
            if matches!(*name, "--help" | "-h") {
                break;
            }
        }
        Ok(Self { given })
    }

    /// Whether a flag was given.
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.value(flag).is_some()
    }

    /// The value of a flag, if it was given.
    pub(crate) fn text(&self, flag: &str) -> Option<Cow<'_, str>> {
        // What is not Unicode is nothing that any flag but those of files takes.
        self.value(flag).map(OsStr::to_string_lossy)
    }

    /// The value of a flag that names a file.
    pub(crate) fn path(&self, flag: &str) -> Option<&Path> {
        self.value(flag).map(Path::new)
    }

    fn value(&self, flag: &str) -> Option<&OsStr> {
        debug_assert!(FLAGS.iter().any(|Flag(name, ..)| *name == flag), "{flag}");
        let found = self.given.iter().find(|(name, _)| *name == flag);
        found.map(|(_, value)| &**value)
    }
}

fn is_flag(value: &OsStr) -> bool {
    value.as_encoded_bytes().starts_with(b"--")
}
