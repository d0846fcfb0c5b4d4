//! The pool of probe replies: a few slots that every pick reads, uses up and clears, without a lock.

use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use crate::sync::Line;

/// The most replies that are kept: "a pool size of 16 suffices" (§4).
pub(super) const SLOTS: usize = 16;
/// From how many replies the RIF quantile is estimated.
const RECENT: usize = 64;

/// A reply is two words, read and written one after the other: who sent it when, and what it says. Somebody may come
/// between; then what one member said is taken for another's, until it is used up or too old. Nothing worse can happen,
/// since a number leads to a member or to none.
#[derive(Debug)]
pub(super) struct Replies {
    /// The member's number, then when it was received, in milliseconds; 0 if the slot is free.
    senders: Line<[AtomicU64; SLOTS]>,
    loads: Line<[AtomicU64; SLOTS]>,
    /// The bits of the RIF beyond which a reply is hot.
    hot_beyond: AtomicU32,
    /// The bits of the mean of the RIFs reported of late.
    mean: AtomicU32,
    /// The bits of the last RIFs reported.
    recent: [AtomicU32; RECENT],
    reported: AtomicU32,
}

/// What a reply says, in one word that its parts are compared in: the bits of positive floats are in order.
#[derive(Clone, Copy)]
struct Load(u64);

impl Load {
    /// The RIF's 32 bits; the latency in nanoseconds in 24, of which 16 are its precision; how often it may still be
    /// used in 8.
    fn new(rif: f32, latency: f32, uses: u8) -> Self {
        Self(u64::from(rif.to_bits()) << 32 | u64::from(latency.to_bits() >> 7) << 8 | u64::from(uses))
    }

    fn rif(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn uses(self) -> u8 {
        self.0 as u8
    }

    /// The hot-cold lexicographic rule (§4): the cold before the hot, the cold by latency, the hot by RIF; what that
    /// leaves open by the other. The best is the least, the worst the greatest.
    #[inline]
    fn rank(self, hot_beyond: u32) -> u64 {
        let by_rif = self.0 >> 8;
        let by_latency = (by_rif & 0xff_ffff) << 32 | by_rif >> 24;
        // Without a branch, which nobody could foretell.
        let is_hot = u64::from(by_rif > u64::from(hot_beyond) << 24 | 0xff_ffff);
        let hot = 1 << 56 | by_rif;
        by_latency ^ (by_latency ^ hot) & is_hot.wrapping_neg()
    }
}

/// The replies that are not too old.
#[derive(Clone, Copy)]
pub(super) struct Fresh {
    /// The most that there are, at most [`SLOTS`].
    pub(super) size: usize,
    /// The greatest age, in milliseconds.
    pub(super) most: u32,
    pub(super) now: u32,
}

impl Fresh {
    #[inline]
    fn has(self, sender: u64) -> bool {
        // What was received a little later than the time was told is not old.
        sender != 0 && self.now.wrapping_sub(sender as u32) as i32 <= self.most as i32
    }

    /// The greater, the longer ago.
    #[inline]
    fn age(self, sender: u64) -> u32 {
        self.now.wrapping_sub(sender as u32).wrapping_add(1 << 31)
    }
}

/// What a look at all replies found, each with the slot that has it.
struct Look {
    count: usize,
    /// The least rank.
    best: u64,
    /// The greatest rank or age; what this look was not to find is 0.
    leaves: u64,
}

/// How many bits name a slot.
const SLOT: u32 = SLOTS.trailing_zeros();

/// Which replies are to be removed after a pick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removal {
    Worst,
    Oldest,
}

impl Default for Replies {
    fn default() -> Self {
        Self {
            senders: Line::default(),
            loads: Line::default(),
            hot_beyond: AtomicU32::new(0),
            mean: AtomicU32::new(0),
            recent: std::array::from_fn(|_| AtomicU32::new(0)),
            reported: AtomicU32::new(0),
        }
    }
}

impl Replies {
    /// Looks at all but those in `passed`: for the best and, as `REMOVES` says, the worst, the oldest or neither. Equal
    /// ranks are told apart by the slots in an order that `turn` begins.
    ///
    /// By itself, as what it compares with then stays in registers.
    #[inline(never)]
    fn look<const REMOVES: u8>(&self, fresh: Fresh, passed: u32, turn: u64) -> Look {
        let hot_beyond = self.hot_beyond.load(Relaxed);
        let mut look = Look {
            count: 0,
            best: u64::MAX,
            leaves: 0,
        };
        // All slots, of which those beyond the size are free: a loop of one length is faster.
        for (slot, (sender, load)) in self.senders.0.iter().zip(&self.loads.0).enumerate() {
            let sender = sender.load(Acquire);
            if !fresh.has(sender) || passed >> slot & 1 == 1 {
                continue;
            }
            let order = (slot as u64).wrapping_sub(turn) % SLOTS as u64;
            let rank = Load(load.load(Relaxed)).rank(hot_beyond) << SLOT | order;
            look.count += 1;
            look.best = look.best.min(rank);
            match REMOVES {
                WORST => look.leaves = look.leaves.max(rank),
                OLDEST => look.leaves = look.leaves.max(u64::from(fresh.age(sender)) << SLOT | order),
                _ => {}
            }
        }
        look
    }

    #[inline]
    fn look_for(&self, removal: Option<Removal>, fresh: Fresh, turn: u64) -> Look {
        match removal {
            None => self.look::<NEITHER>(fresh, 0, turn),
            Some(Removal::Worst) => self.look::<WORST>(fresh, 0, turn),
            Some(Removal::Oldest) => self.look::<OLDEST>(fresh, 0, turn),
        }
    }

