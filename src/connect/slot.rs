//! A member's place for its one service.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use parking_lot::{Mutex, MutexGuard};
use tokio::task::AbortHandle;
use tower_service::Service;

use super::{ConnectError, line::Line, panic::guarded};
use crate::{BoxError, Clock, Condition, Readiness};

/// A member's place for its one service, shared by the member, its calls and, weakly, its keeper.
///
/// The lock is held for as long as `poll_ready` and `call` take, never across an await. Wakers are woken, and services
/// dropped, outside of it.
///
/// Calls that find the service taken wait here in the order in which they came. While one waits the member does not
/// look ready, and nobody is served before the first of them; one that does not look after its request is passed over
/// once its patience is over.
pub(super) struct Slot<Svc> {
    state: Mutex<State<Svc>>,
    readiness: Readiness,
    clock: Clock,
    patience: Duration,
    /// The last incarnation of the service that has answered a request.
    proven: AtomicU64,
    keeper: OnceLock<AbortHandle>,
}

struct State<Svc> {
    stage: Stage<Svc>,
    /// Counts the services that there have been.
    incarnation: u64,
    line: Line,
    /// Of the keeper's task: it is to be woken when the service is ready, whoever asked it last.
    keeper: Waker,
    published: Condition,
    publishing: bool,
}

enum Stage<Svc> {
    /// It is being made.
    Absent,
    Present {
        service: Svc,
        ready: bool,
    },
    /// It failed, and its keeper has not seen it yet.
    Lost(ConnectError),
    /// There is none, and when there will be is not known.
    Failing(ConnectError),
}

/// What is left to do once the lock is free.
struct After<Svc> {
    wakers: Vec<Waker>,
    gone: Option<Svc>,
}

/// A call under way.
pub(super) struct Called<F> {
    pub(super) response: F,
    /// Which of the services that there have been it was.
    pub(super) incarnation: u64,
}

impl<Svc> State<Svc> {
    fn condition(&self) -> Condition {
        match &self.stage {
            // Who waits here already comes first.
            Stage::Present { ready: true, .. } if self.line.is_empty() => Condition::Ready,
            Stage::Failing(_) => Condition::Failing,
            _ => Condition::Waiting,
        }
    }

    /// Asks the service whether it is ready, on behalf of the keeper.
    fn ask<Req>(&mut self, after: &mut After<Svc>) -> bool
    where
        Svc: Service<Req, Error: Into<BoxError>>,
    {
        let Stage::Present { service, ready } = &mut self.stage else {
            return false;
        };
        let mut cx = Context::from_waker(&self.keeper);
        let error = match guarded(|| service.poll_ready(&mut cx).map_err(Into::into)) {
            Ok(Poll::Pending) => {
                *ready = false;
                return false;
            }
            Ok(Poll::Ready(Ok(()))) => {
                *ready = true;
                return true;
            }
            Ok(Poll::Ready(Err(error))) => ConnectError::Lost(Arc::from(error)),
            Err(panicked) => panicked,
        };
        self.replace(Stage::Lost(error), after);
        after.wakers.push(self.keeper.clone());
        false
    }

    /// Calls the service, if it is ready, or gives the request back.
    fn call<Req>(
        &mut self,
        request: Req,
        after: &mut After<Svc>,
    ) -> Result<Result<Called<Svc::Future>, ConnectError>, Req>
    where
        Svc: Service<Req, Error: Into<BoxError>>,
    {
        // Asked anew even if it was ready when it was asked last: a connection may have been closed since, which shows
        // here before the request is lost on it.
        let is_ready = self.ask(after);
        let service = match &mut self.stage {
            Stage::Present { service, .. } if is_ready => service,
            _ => return Err(request),
        };
        match guarded(|| service.call(request)) {
            Ok(response) => {
                let incarnation = self.incarnation;
                // A service that is ready again at once never looks otherwise, and its keeper sleeps on.
                self.ask(after);
                Ok(Ok(Called { response, incarnation }))
            }
            Err(panicked) => {
                self.replace(Stage::Lost(panicked.clone()), after);
                after.wakers.push(self.keeper.clone());
                Ok(Err(panicked))
            }
        }
    }

