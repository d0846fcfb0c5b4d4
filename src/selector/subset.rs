//! Subset: a few of very many members for each client, for a selector that sees no others.

mod client;
mod lot;
#[cfg(all(test, not(loom)))]
mod tests;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

pub use client::Client;

use super::{
    AnySelector, Completion, Demand, Members, Needs, ParameterError, Pick, Random, RandomTable, Selector, Strategy,
    narrowed::Narrowed,
    roster::At,
    strategy::named::{Named, Parameter, whole},
};
use crate::{backend::Backend, load::LoadReport};

/// A selector that sees `size` of the members alone: for clients in front of thousands, each of which would else keep a
/// connection to every one of them. Under it the inner selector works as it does among all, at next to no cost; nobody
/// else is used while one of the subset is open.
///
/// Which members are a client's depends on their ids and on the [`Client`], so that a client finds the same again
/// whatever it forgets, and nothing has to be agreed on:
///
/// - **Numbered** ([`Client::number`], from 0 on without gaps): ten clients at a time share ten times `size` members,
///   a stretch of the ring of their ids' hashes, which are dealt out among them; the stretches begin at the binary
///   van der Corput sequence. Lots and that sequence are those of Rocksteadier subsetting ([Ward, Wankadia and
///   Guliani, "Reinventing Backend Subsetting at Google", ACM Queue 20 (5), 2022](https://doi.org/10.1145/3570937)),
///   where backends are numbered as well; here they have ids alone, hence the ring. With a size of 20 each of 1,000
///   members has from 1 to 3 of 100 clients, and each of 100 members from 19 to 21. A member that joins or leaves
///   changes one place in the subsets of each lot that shares it, and some two more by the way: at 1,000 members three
///   times the least there could be. More clients change nobody's subset.
/// - **Not numbered** ([`Client::process`], the default, and [`Client::named`]): a random subset by rendezvous hashing,
///   as in gRPC's [A68](https://github.com/grpc/proposal/blob/master/A68-random-subsetting.md). A member that joins or
///   leaves changes at most one place in a subset, and none but those it has to; but of the same 1,000 members some have
///   nobody and others 7 clients, and of the same 100 some have 13 and others 30.
///
/// A member is in as many subsets as any other, whatever its weight: weights count within the subset. With a size of at
/// least the number of members the subset is all of them. While all of the subset are closed, requests go to a random
/// one of the others that are open, by weight. Homes are reached in any case.
///
/// `prepare` is O(members), and O(size × log size) for a numbered client; `select` is the inner one's and an indirection.
/// Probes that the inner selector asks for go to any member: those of others are of no use to it. As many clients as members over `size`, at least, are needed for every member to be used at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subset<S = Box<Strategy>> {
    inner: S,
    size: Size,
    client: Client,
}

/// From 1 to 1,000.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Size(usize);

impl Size {
    const ALLOWED: &'static str = "a whole number from 1 to 1000";

    fn new(size: usize) -> Option<Self> {
        (1..=1_000).contains(&size).then_some(Self(size))
    }
}

/// The least that Google's SRE book (chapter 20) calls typical.
impl Default for Size {
    fn default() -> Self {
        Self(20)
    }
}

/// What [`Subset`] prepares.
pub struct SubsetTable<B, T> {
    /// None if the subset is all members.
    narrowed: Option<(Narrowed<B>, RandomTable)>,
    inner: T,
}

