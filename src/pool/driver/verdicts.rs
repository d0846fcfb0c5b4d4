//! What health checks and requests show of members, taken in by the driver.

use std::{
    sync::Arc,
    task::Context,
    time::{Duration, Instant},
};

use super::Driver;
use crate::{
    backend::Backend,
    event::Event,
    fitness::EjectionReason,
    health::OutlierDetection,
    member::{Account, MemberId},
    pool::{checking::Checked, detector::Shown, fault::guarded},
    selector::{Generator, Selector},
};

/// How often those are woken who wait for a member on probation: a request that was given up there tells nobody.
const PROBATION: Duration = Duration::from_millis(100);

/// When outlier detection is to do something by itself.
pub(in crate::pool) struct Sweeps {
    random: Generator,
    /// When members are compared next.
    sweep: Instant,
    /// When the next ejection is over.
    release: Option<Instant>,
    /// When to wake who waits for members on probation.
    probation: Option<Instant>,
}

impl Sweeps {
    pub(in crate::pool) fn new(mut random: Generator, settings: &OutlierDetection, now: Instant) -> Self {
        Self {
            sweep: now + settings.until_sweep(fraction(&mut random)),
            random,
            release: None,
            probation: None,
        }
    }

    pub(super) fn next(&self) -> Instant {
        let [release, probation] = [self.release, self.probation].map(|at| at.unwrap_or(self.sweep));
        self.sweep.min(release).min(probation)
    }
}

/// From 0 to 1.
fn fraction(random: &mut Generator) -> f64 {
    random.next() as f64 / u64::MAX as f64
}

impl<B: Backend, S: Selector<B>> Driver<B, S> {
    /// What checks have found, and who is due.
    pub(super) fn take_checks(&mut self, cx: &mut Context<'_>) {
        let now = self.core.clock().now();
        let Some(checking) = &mut self.checking else { return };
        for Checked {
            live,
            report,
            changed,
            reason,
        } in checking.turn(now, cx)
        {
            let (id, member) = (&*live.id, live.member);
            if let Some(report) = report {
                if let Some(load) = report.load() {
                    // The selector's code.
                    let reported = guarded(|| live.account.report(load));
                    self.unless_failed(reported);
                }
                let told = self.registry.told(id, member, &report);
                self.dirty |= told.changed;
                if let Some(standing) = told.standing {
                    let id = id.into();
                    self.news.push(Event::StandingChanged { id, standing });
                }
                self.pass(id, member);
            }
            if let Some(health) = changed {
                if self.registry.set_health(id, member, health) {
                    self.dirty = true;
                    let id = id.into();
                    self.news.push(Event::HealthChanged { id, health, reason });
                }
            }
        }
    }

    /// A probe has passed: that may end an ejection.
    fn pass(&mut self, id: &str, member: MemberId) {
        let ends = self
            .core
            .detector
            .as_ref()
            .is_some_and(|detector| detector.settings.is_ended_by_probe());
        if ends && self.registry.end_ejection(id, member) {
            self.dirty = true;
            self.news.push(Event::EjectionEnded { id: id.into() });
        }
    }

    /// What requests have shown, and whose time is over.
    pub(super) fn take_outliers(&mut self, cx: &mut Context<'_>) {
        let core = Arc::clone(&self.core);
        let Some(detector) = &core.detector else { return };
        let now = core.clock().now();
        for Shown { id, member, against } in detector.take(cx.waker()) {
            match against {
                Some(reason) => self.eject(id, member, reason, &detector.settings, now),
                None if self.registry.acquit(&id, member, &detector.settings) => {
                    self.dirty = true;
                    self.news.push(Event::EjectionEnded { id });
                }
                None => {}
            }
        }
        if self.sweeps.as_ref().is_some_and(|sweeps| sweeps.sweep <= now) {
            for (id, member, reason) in self.compared(&detector.settings) {
                self.eject(id, member, reason, &detector.settings, now);
            }
            if let Some(sweeps) = &mut self.sweeps {
                sweeps.sweep = now + detector.settings.until_sweep(fraction(&mut sweeps.random));
            }
        }
        let (released, next) = self.registry.release(now);
        for id in released {
            self.dirty = true;
            self.news.push(Event::ProbationStarted { id });
        }
        let on_probation = self.registry.is_anybody_on_probation();
        if let Some(sweeps) = &mut self.sweeps {
            sweeps.release = next;
            if sweeps.probation.is_some_and(|at| at <= now) {
                core.gate.call_all();
                sweeps.probation = None;
            }
            if !on_probation {
                sweeps.probation = None;
            } else if sweeps.probation.is_none() {
                sweeps.probation = Some(now + PROBATION);
            }
        }
    }

    /// Who does worse than the others of its priority. Runs the backends' code.
    fn compared(&mut self, settings: &OutlierDetection) -> Vec<(Arc<str>, MemberId, EjectionReason)> {
        let registry = &mut self.registry;
        let compared = guarded(|| registry.compare(settings));
        self.unless_failed(compared).unwrap_or_default()
    }

    fn eject(
        &mut self,
        id: Arc<str>,
        member: MemberId,
        reason: EjectionReason,
        settings: &OutlierDetection,
        now: Instant,
    ) {
        let registry = &mut self.registry;
        let ejected = guarded(|| registry.eject(&id, member, &reason, settings, now));
        if let Some(time) = self.unless_failed(ejected).flatten() {
            self.dirty = true;
            self.news.push(Event::Ejected { id, reason, time });
        }
    }

    /// Members whose health is to be checked: one that has joined, or whose backend was replaced.
    pub(super) fn watch(&mut self, id: &str) {
        let Some(checking) = &mut self.checking else { return };
        if let Some((live, backend)) = self.registry.member(id) {
            let health = checking.watch(&live, &backend);
            self.registry.set_health(id, live.member, health);
        }
    }

    /// Which priorities panic, and no longer do, since the last publish.
    pub(super) fn tell_panics(&mut self, before: &[u8]) {
        let now = self.registry.panics();
        let started = now.iter().filter(|priority| !before.contains(priority));
        let ended = before.iter().filter(|priority| !now.contains(priority));
        self.news
            .extend(started.map(|priority| Event::PanicStarted { priority: *priority }));
        self.news
            .extend(ended.map(|priority| Event::PanicEnded { priority: *priority }));
    }
}
