//! A backend that shows when it is freed.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use equipoise::Backend;

/// What is told of a backend; its id is a number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec {
    pub(crate) id: usize,
    pub(crate) weight: u32,
    pub(crate) priority: u8,
    pub(crate) limit: Option<u32>,
}

/// A backend that counts how many of its kind there are.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) spec: Spec,
    pub(crate) serial: usize,
    alive: Arc<AtomicUsize>,
}

impl Backend for Node {
    fn id(&self) -> &str {
        &self.name
    }
    fn weight(&self) -> u32 {
        self.spec.weight
    }
    fn priority(&self) -> u8 {
        self.spec.priority
    }
}

impl Node {
    pub(crate) fn new(spec: Spec, serial: usize, alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, SeqCst);
        Self {
            name: spec.id.to_string(),
            spec,
            serial,
            alive: Arc::clone(alive),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, SeqCst);
    }
}
