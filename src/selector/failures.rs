//! Failures that weigh like requests still open.
//!
//! A request that fails at once leaves its place at once, and a member that does that to all looks the least loaded of
//! all. So a failure keeps a place, which fades.
//!
//! **For how long.** Who always fails weighs as much as begins there while a place is kept; it is chosen until that is
//! what each of the others has in flight, which is what begins there while a request is served (Little's law: in flight =
//! rate × time). So it has no more than a fair share if a place is kept for no less than a request takes *on average*. A
//! median would not do: it is 0.69 of an exponential's mean, and may be next to nothing of a skewed one's. Nor would any
//! bound in seconds, beyond which requests may take. Here it is [`KEPT`] times the mean, so that little is lost to who fails,
//! and of ten members a black hole has no more than the fiftieth part however late its requests are given up.
//!
//! **By what clock.** How long requests take nobody knows who does not measure it, and who begins to when failures come
//! hears of the long ones last. But by the same law as many requests begin in that time as there are in flight. So time is
//! told by picks, each of which moves it on by one part in as many as are in flight: right for requests of a millisecond
//! and for streams of an hour, and no clock is read. While there are fewer in flight than members, it is one part in as many
//! as members: idle ones tie, and who has failed is to come after all of them.
//!
//! **How much.** Where a part p of all requests fails, each member weighs p × [`KEPT`] times what it has in flight: all
//! the same, and loads tell who is least loaded.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use super::{
    Completion, Pick,
    fading::{Fading, Moment},
    roster::At,
};
use crate::sync::Line;

/// What [`LeastLoaded`](super::LeastLoaded) remembers of a member: its failures of late, how much they weigh and as of
/// when. A request that fails at once leaves its place at once, and the member that does that to all looks the least loaded
/// of all; so a failure keeps a place for a while.
#[derive(Debug, Default)]
pub struct Failures(Fading);

/// For how many times as long as a request takes a failure keeps its place, on average. With 1 who always fails has a fair
/// share; with more, so many times less. Not much more: what is remembered of failures that come now and then is chance,
/// and takes from what loads tell (simulated in `tests/promises/failing_fast.rs`).
const KEPT: f32 = 8.0;

/// What has faded below this weighs nothing: less than any difference between two loads.
const LEAST: f32 = 1.0 / 16.0;

impl Failures {
    /// Whether the member has none, or none that were not found to weigh no more.
    #[inline]
    pub(super) fn is_clear(&self) -> bool {
        self.0.is_none()
    }

    /// How many requests they weigh like.
    #[inline]
    pub(super) fn weight(&self, now: Moment) -> f32 {
        self.0.read_from(LEAST, now).unwrap_or(0.0)
    }
}

/// Whether any member of a pool has failed of late, and the time by which failures fade: in one place for all, so that a
/// pick that finds none need not look at the member it has chosen, which may not be in the cache.
#[derive(Debug, Default)]
pub(super) struct Failing(Line<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// The last time until which a failure weighs; 0 if none does.
    until: AtomicU64,
    /// In times for which a place is kept, of which [`ONE`] is one. It stands still while none is.
    time: AtomicU64,
    /// What there is in flight at a member.
    load: Usual,
}

/// What some number is for members on average, as looked at of late: the bits of a 32-bit float; 0: unknown.
#[derive(Debug, Default)]
pub(super) struct Usual(AtomicU32);

impl Usual {
    pub(super) fn get(&self) -> f32 {
        f32::from_bits(self.0.load(Relaxed))
    }

    /// Looks at some members, by chance. What is known then.
    pub(super) fn look<B, M>(&self, pick: &Pick<'_, B, M>, number: impl Fn(At) -> f32) -> f32 {
        let any = || pick.at(pick.below(pick.len() as u64) as usize);
        let look = (0..EACH).map(|_| number(any())).sum::<f32>() / EACH as f32;
        let known = match self.get() {
            0.0 => look,
            known => known + (look - known) * LEARNT,
        };
        // Of two threads that look at once one is enough.
        self.0.store(known.to_bits(), Relaxed);
        known
    }
}

/// Then it goes round after 2²⁸ times that a place is kept: what is compared around that moment is forgotten early.
const ONE: u64 = 1 << 36;
/// In a member's 32 bits it goes round after 2²² times.
const TICK: u32 = 26;

/// One pick in so many, by chance, moves the time for all of them, and looks at so many members, by chance as well:
/// threads then meet less often.
const EACH: u64 = 8;
/// How much of a look at loads is taken up.
const LEARNT: f32 = 0.25;

impl Failing {
    #[inline]
    pub(super) fn is_clear(&self) -> bool {
        self.0.0.until.load(Relaxed) == 0
    }

    /// The time by which failures are read.
    #[inline]
    pub(super) fn now(&self) -> Moment {
        moment(self.0.0.time.load(Relaxed))
    }

