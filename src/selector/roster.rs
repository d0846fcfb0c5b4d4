//! The members of one snapshot, laid out for picking.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use crate::{
    limit::Limit,
    member::{MemberId, Replaced, Token},
    readiness::{Condition, Readiness},
};

/// Where a member stands in one snapshot. Only a view makes one, and wrappers pass it on unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct At(pub(super) u32);

impl At {
    pub(crate) fn new(index: usize) -> Self {
        Self(index as u32)
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Column by column, so that reading the loads of many touches nothing else. The open members come first.
pub(crate) struct Roster<B> {
    tokens: Box<[Weak<Token<Arc<B>>>]>,
    members: Box<[MemberId]>,
    weights: Weights,
    limits: Option<Box<[u32]>>,
    /// Limits that follow requests: all members have one, or none.
    adaptive: Option<Box<[Arc<Limit>]>>,
    /// Who takes one request at a time, in order: few, if any.
    spared: Box<[At]>,
    readiness: Option<Box<[Option<Readiness>]>>,
    earlier: Box<[Earlier<B>]>,
    ramps: Box<[Ramp]>,
    open: u32,
    homes: u32,
    plain: bool,
    /// Whether any of the limits above is set: asked for with every pick.
    limited: bool,
    /// The part of all requests that comes to these members.
    share: f64,
}

/// A member that is brought in key by key.
#[derive(Clone)]
pub(crate) struct Ramp {
    pub(crate) at: At,
    /// The hash of its id, which is the same everywhere.
    pub(crate) id: u64,
    /// It takes the keys that come to less, which grows without a new snapshot.
    pub(crate) part: Arc<AtomicU32>,
}

impl Ramp {
    fn takes(&self, key: u64) -> bool {
        // The finalizer of SplitMix64: each bit of the sum changes each bit of this with even chances.
        let mut mixed = key.wrapping_add(self.id);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 32) < u64::from(self.part.load(Relaxed))
    }
}

/// How far the members of a [`Roster`] go, the first so many of each kind.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    /// They can be picked.
    pub(crate) open: usize,
    /// Sessions at home there can come.
    pub(crate) homes: usize,
}

/// A replaced incarnation of the member at a position, with leases left.
struct Earlier<B> {
    at: At,
    token: Weak<Token<Arc<B>>>,
}

/// The weights of the open members.
enum Weights {
    Equal(u32),
    Each(Box<[u32]>),
}

impl From<Vec<u32>> for Weights {
    fn from(weights: Vec<u32>) -> Self {
        let first = weights.first().copied().unwrap_or(1);
        if weights.iter().all(|weight| *weight == first) {
            Self::Equal(first)
        } else {
            Self::Each(weights.into())
        }
    }
}

/// A row of a [`Roster`] in the making.
pub(crate) struct Row<'a, B> {
    pub(crate) token: Weak<Token<Arc<B>>>,
    pub(crate) member: MemberId,
    pub(crate) weight: u32,
    pub(crate) limit: Option<u32>,
    /// One that follows requests, besides.
    pub(crate) adaptive: Option<Arc<Limit>>,
    /// One request at a time, besides those of earlier incarnations.
    pub(crate) spared: bool,
    pub(crate) readiness: Option<Readiness>,
    /// Incarnations replaced under the same id, held by the registry, that may have leases.
    pub(crate) earlier: &'a [Replaced<B>],
}

