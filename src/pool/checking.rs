//! When each member is asked whether it is fit, and what its answers come to.
//!
//! A member has one appointment at a time: when it is asked next, or when its probe under way is given up; of each kind
//! there is an ordered set, so that a turn touches those whose time has come and nobody else: O(log members) a probe.

mod flight;
#[cfg(all(test, not(loom)))]
mod tests;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Weak},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures_util::{
    future::AbortHandle,
    stream::{FuturesUnordered, StreamExt},
};

use self::flight::Flight;
use crate::{
    backend::Backend,
    clock::Clock,
    fitness::Health,
    health::{AnyProbe, HealthCheck, Report, Settings, Verdict},
    member::{Live, MemberId, Remembered},
    selector::Generator,
};

/// Appointments are kept in steps of this, so that the driver's timer is not set anew for each of them.
const STEP: Duration = Duration::from_millis(1);

/// Asks the members of a pool whether they are fit.
pub(super) struct Checking<B: Backend, M> {
    probe: AnyProbe<B>,
    settings: Settings,
    random: Generator,
    clock: Clock,
    /// What the steps are counted from.
    epoch: Instant,
    watched: HashMap<MemberId, Watched<B, M>>,
    /// Who is to be asked, and when.
    due: BTreeSet<(Instant, MemberId)>,
    /// Whose probe is given up, and when.
    deadlines: BTreeSet<(Instant, MemberId)>,
    /// One a member at most, those that were given up and have not noticed yet included.
    flights: FuturesUnordered<Flight>,
    /// What is said of those who pass.
    passed: Arc<str>,
    /// Of those whose time is up.
    late: Arc<str>,
    has_ended: bool,
}

/// What became of a probe.
pub(super) struct Checked<B, M> {
    pub(super) live: Arc<Live<Remembered<B, M>>>,
    /// None if it has failed.
    pub(super) report: Option<Report>,
    /// The new verdict, if this was what changed it.
    pub(super) changed: Option<Health>,
    /// What the probe said, fit to be shown: of a failure why, in at most some 200 characters of one line.
    pub(super) reason: Arc<str>,
}

struct Watched<B, M> {
    live: Arc<Live<Remembered<B, M>>>,
    /// The newest. Between probes nothing is held of a backend that has left.
    backend: Weak<B>,
    verdict: Verdict,
    stage: Stage,
}

enum Stage {
    /// To be asked then.
    Due(Instant),
    Asked {
        at: Instant,
        deadline: Instant,
        probe: AbortHandle,
    },
    /// Given up, and asked again then, but not before the flight has ended.
    Ending { next: Instant },
}

impl<B: Backend, M> Checking<B, M> {
    pub(super) fn new(check: HealthCheck<B>, random: Generator, clock: &Clock) -> Self {
        let HealthCheck { probe, settings } = check;
        Self {
            late: format!("no answer within {:?}", settings.timeout).into(),
            probe,
            settings,
            random,
            clock: clock.clone(),
            epoch: clock.now(),
            watched: HashMap::new(),
            due: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            flights: FuturesUnordered::new(),
            passed: "answered".into(),
            has_ended: false,
        }
    }

    /// A member has joined, or its backend was replaced: then the probe of the earlier one is dropped. What it is taken
    /// for now.
    pub(super) fn watch(&mut self, live: &Arc<Live<Remembered<B, M>>>, backend: &Arc<B>) -> Health {
        let (member, backend) = (live.member, Arc::downgrade(backend));
        let known = self.watched.get(&member);
        if known.is_some_and(|known| known.backend.ptr_eq(&backend)) || self.has_ended {
            return known.map_or(Health::Unchecked, |known| known.verdict.health());
        }
        let now = self.clock.now();
        let Some(known) = self.watched.get_mut(&member) else {
            let verdict = Verdict::new(self.settings.initial);
            let first = now + point(self.interval(&verdict), &mut self.random);
            self.due.insert((first, member));
            self.watched.insert(
                member,
                Watched {
                    live: Arc::clone(live),
                    backend,
                    verdict,
                    stage: Stage::Due(first),
                },
            );
            return verdict.health();
        };
        known.backend = backend;
        // Not at once: all backends may be replaced in one go. Nor later than planned, however often they are.
        let soon = now + point(self.settings.transition_interval(), &mut self.random);
        match &mut known.stage {
            Stage::Due(at) if soon < *at => {
                self.due.remove(&(*at, member));
                self.due.insert((soon, member));
                *at = soon;
            }
            Stage::Due(_) => {}
            Stage::Asked { deadline, probe, .. } => {
                self.deadlines.remove(&(*deadline, member));
                probe.abort();
                known.stage = Stage::Ending { next: soon };
            }
            Stage::Ending { next } => *next = soon.min(*next),
        }
        known.verdict.health()
    }

    /// The member has left.
    pub(super) fn forget(&mut self, member: MemberId) {
        match self.watched.remove(&member).map(|watched| watched.stage) {
            Some(Stage::Due(at)) => {
                self.due.remove(&(at, member));
            }
            Some(Stage::Asked { deadline, probe, .. }) => {
                self.deadlines.remove(&(deadline, member));
                probe.abort();
            }
            Some(Stage::Ending { .. }) | None => {}
        }
    }

