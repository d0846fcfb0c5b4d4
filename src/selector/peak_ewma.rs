//! Peak EWMA: the least latency × outstanding requests, where peaks count at once and fade slowly.

use std::time::Duration;

use super::{
    AnySelector, Choices, Completion, Latency, LatencyTable, Members, Needs, ParameterError, Pick, Selector,
    latency::{ByLatency, Rule},
    roster::At,
    strategy::named::{Named, Parameter, duration, print_duration},
};
use crate::backend::Backend;

/// Each request goes to the member of the least cost, of `d` = 2 drawn at random by weight without replacement: its
/// latency times the requests that would be open there. O(d), and a reading of the clock. Ties go by weight.
///
/// The latency is an exponentially weighted moving average over time that a slower sample replaces at once, so that a
/// member that becomes slow is left at once, and tried again as the estimate fades: Finagle's
/// [`p2cPeakEwma`](https://twitter.github.io/finagle/guide/Clients.html#power-of-two-choices-p2c-peak-ewma), which
/// linkerd and `tower::load::PeakEwma` follow. Unlike those it reads without writing, takes no lock, and honours weights:
/// the cost is latency × (1 + outstanding ∕ relative weight), where weights are relative to their mean.
///
/// - A failure is a sample of the pool's mean, or of what it took itself if that is more, and keeps a place, in which a
///   request would take as long as one does at members on average, for as many requests to come as
///   [`LeastLoaded`](super::LeastLoaded) says: who always fails draws about an eighth of a fair share, however fast it was.
/// - A request that was given up may raise an estimate, never lower it.
/// - A member without history gets one request at a time, while others have one; the pool's mean stands for its latency.
///
/// Latency is taken to the head of an answer. It says little where answers differ in cost; and a caller that sends one
/// request after the other sends them to the fastest, until what is known of the others has faded.
#[derive(Clone, Debug, PartialEq)]
pub struct PeakEwma(ByLatency);

impl PeakEwma {
    /// Of 2, with a decay of 10 s, Finagle's default.
    pub fn new() -> Self {
        let two = Choices::new(2).unwrap_or_default();
        Self(ByLatency::new(Rule::Peak, two))
    }

    /// The cheapest of so many; with 3 or more, up to twice as many members all are looked at.
    pub fn with_choices(self, choices: Choices) -> Self {
        Self(self.0.with_choices(choices))
    }

    /// How long it takes for what is known to fade to a third (1 ∕ e): from 10 ms to an hour.
    pub fn with_decay(self, decay: Duration) -> Result<Self, ParameterError> {
        let error = || ParameterError::new(Self::NAME, "decay", print_duration(decay), ByLatency::DECAYS);
        self.0.with_decay(decay).map(Self).ok_or_else(error)
    }

    /// How many are compared.
    pub fn choices(&self) -> Choices {
        self.0.choices
    }

    /// How long it takes to fade to a third.
    pub fn decay(&self) -> Duration {
        self.0.decay
    }
}

impl Default for PeakEwma {
    fn default() -> Self {
        Self::new()
    }
}

impl Named for PeakEwma {
    const NAME: &'static str = "peak_ewma";
    const SUMMARY: &'static str =
        "the least latency times open requests, of d members drawn at random; peaks count at once";
    const PARAMETERS: &'static [Parameter<Self>] = &[
        Parameter {
            name: "d",
            allowed: Choices::ALLOWED,
            get: |selector| selector.choices().print(),
            set: |selector, text| Some(selector.clone().with_choices(Choices::read(text)?)),
        },
        Parameter {
            name: "decay",
            allowed: ByLatency::DECAYS,
            get: |selector| print_duration(selector.decay()),
            set: |selector, text| selector.clone().with_decay(duration(text)?).ok(),
        },
    ];

    fn selector<B: Backend>(&self) -> AnySelector<B> {
        AnySelector::new(self.clone())
    }
}

impl<B: Backend> Selector<B> for PeakEwma {
    type Memory = Latency;
    type Table = LatencyTable;

    fn memory(&self, _: &B) -> Latency {
        Latency::default()
    }

    fn prepare(&self, members: &Members<'_, B, Latency>) -> LatencyTable {
        self.0.prepare(members)
    }

    #[inline]
    fn select(&self, table: &LatencyTable, pick: &Pick<'_, B, Latency>) -> Option<At> {
        self.0.select(table, pick)
    }

    fn needs(&self) -> Needs {
        Needs::nothing().completions()
    }

    fn observe(&self, memory: &Latency, completion: &Completion) {
        self.0.observe(memory, completion);
    }
}
