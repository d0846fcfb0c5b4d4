//! Which slots a connector's members have, so that an update keeps its connection.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;

use super::slot::Slot;

/// A connector's slots by id, each with the backend that it was made of. It keeps none alive, and forgets those that
/// have ended.
///
/// Backends are dropped outside the lock: that is not our code.
pub(super) struct Memory<B, Svc>(Mutex<HashMap<Arc<str>, Entry<B, Svc>>>);

struct Entry<B, Svc> {
    backend: Arc<B>,
    slot: Weak<Slot<Svc>>,
}

impl<B, Svc> Memory<B, Svc> {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    /// The slot of this id, and the backend that it was made of.
    pub(super) fn recall(&self, id: &str) -> Option<(Arc<B>, Arc<Slot<Svc>>)> {
        let (backend, slot) = {
            let slots = self.0.lock();
            let entry = slots.get(id)?;
            (Arc::clone(&entry.backend), Weak::clone(&entry.slot))
        };
        Some((backend, slot.upgrade()?))
    }

    pub(super) fn remember(self: &Arc<Self>, id: &Arc<str>, backend: B, slot: &Arc<Slot<Svc>>) -> Remembered<B, Svc> {
        let slot = Arc::downgrade(slot);
        let entry = Entry {
            backend: Arc::new(backend),
            slot: Weak::clone(&slot),
        };
        let last = self.0.lock().insert(Arc::clone(id), entry);
        drop(last);
        Remembered {
            memory: Arc::downgrade(self),
            id: Arc::clone(id),
            slot,
        }
    }

    fn forget(&self, id: &str, slot: &Weak<Slot<Svc>>) {
        let mut slots = self.0.lock();
        // Another may have its id by now.
        let forgotten = match slots.get(id) {
            Some(entry) if entry.slot.ptr_eq(slot) => slots.remove(id),
            _ => None,
        };
        drop(slots);
        drop(forgotten);
    }
}

/// That a slot is remembered: until this is dropped.
pub(super) struct Remembered<B, Svc> {
    memory: Weak<Memory<B, Svc>>,
    id: Arc<str>,
    slot: Weak<Slot<Svc>>,
}

impl<B, Svc> Drop for Remembered<B, Svc> {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.upgrade() {
            memory.forget(&self.id, &self.slot);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::ManualClock;
    use std::time::Duration;

    #[test]
    fn what_has_ended_is_forgotten_and_its_successor_is_not() {
        let slot = || Arc::new(Slot::<()>::new(None, ManualClock::new().clock(), Duration::ZERO));
        let (memory, id) = (Arc::new(Memory::new()), Arc::from("a"));
        let (first, second) = (slot(), slot());
        let first_remembered = memory.remember(&id, 1, &first);
        let second_remembered = memory.remember(&id, 2, &second);
        drop(first_remembered);
        let (backend, recalled) = memory.recall("a").unwrap();
        assert_eq!(*backend, 2);
        assert!(Arc::ptr_eq(&recalled, &second));
        drop((second, recalled));
        assert!(memory.recall("a").is_none());
        drop(second_remembered);
        assert!(memory.0.lock().is_empty());
    }
}
