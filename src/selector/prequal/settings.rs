//! Prequal's parameters, named as in the paper.

use std::{fmt, time::Duration};

use super::{Prequal, replies::SLOTS};
use crate::{
    backend::Backend,
    selector::{
        AnySelector, ParameterError,
        strategy::named::{Named, Parameter, decimal, duration, print_duration, whole},
    },
};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) r_probe: f64,
    pub(super) m: usize,
    pub(super) q_rif: f64,
    pub(super) r_remove: f64,
    pub(super) delta: f64,
    pub(super) age: Duration,
    pub(super) idle: Duration,
}

impl Settings {
    /// §5.
    pub(super) const PAPER: Self = Self {
        r_probe: 3.0,
        m: SLOTS,
        // 2^−0.25
        q_rif: 0.840_896_415_253_714_5,
        r_remove: 1.0,
        delta: 1.0,
        age: Duration::from_secs(1),
        idle: Duration::from_millis(500),
    };
}

const RATE: &str = "a number from 0.01 to 100";
const SIZE: &str = "a whole number from 2 to 16";
const QUANTILE: &str = "a number from 0 to 1";
const REMOVED: &str = "a number from 0 to 16";
const TIME: &str = "a time from 10ms to 60m";

fn is_rate(rate: f64) -> bool {
    // A number that is none is in no range.
    (0.01..=100.0).contains(&rate)
}

fn is_time(time: Duration) -> bool {
    (Duration::from_millis(10)..=Duration::from_secs(3600)).contains(&time)
}

impl Prequal {
    /// These settings, if the value among them is in its range.
    fn with(
        (name, allowed): (&'static str, &'static str),
        value: impl fmt::Display,
        is_in_range: bool,
        settings: Settings,
    ) -> Result<Self, ParameterError> {
        let error = || ParameterError::new(Self::NAME, name, value, allowed);
        is_in_range.then(|| Self::of(settings)).ok_or_else(error)
    }

    /// Probes for each request, on average: from 0.01 to 100.
    pub fn with_r_probe(self, r_probe: f64) -> Result<Self, ParameterError> {
        let settings = Settings {
            r_probe,
            ..self.settings
        };
        Self::with(("r_probe", RATE), r_probe, is_rate(r_probe), settings)
    }

    /// The most replies in the pool: from 2 to 16.
    pub fn with_m(self, m: usize) -> Result<Self, ParameterError> {
        let settings = Settings { m, ..self.settings };
        Self::with(("m", SIZE), m, (2..=SLOTS).contains(&m), settings)
    }

    /// The quantile of the RIFs beyond which a reply is hot: from 0, by RIF alone, to 1, by latency alone. The paper finds
    /// all from 0.6 to 0.9 good.
    pub fn with_q_rif(self, q_rif: f64) -> Result<Self, ParameterError> {
        let settings = Settings { q_rif, ..self.settings };
        Self::with(("q_rif", QUANTILE), q_rif, (0.0..=1.0).contains(&q_rif), settings)
    }

    /// Replies that are removed with each request, on average: from 0 to 16.
    pub fn with_r_remove(self, r_remove: f64) -> Result<Self, ParameterError> {
        let settings = Settings {
            r_remove,
            ..self.settings
        };
        Self::with(
            ("r_remove", REMOVED),
            r_remove,
            (0.0..=SLOTS as f64).contains(&r_remove),
            settings,
        )
    }

    /// How many replies the pool is to gain with each request, the paper's δ: from 0.01 to 100.
    pub fn with_delta(self, delta: f64) -> Result<Self, ParameterError> {
        let settings = Settings { delta, ..self.settings };
        Self::with(("delta", RATE), delta, is_rate(delta), settings)
    }

    /// How old a reply may be: from 10 ms to an hour. It is judged by the time that the driver or a report last told.
    pub fn with_age(self, age: Duration) -> Result<Self, ParameterError> {
        let settings = Settings { age, ..self.settings };
        Self::with(("age", TIME), print_duration(age), is_time(age), settings)
    }

    /// After how long without a probe `r_probe` are made unasked, and at least two: from 10 ms to an hour. Where this is
    /// longer than the age, the first requests after a pause go anywhere.
    pub fn with_idle(self, idle: Duration) -> Result<Self, ParameterError> {
        let settings = Settings { idle, ..self.settings };
        Self::with(("idle", TIME), print_duration(idle), is_time(idle), settings)
    }
}

impl Named for Prequal {
    const NAME: &'static str = "prequal";
    const SUMMARY: &'static str = "the best of a pool of probe replies, by the hot-cold lexicographic rule";
    const PARAMETERS: &'static [Parameter<Self>] = &[
        Parameter {
            name: "r_probe",
            allowed: RATE,
            get: |selector| selector.settings.r_probe.to_string(),
            set: |selector, text| selector.clone().with_r_probe(decimal(text)?).ok(),
        },
        Parameter {
            name: "m",
            allowed: SIZE,
            get: |selector| selector.settings.m.to_string(),
            set: |selector, text| selector.clone().with_m(whole(text)?).ok(),
        },
        Parameter {
            name: "q_rif",
            allowed: QUANTILE,
            get: |selector| selector.settings.q_rif.to_string(),
            set: |selector, text| selector.clone().with_q_rif(decimal(text)?).ok(),
        },
        Parameter {
            name: "r_remove",
            allowed: REMOVED,
            get: |selector| selector.settings.r_remove.to_string(),
            set: |selector, text| selector.clone().with_r_remove(decimal(text)?).ok(),
        },
        Parameter {
            name: "delta",
            allowed: RATE,
            get: |selector| selector.settings.delta.to_string(),
            set: |selector, text| selector.clone().with_delta(decimal(text)?).ok(),
        },
        Parameter {
            name: "age",
            allowed: TIME,
            get: |selector| print_duration(selector.settings.age),
            set: |selector, text| selector.clone().with_age(duration(text)?).ok(),
        },
        Parameter {
            name: "idle",
            allowed: TIME,
            get: |selector| print_duration(selector.settings.idle),
            set: |selector, text| selector.clone().with_idle(duration(text)?).ok(),
        },
    ];

    fn selector<B: Backend>(&self) -> AnySelector<B> {
        AnySelector::new(self.clone())
    }
}