impl<S> Subset<S> {
    /// Around this selector: 20 members, and the [process](Client::process) as the client.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            size: Size::default(),
            client: Client::default(),
        }
    }

    /// With so many members, if there are as many.
    ///
    /// # Errors
    /// Unless the size is from 1 to 1,000.
    pub fn with_size(mut self, size: usize) -> Result<Self, ParameterError> {
        self.size = Size::new(size).ok_or_else(|| ParameterError::new(Subset::NAME, "size", size, Size::ALLOWED))?;
        Ok(self)
    }

    /// For this client.
    pub fn with_client(mut self, client: Client) -> Self {
        self.client = client;
        self
    }

    /// How many members the subset has, if there are as many.
    pub fn size(&self) -> usize {
        self.size.0
    }

    /// Which client it is for.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl Named for Subset {
    const NAME: &'static str = "subset";
    const SUMMARY: &'static str = "a strategy among a few of very many members, others for each client";
    const PARAMETERS: &'static [Parameter<Self>] = &[
        Parameter {
            name: "size",
            allowed: Size::ALLOWED,
            get: |subset| subset.size.0.to_string(),
            set: |subset, text| {
                let size = whole(text).and_then(Size::new)?;
                Some(Self { size, ..subset.clone() })
            },
        },
        Parameter {
            name: "client",
            allowed: Client::ALLOWED,
            get: |subset| subset.client.to_string(),
            set: |subset, text| Client::read(text).map(|client| subset.clone().with_client(client)),
        },
    ];

    fn selector<B: Backend>(&self) -> AnySelector<B> {
        AnySelector::new(Subset {
            inner: self.inner.selector::<B>(),
            size: self.size,
            client: self.client.clone(),
        })
    }

    fn inner(&self) -> Option<&Strategy> {
        Some(&self.inner)
    }

    fn around(&self, inner: Strategy) -> Option<Self> {
        // Its probes go to any member, and hardly ever to the few.
        if matches!(inner, Strategy::Prequal(_)) {
            return None;
        }
        let inner = Box::new(inner);
        Some(Self { inner, ..self.clone() })
    }

    fn for_client(&self, client: &Client) -> Self {
        let own = if self.client == Client::process() {
            client
        } else {
            &self.client
        };
        Self {
            inner: Box::new(self.inner.for_client(client)),
            size: self.size,
            client: own.clone(),
        }
    }
}

impl<B: Backend, S: Selector<B>> Selector<B> for Subset<S> {
    type Memory = S::Memory;
    type Table = SubsetTable<B, S::Table>;

    fn memory(&self, backend: &B) -> S::Memory {
        self.inner.memory(backend)
    }

    fn prepare(&self, members: &Members<'_, B, S::Memory>) -> Self::Table {
        if members.len() <= self.size.0 {
            return SubsetTable {
                narrowed: None,
                inner: self.inner.prepare(members),
            };
        }
        let ids: Vec<&str> = members.iter().map(|at| members.backend(at).id()).collect();
        let chosen = lot::subset(self.client.place(), self.size.0, &ids);
        let narrowed = members.narrow(chosen.into_iter().map(At).collect(), 1.0);
        let inner = members.narrowed(&narrowed, |members| self.inner.prepare(members));
        let others = members.within(|_| &(), |members| Random::new().prepare(members));
        SubsetTable {
            narrowed: Some((narrowed, others)),
            inner,
        }
    }

    fn refresh(&self) -> Option<Duration> {
        self.inner.refresh()
    }

    fn needs(&self) -> Needs {
        self.inner.needs()
    }

    fn demand(&self) -> Option<&Arc<Demand>> {
        self.inner.demand()
    }

    #[inline]
    fn select(&self, table: &Self::Table, pick: &Pick<'_, B, S::Memory>) -> Option<At> {
        let Some((narrowed, others)) = &table.narrowed else {
            return pick.chosen_by::<S>(self.inner.select(&table.inner, pick));
        };
        let chosen = pick.narrowed(narrowed, |pick| {
            pick.chosen_by::<S>(self.inner.select(&table.inner, pick))
        });
        chosen.or_else(|| anybody(others, pick))
    }

    fn observe(&self, memory: &S::Memory, completion: &Completion) {
        self.inner.observe(memory, completion);
    }

    fn report(&self, memory: &S::Memory, report: &LoadReport, now: Instant) {
        self.inner.report(memory, report, now);
    }
}

/// All of the subset are closed.
#[cold]
fn anybody<B: Backend, M>(table: &RandomTable, pick: &Pick<'_, B, M>) -> Option<At> {
    pick.within(|_| &(), |pick| Random::new().select(table, pick))
}

impl<B, T: fmt::Debug> fmt::Debug for SubsetTable<B, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.narrowed.as_ref().map(|(narrowed, _)| narrowed.places().len());
        f.debug_struct("SubsetTable")
            .field("size", &size)
            .field("inner", &self.inner)
            .finish()
    }
}
