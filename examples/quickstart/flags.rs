//! The command line.

use std::ops::RangeInclusive;

use equipoise::Strategy;

const REQUESTS: RangeInclusive<u64> = 1..=10_000_000;

pub(crate) const HELP: &str = "\
Balances HTTP requests over backends that come and go.

  --requests N      how many, from 1 to 10000000; 20000 unless said otherwise
  --strategy TEXT   which backend: least_loaded (unless said otherwise), least_loaded(d=2), round_robin, random and others
  --help            this text
";

pub(crate) struct Flags {
    pub(crate) requests: u64,
    pub(crate) strategy: Strategy,
}

/// What this process is: the balancing client, or one of the backends that the client starts.
pub(crate) enum Role {
    Balance(Box<Flags>),
    Serve(String),
    Help,
}

/// The hidden first argument of a backend's process, whose id follows.
pub(crate) const SERVE: &str = "serve";

impl Role {
    /// The arguments without the program's name; the error names the flag, the value and what is allowed.
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut flags = Flags {
            requests: 20_000,
            strategy: Strategy::default(),
        };
        while let Some(flag) = arguments.next() {
            let mut value = || arguments.next().unwrap_or_default();
            match &*flag {
                "--requests" => flags.requests = requests(&value())?,
                "--strategy" => flags.strategy = strategy(&value())?,
                "--help" | "-h" => return Ok(Self::Help),
                SERVE => return Ok(Self::Serve(value())),
                _ => {
                    return Err(format!(
                        "unknown flag '{flag}': expected --requests N, --strategy TEXT or --help"
                    ));
                }
            }
        }
        Ok(Self::Balance(Box::new(flags)))
    }
}

fn requests(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| REQUESTS.contains(number));
    let (least, most) = (REQUESTS.start(), REQUESTS.end());
    number.ok_or_else(|| format!("invalid --requests '{text}': expected a whole number from {least} to {most}"))
}

fn strategy(text: &str) -> Result<Strategy, String> {
    (text.parse()).map_err(|error| format!("invalid --strategy '{text}': {error}"))
}