    fn replace(&mut self, stage: Stage<Svc>, after: &mut After<Svc>) {
        if let Stage::Present { service, .. } = std::mem::replace(&mut self.stage, stage) {
            after.gone = Some(service);
        }
    }

    /// The service is ready, perhaps: the first who waits is to look.
    fn call_first(&self, after: &mut After<Svc>) {
        if let Stage::Present { ready: true, .. } = &self.stage {
            after.wakers.extend(self.line.first());
        }
    }

    fn call_all(&self, after: &mut After<Svc>) {
        after.wakers.extend(self.line.all());
    }
}

impl<Svc> Slot<Svc> {
    /// A place with this service, or with none yet.
    pub(super) fn new(service: Option<Svc>, clock: Clock, patience: Duration) -> Self {
        let stage = match service {
            None => Stage::Absent,
            Some(service) => Stage::Present { service, ready: false },
        };
        Self {
            state: Mutex::new(State {
                stage,
                incarnation: 1,
                line: Line::default(),
                keeper: Waker::noop().clone(),
                published: Condition::Waiting,
                publishing: false,
            }),
            readiness: Readiness::new(Condition::Waiting),
            clock,
            patience,
            proven: AtomicU64::new(0),
            keeper: OnceLock::new(),
        }
    }

    pub(super) fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// The task that ends with this.
    pub(super) fn kept_by(&self, keeper: AbortHandle) {
        // There is one, told once.
        let _ = self.keeper.set(keeper);
    }

    fn change<T>(&self, change: impl FnOnce(&mut State<Svc>, &mut After<Svc>) -> T) -> T {
        let mut after = After {
            wakers: Vec::new(),
            gone: None,
        };
        let mut state = self.state.lock();
        let result = change(&mut state, &mut after);
        self.publish(&mut state);
        drop(state);
        let After { wakers, gone } = after;
        for waker in wakers {
            let _ = guarded(|| waker.wake());
        }
        let _ = guarded(|| drop(gone));
        result
    }

    /// Tells the pools, outside the lock, as they wake their waiters. What is told last has to be what is so: hence one
    /// at a time tells, until there is nothing new.
    fn publish(&self, state: &mut MutexGuard<'_, State<Svc>>) {
        if state.publishing {
            return;
        }
        while state.condition() != state.published {
            let condition = state.condition();
            state.published = condition;
            state.publishing = true;
            let _ = MutexGuard::unlocked(state, || {
                // In this file's tests, time to be overtaken.
                #[cfg(test)]
                std::thread::sleep(Duration::from_micros(u64::from(condition == Condition::Waiting)));
                guarded(|| self.readiness.set(condition))
            });
            state.publishing = false;
        }
    }

    /// Calls the service, if it is ready and nobody waits for it, or gives the request back, which then is to
    /// [enter](Self::enter).
    #[inline]
    pub(super) fn call<Req>(&self, request: Req) -> Result<Result<Called<Svc::Future>, ConnectError>, Req>
    where
        Svc: Service<Req, Error: Into<BoxError>>,
    {
        self.change(|state, after| match &state.stage {
            Stage::Failing(error) => Ok(Err(error.clone())),
            _ if state.line.is_empty() => state.call(request, after),
            _ => Err(request),
        })
    }

    /// Takes a place among those who wait.
    pub(super) fn enter(&self) -> u64 {
        let now = self.clock.now();
        let deadline = now.checked_add(self.patience).unwrap_or(now + FOREVER);
        self.change(|state, after| {
            if state.line.is_empty() {
                // It sees to the deadline.
                after.wakers.push(state.keeper.clone());
            }
            state.line.enter(deadline)
        })
    }