    pub(super) fn observe(&self, failures: &Failures, completion: &Completion) {
        if completion.outcome.is_failure() {
            self.add(failures);
        }
    }

    /// One more.
    pub(super) fn add(&self, failures: &Failures) {
        let Shared { until, time, .. } = &self.0.0;
        let time = time.load(Relaxed);
        let now = moment(time);
        failures.0.change(|last| {
            let left = last.map_or(0.0, |(weight, since)| weight * now.left(since));
            Some((left + 1.0, now.ticks))
        });
        let weight = failures.0.read(now).unwrap_or(1.0);
        let fades = (weight / LEAST).ln() * ONE as f32;
        until.fetch_max(time.wrapping_add(fades as u64).max(1), Relaxed);
    }

    /// A pick goes by, while not [clear](Failing::is_clear), of members with so much in flight, of which no more counts than
    /// `most` for each. Whether it was one that moves the time.
    pub(super) fn pass<B, M>(&self, pick: &Pick<'_, B, M>, most: f32, load: impl Fn(At) -> f32) -> bool {
        if pick.is_empty() || pick.below(EACH) != 0 {
            return false;
        }
        let load = self.0.0.load.look(pick, load);
        self.advance(EACH as f32, pick.len() as f32 * load.clamp(1.0, most));
        true
    }

    /// What there is in flight at a member, on average; 0 if that is not known.
    pub(super) fn usual_load(&self) -> f32 {
        self.0.0.load.get()
    }

    /// So many picks have gone by, of a pool with so many requests in flight or, if that is more, members.
    pub(super) fn advance(&self, picks: f32, requests: f32) {
        let Shared { until, time, load } = &self.0.0;
        let part = picks / (KEPT * requests.max(1.0)) * ONE as f32;
        let now = time.fetch_add(part as u64, Relaxed).wrapping_add(part as u64);
        let last = until.load(Relaxed);
        // What is below 0 has gone round.
        if now.wrapping_sub(last) as i64 >= 0 && until.compare_exchange(last, 0, Relaxed, Relaxed).is_ok() {
            // By the next failure there may be another load.
            load.0.store(0, Relaxed);
        }
    }
}

#[inline]
fn moment(time: u64) -> Moment {
    /// To 1 ∕ e in the time that a place is kept: so it is kept for that long on average.
    const HALVINGS: f32 = std::f32::consts::LOG2_E / (ONE >> TICK) as f32;
    Moment {
        ticks: (time >> TICK) as u32,
        halvings: HALVINGS,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// So many picks go by, of a pool with so many requests.
    fn weight_after(failing: &Failing, failures: &Failures, picks: u32, requests: f32) -> f32 {
        (0..picks).for_each(|_| failing.advance(1.0, requests));
        failures.weight(failing.now())
    }

    #[test]
    fn a_failure_keeps_a_place_for_eight_times_as_many_picks_as_there_are_requests() {
        for requests in [1.0, 10.0, 1_000.0] {
            let (failing, failures) = (Failing::default(), Failures::default());
            assert!(failing.is_clear() && failures.is_clear());
            failing.add(&failures);
            let life = 8 * requests as u32;
            let mut places = 0.0;
            for _ in 0..10 * life {
                places += weight_after(&failing, &failures, 1, requests);
            }
            // But for what is below a sixteenth, and a part for the time being in ticks.
            let share = places / life as f32;
            assert!((0.85..1.0).contains(&share), "{requests}: {share}");
            assert!(failing.is_clear() && failures.is_clear());
        }
    }

    #[test]
    fn failures_add_up_and_are_forgotten_together() {
        let (failing, one, two) = (Failing::default(), Failures::default(), Failures::default());
        (0..100).for_each(|_| failing.add(&one));
        assert_eq!(one.weight(failing.now()), 100.0);
        // 100 ∕ e
        let left = weight_after(&failing, &one, 80, 10.0);
        assert!((36.0..37.6).contains(&left), "{left}");
        failing.add(&two);
        // What is left of 1 is less than a sixteenth, and of 37 is not.
        assert_eq!(weight_after(&failing, &two, 240, 10.0), 0.0);
        assert!(two.is_clear() && !failing.is_clear());
        assert!(one.weight(failing.now()) > 1.0);
        assert_eq!(weight_after(&failing, &one, 400, 10.0), 0.0);
        assert!(failing.is_clear());
    }

    #[test]
    fn time_goes_round_without_harm() {
        let failing = Failing::default();
        failing.0.0.time.store(u64::MAX - ONE, Relaxed);
        let failures = Failures::default();
        failing.add(&failures);
        assert!(failures.weight(failing.now()) > 0.9);
        assert_eq!(weight_after(&failing, &failures, 800, 10.0), 0.0);
        assert!(failing.is_clear());
        failing.add(&failures);
        assert!(!failing.is_clear());
        assert_eq!(weight_after(&failing, &failures, 0, 10.0), 1.0);
    }
}
