//! The strategies by name, for configuration files and command lines.

mod error;
pub(crate) mod named;
mod text;

use std::{fmt, str::FromStr};

pub use error::{ParameterError, StrategyError};
use named::Named;

use super::{
    AnySelector, Bounded, Choices, Client, FirstAvailable, FleetLeastLoaded, LeastTime, PeakEwma, Prequal, Random,
    ReportedLoad, Selector, Subset,
    hash::{IpHash, Jump, Maglev, Rendezvous, Ring},
    round_robin::Start,
};
use crate::backend::{Backend, Endpoint};

/// How many strategies may be inside each other.
const DEEPEST: usize = 8;

/// The strategies, in the order in which help lists them.
macro_rules! strategies {
    ($($(#[$doc:meta])* $variant:ident($settings:ty),)+) => {
        /// A selector by its name and parameters: `random`, `least_loaded(d=2)`.
        ///
        /// ```
        /// use equipoise::Strategy;
        ///
        /// let strategy: Strategy = "least_loaded(d=2)".parse()?;
        /// assert_eq!(strategy.to_string(), "least_loaded(d=2)");
        ///
        /// let wrong = "least_loaded(d=0)".parse::<Strategy>().unwrap_err();
        /// assert_eq!(wrong.to_string(), "invalid d '0' of strategy least_loaded: expected a whole number from 1 to 32, or all");
        /// # Ok::<_, equipoise::StrategyError>(())
        /// ```
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Strategy {
            $($(#[$doc])* $variant($settings),)+
        }

        impl Strategy {
            /// Every strategy, with its default parameters: for the help of a command line.
            pub fn all() -> impl Iterator<Item = Self> {
                [$(Self::$variant(<$settings>::default())),+].into_iter()
            }

            /// The name, without parameters.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => <$settings>::NAME,)+
                }
            }

            /// The selector.
            pub fn selector<B: Backend>(&self) -> AnySelector<B> {
                match self {
                    $(Self::$variant(settings) => settings.selector(),)+
                }
            }

            /// The same strategy for one of several clients in a process, as a simulation has them: this one, where it
            /// would be the [process](Client::process).
            pub fn for_client(&self, client: &Client) -> Self {
                match self {
                    $(Self::$variant(settings) => Self::$variant(settings.for_client(client)),)+
                }
            }

            /// Whether it goes by the request's key, and so wants requests to have one.
            pub fn wants_keys(&self) -> bool {
                self.selector::<Endpoint<()>>().needs().wants_keys()
            }

            fn read(name: &str, inside: &str, depth: usize) -> Result<Self, StrategyError> {
                match name {
                    $(<$settings>::NAME => text::read(inside, depth).map(Self::$variant),)+
                    _ => Err(StrategyError::Name(name.to_owned())),
                }
            }

            fn write_help(&self, f: &mut dyn fmt::Write) -> fmt::Result {
                match self {
                    $(Self::$variant(settings) => text::help(settings, f),)+
                }
            }
        }

        /// The text that [`from_str`](Strategy::from_str) reads; parameters only where they are not the default.
        impl fmt::Display for Strategy {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant(settings) => text::write(settings, f),)+
                }
            }
        }
    };
}

strategies! {
    /// [`LeastLoaded`](super::LeastLoaded).
    LeastLoaded(Choices),
    /// [`RoundRobin`](super::RoundRobin).
    RoundRobin(Start),
    /// [`Random`].
    Random(Random),
    /// [`FleetLeastLoaded`].
    FleetLeastLoaded(FleetLeastLoaded),
    /// [`ReportedLoad`].
    ReportedLoad(ReportedLoad),
    /// [`PeakEwma`].
    PeakEwma(PeakEwma),
    /// [`LeastTime`].
    LeastTime(LeastTime),
    /// [`Prequal`].
    Prequal(Prequal),
    /// [`Ring`].
    Ring(Ring),
    /// [`Maglev`].
    Maglev(Maglev),
    /// [`Rendezvous`].
    Rendezvous(Rendezvous),
    /// [`Jump`].
    Jump(Jump),
    /// [`IpHash`].
    IpHash(IpHash),
    /// [`Bounded`].
    Bounded(Bounded<Box<Strategy>>),
    /// [`FirstAvailable`].
    FirstAvailable(FirstAvailable),
    /// [`Subset`].
    Subset(Subset<Box<Strategy>>),
}

