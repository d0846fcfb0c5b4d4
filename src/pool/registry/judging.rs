//! What the book says of each member's fitness.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use super::{Entry, Registry};
use crate::{
    backend::Backend,
    event::Event,
    fitness::{Ejection, EjectionReason, Health, Standing},
    health::{OutlierDetection, Report, Sample, Warmth},
    member::{Live, MemberId, Remembered},
    outcome::Tally,
    pool::plan::of_keys,
    selector::Selector,
};

/// What a report has changed.
pub(in crate::pool) struct Told {
    /// The new weight in hundredths, if it is another.
    pub(in crate::pool) percent: Option<u32>,
    /// The new standing, if it is another.
    pub(in crate::pool) standing: Option<Standing>,
}

/// Whose ejection is over.
#[derive(Default)]
pub(in crate::pool) struct Released {
    pub(in crate::pool) ids: Vec<Arc<str>>,
    /// Whether anybody is on probation.
    pub(in crate::pool) on_probation: bool,
    /// When the next ejection will be over.
    pub(in crate::pool) next: Option<Instant>,
}

/// How many members each priority has, and how many of them are ejected, as long as no more than that was changed which
/// is told here.
#[derive(Default)]
pub(in crate::pool) struct Tiers(Option<HashMap<u8, Tier>>);

#[derive(Clone, Copy, Default)]
struct Tier {
    ejected: usize,
    all: usize,
}

impl Tiers {
    /// O(members) for the first one. Runs the backends' code.
    fn tier<B: Backend, M>(&mut self, priority: u8, entries: &[Option<Entry<B, M>>]) -> &mut Tier {
        let count = || {
            let mut tiers: HashMap<u8, Tier> = HashMap::new();
            for (entry, priority) in entries
                .iter()
                .flatten()
                .filter_map(|entry| Some((entry, entry.tier()?)))
            {
                let tier = tiers.entry(priority).or_default();
                tier.all += 1;
                tier.ejected += usize::from(entry.is_ejected());
            }
            tiers
        };
        self.0.get_or_insert_with(count).entry(priority).or_default()
    }

    /// One may be ejected no more.
    pub(in crate::pool) fn forget(&mut self) {
        self.0 = None;
    }
}

/// A member's state for all its incarnations, and its newest backend.
type Known<B, M> = (Arc<Live<Remembered<B, M>>>, Arc<B>);

impl<B: Backend, M> Entry<B, M> {
    /// The priority, if it counts as one of that.
    fn tier(&self) -> Option<u8> {
        let backend = &self.token.backend;
        let counts = self.facts.is_willing() && backend.weight() > 0;
        counts.then(|| backend.priority())
    }

    fn is_ejected(&self) -> bool {
        self.sentence.state() != Ejection::None
    }

    /// Takes over what the sentence has become.
    fn sentenced(&mut self) {
        let state = self.sentence.state();
        self.facts.ejection = state;
        self.live.counts.streak.put_on_probation(state == Ejection::Probation);
    }
}

impl<B: Backend, S: Selector<B>> Registry<B, S> {
    /// The entry, if it is still this member's.
    fn judged(&mut self, id: &str, member: MemberId) -> Option<&mut Entry<B, S::Memory>> {
        self.entry(id).filter(|entry| entry.live.member == member)
    }

    pub(in crate::pool) fn member(&mut self, id: &str) -> Option<Known<B, S::Memory>> {
        let entry = self.entry(id)?;
        Some((Arc::clone(&entry.live), Arc::clone(&entry.token.backend)))
    }

    /// Priorities whose members all count, as published last.
    pub(in crate::pool) fn panics(&self) -> &[u8] {
        &self.panics
    }

    /// Members that are brought in by weight want a new snapshot for each step: true. Those brought in key by key just take
    /// more of them, until one takes all. O(members).
    pub(in crate::pool) fn bring_in(&mut self, now: Instant) -> bool {
        let by_key = self.core.needs.wants_keys();
        let Some(slow_start) = self.rules.slow_start.filter(|_| by_key) else {
            return true;
        };
        let mut is_through = false;
        for entry in self.entries.iter_mut().flatten() {
            if !matches!(entry.facts.warmth, Warmth::Since(_)) {
                continue;
            }
            match entry.facts.warmth.serve(Some(&slow_start), false, now) {
                (Warmth::Since(_), part) => entry.keys.store(of_keys(part), Relaxed),
                _ => is_through = true,
            }
        }
        self.warming = Some(now + slow_start.step());
        is_through
    }