impl<B> Roster<B> {
    /// `rows`: first the open ones, then those that take homes, then the rest. `ramps`: by position.
    pub(crate) fn new<'a>(rows: impl ExactSizeIterator<Item = Row<'a, B>>, extent: Extent, ramps: Vec<Ramp>) -> Self
    where
        B: 'a,
    {
        let Extent { open, homes } = extent;
        let total = rows.len();
        let mut tokens = Vec::with_capacity(total);
        let mut members = Vec::with_capacity(total);
        let mut weights = Vec::with_capacity(open);
        let mut limits = Vec::with_capacity(total);
        let mut limited = false;
        let mut adaptive = Vec::new();
        let mut spared = Vec::new();
        let mut readiness = Vec::new();
        let mut earlier = Vec::new();
        for (index, row) in rows.enumerate() {
            tokens.push(row.token);
            members.push(row.member);
            if index < open {
                weights.push(row.weight);
            }
            limited |= row.limit.is_some();
            limits.push(row.limit.unwrap_or(u32::MAX));
            adaptive.extend(row.adaptive);
            if row.readiness.is_some() {
                readiness.resize(total, None);
                readiness[index] = row.readiness;
            }
            let at = At(index as u32);
            spared.extend(row.spared.then_some(at));
            earlier.extend(row.earlier.iter().map(|replaced| Earlier {
                at,
                token: Arc::downgrade(&replaced.token),
            }));
        }
        let is_limited = limited || !adaptive.is_empty() || !spared.is_empty();
        Self {
            share: 1.0,
            plain: !is_limited && readiness.is_empty() && ramps.is_empty(),
            limited: is_limited,
            tokens: tokens.into(),
            members: members.into(),
            weights: weights.into(),
            limits: limited.then(|| limits.into()),
            adaptive: (!adaptive.is_empty()).then(|| adaptive.into()),
            spared: spared.into(),
            readiness: (!readiness.is_empty()).then(|| readiness.into()),
            earlier: earlier.into(),
            ramps: ramps.into(),
            open: open as u32,
            homes: homes as u32,
        }
    }

    /// Some of the open members, as if there were no others.
    pub(super) fn part(&self, places: &[At], share: f64) -> Self {
        let weights: Vec<u32> = places.iter().map(|at| self.weight(*at)).collect();
        let limits = |limits: &[u32]| places.iter().map(|at| limits[at.index()]).collect();
        let adaptive = |limits: &[Arc<Limit>]| places.iter().map(|at| Arc::clone(&limits[at.index()])).collect();
        let readiness = |column: &[Option<Readiness>]| places.iter().map(|at| column[at.index()].clone()).collect();
        let earlier = |(index, whole): (usize, &At)| {
            self.earlier_of(*whole).map(move |earlier| Earlier {
                at: At(index as u32),
                token: earlier.token.clone(),
            })
        };
        let ramp = |(index, whole): (usize, &At)| {
            let at = At(index as u32);
            self.ramp(*whole).map(|ramp| Ramp { at, ..ramp.clone() })
        };
        let spared = |(index, whole): (usize, &At)| self.is_spared(*whole).then_some(At(index as u32));
        Self {
            tokens: places.iter().map(|at| self.tokens[at.index()].clone()).collect(),
            members: places.iter().map(|at| self.members[at.index()]).collect(),
            weights: weights.into(),
            limits: self.limits.as_deref().map(limits),
            adaptive: self.adaptive.as_deref().map(adaptive),
            spared: places.iter().enumerate().filter_map(spared).collect(),
            readiness: self.readiness.as_deref().map(readiness),
            earlier: places.iter().enumerate().flat_map(earlier).collect(),
            ramps: places.iter().enumerate().filter_map(ramp).collect(),
            open: places.len() as u32,
            homes: places.len() as u32,
            plain: self.plain,
            limited: self.limited,
            share,
        }
    }

    /// How many members there are, open or not.
    pub(crate) fn total(&self) -> usize {
        self.tokens.len()
    }

    pub(crate) fn token(&self, at: At) -> &Weak<Token<Arc<B>>> {
        &self.tokens[at.index()]
    }

    pub(crate) fn member(&self, at: At) -> MemberId {
        self.members[at.index()]
    }

    /// The position of any member, open or not: for homes.
    pub(crate) fn at(&self, index: usize) -> At {
        debug_assert!(index < self.total());
        At(index as u32)
    }

    #[inline]
    pub(crate) fn open(&self) -> u32 {
        self.open
    }

    /// How many take sessions that are at home there, the open ones included.
    #[inline]
    pub(crate) fn homes(&self) -> u32 {
        self.homes
    }

    /// Whether any member is being brought in key by key.
    #[inline]
    pub(super) fn has_ramps(&self) -> bool {
        !self.ramps.is_empty()
    }

    /// Whether a member takes this key already.
    pub(super) fn takes_key(&self, at: At, key: u64) -> bool {
        self.ramp(at).is_none_or(|ramp| ramp.takes(key))
    }

    /// The part of keys that a member takes that is being brought in key by key.
    pub(crate) fn part_of_keys(&self, at: At) -> Option<f32> {
        let part = self.ramp(at)?.part.load(Relaxed);
        Some((f64::from(part) / f64::from(u32::MAX)) as f32)
    }

    fn ramp(&self, at: At) -> Option<&Ramp> {
        let place = self.ramps.binary_search_by_key(&at, |ramp| ramp.at);
        place.ok().map(|place| &self.ramps[place])
    }

    #[inline]
    pub(crate) fn equal_weights(&self) -> bool {
        matches!(self.weights, Weights::Equal(_))
    }

    #[inline]
    pub(crate) fn weight(&self, at: At) -> u32 {
        match &self.weights {
            Weights::Equal(weight) => *weight,
            Weights::Each(weights) => weights[at.index()],
        }
    }

    /// Of so many requests in all, those that come to these members.
    #[inline]
    pub(super) fn share_of(&self, total: u64) -> u64 {
        if self.share < 1.0 {
            (total as f64 * self.share).ceil() as u64
        } else {
            total
        }
    }

    /// Whether no member has an earlier incarnation with leases: the common case.
    #[inline]
    pub(super) fn is_settled(&self) -> bool {
        self.earlier.is_empty()
    }

    /// [`load`](Roster::load) of a [settled](Roster::is_settled) roster.
    #[inline]
    pub(super) fn settled_load(&self, at: At) -> usize {
        self.tokens[at.index()].strong_count().saturating_sub(1)
    }

    /// Requests in flight: the token's strong count less the registry's own.
    #[inline]
    pub(crate) fn load(&self, at: At) -> usize {
        let load = self.settled_load(at);
        if self.is_settled() {
            load
        } else {
            load + self.load_of_earlier(at)
        }
    }

    #[cold]
    fn load_of_earlier(&self, at: At) -> usize {
        let loads = self
            .earlier_of(at)
            .map(|earlier| earlier.token.strong_count().saturating_sub(1));
        loads.sum()
    }

    fn earlier_of(&self, at: At) -> impl Iterator<Item = &Earlier<B>> {
        let from = self.earlier.partition_point(|earlier| earlier.at < at);
        self.earlier[from..].iter().take_while(move |earlier| earlier.at == at)
    }

    /// Whether any member has an in-flight limit.
    #[inline]
    pub(crate) fn is_limited(&self) -> bool {
        self.limited
    }

    /// How many requests may be in flight at a member as long as it is so; none: any number.
    pub(crate) fn limit(&self, at: At) -> Option<u32> {
        let fixed = self.limits.as_ref().map(|limits| limits[at.index()]);
        let fixed = fixed.filter(|limit| *limit < u32::MAX);
        let adaptive = self.adaptive.as_ref().map(|limits| limits[at.index()].get() as u32);
        let spared = self.is_spared(at).then_some(1);
        [fixed, adaptive, spared].into_iter().flatten().min()
    }

    fn is_spared(&self, at: At) -> bool {
        self.spared.binary_search(&at).is_ok()
    }

    /// Whether nothing but an ask can close a member: no limits, all ready without a word, nobody brought in by key.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.plain
    }

    /// Whether a member takes a request just now, as it says itself.
    pub(crate) fn condition(&self, at: At) -> Condition {
        let readiness = self.readiness.as_ref().and_then(|column| column[at.index()].as_ref());
        readiness.map_or(Condition::Ready, Readiness::get)
    }

    /// Whether so many requests may be in flight at a member besides those that are.
    pub(crate) fn admits(&self, at: At, more: usize) -> bool {
        let (limits, adaptive) = (self.limits.as_ref(), self.adaptive.as_ref());
        limits.is_none_or(|limits| self.load(at).saturating_add(more) <= limits[at.index()] as usize)
            && adaptive.is_none_or(|limits| self.load(at).saturating_add(more) <= limits[at.index()].get())
            && (!self.is_spared(at) || self.settled_load(at).saturating_add(more) <= 1)
    }
}
