//! Why a request goes where it goes.

use std::{cell::RefCell, fmt};

use super::{Pool, choose, snapshot::Snapshot};
use crate::{
    ask::Ask,
    backend::Backend,
    fitness::{Ejection, Health, Standing},
    readiness::Condition,
    selector::{At, Noted, Selector, View},
};

/// What a pick came to, and why: what [`Pool::explain`] returns. As text it is a line for each member and each level.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Decision {
    /// All members, the open ones first.
    pub members: Vec<Considered>,
    /// What each level chose, the innermost first: a strategy, one around it, a priority. Or the request's home.
    pub levels: Vec<Level>,
    /// The id of the member that was chosen.
    pub chosen: Option<String>,
    /// Why nobody was.
    pub error: Option<String>,
}

/// A member, as a pick sees it.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Considered {
    /// Its id.
    pub id: String,
    /// Requests in flight there, from this process.
    pub in_flight: usize,
    /// How many may be; none: any number.
    pub limit: Option<u32>,
    /// Its weight as the selector sees it, 0 if it can't be picked.
    pub weight: u32,
    /// Why it is closed to this request; none: it is open.
    pub closed: Option<Closed>,
}

/// Why a member is closed to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Closed {
    /// An operator drains it.
    Draining,
    /// It drains by its own word.
    WantsToDrain,
    /// It is in maintenance by its own word.
    Maintenance,
    /// It has no weight, as a backend or by its own word.
    NoWeight,
    /// It has not passed a health check yet.
    Unchecked,
    /// It fails its health checks.
    Failing,
    /// Requests have shown that it is bad.
    Ejected,
    /// Others that are preferred, by priority or as they are near, serve.
    NotPreferred,
    /// The request was there already.
    Tried,
    /// It has as many requests as it may have; one on probation has one.
    Full,
    /// It will be ready soon, by its own word.
    Waiting,
    /// It could not take a request, by its own word.
    NotReady,
    /// It is being brought in, and does not take this key yet.
    BroughtIn,
}

/// What one level of a pick chose.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Level {
    /// Which: the selector's type, or a priority and how far away.
    pub name: String,
    /// The id of the member that it chose; none if all were closed.
    pub chosen: Option<String>,
}

impl<B: Backend, S: Selector<B>> Pool<B, S> {
    /// What a pick for this ask would come to now, and why. It takes no place at a member, but the selector's own course
    /// goes on as with any pick: the next in turn is the one after. Who would have to wait in the queue is told what it
    /// would find if it were its turn. O(members); for people, not for each request.
    ///
    /// ```
    /// use equipoise::{Ask, Endpoint, ManualClock, Pool};
    ///
    /// let backends = [Endpoint::new("a", ()), Endpoint::new("b", ()).with_weight(0)];
    /// let (mut pool, _driver) = Pool::builder_on(ManualClock::new().clock()).backends(backends).build();
    /// let text = pool.explain(&Ask::new()).to_string();
    /// assert_eq!(text, "a: open, 0 in flight, weight 1\nb: closed, has no weight\nLeastLoaded chose a\nchosen: a\n");
    /// ```
    pub fn explain(&mut self, ask: &Ask) -> Decision {
        self.refresh();
        let snapshot = &self.snapshot;
        let trail = RefCell::new(Vec::new());
        let view = View::new(&snapshot.roster, ask, &self.shared.core.surroundings, self.random).with_trail(&trail);
        let members = (0..snapshot.roster.total())
            .map(|index| snapshot.considered(index, &view))
            .collect();
        let is_home = snapshot.at_home(&view).is_some();
        let chosen = choose(snapshot, &self.shared.core, &view);
        let id = |at: At| snapshot.lives[at.index()].id.to_string();
        self.random = view.end().1;
        let levels = trail.into_inner().into_iter().map(|Noted { level, chosen }| Level {
            name: level,
            chosen: chosen.and_then(|member| {
                let live = snapshot.lives.iter().find(|live| live.member == member);
                live.map(|live| live.id.to_string())
            }),
        });
        let chosen_id = chosen.ok().map(id);
        let home = is_home.then(|| Level {
            name: "home".to_owned(),
            chosen: chosen_id.clone(),
        });
        Decision {
            members,
            levels: home.into_iter().chain(levels).collect(),
            chosen: chosen_id,
            error: chosen
                .err()
                .map(|refusal| crate::error::Error::from(refusal).to_string()),
        }
    }
}

