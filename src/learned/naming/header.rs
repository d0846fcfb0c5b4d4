//! Sessions that a header names.

use http::{HeaderMap, HeaderName, Request, Response};

use super::{Given, Name, Naming};
use crate::learned::{Learned, Sessions};

/// Sessions that a header names: what [`Learned::by_header`] makes.
#[derive(Clone, Debug)]
pub struct ByHeader {
    name: HeaderName,
    is_given: bool,
}

impl Learned<ByHeader> {
    /// The session of a request is that which this header names; several lines of it are one with commas between (RFC 9110
    /// §5.3), and none of anything in them is no session.
    pub fn by_header(sessions: Sessions, name: HeaderName) -> Self {
        Self::new(sessions, ByHeader { name, is_given: false })
    }

    /// The same for a header that the application gives its client in an answer, to be sent with requests from then on, as
    /// `Mcp-Session-Id` of the Model Context Protocol is: the session is bound to whoever has made it.
    ///
    /// ```
    /// use equipoise::{StickyLayer, learned::{Learned, Sessions}};
    ///
    /// let sessions = Sessions::builder().build();
    /// let name = http::HeaderName::from_static("mcp-session-id");
    /// let layer = StickyLayer::new(Learned::by_given_header(sessions, name));
    /// ```
    pub fn by_given_header(sessions: Sessions, name: HeaderName) -> Self {
        Self::new(sessions, ByHeader { name, is_given: true })
    }
}

impl ByHeader {
    fn value<'a>(&self, headers: &'a HeaderMap) -> Option<Name<'a>> {
        let mut lines = headers.get_all(&self.name).iter().map(|line| line.as_bytes());
        let first = lines.next()?;
        let Some(second) = lines.next() else {
            return Some(first.into());
        };
        let mut joined = first.to_vec();
        for line in [second].into_iter().chain(lines) {
            joined.push(b',');
            joined.extend_from_slice(line);
        }
        joined.iter().any(|byte| *byte != b',').then(|| joined.into())
    }
}

impl<D, E> Naming<Request<D>, Response<E>> for ByHeader {
    #[inline]
    fn named<'a>(&self, request: &'a Request<D>) -> Option<Name<'a>> {
        self.value(request.headers())
    }

    fn is_told_by_answers(&self) -> bool {
        self.is_given
    }

    fn given<'a>(&self, answer: &'a Response<E>) -> Given<'a> {
        match self.value(answer.headers()).filter(|name| !name.is_empty()) {
            Some(name) => Given::Name(name),
            None => Given::Nothing,
        }
    }
}
