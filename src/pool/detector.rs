//! What requests show of members, on its way to the driver.

use std::{sync::Arc, task::Waker};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use crate::{
    fitness::{EjectionReason, Limits, Streak},
    health::OutlierDetection,
    member::MemberId,
    outcome::Outcome,
};

/// Counts failures in a row, and tells the driver when it is time to eject a member or to let it return.
pub(super) struct Detector {
    pub(super) settings: OutlierDetection,
    limits: Limits,
    shown: Mutex<Vec<Shown>>,
    driver: AtomicWaker,
}

/// How much waits for the driver. What is shown beyond that is not kept: a pool may have no driver, or one that is not
/// run, and of whoever fails, or is good, more is shown soon.
const MOST: usize = 4096;

/// What a request has shown of a member.
pub(super) struct Shown {
    pub(super) id: Arc<str>,
    pub(super) member: MemberId,
    /// Why it is to be ejected; none: it is good, as far as one request goes.
    pub(super) against: Option<EjectionReason>,
}

impl Detector {
    pub(super) fn new(settings: OutlierDetection) -> Self {
        Self {
            limits: settings.limits(),
            settings,
            shown: Mutex::default(),
            driver: AtomicWaker::new(),
        }
    }

    #[cold]
    pub(super) fn failed(&self, id: &str, member: MemberId, streak: &Streak, outcome: Outcome) {
        if let Some(reason) = streak.failed(outcome, &self.limits) {
            self.tell(id, member, Some(reason));
        }
    }

    /// On probation.
    #[cold]
    pub(super) fn succeeded(&self, id: &str, member: MemberId) {
        self.tell(id, member, None);
    }

    fn tell(&self, id: &str, member: MemberId, against: Option<EjectionReason>) {
        let mut shown = self.shown.lock();
        if shown.len() < MOST {
            let id = id.into();
            shown.push(Shown { id, member, against });
        }
        drop(shown);
        self.driver.wake();
    }

    /// What has been shown, in order; from now on more of it wakes `driver`.
    pub(super) fn take(&self, driver: &Waker) -> Vec<Shown> {
        self.driver.register(driver);
        std::mem::take(&mut *self.shown.lock())
    }
}