    /// Calls the service, if it is ready and it is this one's turn: then the request is taken.
    pub(super) fn poll_turn<Req>(
        &self,
        ticket: u64,
        request: &mut Option<Req>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Called<Svc::Future>, ConnectError>>
    where
        Svc: Service<Req, Error: Into<BoxError>>,
    {
        // Wakers are dropped outside the lock as well.
        let (mut waker, mut left) = (cx.waker().clone(), None);
        let called = self.change(|state, after| {
            if let Stage::Failing(error) = &state.stage {
                return Poll::Ready(Err(error.clone()));
            }
            match state.line.look(ticket, &mut waker) {
                None => return Poll::Ready(Err(ConnectError::Unready)),
                Some(false) => return Poll::Pending,
                Some(true) => {}
            }
            let Some(taken) = request.take() else {
                return Poll::Pending;
            };
            match state.call(taken, after) {
                Ok(called) => {
                    left = state.line.leave(ticket);
                    state.call_first(after);
                    Poll::Ready(called)
                }
                Err(taken) => {
                    *request = Some(taken);
                    Poll::Pending
                }
            }
        });
        drop((waker, left));
        called
    }

    /// Gives up the place among those who wait.
    pub(super) fn leave(&self, ticket: u64) {
        let left = self.change(|state, after| {
            let left = state.line.leave(ticket);
            state.call_first(after);
            left
        });
        drop(left);
    }

    /// A request has been answered by this incarnation.
    #[inline]
    pub(super) fn prove(&self, incarnation: u64) {
        if self.proven.load(Relaxed) < incarnation {
            self.prove_first(incarnation);
        }
    }

    #[cold]
    fn prove_first(&self, incarnation: u64) {
        self.change(|state, after| {
            self.proven.fetch_max(incarnation, Relaxed);
            // A connection may have been found lost before its last answer was read.
            if !matches!(state.stage, Stage::Present { .. }) {
                after.wakers.push(state.keeper.clone());
            }
        });
    }

    /// For the keeper alone: whether the service that there is, or was last, has answered a request.
    pub(super) fn is_proven(&self) -> bool {
        self.change(|state, _| self.proven.load(Relaxed) == state.incarnation)
    }

    /// For the keeper alone, at each of its polls: from now on `keeper` is woken when there is something to do, and who
    /// has waited too long is told. When the next will have, if anybody waits.
    pub(super) fn tend(&self, keeper: &Waker) -> Option<Instant> {
        let mut keeper = keeper.clone();
        let now = self.clock.now();
        let (next, expired) = self.change(|state, after| {
            std::mem::swap(&mut state.keeper, &mut keeper);
            let expired = state.line.expire(now);
            if !expired.is_empty() {
                state.call_first(after);
            }
            (state.line.deadline(), expired)
        });
        for waker in expired {
            let _ = guarded(|| waker.wake());
        }
        next
    }

    /// A service has been made.
    pub(super) fn install(&self, service: Svc) {
        self.change(|state, after| {
            state.replace(Stage::Present { service, ready: false }, after);
            state.incarnation += 1;
        });
    }

    /// For the keeper alone: asks the service, until it has failed.
    pub(super) fn poll_lost<Req>(&self) -> Poll<ConnectError>
    where
        Svc: Service<Req, Error: Into<BoxError>>,
    {
        self.change(|state, after| {
            let was_ready = matches!(state.stage, Stage::Present { ready: true, .. });
            if state.ask(after) && !was_ready {
                state.call_first(after);
            }
            match &state.stage {
                Stage::Lost(error) => Poll::Ready(error.clone()),
                _ => Poll::Pending,
            }
        })
    }

    /// There is no service, and one is being made.
    pub(super) fn reconnect(&self) {
        self.change(|state, after| state.replace(Stage::Absent, after));
    }

    /// There is no service, and when there will be is not known.
    pub(super) fn fail(&self, error: ConnectError) {
        self.change(|state, after| {
            state.replace(Stage::Failing(error), after);
            state.call_all(after);
        });
    }

    /// Nobody keeps this any more: unless it failed before, so that the keeper was not needed any more, it does now.
    pub(super) fn end(&self) {
        self.change(|state, after| {
            if !matches!(state.stage, Stage::Failing(_)) {
                state.replace(Stage::Failing(ConnectError::Ended), after);
                state.call_all(after);
            }
        });
    }
}

/// Some 136 years, which every platform's instants can bear.
const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);

impl<Svc> Drop for Slot<Svc> {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.get() {
            keeper.abort();
        }
        // Perhaps within a panic already: the service's own must not leave it.
        let stage = std::mem::replace(&mut self.state.get_mut().stage, Stage::Absent);
        let _ = guarded(|| drop(stage));
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
