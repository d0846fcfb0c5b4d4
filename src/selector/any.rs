//! A selector chosen at run time.

use std::{
    any::Any,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Completion, Demand, Members, Needs, Pick, Selector, roster::At};
use crate::{backend::Backend, load::LoadReport};

/// Any selector, its type erased: what a [`Strategy`](super::Strategy) makes. A pick costs one indirect call more.
///
/// Clones are one selector, with what it has learnt: give each pool one of its own.
pub struct AnySelector<B>(Arc<dyn Erased<B>>);

/// What an erased selector remembers of a member.
pub struct AnyMemory(Box<dyn Any + Send + Sync>);

/// What an erased selector prepared.
pub struct AnyTable(Box<dyn Any + Send + Sync>);

/// [`Selector`] without its types. An implementor is given only the memories and tables that it made.
trait Erased<B>: Send + Sync {
    fn memory(&self, backend: &B) -> AnyMemory;
    fn prepare(&self, members: &Members<'_, B, AnyMemory>) -> AnyTable;
    fn refresh(&self) -> Option<Duration>;
    fn select(&self, table: &AnyTable, pick: &Pick<'_, B, AnyMemory>) -> Option<At>;
    fn needs(&self) -> Needs;
    fn demand(&self) -> Option<&Arc<Demand>>;
    fn observe(&self, memory: &AnyMemory, completion: &Completion);
    fn report(&self, memory: &AnyMemory, report: &LoadReport, now: Instant);
}

/// A memory or table in this selector's own type. A pool never gives a selector another's: were it to, there would
/// be no answer to give.
fn own<T: 'static>(any: &(dyn Any + Send + Sync)) -> &T {
    any.downcast_ref().expect("a pool keeps one selector for life")
}

impl<B: Backend, S: Selector<B>> Erased<B> for S {
    fn memory(&self, backend: &B) -> AnyMemory {
        AnyMemory(Box::new(Selector::memory(self, backend)))
    }

    fn prepare(&self, members: &Members<'_, B, AnyMemory>) -> AnyTable {
        members.within(
            |memory| own(&*memory.0),
            |members| AnyTable(Box::new(Selector::prepare(self, members))),
        )
    }

    fn refresh(&self) -> Option<Duration> {
        Selector::<B>::refresh(self)
    }

    fn select(&self, table: &AnyTable, pick: &Pick<'_, B, AnyMemory>) -> Option<At> {
        pick.within(
            |memory| own(&*memory.0),
            |pick| pick.chosen_by::<S>(Selector::select(self, own(&*table.0), pick)),
        )
    }

    fn needs(&self) -> Needs {
        Selector::<B>::needs(self)
    }

    fn demand(&self) -> Option<&Arc<Demand>> {
        Selector::<B>::demand(self)
    }

    fn observe(&self, memory: &AnyMemory, completion: &Completion) {
        Selector::observe(self, own(&*memory.0), completion);
    }

    fn report(&self, memory: &AnyMemory, report: &LoadReport, now: Instant) {
        Selector::report(self, own(&*memory.0), report, now);
    }
}

impl<B: Backend> AnySelector<B> {
    /// Erases a selector's type.
    pub fn new(selector: impl Selector<B>) -> Self {
        Self(Arc::new(selector))
    }
}

impl<B: Backend> Selector<B> for AnySelector<B> {
    type Memory = AnyMemory;
    type Table = AnyTable;

    fn memory(&self, backend: &B) -> AnyMemory {
        self.0.memory(backend)
    }

    fn prepare(&self, members: &Members<'_, B, AnyMemory>) -> AnyTable {
        self.0.prepare(members)
    }

    fn refresh(&self) -> Option<Duration> {
        self.0.refresh()
    }

    #[inline]
    fn select(&self, table: &AnyTable, pick: &Pick<'_, B, AnyMemory>) -> Option<At> {
        self.0.select(table, pick)
    }

    fn needs(&self) -> Needs {
        self.0.needs()
    }

    fn demand(&self) -> Option<&Arc<Demand>> {
        self.0.demand()
    }

    fn observe(&self, memory: &AnyMemory, completion: &Completion) {
        self.0.observe(memory, completion);
    }

    fn report(&self, memory: &AnyMemory, report: &LoadReport, now: Instant) {
        self.0.report(memory, report, now);
    }
}

impl<B> Clone for AnySelector<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B> fmt::Debug for AnySelector<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnySelector")
    }
}
