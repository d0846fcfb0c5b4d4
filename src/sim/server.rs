//! A server that is simulated.

use std::{
    cmp::Ordering,
    collections::{BinaryHeap, VecDeque},
};

use super::{Befalls, Discipline};

/// A server: what it works on, and how far it is with that.
///
/// All that it works on advances at one rate: its speed, and where there are more requests than slots, their share of
/// it. So how much each has been served since it began is the difference of one number, the work done, and a request
/// ends when that has reached what it was at its begin and its demand on top (a virtual time, as of fair queueing).
pub(super) struct Server {
    discipline: Discipline,
    slots: usize,
    /// Its own, and what antagonists leave of it.
    speed: f64,
    left: f64,
    /// How many times as long it takes, by what has befallen it.
    slowness: f64,
    pub(super) state: State,
    /// Work done for each that is worked on, in nanoseconds at a speed of 1.
    done: f64,
    /// As of when, in nanoseconds.
    as_of: u64,
    running: BinaryHeap<Running>,
    waiting: VecDeque<Job>,
    /// Which of the ends that were foretold counts.
    pub(super) version: u64,
    foretold: Option<u64>,
    pub(super) usage: Usage,
    busy: f64,
    busy_since: u64,
}

/// How a server meets what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Serving,
    Down,
    FailingFast,
    Swallowing,
}

/// Something to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Job {
    pub(super) id: u32,
    pub(super) demand: f64,
}

struct Running {
    /// The work done at which it ends.
    end: f64,
    id: u32,
}

/// What a server has been used for: numbers times nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// Requests that were at the server.
    pub(super) requests: f64,
    /// Slots that were in use.
    pub(super) slots: f64,
}

/// Of nanoseconds: what rounding may leave undone.
const EPSILON: f64 = 1e-3;
/// How fast a server forgets how busy it was, in nanoseconds: about as monitors of processors do.
const BUSY: f64 = 1e9;

impl Server {
    pub(super) fn new(discipline: Discipline, slots: u32, speed: f64) -> Self {
        Self {
            discipline,
            slots: slots as usize,
            speed,
            left: 1.0,
            slowness: 1.0,
            state: State::Serving,
            done: 0.0,
            as_of: 0,
            running: BinaryHeap::new(),
            waiting: VecDeque::new(),
            version: 0,
            foretold: None,
            usage: Usage::default(),
            busy: 0.0,
            busy_since: 0,
        }
    }

    /// Requests that are here.
    pub(super) fn requests(&self) -> usize {
        self.running.len() + self.waiting.len()
    }

    pub(super) fn has_idle_slot(&self) -> bool {
        self.requests() < self.slots
    }

    /// How many slots are in use on average, of late and of all.
    pub(super) fn utilization(&mut self, now: u64) -> f64 {
        let now_busy = self.in_use() as f64 / self.slots as f64;
        let kept = (-((now - self.busy_since) as f64) / BUSY).exp();
        self.busy = self.busy * kept + now_busy * (1.0 - kept);
        self.busy_since = now;
        self.busy
    }

    /// How fast it would serve a request of its own.
    pub(super) fn full_speed(&self) -> f64 {
        self.speed * self.left / self.slowness
    }

    fn in_use(&self) -> usize {
        self.running.len().min(self.slots)
    }

    fn rate(&self) -> f64 {
        let share = match self.running.len() {
            running if running <= self.slots => 1.0,
            running => self.slots as f64 / running as f64,
        };
        self.full_speed() * share
    }

    /// Works until now.
    pub(super) fn work(&mut self, now: u64) {
        let passed = (now - self.as_of) as f64;
        if passed > 0.0 {
            self.utilization(now);
            self.done += passed * self.rate();
            self.usage.requests += passed * self.requests() as f64;
            self.usage.slots += passed * self.in_use() as f64;
        }
        self.as_of = now;
    }

    pub(super) fn take(&mut self, now: u64, job: Job) {
        self.work(now);
        self.waiting.push_back(job);
        self.begin_waiting();
    }

    fn begin_waiting(&mut self) {
        while self.discipline == Discipline::ProcessorSharing || self.running.len() < self.slots {
            let Some(job) = self.waiting.pop_front() else {
                return;
            };
            let end = self.done + job.demand;
            self.running.push(Running { end, id: job.id });
        }
    }

    /// What has ended by now, one at a time.
    pub(super) fn end_one(&mut self, now: u64) -> Option<u32> {
        self.work(now);
        let next = self.running.peek()?;
        if next.end > self.done + EPSILON {
            return None;
        }
        let ended = self.running.pop()?.id;
        self.begin_waiting();
        Some(ended)
    }

    /// When the next ends, if that has changed since it was asked last.
    pub(super) fn foretell(&mut self) -> Option<u64> {
        let end = self.running.peek().map(|next| {
            let nanos = ((next.end - self.done).max(0.0) / self.rate()).ceil();
            self.as_of.saturating_add(nanos as u64)
        });
        if end == self.foretold {
            return None;
        }
        self.foretold = end;
        self.version += 1;
        end
    }

