//! What a driver takes in: orders by hand, and what discovery finds.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use super::Driver;
use crate::{
    backend::Backend,
    discover::{Command, Order},
    event::Event,
    pool::{
        fault::{Retry, guarded},
        snapshot::Phase,
    },
    selector::Selector,
};

/// How many changes are taken in before they are published, should discovery never pause.
const BATCH: usize = 65_536;

impl<B: Backend, S: Selector<B>> Driver<B, S> {
    pub(super) fn take_orders(&mut self, cx: &mut Context<'_>) {
        for Order { command, applied } in self.mailbox.take(cx.waker()) {
            let done = match command {
                Command::Insert(backend) => self.insert(backend),
                Command::Update(backend) => self.update(backend),
                Command::Remove(id) => Some(self.remove(id)),
                Command::Drain(id, sessions) => {
                    let leave = sessions.map(|sessions| self.core.clock().deadline(sessions));
                    Some(self.drain(id, true, leave))
                }
                Command::Undrain(id) => Some(self.drain(id, false, None)),
                Command::Rest(id, within, left) => {
                    self.wait_for_rest(id, within, left);
                    continue;
                }
                Command::Close => {
                    self.close();
                    self.closers.push(applied);
                    continue;
                }
            };
            // A panic in the backend's or the selector's code: dropping `applied` says that it did not work.
            if let Some(done) = done {
                self.applied.push((applied, done));
            }
        }
    }

    /// Whether the id is new; none if the backend's or the selector's code panicked.
    fn insert(&mut self, backend: B) -> Option<bool> {
        let registry = &mut self.registry;
        let inserted = guarded(|| {
            let id: Arc<str> = backend.id().into();
            (registry.insert(backend), id)
        });
        let (is_new, id) = self.unless_failed(inserted)?;
        self.dirty = true;
        self.watch(&id);
        self.news.push(if is_new {
            Event::Added { id }
        } else {
            Event::Updated { id }
        });
        Some(is_new)
    }

    /// Whether the id is known; none as above.
    fn update(&mut self, backend: B) -> Option<bool> {
        let known = guarded(|| self.registry.contains(backend.id()));
        let known = self.unless_failed(known)?;
        if known {
            self.insert(backend)?;
        }
        Some(known)
    }

    fn remove(&mut self, id: Arc<str>) -> bool {
        let member = self.registry.member(&id).map(|(live, _)| live.member);
        if let (Some(member), Some(checking)) = (member, &mut self.checking) {
            checking.forget(member);
        }
        let known = self.registry.remove(&id);
        if known {
            self.dirty = true;
            self.news.push(Event::Removed { id });
        }
        known
    }

    /// Whether the id is a member that now drains, or did and does no more.
    fn drain(&mut self, id: Arc<str>, drains: bool, leave: Option<Instant>) -> bool {
        let changed = self.registry.drain(&id, drains, leave);
        // Its sessions may have another time from now on.
        self.dirty |= drains && changed.is_some();
        if changed == Some(true) {
            self.dirty = true;
            self.look_soon();
            self.news.push(if drains {
                Event::DrainStarted { id }
            } else {
                Event::DrainEnded { id }
            });
        }
        if drains {
            changed.is_some()
        } else {
            changed == Some(true)
        }
    }

    fn close(&mut self) {
        if self.phase != Phase::Closed {
            self.phase = Phase::Closed;
            self.dirty = true;
            if let Some(checking) = &mut self.checking {
                checking.end();
            }
            self.look_soon();
            self.news.push(Event::Closed);
            self.end_discovery();
        }
    }

    fn end_discovery(&mut self) {
        let source = self.source.take();
        // Its drop is not our code, and its panic no reason to stop.
        let _ = guarded(|| drop(source));
    }

    /// Takes in all that discovery has ready. True if there was more than a batch.
    pub(super) fn take_found(&mut self, cx: &mut Context<'_>) -> bool {
        if self.discovery.holds(self.core.clock().now()) {
            return false;
        }
        for _ in 0..BATCH {
            let Some(source) = self.source.as_mut() else {
                return false;
            };
            let found = match guarded(|| source.poll_found(cx)) {
                Ok(Poll::Pending) => return false,
                Ok(Poll::Ready(Some(Ok(found)))) => found,
                Ok(Poll::Ready(Some(Err(error)))) => {
                    let told = guarded(|| error.to_string().into());
                    self.discovery_failed(told.unwrap_or_else(|panic| panic));
                    return false;
                }
                Ok(Poll::Ready(None)) => {
                    self.end_discovery();
                    self.spoken();
                    self.news.push(Event::DiscoveryEnded);
                    return false;
                }
                Err(error) => {
                    self.discovery_failed(error);
                    return false;
                }
            };
            self.discovery = Retry::default();
            self.spoken();
            if let Some(id) = found.lost {
                self.remove(id);
            }
            if let Some(backend) = found.found {
                self.insert(backend);
            }
        }
        true
    }

    fn discovery_failed(&mut self, error: Arc<str>) {
        self.discovery.failed(self.core.clock().now());
        self.news.push(Event::DiscoveryFailed { error });
    }

    fn spoken(&mut self) {
        if self.phase == Phase::Silent {
            self.phase = Phase::Serving;
            self.dirty = true;
        }
    }
}
