//! What a request wants of a pick.

use std::sync::Arc;

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
            place: None,
            tried: None,
        }
    }

    /// For selectors that bring the same key to the same backend.
    pub fn with_key(mut self, key: u64) -> Self {
        self.key = Some(key);
        self
    }

    /// The backend to take before any other: it is taken while it is a member below its in-flight limit and was not
    /// tried, even if it drains or has no weight, since those close a backend to new sessions only; not while it is unfit or
    /// in maintenance. While others wait
    /// in the queue, this request waits its turn as well.
    pub fn with_home(mut self, home: Home) -> Self {
        self.home = Some(home);
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