    /// Apart from the usual way, on which nothing is passed.
    #[cold]
    fn look_past(&self, fresh: Fresh, passed: u32, turn: u64) -> Look {
        self.look::<NEITHER>(fresh, passed, turn)
    }

    /// The slot of a rank.
    fn slot(rank: u64, turn: u64) -> usize {
        (rank.wrapping_add(turn) % SLOTS as u64) as usize
    }

    /// Uses the best reply of a member that `member` finds by its number, with how much a request adds to its RIF. None
    /// if fewer than two of such replies are left, which is no choice (§4). Then removes as many as are due.
    #[inline]
    pub(super) fn choose<T>(
        &self,
        fresh: Fresh,
        turn: u64,
        mut removals: impl Iterator<Item = Removal>,
        member: impl Fn(u32) -> Option<(T, f32)>,
    ) -> Option<T> {
        let mut removal = removals.next();
        let first = self.look_for(removal, fresh, turn);
        let (mut best, mut count, mut passed) = (first.best, first.count, 0);
        let chosen = loop {
            if count < 2 {
                return None;
            }
            let slot = Self::slot(best, turn);
            let sender = self.senders.0[slot].load(Acquire);
            if let Some((chosen, step)) = member((sender >> 32) as u32) {
                self.use_up(slot, sender, step);
                break chosen;
            }
            passed |= 1 << slot;
            let next = self.look_past(fresh, passed, turn);
            (best, count) = (next.best, next.count);
        };
        let mut leaves = first.leaves;
        while removal.is_some() {
            let slot = Self::slot(leaves, turn);
            self.clear(slot, self.senders.0[slot].load(Relaxed));
            removal = removals.next();
            if removal.is_some() {
                leaves = self.look_for(removal, fresh, turn).leaves;
            }
        }
        Some(chosen)
    }

    /// One use less; and one request more, since the reply was sent before it (§4).
    #[inline]
    fn use_up(&self, slot: usize, sender: u64, step: f32) {
        let used = |word| {
            let load = Load(word);
            let rif = f32::from_bits(load.rif()) + step;
            let uses = match load.uses() {
                UNLIMITED => UNLIMITED,
                uses => uses.checked_sub(1).filter(|left| *left > 0)?,
            };
            Some(u64::from(rif.to_bits()) << 32 | word & 0xffff_ff00 | u64::from(uses))
        };
        if self.loads.0[slot].fetch_update(Relaxed, Relaxed, used).is_err() {
            self.clear(slot, sender);
        }
    }

    /// Unless another reply has come there meanwhile.
    fn clear(&self, slot: usize, sender: u64) {
        let _ = self.senders.0[slot].compare_exchange(sender, 0, Relaxed, Relaxed);
    }

    /// A reply of the member of this number, which has just come: in place of its last one (§4: the formula for the
    /// number of uses supposes it), or in a free slot, or in place of the oldest.
    pub(super) fn add(&self, fresh: Fresh, number: u32, rif: f32, latency: f32, uses: u8) {
        let place = |slot: &usize| {
            let sender = self.senders.0[*slot].load(Relaxed);
            match () {
                () if (sender >> 32) as u32 == number => (0, 0),
                () if !fresh.has(sender) => (1, 0),
                // The greatest age first.
                () => (2, !fresh.age(sender)),
            }
        };
        let Some(slot) = (0..fresh.size.min(SLOTS)).min_by_key(place) else {
            return;
        };
        self.senders.0[slot].store(0, Relaxed);
        self.loads.0[slot].store(Load::new(rif, latency, uses).0, Relaxed);
        self.senders.0[slot].store(u64::from(number) << 32 | u64::from(fresh.now), Release);
    }

    /// What a member has said is worth nothing any more.
    pub(super) fn forget(&self, number: u32) {
        for (slot, sender) in self.senders.0.iter().enumerate() {
            let sender = sender.load(Relaxed);
            if sender >> 32 == u64::from(number) {
                self.clear(slot, sender);
            }
        }
    }

    /// The mean of the RIFs reported of late.
    #[inline]
    pub(super) fn mean(&self) -> f32 {
        f32::from_bits(self.mean.load(Relaxed))
    }

    /// Estimates anew what is hot, of the last 64 RIFs and this one: more than `quantile` of them.
    pub(super) fn estimate(&self, rif: f32, quantile: f64) {
        let index = self.reported.fetch_add(1, Relaxed) as usize;
        self.recent[index % RECENT].store(rif.to_bits(), Relaxed);
        let mut recent = [0; RECENT];
        let count = if index < RECENT { index + 1 } else { RECENT };
        for (copy, rif) in recent.iter_mut().zip(&self.recent[..count]) {
            *copy = rif.load(Relaxed);
        }
        let sum: f32 = recent[..count].iter().copied().map(f32::from_bits).sum();
        self.mean.store((sum / count as f32).to_bits(), Relaxed);
        let below = (quantile * count as f64).ceil() as usize;
        let (_, beyond, _) = recent[..count].select_nth_unstable(below.clamp(1, count) - 1);
        self.hot_beyond.store(*beyond, Relaxed);
    }
}

const NEITHER: u8 = 0;
const WORST: u8 = 1;
const OLDEST: u8 = 2;

/// As often as there is nothing newer.
pub(super) const UNLIMITED: u8 = u8::MAX;
