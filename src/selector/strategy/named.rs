//! What a selector's settings are called in text.

use std::time::Duration;

use super::Strategy;
use crate::{
    backend::Backend,
    selector::{AnySelector, Client},
};

/// A selector's settings with a name, so that a configuration can speak of them.
pub(crate) trait Named: Clone + Default + 'static {
    const NAME: &'static str;
    /// What it does, in half a line, for the help of a command line.
    const SUMMARY: &'static str;
    const PARAMETERS: &'static [Parameter<Self>] = &[];

    fn selector<B: Backend>(&self) -> AnySelector<B>;

    /// The strategy inside, of a selector around another.
    fn inner(&self) -> Option<&Strategy> {
        None
    }

    /// The same around another strategy; none if it is around none, or undoes that one.
    fn around(&self, inner: Strategy) -> Option<Self> {
        let _ = inner;
        None
    }

    /// The same for this client, where it would be for the process.
    fn for_client(&self, client: &Client) -> Self {
        let inner = self.inner().map(|inner| inner.for_client(client));
        inner
            .and_then(|inner| self.around(inner))
            .unwrap_or_else(|| self.clone())
    }
}

/// A parameter, which is written `name=value`.
pub(crate) struct Parameter<S: 'static> {
    pub(crate) name: &'static str,
    /// The range, as an error tells it: "a whole number from 1 to 32".
    pub(crate) allowed: &'static str,
    /// Its value, as it is written.
    pub(crate) get: fn(&S) -> String,
    /// The settings with a value as it is written; none if that is out of range.
    pub(crate) set: fn(&S, &str) -> Option<S>,
}

/// A whole number in digits alone: `+2` would parse, and nobody means it.
pub(crate) fn whole<T: std::str::FromStr>(text: &str) -> Option<T> {
    let is_whole = text.bytes().all(|byte| byte.is_ascii_digit());
    is_whole.then(|| text.parse().ok()).flatten()
}

/// A decimal number such as 1.25: neither infinite nor none at all.
pub(crate) fn decimal(text: &str) -> Option<f64> {
    let is_decimal = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
    is_decimal.then(|| text.parse().ok()).flatten()
}

/// A time such as 10s, 250ms or 3m.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = whole(&text[..digits]).filter(|_| digits > 0)?;
    match &text[digits..] {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        _ => None,
    }
}

/// As [`duration`] reads it, to the millisecond.
pub(crate) fn print_duration(duration: Duration) -> String {
    match duration.as_millis() {
        millis if millis % 60_000 == 0 && millis > 0 => format!("{}m", millis / 60_000),
        millis if millis % 1_000 == 0 => format!("{}s", millis / 1_000),
        millis => format!("{millis}ms"),
    }
}
