//! Members that come to rest: drained ones, and those that were removed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_channel::oneshot;

use super::Driver;
use crate::{backend::Backend, event::Event, pool::snapshot::Phase, selector::Selector};

/// How often to look whether draining members have come to rest. Looking costs a release nothing; telling would.
const REST: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(100));

/// Somebody waits for the members of an id to come to rest.
pub(super) struct Waiting {
    pub(super) id: Arc<str>,
    pub(super) until: Instant,
    /// Told how many requests are left.
    pub(super) left: oneshot::Sender<usize>,
}

impl<B: Backend, S: Selector<B>> Driver<B, S> {
    /// Plans a look at who has come to rest. Not at once: first the change has to be published, and picks under way on the
    /// last snapshot to be over. Nor later than one is planned for: others may want one all the time.
    pub(super) fn look_soon(&mut self) {
        let soon = self.core.clock().now() + REST.0;
        let at = self.rest.map_or(soon, |(at, _)| at.min(soon));
        self.rest = Some((at, REST.0));
    }

    pub(super) fn wait_for_rest(&mut self, id: Arc<str>, within: Duration, left: oneshot::Sender<usize>) {
        let until = self.core.clock().deadline(within);
        self.waiting.push(Waiting { id, until, left });
        self.look_soon();
    }

    /// Looks at who is to come to rest, if it is time.
    pub(super) fn look(&mut self) {
        let now = self.core.clock().now();
        if self.rest.is_some_and(|(at, _)| now < at) {
            return;
        }
        // While a change is still to be published, those that seem to have come to rest may be sent new requests.
        let in_force = !self.dirty;
        let rest = self.registry.rest(in_force, now);
        self.news
            .extend(rest.drained.into_iter().map(|id| Event::Drained { id }));
        self.dirty |= rest.forgotten;
        for waiting in std::mem::take(&mut self.waiting) {
            let open = self.registry.still_open(&waiting.id);
            let is_at_rest = in_force && open == 0 && !self.registry.has_sessions(&waiting.id, now);
            if is_at_rest || waiting.until <= now {
                // Nobody has to listen.
                let _ = waiting.left.send(open);
            } else if !waiting.left.is_canceled() {
                self.waiting.push(waiting);
            }
        }
        // One that came before its change is in force was none.
        let longer = if in_force { 2 } else { 1 };
        let pause = self.rest.map_or(REST.0, |(_, pause)| (pause * longer).min(REST.1));
        let is_closing = self.phase == Phase::Closed && !self.registry.is_at_rest();
        let goes_on = rest.goes_on || !self.waiting.is_empty() || is_closing;
        let next = self
            .waiting
            .iter()
            .map(|waiting| waiting.until)
            .fold(now + pause, Instant::min);
        self.rest = goes_on.then_some((next, pause));
    }
}
