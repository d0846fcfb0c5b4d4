//! Probes that a selector wants, made by the driver beside the requests.

use std::{
    collections::HashSet,
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::{
    fault::guarded,
    registry::Registry,
    snapshot::{Phase, Snapshot},
};
use crate::{
    backend::Backend,
    clock::Clock,
    health::{AnyProbe, Report},
    member::{Account, Live, MemberId, Remembered},
    selector::{At, Demand, Generator, Selector},
};

/// How many probes are under way at once, each to another member. What is due beyond that is let go: later probes will
/// know better.
const MOST: usize = 256;

/// Sees to a selector's [`Demand`].
pub(super) struct Probing<B: Backend, S: Selector<B>> {
    demand: Arc<Demand>,
    /// Without one, no more is done than to tell the time.
    probe: Option<AnyProbe<B>>,
    timeout: Duration,
    random: Generator,
    flights: FuturesUnordered<Flight<B, S::Memory>>,
    /// Who is being probed.
    targets: HashSet<MemberId>,
    /// Up to which request the demand is met.
    requests: u64,
    /// When probes were last made.
    last: Option<Instant>,
    /// When to look again for what is idle, and for what hangs: a timer is not set anew with each probe.
    look: Instant,
    sweep: Option<Instant>,
    shares: Shares,
}

/// Where the members' weights end, added up, of the snapshot of this version: for drawing by weight.
#[derive(Default)]
struct Shares {
    version: u64,
    ends: Vec<u64>,
}

/// A probe on its way to one incarnation of a member.
struct Flight<B, M> {
    live: Arc<Live<Remembered<B, M>>>,
    backend: Weak<B>,
    deadline: Instant,
    /// It holds the backend.
    answer: Option<crate::health::Asked>,
}

impl<B, M> Flight<B, M> {
    /// Dropping it is not our code either.
    fn end(&mut self) {
        let answer = self.answer.take();
        let _ = guarded(|| drop(answer));
    }
}

impl<B, M> Drop for Flight<B, M> {
    fn drop(&mut self) {
        self.end();
    }
}

impl<B, M> Future for Flight<B, M> {
    /// Who was asked, and what it said, if it said anything.
    type Output = (Arc<Live<Remembered<B, M>>>, Option<Report>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let answer = this.answer.as_mut();
        // A panic is no answer; nor is it any if there is nothing to wait for.
        let polled = answer.map(|answer| guarded(|| answer.as_mut().poll(cx)));
        let report = match polled {
            Some(Ok(Poll::Pending)) => return Poll::Pending,
            Some(Ok(Poll::Ready(answered))) => answered.ok(),
            Some(Err(_)) | None => None,
        };
        this.end();
        Poll::Ready((Arc::clone(&this.live), report))
    }
}

impl<B: Backend, S: Selector<B>> Probing<B, S> {
    pub(super) fn new(
        demand: Arc<Demand>,
        probe: Option<AnyProbe<B>>,
        timeout: Duration,
        random: Generator,
        clock: &Clock,
    ) -> Self {
        let now = clock.now();
        demand.tell(now);
        demand.meet(probe.is_some());
        Self {
            demand,
            probe,
            timeout,
            random,
            flights: FuturesUnordered::new(),
            targets: HashSet::new(),
            requests: 0,
            last: None,
            look: now,
            sweep: None,
            shares: Shares::default(),
        }
    }

    /// When the driver is to come again, if nothing else wakes it.
    pub(super) fn next(&self) -> Instant {
        self.sweep.map_or(self.look, |sweep| sweep.min(self.look))
    }

    /// Ends the probes of members that have left or were replaced.
    pub(super) fn part(&mut self, registry: &Registry<B, S>) {
        self.keep(|flight| registry.is_current(&flight.live, &flight.backend));
    }

    pub(super) fn end(&mut self) {
        self.keep(|_| false);
    }

    fn keep(&mut self, keeps: impl Fn(&Flight<B, S::Memory>) -> bool) {
        if self.flights.iter().all(&keeps) {
            return;
        }
        for flight in std::mem::take(&mut self.flights) {
            if keeps(&flight) {
                self.flights.push(flight);
            } else {
                self.targets.remove(&flight.live.member);
            }
        }
    }

    /// Takes in what has been answered, and asks anew if more is wanted.
    pub(super) fn turn(&mut self, snapshot: &Snapshot<B, S>, clock: &Clock, cx: &mut Context<'_>) {
        let now = clock.now();
        self.demand.tell(now);
        if snapshot.phase == Phase::Closed {
            self.end();
        }
        self.land(cx);
        if self.sweep.is_some_and(|sweep| sweep <= now) {
            self.keep(|flight| flight.deadline > now);
            self.sweep = self.flights.iter().map(|flight| flight.deadline).min();
        }
        let requests = self.demand.requests();
        let due = self.demand.due(requests).wrapping_sub(self.demand.due(self.requests));
        self.requests = requests;
        let quiet_until = self.last.map(|last| last + self.demand.idle());
        if due > 0 {
            self.ask(due, snapshot, clock);
        } else if quiet_until.is_none_or(|until| until <= now) {
            self.ask(self.demand.when_idle(), snapshot, clock);
        }
        if self.look <= now {
            let next = self.last.map(|last| last + self.demand.idle());
            // Where there is nobody to ask, none was asked just now either; whoever comes then has the driver run.
            let next = next.filter(|next| *next > now);
            self.look = next.unwrap_or(now + self.demand.idle().max(LEAST));
        }
        // Who has just been asked may have answered at once, and is to wake the driver if not.
        self.land(cx);
        let has_room = self.probe.is_some() && self.flights.len() < MOST.min(snapshot.roster.open() as usize);
        let after = has_room.then_some(self.requests);
        if !self.demand.wait(cx.waker(), after) {
            cx.waker().wake_by_ref();
        }
    }

    fn land(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some((live, report))) = self.flights.poll_next_unpin(cx) {
            self.targets.remove(&live.member);
            if let Some(load) = report.as_ref().and_then(Report::load) {
                // The selector's code.
                let _ = guarded(|| live.account.report(load));
            }
        }
        if self.flights.is_empty() {
            self.sweep = None;
        }
    }

    /// Asks so many members, or as many as there are and there is room for.
    fn ask(&mut self, due: u64, snapshot: &Snapshot<B, S>, clock: &Clock) {
        // Where there is nobody yet, whoever comes is asked at once.
        if snapshot.roster.open() > 0 {
            self.last = Some(clock.now());
        }
        let Some(probe) = &self.probe else { return };
        let room = MOST.saturating_sub(self.flights.len()) as u64;
        let deadline = clock.deadline(self.timeout);
        for at in self.shares.draw(due.min(room), snapshot, &mut self.random) {
            let live = &snapshot.lives[at.index()];
            // Not by its token, which would count as a request. One that is gone has left meanwhile.
            let Some(backend) = live.account.backend.lock().upgrade() else {
                continue;
            };
            if self.targets.contains(&live.member) {
                continue;
            }
            let weak = Arc::downgrade(&backend);
            if let Ok(answer) = guarded(|| probe.probe(backend)) {
                self.targets.insert(live.member);
                self.sweep.get_or_insert(deadline);
                self.flights.push(Flight {
                    live: Arc::clone(live),
                    backend: weak,
                    deadline,
                    answer: Some(answer),
                });
            }
        }
    }
}