    /// The end that was foretold has come.
    pub(super) fn foretold_has_come(&mut self) {
        self.foretold = None;
    }

    pub(super) fn leave_speed(&mut self, now: u64, left: f64) {
        self.work(now);
        self.left = left;
    }

    /// What befalls it; the requests that are lost by that.
    pub(super) fn befall(&mut self, now: u64, what: Befalls) -> Vec<u32> {
        self.work(now);
        self.state = match what {
            Befalls::Joins | Befalls::Leaves => return Vec::new(),
            Befalls::Crashes => State::Down,
            Befalls::FailsFast => State::FailingFast,
            Befalls::Swallows => State::Swallowing,
            Befalls::Serves | Befalls::Slows(_) => State::Serving,
        };
        self.slowness = match what {
            Befalls::Slows(times) => f64::from(times.max(1)),
            _ => 1.0,
        };
        if self.state != State::Down {
            return Vec::new();
        }
        let mut lost: Vec<u32> = self.running.drain().map(|running| running.id).collect();
        lost.extend(self.waiting.drain(..).map(|job| job.id));
        // A heap's order is nobody's.
        lost.sort_unstable();
        lost
    }
}

/// The first to end is the greatest; of several the first that came.
impl Ord for Running {
    fn cmp(&self, other: &Self) -> Ordering {
        other.end.total_cmp(&self.end).then(other.id.cmp(&self.id))
    }
}

impl PartialOrd for Running {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Running {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Running {}

#[cfg(test)]
mod tests {
    use super::*;

    /// When each of some requests ends, that come at given times with given demands.
    fn ends(discipline: Discipline, speed: f64, jobs: &[(u64, f64)], slowed: Option<(u64, f64)>) -> Vec<(u32, u64)> {
        let mut server = Server::new(discipline, 2, speed);
        let mut ended = Vec::new();
        let mut jobs = jobs.iter().enumerate().peekable();
        let mut slowed = slowed;
        loop {
            let next = server.running.peek().map(|next| {
                let left = (next.end - server.done).max(0.0) / server.rate();
                server.as_of + left.ceil() as u64
            });
            let comes = jobs.peek().map(|(_, (at, _))| *at);
            let slows = slowed.map(|(at, _)| at);
            let Some(now) = [next, comes, slows].into_iter().flatten().min() else {
                return ended;
            };
            while let Some(id) = server.end_one(now) {
                ended.push((id, now));
            }
            if slows == Some(now) {
                server.leave_speed(now, slowed.take().unwrap().1);
            } else if comes == Some(now) {
                let (id, (_, demand)) = jobs.next().unwrap();
                let (id, demand) = (id as u32, *demand);
                server.take(now, Job { id, demand });
            }
        }
    }

    #[test]
    fn first_come_is_served_by_slots_in_order() {
        let jobs = [(0, 100.0), (0, 300.0), (10, 50.0), (20, 10.0)];
        let expected = [(0, 100), (2, 150), (3, 160), (1, 300)];
        assert_eq!(ends(Discipline::FirstCome, 1.0, &jobs, None), expected);
        // Twice as long at half of the speed.
        let slow = expected.map(|(id, at)| (id, 2 * at));
        assert_eq!(ends(Discipline::FirstCome, 0.5, &jobs, None), slow);
    }

    #[test]
    fn shared_slots_are_shared_evenly() {
        // Two at full speed, three at two thirds each.
        let jobs = [(0, 100.0), (0, 100.0), (0, 100.0)];
        let at = |discipline| {
            ends(discipline, 1.0, &jobs, None)
                .iter()
                .map(|(_, at)| *at)
                .collect::<Vec<_>>()
        };
        assert_eq!(at(Discipline::ProcessorSharing), [150, 150, 150]);
        assert_eq!(at(Discipline::FirstCome), [100, 100, 200]);
        // The third comes when the others have 40 left: at ⅔ they take 60, and then it has 60 left at full speed.
        let jobs = [(0, 100.0), (0, 100.0), (60, 100.0)];
        assert_eq!(
            ends(Discipline::ProcessorSharing, 1.0, &jobs, None),
            [(0, 120), (1, 120), (2, 180)]
        );
    }

    #[test]
    fn who_slows_takes_so_many_times_as_long_until_it_serves_again() {
        let mut server = Server::new(Discipline::FirstCome, 1, 2.0);
        server.take(0, Job { id: 0, demand: 100.0 });
        assert_eq!(server.foretell(), Some(50));
        assert!(server.befall(25, Befalls::Slows(10)).is_empty());
        assert_eq!((server.foretell(), server.state), (Some(275), State::Serving));
        server.befall(125, Befalls::Serves);
        assert_eq!(server.foretell(), Some(140));
    }

    #[test]
    fn what_is_under_way_goes_on_at_another_speed() {
        let jobs = [(0, 100.0)];
        let slowed = Some((50, 0.25));
        assert_eq!(ends(Discipline::FirstCome, 1.0, &jobs, slowed), [(0, 250)]);
    }
}
