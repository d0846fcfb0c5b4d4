//! What is compared: a strategy and, perhaps, a limit and what keeps requests off bad servers.

use std::{fmt, str::FromStr};

use super::{Fitness, FitnessError};
use crate::{Strategy, StrategyError};

/// What is compared: a strategy and, perhaps, how many requests may be in flight at a server, where who finds all full
/// waits in the pool's first-come queue, and what keeps requests off bad servers.
///
/// As text a strategy, then `@` and a number, or `@+` and how many more than a server has slots, then `+` and what
/// [`Fitness`] takes:
/// ```
/// use equipoise::sim::Contender;
///
/// let contender: Contender = "least_loaded(d=2)@+1+health+outliers".parse()?;
/// assert_eq!(contender.to_string(), "least_loaded(d=2)@+1+health+outliers");
/// assert!("least_loaded@0".parse::<Contender>().is_err());
/// # Ok::<_, equipoise::sim::ContenderError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Contender {
    strategy: Strategy,
    limit: Option<InFlightLimit>,
    fitness: Fitness,
}

/// How many requests of one balancer may be in flight at a server: of what others have sent there it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InFlightLimit {
    /// So many: from 1 to 1,000,000.
    Requests(u32),
    /// So many more than it has slots: up to 1,000,000.
    MoreThanSlots(u32),
}

const MOST: u32 = 1_000_000;

impl InFlightLimit {
    pub(super) fn of(self, slots: u32) -> u32 {
        match self {
            Self::Requests(requests) => requests,
            Self::MoreThanSlots(more) => slots.saturating_add(more),
        }
    }

    fn read(text: &str) -> Option<Self> {
        let whole = |text: &str| {
            let is_whole = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let number: u32 = is_whole.then(|| text.parse().ok()).flatten()?;
            (number <= MOST).then_some(number)
        };
        match text.strip_prefix('+') {
            Some(more) => whole(more).map(Self::MoreThanSlots),
            None => whole(text).filter(|number| *number > 0).map(Self::Requests),
        }
    }
}

impl Contender {
    /// A strategy, without a limit, that takes all servers for fit.
    pub fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            limit: None,
            fitness: Fitness::new(),
        }
    }

    /// The same with at most so many requests in flight at a server, and a first-come queue for who finds all full.
    pub fn with_limit(self, limit: InFlightLimit) -> Self {
        let limit = Some(limit);
        Self { limit, ..self }
    }

    /// The same with what keeps requests off bad servers.
    pub fn with_fitness(self, fitness: Fitness) -> Self {
        Self { fitness, ..self }
    }

    /// The strategy.
    pub fn strategy(&self) -> &Strategy {
        &self.strategy
    }

    /// How many requests may be in flight at a server.
    pub fn limit(&self) -> Option<InFlightLimit> {
        self.limit
    }

    /// What keeps requests off bad servers.
    pub fn fitness(&self) -> &Fitness {
        &self.fitness
    }
}

impl FromStr for Contender {
    type Err = ContenderError;

    fn from_str(text: &str) -> Result<Self, ContenderError> {
        let (text, fitness) = match mechanisms(text) {
            None => (text, Fitness::new()),
            Some((text, fitness)) => (text, fitness.parse().map_err(ContenderError::Fitness)?),
        };
        let (strategy, limit) = match text.rsplit_once('@') {
            None => (text, None),
            Some((strategy, limit)) => {
                let read = InFlightLimit::read(limit.trim());
                (strategy, Some(read.ok_or_else(|| ContenderError::limit(limit))?))
            }
        };
        let strategy = strategy.trim().parse().map_err(ContenderError::Strategy)?;
        Ok(Self {
            strategy,
            limit,
            fitness,
        })
    }
}

/// What is behind the first plus sign that is in no parentheses and does not begin a limit, and what is before it.
fn mechanisms(text: &str) -> Option<(&str, &str)> {
    let (mut depth, mut last) = (0_i32, ' ');
    let plus = text.find(|c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        let is_found = c == '+' && depth <= 0 && last != '@';
        if !c.is_whitespace() {
            last = c;
        }
        is_found
    })?;
    Some((&text[..plus], &text[plus + 1..]))
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.strategy.fmt(f)?;
        match self.limit {
            None => Ok(()),
            Some(InFlightLimit::Requests(requests)) => write!(f, "@{requests}"),
            Some(InFlightLimit::MoreThanSlots(more)) => write!(f, "@+{more}"),
        }?;
        if self.fitness == Fitness::new() {
            return Ok(());
        }
        write!(f, "+{}", self.fitness)
    }
}

/// Why a text is no [`Contender`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ContenderError {
    /// What is before the `@` is no strategy.
    Strategy(StrategyError),
    /// What is behind it is no limit.
    Limit(String),
    /// What is behind a `+` keeps requests off no server.
    Fitness(FitnessError),
}

impl ContenderError {
    fn limit(text: &str) -> Self {
        Self::Limit(text.chars().take(40).flat_map(char::escape_debug).collect())
    }
}

impl fmt::Display for ContenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Strategy(error) => error.fmt(f),
            Self::Fitness(error) => error.fmt(f),
            Self::Limit(text) => write!(
                f,
                "invalid limit '@{text}': expected '@' and a whole number from 1 to {MOST}, or '@+' and one from 0"
            ),
        }
    }
}

impl std::error::Error for ContenderError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Strategy(error) => Some(error),
            Self::Fitness(error) => Some(error),
            Self::Limit(_) => None,
        }
    }
}
