//! How a store is asked.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use super::{
    SessionStore, Stored,
    guarded::Guarded,
    presence::{Matter, Turn},
    shared::Shared,
    stats::count,
};
use crate::{BoxError, Event, Sleep};

/// A store that is asked for a request, for so long. None if it has failed, or has taken longer: all that follows from that has
/// been seen to.
pub(super) struct Asking<T> {
    answer: Guarded<T>,
    shared: Arc<Shared>,
    turn: Turn,
    /// What the application had changed when this was begun.
    changes: u64,
    /// Made when it has to be waited for.
    sleep: Option<Sleep>,
}

impl<T> Asking<T> {
    /// Asks, if there is a store and it may be asked.
    pub(super) fn of(
        shared: &Arc<Shared>,
        matter: Matter,
        ask: impl FnOnce(&dyn SessionStore) -> Stored<T>,
    ) -> Option<Self> {
        let keeper = shared.keeper.as_ref()?;
        let turn = keeper.presence.turn(matter, shared.table.nanos(shared.clock.now()))?;
        let changes = shared.changes.now();
        Some(Self {
            changes,
            answer: Guarded::new(|| ask(&*keeper.store)),
            shared: Arc::clone(shared),
            turn,
            sleep: None,
        })
    }

    /// Whether what it has come to may be learned: the application has changed nothing meanwhile.
    pub(super) fn is_current(&self) -> bool {
        self.changes == self.shared.changes.now()
    }
}

impl<T> Future for Asking<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = &mut *self;
        if let Poll::Ready(answer) = Pin::new(&mut this.answer).poll(cx) {
            return Poll::Ready(this.shared.heard(this.turn, answer).ok());
        }
        let sleep = this.sleep.get_or_insert_with(|| this.shared.store_deadline());
        if Pin::new(sleep).poll(cx).is_pending() {
            return Poll::Pending;
        }
        count(&this.shared.counts.store_timeouts);
        this.shared
            .store_failed(this.turn, || "no answer within the deadline".into());
        Poll::Ready(None)
    }
}

impl Shared {
    /// Tells the store, if there is one, whatever it has come to of late, and however long it takes.
    pub(super) async fn tell<T>(
        &self,
        tell: impl FnOnce(&dyn SessionStore) -> Stored<T>,
    ) -> Result<Option<T>, BoxError> {
        let Some(keeper) = &self.keeper else { return Ok(None) };
        let answer = Guarded::new(|| tell(&*keeper.store)).await;
        self.heard(Turn::UNASKED, answer).map(Some)
    }

    /// Sees to what follows from an answer of the store.
    pub(super) fn heard<T>(&self, turn: Turn, answer: Result<T, BoxError>) -> Result<T, BoxError> {
        match &answer {
            Ok(_) => {
                let is_back = self
                    .keeper
                    .as_ref()
                    .is_some_and(|keeper| keeper.presence.answered(turn));
                if is_back {
                    told::recovered();
                    self.events.tell(Event::SessionStoreRecovered);
                }
            }
            Err(error) => {
                count(&self.counts.store_errors);
                self.store_failed(turn, || guarded_text(error));
            }
        }
        answer
    }

    fn store_failed(&self, turn: Turn, error: impl FnOnce() -> Arc<str>) {
        let now = self.table.nanos(self.clock.now());
        let keeper = self.keeper.as_ref();
        let is_lost = keeper.is_some_and(|keeper| keeper.presence.failed(turn, now));
        if is_lost {
            let error = error();
            told::lost(&error);
            self.events.tell(Event::SessionStoreLost { error });
        }
    }

    fn store_deadline(&self) -> Sleep {
        let deadline = self.keeper.as_ref().map_or(Duration::ZERO, |keeper| keeper.deadline);
        self.clock.sleep_until(self.clock.now() + deadline)
    }
}

/// What an error says; how it says it is not our code.
fn guarded_text(error: &BoxError) -> Arc<str> {
    let text = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| error.to_string()));
    text.unwrap_or_else(|_| "an error that can't be told".to_owned()).into()
}

/// What is told to `tracing`, whose subscribers are not our code either.
#[cfg(feature = "tracing")]
mod told {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    const TARGET: &str = "equipoise::learned";

    pub(super) fn lost(error: &str) {
        let _ = catch_unwind(AssertUnwindSafe(
            || tracing::warn!(target: TARGET, error, "session store lost"),
        ));
    }

    pub(super) fn recovered() {
        let _ = catch_unwind(AssertUnwindSafe(
            || tracing::info!(target: TARGET, "session store recovered"),
        ));
    }
}

#[cfg(not(feature = "tracing"))]
mod told {
    pub(super) fn lost(_: &str) {}
    pub(super) fn recovered() {}
}
