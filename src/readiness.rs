//! A backend's own word on whether it takes a request just now.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use crate::sync::{AtomicUsize, Mutex, Ordering};

/// Whether a backend takes a request just now, as it says itself: see [`Backend::readiness`](crate::Backend::readiness).
///
/// This is about the backend as this process reaches it (a connection that is being made, a client that has no place
/// left), and changes as fast as it likes: picks see it at once, without a publish. It says nothing of the server's
/// health.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Condition {
    /// It takes a request.
    Ready,
    /// It will take one soon: while all are so, requests wait, as long as the pool's `Admission::Queue` or else its
    /// `patience` says.
    Waiting,
    /// It could not take one now, and when it will is not known. Only if no other is ready or waiting is it picked, so
    /// that its error reaches the caller.
    Failing,
}

impl Condition {
    const ALL: [Self; 3] = [Self::Ready, Self::Waiting, Self::Failing];
}

/// A backend's [`Condition`], shared by the one who sets it and the pools that see it. Clones are one.
///
/// ```
/// use equipoise::{Condition, Readiness};
/// let readiness = Readiness::new(Condition::Waiting);
/// readiness.set(Condition::Ready);
/// assert_eq!(readiness.get(), Condition::Ready);
/// ```
#[derive(Clone)]
pub struct Readiness(Arc<Shared>);

struct Shared {
    condition: AtomicUsize,
    /// Replaced as a whole when one is added, so that telling them neither holds the lock nor allocates.
    listeners: Mutex<Arc<[Weak<dyn Listener>]>>,
}

/// Who has requests that wait for a backend.
pub(crate) trait Listener: Send + Sync {
    /// A backend does not wait any more.
    fn settled(&self);
}

impl Readiness {
    /// A readiness that begins so.
    pub fn new(condition: Condition) -> Self {
        Self(Arc::new(Shared {
            condition: AtomicUsize::new(condition as usize),
            listeners: Mutex::new(Arc::new([])),
        }))
    }

    /// How it is now.
    #[inline]
    pub fn get(&self) -> Condition {
        Condition::ALL[self.0.condition.load(Ordering::Acquire)]
    }

    /// From now on it is so; requests that waited for it are woken. Returns how it was.
    pub fn set(&self, condition: Condition) -> Condition {
        let last = Condition::ALL[self.0.condition.swap(condition as usize, Ordering::AcqRel)];
        if last != condition && condition != Condition::Waiting {
            let listeners = Arc::clone(&self.0.listeners.lock());
            for listener in listeners.iter().filter_map(Weak::upgrade) {
                listener.settled();
            }
        }
        last
    }

    /// From now on the listener learns of changes, for as long as it lives.
    pub(crate) fn tell(&self, listener: Weak<dyn Listener>) {
        let mut listeners = self.0.listeners.lock();
        let others = listeners
            .iter()
            .filter(|other| other.strong_count() > 0 && !other.ptr_eq(&listener))
            .cloned();
        let all: Arc<[_]> = others.chain([listener.clone()]).collect();
        *listeners = all;
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Readiness").field(&self.get()).finish()
    }
}