    /// When to have a turn at the latest, if nothing else wakes the driver before.
    pub(super) fn next(&self) -> Option<Instant> {
        let due = self.due.first().filter(|_| self.has_room());
        let first = due.into_iter().chain(self.deadlines.first()).map(|(at, _)| *at).min();
        first.map(|at| {
            let steps = (at - self.epoch).as_nanos().div_ceil(STEP.as_nanos());
            self.epoch + Duration::from_nanos((steps * STEP.as_nanos()) as u64)
        })
    }

    fn has_room(&self) -> bool {
        self.flights.len() < self.settings.parallelism
    }

    /// Takes in what has been answered, gives up whose time is up, and asks who is due.
    pub(super) fn turn(&mut self, now: Instant, cx: &mut Context<'_>) -> Vec<Checked<B, M>> {
        let mut checked = Vec::new();
        loop {
            // First, as a driver that comes late is no backend's fault.
            self.land(now, &mut checked, cx);
            let gave_up = self.give_up(now, &mut checked);
            let asked = self.ask(now);
            // What was given up makes room. Who has just been asked may have answered at once, and is to wake the driver
            // if not. Nobody is asked twice in a turn, as an interval is longer than that.
            if !gave_up && !asked {
                return checked;
            }
        }
    }

    /// The pool is closed: nobody is asked any more.
    pub(super) fn end(&mut self) {
        self.has_ended = true;
        self.watched.clear();
        self.due.clear();
        self.deadlines.clear();
        self.flights = FuturesUnordered::new();
    }

    fn land(&mut self, now: Instant, checked: &mut Vec<Checked<B, M>>, cx: &mut Context<'_>) {
        while let Poll::Ready(Some((member, answer))) = self.flights.poll_next_unpin(cx) {
            // Who has left is no longer watched.
            let Some(watched) = self.watched.get_mut(&member) else {
                continue;
            };
            let next = match watched.stage {
                Stage::Due(_) => continue,
                // An earlier backend's answer, or one that comes too late.
                Stage::Ending { next } => next,
                Stage::Asked { at, deadline, .. } => {
                    self.deadlines.remove(&(deadline, member));
                    let (report, reason) = match answer {
                        Ok(report) => (Some(report), Arc::clone(&self.passed)),
                        Err(reason) => (None, reason),
                    };
                    checked.push(watched.judge(report, reason, &self.settings));
                    let verdict = watched.verdict;
                    self.after(at, &verdict)
                }
            };
            self.plan(member, next.max(now));
        }
    }

    fn plan(&mut self, member: MemberId, at: Instant) {
        if let Some(watched) = self.watched.get_mut(&member) {
            watched.stage = Stage::Due(at);
            self.due.insert((at, member));
        }
    }

    /// Whether there was one.
    fn give_up(&mut self, now: Instant, checked: &mut Vec<Checked<B, M>>) -> bool {
        let mut gave_up = false;
        while let Some(&(deadline, member)) = self.deadlines.first().filter(|(deadline, _)| *deadline <= now) {
            self.deadlines.remove(&(deadline, member));
            let Some(watched) = self.watched.get_mut(&member) else {
                continue;
            };
            let Stage::Asked { at, ref probe, .. } = watched.stage else {
                continue;
            };
            probe.abort();
            checked.push(watched.judge(None, Arc::clone(&self.late), &self.settings));
            let verdict = watched.verdict;
            let next = self.after(at, &verdict);
            if let Some(watched) = self.watched.get_mut(&member) {
                watched.stage = Stage::Ending { next };
            }
            gave_up = true;
        }
        gave_up
    }

    /// Asks those who are due, who has been for the longest first, as far as there is room. Whether there was one.
    fn ask(&mut self, now: Instant) -> bool {
        let mut asked = false;
        while self.has_room() {
            let Some(&(at, member)) = self.due.first().filter(|(at, _)| *at <= now) else {
                break;
            };
            self.due.remove(&(at, member));
            let Some(watched) = self.watched.get_mut(&member) else {
                continue;
            };
            let Some(backend) = watched.backend.upgrade() else {
                // It has left, or was replaced, and we are to be told in a moment.
                let verdict = watched.verdict;
                let next = self.after(now, &verdict);
                self.plan(member, next);
                continue;
            };
            let (flight, probe) = Flight::new(member, self.probe.probe(backend));
            let deadline = now + self.settings.timeout;
            watched.stage = Stage::Asked {
                at: now,
                deadline,
                probe,
            };
            self.deadlines.insert((deadline, member));
            self.flights.push(flight);
            asked = true;
        }
        asked
    }

    fn interval(&self, verdict: &Verdict) -> Duration {
        if verdict.is_in_transition() {
            self.settings.transition_interval()
        } else {
            self.settings.interval
        }
    }

    /// When to ask somebody again who was asked then: after an interval, give or take a tenth.
    fn after(&mut self, asked: Instant, verdict: &Verdict) -> Instant {
        let interval = self.interval(verdict);
        asked + interval * 9 / 10 + point(interval / 5, &mut self.random)
    }
}

impl<B, M> Watched<B, M> {
    fn judge(&mut self, report: Option<Report>, reason: Arc<str>, settings: &Settings) -> Checked<B, M> {
        let changed = match report {
            Some(_) => self.verdict.passed(settings.thresholds),
            None => self.verdict.failed(settings.thresholds),
        };
        Checked {
            live: Arc::clone(&self.live),
            report,
            changed,
            reason,
        }
    }
}

/// A random point of this time, which is not none, its end excluded.
fn point(of: Duration, random: &mut Generator) -> Duration {
    // Times are a day at most.
    Duration::from_nanos(random.below(of.as_nanos() as u64))
}
