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
    pool::{checking::Checked, detector::Shown, fault::guarded, registry::Tiers, snapshot::Phase},
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
    /// Whether somebody was ejected since it was reckoned when who is to be released.
    has_changed: bool,
}

impl Sweeps {
    pub(in crate::pool) fn new(mut random: Generator, settings: &OutlierDetection, now: Instant) -> Self {
        Self {
            sweep: now + settings.until_sweep(fraction(&mut random)),
            random,
            release: None,
            probation: None,
            has_changed: false,
        }
    }

    pub(super) fn next(&self) -> Instant {
        let [release, probation] = [self.release, self.probation].map(|at| at.unwrap_or(self.sweep));
        self.sweep.min(release).min(probation)
    }

    /// Whether it is time to see who is to be released.
    fn is_due(&self, now: Instant) -> bool {
        let mut times = [self.release, self.probation].into_iter().flatten();
        self.has_changed || times.any(|at| at <= now)
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
                self.dirty |= told.percent.is_some() || told.standing.is_some();
                if let Some(percent) = told.percent {
                    let id = id.into();
                    self.news.push(Event::WeightChanged { id, percent });
                }
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
            let reason = "a probe passed";
            self.news.push(Event::EjectionEnded { id: id.into(), reason });
        }
    }

    /// What requests have shown, and whose time is over.
    pub(super) fn take_outliers(&mut self, cx: &mut Context<'_>) {
        let core = Arc::clone(&self.core);
        let Some(detector) = &core.detector else { return };
        let now = core.clock().now();
        // Counted once: where everybody fails, there is a verdict for each fifth request.
        let mut tiers = Tiers::default();
        for Shown { id, member, against } in detector.take(cx.waker()) {
            match against {
                Some(reason) => self.eject(id, member, reason, (&detector.settings, &mut tiers), now),
                None if self.registry.acquit(&id, member, &detector.settings) => {
                    tiers.forget();
                    self.dirty = true;
                    let reason = "its requests succeeded on probation";
                    self.news.push(Event::EjectionEnded { id, reason });
                }
                None => {}
            }
        }
        if self.sweeps.as_ref().is_some_and(|sweeps| sweeps.sweep <= now) {
            for (id, member, reason) in self.compared(&detector.settings) {
                self.eject(id, member, reason, (&detector.settings, &mut tiers), now);
            }
            if let Some(sweeps) = &mut self.sweeps {
                sweeps.sweep = now + detector.settings.until_sweep(fraction(&mut sweeps.random));
            }
        }
        self.release(now);
    }

    /// Lets go of who was ejected long enough.
    fn release(&mut self, now: Instant) {
        let Some(sweeps) = self.sweeps.as_mut().filter(|sweeps| sweeps.is_due(now)) else {
            return;
        };
        let released = self.registry.release(now);
        if released.on_probation && sweeps.probation.is_some_and(|at| at <= now) {
            self.core.gate.call_all();
        }
        sweeps.probation = released.on_probation.then(|| now + PROBATION);
        sweeps.release = released.next;
        sweeps.has_changed = false;
        for id in released.ids {
            self.dirty = true;
            self.news.push(Event::ProbationStarted { id });
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
        by: (&OutlierDetection, &mut Tiers),
        now: Instant,
    ) {
        let registry = &mut self.registry;
        let ejected = guarded(|| registry.eject(&id, member, &reason, by, now));
        if let Some(time) = self.unless_failed(ejected).flatten() {
            self.dirty = true;
            if let Some(sweeps) = &mut self.sweeps {
                sweeps.has_changed = true;
            }
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
        // Nobody serves any more, which is no end of a panic.
        if self.phase == Phase::Closed {
            return;
        }
        let now = self.registry.panics();
        let started = now.iter().filter(|priority| !before.contains(priority));
        let ended = before.iter().filter(|priority| !now.contains(priority));
        self.news
            .extend(started.map(|priority| Event::PanicStarted { priority: *priority }));
        self.news
            .extend(ended.map(|priority| Event::PanicEnded { priority: *priority }));
    }
}
