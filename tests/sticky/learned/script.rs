//! A store that does as it is told.

use std::{
    collections::BTreeMap,
    future::{pending, poll_fn},
    sync::{Arc, Mutex, MutexGuard},
    task::Poll,
    time::Duration,
};

use equipoise::{
    Home, ManualClock,
    learned::{SessionId, SessionStore, Stored},
};

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// It answers with an error, and has done nothing.
    Error,
    /// It never answers, and has done nothing.
    Never,
    /// It has done all, and answers after so many milliseconds.
    Slow(u64),
    /// It does all only after so many milliseconds, and answers then.
    SlowToAct(u64),
    /// It panics when it is asked, when its answer is waited for, or when that is given up.
    PanicsAsked,
    PanicsWaited,
    PanicsGivenUp,
    /// It can be read alone: with an error to whoever writes, or no answer.
    ReadOnly,
    NeverWrites,
}

#[derive(Clone, Default)]
pub(crate) struct Script {
    state: Arc<Mutex<State>>,
    time: ManualClock,
}

#[derive(Default)]
struct State {
    fault: Fault,
    homes: BTreeMap<[u8; 16], Home>,
    gets: usize,
    claims: usize,
    puts: usize,
}

struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("given up");
    }
}

impl Script {
    pub(crate) fn new(time: &ManualClock) -> Self {
        Self {
            state: Arc::default(),
            time: time.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn fail(&self, fault: Fault) {
        self.state().fault = fault;
    }

    /// As a restart does to one without persistence.
    pub(crate) fn lose_all(&self) {
        self.state().homes.clear();
    }

    pub(crate) fn home(&self, session: SessionId) -> Option<Home> {
        self.state().homes.get(&session.to_bytes()).cloned()
    }

    /// Gets, claims and puts since this was asked last.
    pub(crate) fn asked(&self) -> (usize, usize, usize) {
        let mut state = self.state();
        let asked = (state.gets, state.claims, state.puts);
        (state.gets, state.claims, state.puts) = (0, 0, 0);
        asked
    }

    /// Like one behind a network it does nothing until its answer is waited for.
    fn answer<T, F>(&self, writes: bool, act: F) -> Stored<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut State) -> T + Send + 'static,
    {
        let fault = self.state().fault;
        let this = self.clone();
        let act = move || act(&mut this.state());
        let time = self.time.clone();
        match fault {
            Fault::None => Box::pin(async { Ok(act()) }),
            Fault::ReadOnly | Fault::NeverWrites if !writes => Box::pin(async { Ok(act()) }),
            Fault::Slow(millis) => Box::pin(async move {
                let answer = act();
                let until = time.now() + Duration::from_millis(millis);
                time.clock().sleep_until(until).await;
                Ok(answer)
            }),
            Fault::SlowToAct(millis) => Box::pin(async move {
                let until = time.now() + Duration::from_millis(millis);
                time.clock().sleep_until(until).await;
                Ok(act())
            }),
            Fault::Error | Fault::ReadOnly => Box::pin(async { Err("as the script has it".into()) }),
            Fault::Never | Fault::NeverWrites => Box::pin(pending()),
            Fault::PanicsAsked => panic!("asked"),
            Fault::PanicsWaited => Box::pin(poll_fn(|_| -> Poll<_> { panic!("waited for") })),
            Fault::PanicsGivenUp => {
                let held = PanicsOnDrop;
                Box::pin(async move {
                    let _held = held;
                    pending().await
                })
            }
        }
    }
}

impl SessionStore for Script {
    fn get(&self, session: SessionId) -> Stored<Option<Home>> {
        self.state().gets += 1;
        self.answer(false, move |state| state.homes.get(&session.to_bytes()).cloned())
    }

    fn claim(&self, session: SessionId, from: Option<Home>, to: Home) -> Stored<Home> {
        self.state().claims += 1;
        self.answer(true, move |state| {
            let home = state.homes.entry(session.to_bytes()).or_insert_with(|| to.clone());
            if Some(&*home) == from.as_ref() {
                *home = to;
            }
            home.clone()
        })
    }

    fn put(&self, session: SessionId, to: Home) -> Stored<()> {
        self.state().puts += 1;
        self.answer(true, move |state| drop(state.homes.insert(session.to_bytes(), to)))
    }

    fn forget(&self, session: SessionId) -> Stored<()> {
        self.answer(true, move |state| drop(state.homes.remove(&session.to_bytes())))
    }

    fn migrate(&self, from: Home, choose: Arc<dyn Fn(SessionId) -> Home + Send + Sync>) -> Stored<u64> {
        self.answer(true, move |state| {
            let mut moved = 0;
            for (id, home) in state.homes.iter_mut().filter(|(_, home)| **home == from) {
                let to = choose(SessionId::from_bytes(*id));
                moved += u64::from(to != from);
                *home = to;
            }
            moved
        })
    }
}