impl Strategy {
    /// All strategies with their parameters, defaults and ranges: for the help of a command line.
    pub fn help() -> String {
        let mut help = String::new();
        for strategy in Self::all() {
            // A string takes whatever is written to it.
            let _ = strategy.write_help(&mut help);
        }
        help
    }
}

impl Default for Strategy {
    fn default() -> Self {
        Self::LeastLoaded(Choices::default())
    }
}

impl FromStr for Strategy {
    type Err = StrategyError;

    fn from_str(text: &str) -> Result<Self, StrategyError> {
        text::strategy(text, 0)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Strategy {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Strategy {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Strategy;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a strategy such as least_loaded(d=2)")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Strategy, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_strategy_reads_what_it_prints() {
        for strategy in Strategy::all() {
            assert_eq!(strategy.to_string().parse(), Ok(strategy));
        }
        for text in ["least_loaded(d=2)", " least_loaded ( d = 2 ) "] {
            assert_eq!(text.parse::<Strategy>().unwrap().to_string(), "least_loaded(d=2)");
        }
        assert_eq!("least_loaded(d=8)".parse(), Ok(Strategy::default()));
        assert_eq!("random()".parse(), Ok(Strategy::Random(Random::new())));
    }

    #[test]
    fn who_would_be_the_process_is_the_client_however_deep() {
        for (text, expected) in [
            ("subset(random)", "subset(random,client=a)"),
            ("subset(random,client=7)", "subset(random,client=7)"),
            (
                "subset(bounded(random,factor=2),size=3)",
                "subset(bounded(random,factor=2),size=3,client=a)",
            ),
            ("bounded(ring(size=100),factor=2)", "bounded(ring(size=100),factor=2)"),
            (
                "subset(subset(random,client=7))",
                "subset(subset(random,client=7),client=a)",
            ),
            (
                "subset(subset(random),client=7)",
                "subset(subset(random,client=a),client=7)",
            ),
        ] {
            let strategy: Strategy = text.parse().unwrap();
            let its = strategy.for_client(&Client::named("a").unwrap());
            assert_eq!(its, expected.parse().unwrap(), "{text}");
        }
        for strategy in Strategy::all().filter(|strategy| strategy.name() != "subset") {
            assert_eq!(strategy.for_client(&Client::number(1)), strategy);
        }
    }

    #[test]
    fn an_unknown_name_is_told_with_those_there_are() {
        for name in ["", "fastest"] {
            let message = name.parse::<Strategy>().unwrap_err().to_string();
            let names = message.strip_prefix(&format!("unknown strategy '{name}': expected "));
            let names: Vec<_> = names.unwrap().split(", ").collect();
            assert!(
                names.iter().eq(Strategy::all()
                    .map(|strategy| strategy.name())
                    .collect::<Vec<_>>()
                    .iter())
            );
            assert_eq!(names[..3], ["least_loaded", "round_robin", "random"]);
        }
    }

    #[test]
    fn strategies_are_inside_each_other() {
        for (text, printed) in [
            ("bounded", "bounded"),
            ("bounded(ring)", "bounded"),
            (
                "bounded( least_loaded( d=2 ) , factor=2)",
                "bounded(least_loaded(d=2),factor=2)",
            ),
            ("bounded(factor=1.5,maglev)", "bounded(maglev,factor=1.5)"),
            ("bounded(bounded(random))", "bounded(bounded(random))"),
        ] {
            let strategy: Strategy = text.parse().unwrap();
            assert_eq!(strategy.to_string(), printed);
            assert_eq!(printed.parse(), Ok(strategy));
        }
        let nested = |depth| format!("{}random{}", "bounded(".repeat(depth), ")".repeat(depth));
        assert!(nested(DEEPEST - 1).parse::<Strategy>().is_ok());
        assert_eq!(nested(DEEPEST).parse::<Strategy>(), Err(StrategyError::Depth));
        assert_eq!(nested(100_000).parse::<Strategy>(), Err(StrategyError::Depth));
        for (text, message) in [
            ("bounded(random,ring)", "invalid strategy: expected a strategy once"),
            ("bounded(best)", "unknown strategy 'best': expected least_loaded, "),
            (
                "bounded(subset(ring))",
                "invalid strategy: expected another than subset inside bounded, which undoes it",
            ),
            (
                "subset(prequal)",
                "invalid strategy: expected another than prequal inside subset, which undoes it",
            ),
            (
                "bounded(d=2)",
                "unknown parameter 'd' of strategy bounded: expected a strategy, factor",
            ),
            (
                "random(ring)",
                "unknown parameter 'ring' of strategy random: expected none",
            ),
            ("bounded(random))", "invalid strategy 'bounded(random))': expected NAME"),
            ("bounded((random)", "invalid strategy 'bounded((random)': expected NAME"),
        ] {
            let told = text.parse::<Strategy>().unwrap_err().to_string();
            assert!(told.starts_with(message), "{text}: {told}");
        }
    }

    #[test]
    fn help_tells_every_strategy_with_its_parameters() {
        let help = Strategy::help();
        assert!(help.contains("least_loaded(d=8)\n") && help.contains("    factor: a number from 1 to 100\n"));
        for strategy in Strategy::all() {
            assert!(help.lines().any(|line| line.starts_with(strategy.name())), "{strategy}");
        }
        let lines = help.lines().filter(|line| !line.starts_with(' '));
        for line in lines {
            assert!(
                line.parse::<Strategy>().is_ok(),
                "what help shows is what can be said: {line}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_allowed() {
        for (text, message) in [
            (
                "random(",
                "invalid strategy 'random(': expected NAME or NAME(PARAMETER=VALUE)",
            ),
            ("least_loaded(d=2,d=3)", "invalid strategy: expected d once"),
            ("random(d=2)", "unknown parameter 'd' of strategy random: expected none"),
            (
                "least_loaded(k=2)",
                "unknown parameter 'k' of strategy least_loaded: expected d",
            ),
            (
                "least_loaded(d)",
                "invalid d '' of strategy least_loaded: expected a whole number from 1 to 32, or all",
            ),
            (
                "least_loaded(d=33)",
                "invalid d '33' of strategy least_loaded: expected a whole number from 1 to 32, or all",
            ),
            (
                "least_loaded(d=+2)",
                "invalid d '+2' of strategy least_loaded: expected a whole number from 1 to 32, or all",
            ),
            (
                "least_loaded(d=-1)",
                "invalid d '-1' of strategy least_loaded: expected a whole number from 1 to 32, or all",
            ),
        ] {
            assert_eq!(text.parse::<Strategy>().unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn what_is_wrong_is_told_in_one_line_that_is_not_long() {
        let long = "x".repeat(100_000);
        let message = |text: &str| text.parse::<Strategy>().unwrap_err().to_string();
        for wrong in ["\u{1b}[2J\n", &long] {
            for (text, rest) in [
                (wrong.to_owned(), 300),
                (format!("{wrong}(d=2)"), 300),
                (format!("random({wrong}"), 150),
                (format!("least_loaded({wrong}=2)"), 150),
                (format!("least_loaded(d={wrong})"), 150),
                (format!("bounded({wrong})"), 300),
                (format!("subset(client={wrong}\u{1b}1)"), 250),
            ] {
                let told = message(&text);
                assert!(!told.contains(char::is_control), "{told:?}");
                assert!(told.chars().count() < rest, "{} characters", told.chars().count());
            }
        }
        assert_eq!(
            message(&format!("least_loaded(d={long})")),
            format!(
                "invalid d '{}…' of strategy least_loaded: expected a whole number from 1 to 32, or all",
                &long[..60]
            )
        );
    }

    #[cfg(feature = "serde")]
    #[test]
    fn serde_reads_and_writes_the_same_text() {
        for strategy in Strategy::all().chain(["least_loaded(d=2)".parse().unwrap()]) {
            let json = serde_json::to_string(&strategy).unwrap();
            assert_eq!(json, format!("\"{strategy}\""));
            assert_eq!(serde_json::from_str::<Strategy>(&json).unwrap(), strategy);
        }
        for (json, part) in [
            ("7", "a strategy such as least_loaded(d=2)"),
            ("null", "a strategy such as least_loaded(d=2)"),
            (
                "\"fastest\"",
                "unknown strategy 'fastest': expected least_loaded, round_robin, random, fleet_least_loaded, reported_load",
            ),
            (
                "\"least_loaded(d=0)\"",
                "invalid d '0' of strategy least_loaded: expected a whole number from 1 to 32, or all",
            ),
        ] {
            let error = serde_json::from_str::<Strategy>(json).unwrap_err().to_string();
            assert!(error.contains(part), "{json}: {error}");
        }
    }
}