/// The shortest time between two looks for what is idle.
const LEAST: Duration = Duration::from_millis(1);

impl Shares {
    /// Distinct open members: as many, or all there are. By weight; where few have nearly all of it they may be fewer.
    fn draw<B: Backend, S: Selector<B>>(
        &mut self,
        count: u64,
        snapshot: &Snapshot<B, S>,
        random: &mut Generator,
    ) -> Vec<At> {
        let roster = &snapshot.roster;
        let open = u64::from(roster.open());
        let count = count.min(open);
        let mut drawn: Vec<u64> = Vec::with_capacity(count as usize);
        if roster.equal_weights() {
            // Floyd's way: Bentley, "Programming pearls: a sample of brilliance", CACM 30 (9), 1987.
            for last in open - count..open {
                let place = random.below(last + 1);
                drawn.push(if drawn.contains(&place) { last } else { place });
            }
        } else {
            if self.version != snapshot.version {
                let weight = |index| u64::from(roster.weight(roster.at(index)));
                self.ends.clear();
                self.ends.extend((0..open as usize).scan(0, |end, index| {
                    *end += weight(index);
                    Some(*end)
                }));
                self.version = snapshot.version;
            }
            let total = self.ends.last().copied().unwrap_or(1);
            for _ in 0..8 * count {
                let share = random.below(total);
                let place = self.ends.partition_point(|end| *end <= share) as u64;
                if !drawn.contains(&place) {
                    drawn.push(place);
                }
                if drawn.len() as u64 == count {
                    break;
                }
            }
        }
        drawn.into_iter().map(|place| roster.at(place as usize)).collect()
    }
}
