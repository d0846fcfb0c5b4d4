//! What a request wants of a pick.

use std::{sync::Arc, time::Duration};

use crate::{backend::Locality, member::MemberId};

/// The id of the backend that a session calls its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Home(Arc<str>);

impl Home {
    /// The backend with this id.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The backend's id.
    pub fn id(&self) -> &str {
        &self.0
    }
}

/// How long a session keeps a home that can't serve it, in milliseconds. Half a word, as every ask is carried along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Patience(u32);

impl Patience {
    const STRICT: Self = Self(u32::MAX);
    const LONGEST: Self = Self(u32::MAX - 1);
}

/// What a request wants of a pick; nothing, unless said otherwise.
///
/// ```
/// use equipoise::{Ask, Home};
/// let ask = Ask::new().with_key(0x5eed).with_home(Home::new("b"));
/// assert_eq!(ask.key(), Some(0x5eed));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Ask {
    key: Option<u64>,
    home: Option<Home>,
    patience: Patience,
    place: Option<Arc<Locality>>,
    /// Sorted. Boxed, as few have any, and every ask is carried along.
    #[expect(clippy::box_collection, reason = "one word in place of three")]
    tried: Option<Box<Vec<MemberId>>>,
}

impl Ask {
    /// An ask that wants nothing.
    pub const fn new() -> Self {
        Self {
            key: None,
            home: None,
            patience: Patience(0),
            place: None,
            tried: None,
        }
    }

    /// The same for whoever is called without one.
    pub(crate) fn nothing() -> &'static Self {
        static NOTHING: Ask = Ask::new();
        &NOTHING
    }

    /// For selectors that bring the same key to the same backend.
    pub fn with_key(mut self, key: u64) -> Self {
        self.key = Some(key);
        self
    }

    /// The backend to take before any other: it is taken while it is a member below its in-flight limit and was not
    /// tried, even if it drains or has no weight, since those close a backend to new sessions only; not while it is unfit or
    /// in maintenance, nor once the time is over that a [drain](crate::Handle::drain_within) gave its sessions. While others
    /// wait in the queue, this request waits its turn as well.
    ///
    /// Where it can't be taken another is; the lease then says whether the session [keeps](crate::Lease::keeps_home) its home.
    pub fn with_home(mut self, home: Home) -> Self {
        self.home = Some(home);
        self
    }

    /// For how long the session keeps a home that is not fit, is in maintenance, or has just failed the request, while others
    /// serve in its place: in milliseconds, at most 49 days; 0, so that it moves at once, unless said otherwise.
    pub fn with_grace(mut self, grace: Duration) -> Self {
        let millis = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
        self.patience = Patience(millis).min(Patience::LONGEST);
        self
    }

    /// The session keeps its home, whatever becomes of this.
    pub(crate) fn with_home_kept(mut self) -> Self {
        self.patience = self.patience.max(Patience::LONGEST);
        self
    }

    /// Nobody but the home will do: where it can't be taken there is nobody to pick. But a home that has left the pool, or
    /// that has been drained for longer than its sessions have, has ended them: they move.
    pub fn strictly(mut self) -> Self {
        self.patience = Patience::STRICT;
        self
    }

    /// Where the request comes from, for selectors that prefer the near.
    pub fn with_place(mut self, place: impl Into<Arc<Locality>>) -> Self {
        self.place = Some(place.into());
        self
    }

    /// A member that must not be picked for this request, because it was tried.
    pub fn with_tried(mut self, member: MemberId) -> Self {
        self.add_tried(member);
        self
    }

    pub(crate) fn add_tried(&mut self, member: MemberId) {
        let tried = self.tried.get_or_insert_default();
        if let Err(at) = tried.binary_search(&member) {
            tried.insert(at, member);
        }
    }

    /// None but these were tried.
    pub(crate) fn set_tried(&mut self, members: impl Iterator<Item = MemberId>) {
        self.tried = None;
        members.for_each(|member| self.add_tried(member));
    }

    /// The key, if the request has one.
    pub fn key(&self) -> Option<u64> {
        self.key
    }

    /// The home, if the request has one.
    pub fn home(&self) -> Option<&Home> {
        self.home.as_ref()
    }

    /// Whether nobody but the home will do.
    pub fn is_strict(&self) -> bool {
        self.patience == Patience::STRICT
    }

    /// For how long the session keeps a home that is not fit; for ever if [it is strict](Ask::is_strict).
    pub fn grace(&self) -> Duration {
        match self.patience {
            Patience::STRICT => Duration::MAX,
            Patience(millis) => Duration::from_millis(millis.into()),
        }
    }

    /// Where the request comes from, if that is known.
    pub fn place(&self) -> Option<&Locality> {
        self.place.as_deref()
    }

    /// The members tried before, each once.
    pub fn tried(&self) -> &[MemberId] {
        self.tried.as_ref().map_or(&[], |tried| tried)
    }

    /// Whether this member was tried before. O(log n) of those that were.
    #[inline]
    pub fn has_tried(&self, member: MemberId) -> bool {
        self.tried().binary_search(&member).is_ok()
    }
}
