//! What a sticky layer does with a session, without the layer: located, served by whom the test says, bound.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use equipoise::{
    Home, ManualClock, SessionAffinity,
    affinity::{Bind, Located, Served},
    learned::{ByFunction, Learned, LearnedSession, Locating, Name, Sessions, SessionsBuilder},
};

/// A session, by its name; none if that is empty.
pub(crate) type Call = String;
type ByName = fn(&Call) -> Option<Name<'_>>;
pub(crate) type Session = LearnedSession<ByFunction<ByName>, Call>;

fn name(call: &Call) -> Option<Name<'_>> {
    Some(call.as_str().into())
}

pub(crate) fn sessions(time: &ManualClock) -> SessionsBuilder {
    Sessions::builder_on(time.clock()).key(*b"a key of a test.")
}

pub(crate) fn at(id: &str) -> Option<Home> {
    Some(Home::new(id))
}

pub(crate) struct Balancer {
    pub(crate) sessions: Sessions,
    learned: Learned<ByFunction<ByName>>,
    time: ManualClock,
}

/// A request that was located, and waits to be served.
pub(crate) struct Open {
    pub(crate) home: Option<Home>,
    session: Option<Session>,
}

/// Who serves a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Serve<'a> {
    pub(crate) by: &'a str,
    pub(crate) is_guest: bool,
    pub(crate) is_bad: bool,
}

impl<'a> Serve<'a> {
    pub(crate) fn by(by: &'a str) -> Self {
        Self {
            by,
            is_guest: false,
            is_bad: false,
        }
    }

    pub(crate) fn guest(by: &'a str) -> Self {
        let is_guest = true;
        Self {
            is_guest,
            ..Self::by(by)
        }
    }

    pub(crate) fn badly(by: &'a str) -> Self {
        let is_bad = true;
        Self { is_bad, ..Self::by(by) }
    }
}

impl Balancer {
    pub(crate) fn new(sessions: Sessions, time: &ManualClock) -> Self {
        Self {
            learned: Learned::by(sessions.clone(), name as ByName),
            sessions,
            time: time.clone(),
        }
    }

    /// Polls until it is ready, while time goes on; no request waits longer than this.
    fn run<T>(&self, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..=10 {
            if let Poll::Ready(ready) = poll(&mut cx) {
                return ready;
            }
            self.time.advance(Duration::from_millis(1));
        }
        panic!("a request hangs");
    }

    pub(crate) fn locate(&self, name: &str) -> Open {
        let mut call = name.to_owned();
        let located = SessionAffinity::<Call, ()>::locate(&self.learned, &mut call);
        let (session, home) = match located {
            Located::Nothing => (None, None),
            Located::Now(session, home) => (Some(session), home),
            Located::Later(later) => {
                let mut later = Box::pin(later);
                let (session, home) = self.run(|cx| later.as_mut().poll(cx));
                (Some(session), home)
            }
        };
        Open { home, session }
    }

    /// A request that asks the store where its session is at home, and is left there.
    pub(crate) fn locating(&self, name: &str) -> Pin<Box<Locating<ByFunction<ByName>, Call>>> {
        match SessionAffinity::<Call, ()>::locate(&self.learned, &mut name.to_owned()) {
            Located::Later(later) => Box::pin(later),
            other => panic!("{other:?}"),
        }
    }

    /// Which home the session has from then on, if another than who has served.
    pub(crate) fn serve(&self, open: Open, serve: Serve<'_>) -> Option<Home> {
        let served = Served::new(serve.by).as_guest(serve.is_guest).badly(serve.is_bad);
        let mut session = open.session?;
        self.run(|cx| Pin::new(&mut session).poll_bind(cx, &served, &mut ()))
    }

    /// That of a request whose binding is looked at step by step.
    pub(crate) fn session(open: Open) -> Session {
        open.session.unwrap()
    }

    /// Polls once to have it bound to who has served it.
    pub(crate) fn poll_serve(session: &mut Session, by: &str) -> Poll<Option<Home>> {
        let mut cx = Context::from_waker(Waker::noop());
        Pin::new(session).poll_bind(&mut cx, &Served::new(by), &mut ())
    }

    /// A request that is served at home, or by this one if there is none: by whom.
    pub(crate) fn request(&self, name: &str, otherwise: &str) -> String {
        let open = self.locate(name);
        let by = open.home.as_ref().map_or(otherwise, Home::id).to_owned();
        self.serve(open, Serve::by(&by));
        by
    }

    /// A request that is served by this one, wherever it is at home.
    pub(crate) fn moved(&self, name: &str, to: &str) -> Option<Home> {
        let open = self.locate(name);
        self.serve(open, Serve::by(to))
    }

    /// What this one knows.
    pub(crate) fn known(&self, name: &str) -> Option<Home> {
        self.sessions.get(self.sessions.id(name.as_bytes()))
    }
}
