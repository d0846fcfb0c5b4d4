//! What a backend answers to a probe.

use crate::load::LoadReport;

/// What a backend answers to a [`HealthProbe`](super::HealthProbe): that it is there, and, if it says so, its load.
///
/// ```
/// use equipoise::{LoadReport, health::Report};
///
/// let report = Report::new().with_load(LoadReport::new().with_queue(3.0)?);
/// assert_eq!(report.load().and_then(|load| load.queue()), Some(3.0));
/// # Ok::<_, equipoise::AbsurdLoad>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Report {
    load: Option<LoadReport>,
}

impl Report {
    /// A report that says no more than that the backend has answered.
    pub const fn new() -> Self {
        Self { load: None }
    }

    /// How loaded the backend is.
    pub const fn with_load(self, load: LoadReport) -> Self {
        Self { load: Some(load) }
    }

    /// How loaded the backend is, if it has said so.
    pub const fn load(&self) -> Option<&LoadReport> {
        self.load.as_ref()
    }
}
