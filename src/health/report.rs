//! What a backend answers to a probe.

use crate::{fitness::Standing, load::LoadReport};

/// What a backend answers to a [`HealthProbe`](super::HealthProbe): that it is there, and, if it says so, its load, its
/// weight and whether it wants new requests.
///
/// What it does not say stays as it said it last.
///
/// ```
/// use equipoise::{LoadReport, health::{Report, Standing}};
///
/// let report = Report::new().with_load(LoadReport::new().with_queue(3.0)?).with_standing(Standing::Draining);
/// assert_eq!(report.load().and_then(|load| load.queue()), Some(3.0));
/// assert_eq!(report.percent(), None);
/// # Ok::<_, equipoise::AbsurdLoad>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Report {
    load: Option<LoadReport>,
    percent: Option<u32>,
    standing: Option<Standing>,
}

impl Report {
    /// A report that says no more than that the backend has answered.
    pub const fn new() -> Self {
        Self {
            load: None,
            percent: None,
            standing: None,
        }
    }

    /// How loaded the backend is.
    pub const fn with_load(self, load: LoadReport) -> Self {
        let load = Some(load);
        Self { load, ..self }
    }

    /// Its weight from now on, in hundredths of the weight that it has as a [`Backend`](crate::Backend): 100 for all of it,
    /// 0 for nothing new. More than [`MOST_PERCENT`](Report::MOST_PERCENT) is as much as that.
    pub const fn with_percent(self, percent: u32) -> Self {
        let most = Self::MOST_PERCENT;
        let percent = Some(if percent < most { percent } else { most });
        Self { percent, ..self }
    }

    /// Whether it wants requests, from now on.
    pub const fn with_standing(self, standing: Standing) -> Self {
        let standing = Some(standing);
        Self { standing, ..self }
    }

    /// How loaded the backend is, if it has said so.
    pub const fn load(&self) -> Option<&LoadReport> {
        self.load.as_ref()
    }

    /// Its weight in hundredths of that which it has as a backend, if it has said so.
    pub const fn percent(&self) -> Option<u32> {
        self.percent
    }

    /// Whether it wants requests, if it has said so.
    pub const fn standing(&self) -> Option<Standing> {
        self.standing
    }

    /// The most that a weight may become by a report: a hundred times what it was.
    pub const MOST_PERCENT: u32 = 10_000;
}