impl<B: Backend, S: Selector<B>> Snapshot<B, S> {
    fn considered(&self, index: usize, view: &View<'_, B>) -> Considered {
        let (roster, at) = (&self.roster, self.roster.at(index));
        let is_open = index < roster.open() as usize;
        Considered {
            id: self.lives[index].id.to_string(),
            in_flight: roster.load(at),
            limit: roster.limit(at),
            weight: if is_open { roster.weight(at) } else { 0 },
            closed: if is_open {
                view.closed(at)
            } else {
                Some(self.out(index))
            },
        }
    }

    /// Why a member is not among those that can be picked.
    fn out(&self, index: usize) -> Closed {
        let facts = &self.facts[index];
        let backend = self.lives[index].account.backend.lock().upgrade();
        match (facts.standing, facts.health) {
            _ if facts.draining => Closed::Draining,
            (Standing::Draining, _) => Closed::WantsToDrain,
            (Standing::Maintenance, _) => Closed::Maintenance,
            _ if facts.percent == 0 || backend.is_some_and(|backend| backend.weight() == 0) => Closed::NoWeight,
            _ if facts.ejection == Ejection::Ejected => Closed::Ejected,
            (_, Health::Failing) => Closed::Failing,
            (_, Health::Unchecked) if !facts.is_fit => Closed::Unchecked,
            _ => Closed::NotPreferred,
        }
    }
}

impl<B> View<'_, B> {
    /// Why a member that can be picked is closed to this request, if it is.
    fn closed(&self, at: At) -> Option<Closed> {
        if self.ask().has_tried(self.roster().member(at)) {
            return Some(Closed::Tried);
        }
        if !self.roster().admits(at, 1) {
            return Some(Closed::Full);
        }
        match self.roster().condition(at) {
            Condition::Waiting => Some(Closed::Waiting),
            Condition::Failing => Some(Closed::NotReady),
            Condition::Ready => (!self.takes_key(self.roster(), at)).then_some(Closed::BroughtIn),
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Draining => "is drained",
            Self::WantsToDrain => "drains by its own word",
            Self::Maintenance => "is in maintenance",
            Self::NoWeight => "has no weight",
            Self::Unchecked => "has passed no health check yet",
            Self::Failing => "fails its health checks",
            Self::Ejected => "is ejected",
            Self::NotPreferred => "others are preferred",
            Self::Tried => "was tried",
            Self::Full => "is full",
            Self::Waiting => "is not ready yet",
            Self::NotReady => "is not ready",
            Self::BroughtIn => "is being brought in and does not take this key yet",
        })
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Considered {
            id,
            in_flight,
            limit,
            weight,
            closed,
        } in &self.members
        {
            let id = id.escape_debug();
            let most = limit.map(|limit| format!(" of {limit}")).unwrap_or_default();
            match closed {
                None => writeln!(f, "{id}: open, {in_flight} in flight{most}, weight {weight}")?,
                Some(Closed::Full) => writeln!(f, "{id}: closed, {}, {in_flight} in flight{most}", Closed::Full)?,
                Some(closed) => writeln!(f, "{id}: closed, {closed}")?,
            }
        }
        for Level { name, chosen } in &self.levels {
            match chosen {
                Some(id) => writeln!(f, "{name} chose {}", id.escape_debug())?,
                None => writeln!(f, "{name} found nobody open")?,
            }
        }
        match (&self.chosen, &self.error) {
            (Some(id), _) => writeln!(f, "chosen: {}", id.escape_debug()),
            (None, Some(error)) => writeln!(f, "nobody: {error}"),
            (None, None) => Ok(()),
        }
    }
}
