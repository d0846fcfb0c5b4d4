//! What a selector is to be told.

/// What a selector is to be told while requests go by. Each costs something with every request, so a selector says what
/// it needs; nothing, unless it says so.
///
/// ```
/// use equipoise::selector::Needs;
/// const NEEDS: Needs = Needs::nothing().completions().total_in_flight();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    failures: bool,
    successes: bool,
    reports: bool,
    total_in_flight: bool,
    keys: bool,
}

impl Needs {
    /// Nothing.
    pub const fn nothing() -> Self {
        Self {
            failures: false,
            successes: false,
            reports: false,
            total_in_flight: false,
            keys: false,
        }
    }

    /// [`observe`](crate::Selector::observe) is called with what did not go well.
    pub const fn failures(self) -> Self {
        Self { failures: true, ..self }
    }

    /// [`observe`](crate::Selector::observe) is called with all that ends.
    pub const fn completions(self) -> Self {
        Self {
            failures: true,
            successes: true,
            ..self
        }
    }

    /// [`report`](crate::Selector::report) is called with what servers say of their load.
    pub const fn reports(self) -> Self {
        Self { reports: true, ..self }
    }

    /// [`Pick::total_in_flight`](crate::selector::Pick::total_in_flight) is kept.
    pub const fn total_in_flight(self) -> Self {
        Self {
            total_in_flight: true,
            ..self
        }
    }

    /// Members that are [brought in](crate::SlowStart) take some keys before others, in place of a lesser weight: for
    /// selectors that go by key, whose tables then need not be made anew. [`Pick::is_open`](crate::selector::Pick::is_open)
    /// says which.
    pub const fn keys(self) -> Self {
        Self { keys: true, ..self }
    }

    /// What either of two needs: for selectors around selectors.
    pub const fn and(self, other: Self) -> Self {
        Self {
            failures: self.failures || other.failures,
            successes: self.successes || other.successes,
            reports: self.reports || other.reports,
            total_in_flight: self.total_in_flight || other.total_in_flight,
            keys: self.keys || other.keys,
        }
    }

    /// Whether a completion is to be told that is a success, or is none.
    #[inline(always)]
    pub(crate) fn wants_completion(self, is_success: bool) -> bool {
        if is_success { self.successes } else { self.failures }
    }

    #[inline]
    pub(crate) fn wants_reports(self) -> bool {
        self.reports
    }

    #[inline]
    pub(crate) fn wants_total(self) -> bool {
        self.total_in_flight
    }

    pub(crate) fn wants_keys(self) -> bool {
        self.keys
    }
}
