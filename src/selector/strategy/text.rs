//! Strategies as text: `NAME`, `NAME(PARAMETER=VALUE, …)`, and around another `NAME(STRATEGY, PARAMETER=VALUE, …)`.

use std::fmt;

use super::{DEEPEST, ParameterError, Strategy, StrategyError, named::Named};

/// Reads settings whose name was read already, from what is in their parentheses.
pub(super) fn read<S: Named>(inside: &str, depth: usize) -> Result<S, StrategyError> {
    let mut settings = S::default();
    let mut seen = Vec::new();
    for part in parts(inside).map(str::trim).filter(|part| !part.is_empty()) {
        let (key, value) = match part.find(['=', '(']) {
            Some(at) if part[at..].starts_with('=') => (part[..at].trim_end(), part[at + 1..].trim_start()),
            _ if settings.inner().is_some() => ("", part),
            _ => (part, ""),
        };
        if seen.contains(&key) {
            let twice = if key.is_empty() { "a strategy" } else { key };
            return Err(StrategyError::Twice(twice.to_owned()));
        }
        seen.push(key);
        settings = if key.is_empty() && settings.inner().is_some() {
            let inner = strategy(value, depth + 1)?;
            let undone = StrategyError::Inside {
                strategy: S::NAME,
                inner: inner.name(),
            };
            settings.around(inner).ok_or(undone)?
        } else {
            set(&settings, key, value)?
        };
    }
    Ok(settings)
}

fn set<S: Named>(settings: &S, key: &str, value: &str) -> Result<S, StrategyError> {
    let Some(parameter) = S::PARAMETERS.iter().find(|parameter| parameter.name == key) else {
        let mut allowed: Vec<_> = S::PARAMETERS.iter().map(|parameter| parameter.name).collect();
        if settings.inner().is_some() {
            allowed.insert(0, "a strategy");
        }
        return Err(StrategyError::Parameter {
            strategy: S::NAME,
            parameter: key.to_owned(),
            allowed: if allowed.is_empty() {
                "none".to_owned()
            } else {
                allowed.join(", ")
            },
        });
    };
    (parameter.set)(settings, value)
        .ok_or_else(|| ParameterError::new(S::NAME, parameter.name, value, parameter.allowed).into())
}

/// Reads a strategy that is inside so many others.
pub(super) fn strategy(text: &str, depth: usize) -> Result<Strategy, StrategyError> {
    if depth >= DEEPEST {
        return Err(StrategyError::Depth);
    }
    let text = text.trim();
    let (name, inside) = match text.split_once('(') {
        None => (text, ""),
        Some((name, rest)) => {
            let inside = rest.strip_suffix(')').filter(|inside| is_balanced(inside));
            let inside = inside.ok_or_else(|| StrategyError::Form(text.to_owned()))?;
            (name.trim_end(), inside)
        }
    };
    Strategy::read(name, inside, depth)
}

fn is_balanced(text: &str) -> bool {
    let step = |depth: usize, c| match c {
        '(' => depth.checked_add(1),
        ')' => depth.checked_sub(1),
        _ => Some(depth),
    };
    text.chars().try_fold(0, step) == Some(0)
}

/// What stands between the commas, but for those within parentheses.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    text.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
}

/// Writes what [`strategy`] reads; parameters only where they are not the default.
pub(super) fn write<S: Named>(settings: &S, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let default = S::default();
    let inner = settings.inner().filter(|inner| default.inner() != Some(inner));
    let changed = S::PARAMETERS.iter().filter_map(|parameter| {
        let value = (parameter.get)(settings);
        (value != (parameter.get)(&default)).then(|| format!("{}={value}", parameter.name))
    });
    let parts: Vec<String> = inner.map(ToString::to_string).into_iter().chain(changed).collect();
    f.write_str(S::NAME)?;
    if parts.is_empty() {
        return Ok(());
    }
    write!(f, "({})", parts.join(","))
}

/// A line of help: the name, all parameters with their defaults and ranges, and what it does.
pub(super) fn help<S: Named>(settings: &S, f: &mut dyn fmt::Write) -> fmt::Result {
    let inner = settings.inner().map(ToString::to_string);
    let parameters = S::PARAMETERS
        .iter()
        .map(|parameter| format!("{}={}", parameter.name, (parameter.get)(settings)));
    let parts: Vec<String> = inner.into_iter().chain(parameters).collect();
    let form = match parts.is_empty() {
        true => S::NAME.to_owned(),
        false => format!("{}({})", S::NAME, parts.join(",")),
    };
    writeln!(f, "{form}\n    {}", S::SUMMARY)?;
    for parameter in S::PARAMETERS {
        writeln!(f, "    {}: {}", parameter.name, parameter.allowed)?;
    }
    Ok(())
}
