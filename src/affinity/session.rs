//! The traits: who knows where sessions are at home.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use super::Located;
use crate::ask::Home;

/// Knows sessions of requests, and where they are at home.
///
/// `Req` is a request, and `Res` what answers it before the lease is put into it ([`Dispatch::Raw`](crate::Dispatch)).
///
/// ```
/// use std::{collections::HashMap, pin::Pin, sync::{Arc, Mutex}, task::{Context, Poll}};
/// use equipoise::{Home, affinity::{Bind, Located, Served, SessionAffinity, Undelayed}};
///
/// /// By the name before a colon, in a table that grows for ever: there are better ones.
/// #[derive(Default)]
/// struct ByName(Arc<Mutex<HashMap<String, Home>>>);
/// struct Named(String, Arc<Mutex<HashMap<String, Home>>>);
///
/// impl SessionAffinity<String, String> for ByName {
///     type Session = Named;
///     type Later = Undelayed<Named>;
///     fn locate(&self, request: &mut String) -> Located<Named, Undelayed<Named>> {
///         let Some((name, _)) = request.split_once(':') else { return Located::Nothing };
///         let home = self.0.lock().unwrap().get(name).cloned();
///         Located::Now(Named(name.to_owned(), self.0.clone()), home)
///     }
/// }
///
/// impl Bind<String> for Named {
///     fn poll_bind(self: Pin<&mut Self>, _: &mut Context<'_>, served: &Served<'_>, _: &mut String) -> Poll<Option<Home>> {
///         if served.may_bind() {
///             self.1.lock().unwrap().insert(self.0.clone(), Home::new(served.by()));
///         }
///         Poll::Ready(None)
///     }
/// }
/// ```
pub trait SessionAffinity<Req, Res>: Send + Sync + 'static {
    /// Remembers the session until its answer; owns what it needs.
    type Session: Bind<Res>;
    /// Knows later which session, and where it is at home.
    type Later: Future<Output = (Self::Session, Option<Home>)> + Send;

    /// Which session a request is of, and where that is at home. What is meant for this alone, such as a cookie of its own, may
    /// be taken out of the request.
    fn locate(&self, request: &mut Req) -> Located<Self::Session, Self::Later>;
}

/// A session whose request is on its way: it learns who has served it.
///
/// It is polled once there is an answer and before that is passed on, in place of it, and never after it was ready. It is
/// dropped unpolled where the request has failed or was given up, and while it is pending when the
/// [deadline](crate::StickyLayer::deadline) is over.
pub trait Bind<Res>: Send {
    /// Sees to it that the session's next request finds its home, and writes into the answer what the client is to know.
    ///
    /// Ready with the home that the session has from now on, if that is another than who has served: who lost a race of first
    /// requests says the winner's.
    fn poll_bind(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        served: &Served<'_>,
        response: &mut Res,
    ) -> Poll<Option<Home>>;
}

/// Who has served a request of a session.
#[derive(Clone, Copy, Debug)]
pub struct Served<'a> {
    by: &'a str,
    is_guest: bool,
    is_bad: bool,
}

impl<'a> Served<'a> {
    /// This backend has, at home or as the next home.
    pub fn new(by: &'a str) -> Self {
        Self {
            by,
            is_guest: false,
            is_bad: false,
        }
    }

    /// The same for a session that is a guest there: its home stays where it is.
    pub fn as_guest(self, is_guest: bool) -> Self {
        Self { is_guest, ..self }
    }

    /// The same with an answer that is a failure of the backend, by what its protocol says.
    pub fn badly(self, is_bad: bool) -> Self {
        Self { is_bad, ..self }
    }

    /// The same if another backend is the home in its place.
    pub fn at(self, home: &'a str) -> Self {
        Self { by: home, ..self }
    }

    /// The id of the backend.
    pub fn by(&self) -> &'a str {
        self.by
    }

    /// Whether the session is a guest there: its home stays where it is.
    pub fn is_guest(&self) -> bool {
        self.is_guest
    }

    /// Whether the answer is a failure of the backend, such as a 503.
    pub fn is_bad(&self) -> bool {
        self.is_bad
    }

    /// Whether a session without a home, or whose home is another, is to be at home there from now on: not a guest, and not
    /// one who was served badly.
    pub fn may_bind(&self) -> bool {
        !self.is_guest && !self.is_bad
    }
}