    /// What has become of members that are brought in, with the last snapshot.
    pub(in crate::pool) fn warmed(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.warmed)
    }

    /// When members that are being brought in want the next snapshot.
    pub(in crate::pool) fn warming(&self) -> Option<Instant> {
        self.warming
    }

    /// When sessions have to leave a member that drains, which wants the next snapshot.
    pub(in crate::pool) fn leaving(&self) -> Option<Instant> {
        self.leaving
    }

    /// Whether that is news.
    pub(in crate::pool) fn set_health(&mut self, id: &str, member: MemberId, health: Health) -> bool {
        let entry = self.judged(id, member);
        entry.is_some_and(|entry| std::mem::replace(&mut entry.facts.health, health) != health)
    }

    /// A member has said something of itself.
    pub(in crate::pool) fn told(&mut self, id: &str, member: MemberId, report: &Report) -> Told {
        let mut told = Told {
            percent: None,
            standing: None,
        };
        if let Some(entry) = self.judged(id, member) {
            let percent = report.percent().unwrap_or(entry.facts.percent);
            if std::mem::replace(&mut entry.facts.percent, percent) != percent {
                told.percent = Some(percent);
            }
            let standing = report.standing().unwrap_or(entry.facts.standing);
            if std::mem::replace(&mut entry.facts.standing, standing) != standing {
                told.standing = Some(standing);
            }
        }
        told
    }

    /// For how long, if the member is ejected: not if it is already, if too many others are, or for what it did on a
    /// probation that is over. Runs the backends' code.
    pub(in crate::pool) fn eject(
        &mut self,
        id: &str,
        member: MemberId,
        reason: &EjectionReason,
        (settings, tiers): (&OutlierDetection, &mut Tiers),
        now: Instant,
    ) -> Option<Duration> {
        let entry = self.judged(id, member)?;
        match (entry.sentence.state(), reason) {
            (Ejection::Probation, _) => {
                // It has its place among those ejected still.
                let time = entry.sentence.probation_failed(now, settings);
                entry.sentenced();
                return Some(time);
            }
            (Ejection::None, EjectionReason::Probation) | (Ejection::Ejected, _) => return None,
            (Ejection::None, _) => {}
        }
        let priority = entry.tier()?;
        let tier = tiers.tier(priority, &self.entries);
        if !settings.may_eject(tier.ejected, tier.all) {
            return None;
        }
        tier.ejected += 1;
        let entry = self.judged(id, member)?;
        let time = entry.sentence.eject(now, settings);
        entry.sentenced();
        Some(time)
    }

    /// A request to a member on probation has succeeded: whether that ends it.
    pub(in crate::pool) fn acquit(&mut self, id: &str, member: MemberId, settings: &OutlierDetection) -> bool {
        let Some(entry) = self.judged(id, member) else {
            return false;
        };
        let ends = entry.sentence.state() == Ejection::Probation && entry.sentence.probation_succeeded(settings);
        entry.sentenced();
        ends
    }

    /// Whether there was an ejection, or a probation, to end.
    pub(in crate::pool) fn end_ejection(&mut self, id: &str, member: MemberId) -> bool {
        let Some(entry) = self.judged(id, member).filter(|entry| entry.is_ejected()) else {
            return false;
        };
        entry.sentence.end();
        entry.sentenced();
        true
    }

    /// Lets go of who was ejected long enough. O(members).
    pub(in crate::pool) fn release(&mut self, now: Instant) -> Released {
        let mut released = Released::default();
        let mut busy = Vec::new();
        for entry in self.entries.iter_mut().flatten().filter(|entry| entry.is_ejected()) {
            if entry.sentence.serve(now) {
                entry.sentenced();
                released.ids.push(Arc::clone(&entry.id));
                if entry.in_flight() > 0 {
                    entry.tokens().for_each(|token| token.is_past.store(true, Relaxed));
                    busy.push(Arc::clone(&entry.id));
                }
            }
            released.on_probation |= entry.facts.ejection == Ejection::Probation;
            released.next = [released.next, entry.sentence.until()].into_iter().flatten().min();
        }
        for id in busy {
            // What is open from before may stay so for long, and does not count: those from now on are counted apart.
            if let Some((live, backend)) = self.member(&id) {
                self.replace(&id, self.token(backend, &live));
            }
        }
        released
    }

    /// A sweep: who has done worse than the others of its priority since the last. Runs the backends' code.
    pub(in crate::pool) fn compare(
        &mut self,
        settings: &OutlierDetection,
    ) -> Vec<(Arc<str>, MemberId, EjectionReason)> {
        let mut tiers: Vec<(u8, Vec<usize>, Vec<Sample>)> = Vec::new();
        for (place, entry) in self.entries.iter_mut().enumerate() {
            let Some(entry) = entry else { continue };
            let tally = entry.live.counts.tally();
            let before = std::mem::replace(&mut entry.swept, tally);
            entry.sentence.sweep();
            let Some(priority) = entry.tier().filter(|_| !entry.is_ejected()) else {
                continue;
            };
            let tier = tiers
                .iter()
                .position(|(tier, ..)| *tier == priority)
                .unwrap_or_else(|| {
                    tiers.push((priority, Vec::new(), Vec::new()));
                    tiers.len() - 1
                });
            tiers[tier].1.push(place);
            tiers[tier].2.push(sample(before, tally));
        }
        let mut outliers = Vec::new();
        for (_, places, samples) in tiers {
            for (index, reason) in settings.outliers(&samples) {
                if let Some(entry) = &self.entries[places[index]] {
                    outliers.push((Arc::clone(&entry.id), entry.live.member, reason));
                }
            }
        }
        outliers
    }
}

/// What came of the requests between two looks. One that broke off in the middle is as bad as one that failed.
fn sample(before: Tally, now: Tally) -> Sample {
    let failed = |tally: Tally| tally.failed + tally.broken;
    Sample {
        succeeded: now.succeeded - before.succeeded,
        failed: failed(now) - failed(before),
    }
}
