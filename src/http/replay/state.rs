//! What the handles of one body know of each other.

use std::task::{Context, Waker};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use super::{NotKept, Superseded, kept::Kept};
use crate::BoxError;

pub(super) struct State {
    limit: usize,
    /// Whether it may fit at all.
    is_short: bool,
    kept: Kept,
    rest: Rest,
    /// In the order in which they were made; there are few.
    readers: Vec<Reader>,
    made: u64,
    /// The newest that was polled: it alone reads on.
    newest: u64,
    /// Who waits for the live body.
    waits: Option<Waker>,
    /// That the live body had nothing when it was asked last.
    is_awaited: bool,
}

struct Reader {
    id: u64,
    /// How many bytes it has given; none once it has ended, in whichever way.
    at: Option<u64>,
}

/// What there is behind what was read.
pub(super) enum Rest {
    /// What the live body still has, as it says.
    Live(SizeHint),
    /// Nothing but trailers, if any.
    Over(Option<HeaderMap>),
    /// It broke off, or its trailers were not kept.
    Gone,
}

pub(super) enum Next {
    Ready(Option<Result<Frame<Bytes>, BoxError>>),
    ReadOn,
}

impl State {
    /// The id of the handle that is there from the beginning.
    pub(super) const FIRST: u64 = 0;

    pub(super) fn new(hint: SizeHint, limit: usize) -> Self {
        let first = Reader {
            id: Self::FIRST,
            at: Some(0),
        };
        Self {
            limit,
            is_short: hint.lower() <= limit as u64,
            kept: Kept::new(),
            rest: Rest::Live(hint),
            readers: vec![first],
            made: 1,
            newest: Self::FIRST,
            waits: None,
            is_awaited: false,
        }
    }

    pub(super) fn again(&mut self) -> Option<u64> {
        if self.kept.from() > 0 || matches!(self.rest, Rest::Gone) {
            return None;
        }
        let id = self.made;
        self.made += 1;
        self.readers.push(Reader { id, at: Some(0) });
        Some(id)
    }

    /// Returns whom to drop, outside the lock.
    pub(super) fn remove(&mut self, id: u64) -> Option<Waker> {
        self.readers.retain(|reader| reader.id != id);
        self.let_go();
        // Who waits is the newest that was polled.
        self.is_awaited &= id != self.newest;
        self.waits.take_if(|_| id == self.newest)
    }

    /// This one is polled. Returns who waits for what is now this one's, to be woken.
    pub(super) fn take_over(&mut self, id: u64) -> Option<Waker> {
        if id <= self.newest {
            return None;
        }
        self.newest = id;
        self.is_awaited = false;
        self.waits.take()
    }

    fn at(&self, id: u64) -> Option<u64> {
        self.readers.iter().find(|reader| reader.id == id)?.at
    }

    fn move_to(&mut self, id: u64, at: Option<u64>) {
        if let Some(reader) = self.readers.iter_mut().find(|reader| reader.id == id) {
            reader.at = at;
        }
        self.let_go();
    }

    /// What every handle has given is no longer needed.
    fn let_go(&mut self) {
        let least = self.readers.iter().filter_map(|reader| reader.at).min();
        self.kept.let_go(least.unwrap_or(self.kept.end()));
    }

    /// What this one gives without the live body.
    pub(super) fn next(&mut self, id: u64) -> Next {
        let Some(at) = self.at(id) else {
            return Next::Ready(None);
        };
        if (self.kept.from()..self.kept.end()).contains(&at) {
            let data = self.kept.slice(at);
            self.move_to(id, Some(at + data.len() as u64));
            return Next::Ready(Some(Ok(Frame::data(data))));
        }
        let last = match &self.rest {
            _ if at < self.kept.from() => Some(Err(NotKept.into())),
            Rest::Live(_) if id < self.newest => Some(Err(Superseded.into())),
            Rest::Live(_) => return Next::ReadOn,
            Rest::Over(trailers) => trailers.clone().map(|trailers| Ok(Frame::trailers(trailers))),
            Rest::Gone => Some(Err(NotKept.into())),
        };
        self.move_to(id, None);
        Next::Ready(last)
    }

    /// Notes a part that this one has read on.
    pub(super) fn read(&mut self, id: u64, data: &[u8], rest: Rest) {
        if self.is_wanted(id) && self.kept.fits(data.len(), self.limit) {
            self.kept.push(data, self.limit);
        } else {
            self.kept.pass(data.len() as u64);
        }
        self.rest = rest;
        self.is_awaited = false;
        self.move_to(id, Some(self.kept.end()));
    }

    /// Notes how the content has ended, as this one has read.
    pub(super) fn end(&mut self, id: u64, rest: Rest) {
        let is_kept = match &rest {
            Rest::Over(Some(trailers)) => self.is_wanted(id) && self.kept.fits(size(trailers), self.limit),
            Rest::Live(_) | Rest::Over(None) | Rest::Gone => true,
        };
        self.rest = if is_kept { rest } else { Rest::Gone };
        self.move_to(id, None);
    }

    /// Whether another handle may give it from the beginning what this one reads.
    fn is_wanted(&self, id: u64) -> bool {
        let mut others = self.readers.iter().filter(|reader| reader.id != id);
        self.is_short && self.kept.from() == 0 && others.any(|reader| reader.at == Some(0))
    }

    /// Returns whom to drop, outside the lock.
    pub(super) fn wait(&mut self, cx: &Context<'_>) -> Option<Waker> {
        self.is_awaited = true;
        if self.waits.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return None;
        }
        self.waits.replace(cx.waker().clone())
    }

    /// Whether the live body has no more to give.
    pub(super) fn is_read(&self) -> bool {
        !matches!(self.rest, Rest::Live(_))
    }

    /// How much has been read of the live body, and whether more is waited for.
    pub(super) fn progress(&self) -> (u64, bool) {
        (self.kept.end(), self.is_awaited)
    }

    pub(super) fn is_complete(&self, id: u64) -> bool {
        let is_kept = |at| at >= self.kept.from() && matches!(self.rest, Rest::Over(_));
        self.at(id).is_none_or(is_kept)
    }

    pub(super) fn is_over(&self, id: u64) -> bool {
        let is_over = |at| at == self.kept.end() && matches!(self.rest, Rest::Over(None));
        self.at(id).is_none_or(is_over)
    }

    pub(super) fn size_hint(&self, id: u64) -> SizeHint {
        let Some(at) = self.at(id) else {
            return SizeHint::with_exact(0);
        };
        let ahead = self.kept.end() - at;
        let (lower, upper) = match &self.rest {
            Rest::Live(hint) => (hint.lower(), hint.upper()),
            Rest::Over(None) => (0, Some(0)),
            // HTTP/1.1 has no trailers behind content of a known length.
            Rest::Over(Some(_)) | Rest::Gone => (0, None),
        };
        let mut hint = SizeHint::new();
        hint.set_lower(ahead.saturating_add(lower));
        if let Some(upper) = upper.and_then(|upper| ahead.checked_add(upper)) {
            hint.set_upper(upper);
        }
        hint
    }

    /// How many bytes of memory are there for content, or of content and trailers together, if these are more.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        let trailers = match &self.rest {
            Rest::Over(Some(trailers)) => size(trailers),
            _ => 0,
        };
        self.kept.taken().max(self.kept.held() + trailers)
    }
}

fn size(trailers: &HeaderMap) -> usize {
    let lines = trailers.iter();
    lines.map(|(name, value)| name.as_str().len() + value.len()).sum()
}
