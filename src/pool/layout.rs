//! How a snapshot's open members are arranged for the selector: all in one, or in groups with shares of their own.

use std::fmt;

use crate::{
    backend::Backend,
    member::Lives,
    selector::{At, Members, Narrowed, Pick, Selector},
};

/// The selector's tables: one of all open members, where nothing sets them apart.
pub(crate) enum Layout<B: Backend, S: Selector<B>> {
    /// Of a closed pool: nobody picks, and a selector that panics must not keep it open.
    Nobody,
    All(S::Table),
    /// Tiers that share the requests, or that panic, and places within a tier; the preferred first.
    Groups(Box<[Group<B, S>]>),
}

/// Members among which the selector chooses as if there were no others.
pub(crate) struct Group<B: Backend, S: Selector<B>> {
    /// Where its part of 2³² ends, all parts in a row.
    end: u64,
    panics: bool,
    kind: Kind,
    narrowed: Narrowed<B>,
    table: S::Table,
}

/// Which members a group has.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) priority: u8,
    /// None if all are equally far away.
    pub(super) distance: Option<Distance>,
}

/// How far away members are.
#[derive(Clone, Copy)]
pub(super) enum Distance {
    SameZone,
    SameRegion,
    Elsewhere,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "priority {}", self.priority)?;
        match self.distance {
            None => Ok(()),
            Some(Distance::SameZone) => f.write_str(", same zone"),
            Some(Distance::SameRegion) => f.write_str(", same region"),
            Some(Distance::Elsewhere) => f.write_str(", elsewhere"),
        }
    }
}

/// A [`Group`] in the making.
pub(super) struct Plan {
    pub(super) kind: Kind,
    /// Of all requests, from 0 to 1.
    pub(super) share: f64,
    /// Whether members count that are not fit.
    pub(super) panics: bool,
    /// Where its members are.
    pub(super) places: Vec<At>,
}

const WHOLE: f64 = (1u64 << 32) as f64;

impl<B: Backend, S: Selector<B>> Layout<B, S> {
    /// Runs the selector's code.
    pub(super) fn new(plans: Vec<Plan>, selector: &S, members: &Members<'_, B, S::Memory>) -> Self {
        if let [] | [Plan { panics: false, .. }] = &plans[..] {
            return Self::All(selector.prepare(members));
        }
        let mut end = 0.0;
        let groups = plans.into_iter().map(|plan| {
            end += plan.share;
            let narrowed = members.narrow(plan.places.into(), plan.share);
            let table = members.narrowed(&narrowed, |members| selector.prepare(members));
            Group {
                end: (end * WHOLE) as u64,
                panics: plan.panics,
                kind: plan.kind,
                narrowed,
                table,
            }
        });
        Self::Groups(groups.collect())
    }

    #[inline(always)]
    pub(super) fn select(
        &self,
        selector: &S,
        pick: &Pick<'_, B, S::Memory>,
        lives: &Lives<B, S::Memory>,
    ) -> Option<At> {
        match self {
            Self::All(table) => pick.chosen_by::<S>(selector.select(table, pick)),
            Self::Nobody => None,
            Self::Groups(groups) => select_in(groups, selector, pick, lives),
        }
    }
}

/// The group that it falls to comes first, by the key if there is one, so that it stays in its group; while all of that
/// are closed, the others in their order.
#[cold]
fn select_in<B: Backend, S: Selector<B>>(
    groups: &[Group<B, S>],
    selector: &S,
    pick: &Pick<'_, B, S::Memory>,
    lives: &Lives<B, S::Memory>,
) -> Option<At> {
    let lot = match pick.ask().key() {
        // Other bits than those by which selectors choose, or each group had keys of some members only.
        Some(key) => key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32,
        None => pick.random() >> 32,
    };
    let first = groups.partition_point(|group| group.end <= lot).min(groups.len() - 1);
    let others = groups.iter().enumerate().filter(|(place, _)| *place != first);
    let mut order = [&groups[first]].into_iter().chain(others.map(|(_, group)| group));
    order.find_map(|group| group.select(selector, pick, lives))
}

impl<B: Backend, S: Selector<B>> Group<B, S> {
    fn select(&self, selector: &S, pick: &Pick<'_, B, S::Memory>, lives: &Lives<B, S::Memory>) -> Option<At> {
        let select = |pick: &Pick<'_, B, S::Memory>| {
            let chosen = pick.chosen_by::<S>(selector.select(&self.table, pick));
            chosen.filter(|at| pick.is_open(*at))
        };
        let chosen = pick.narrowed(&self.narrowed, |pick| {
            if !self.panics {
                return select(pick);
            }
            // Whoever may be fit after all: whose last request did not fail.
            let has_failed = |at: At| lives[self.narrowed.place(at).index()].counts.streak.is_failing();
            pick.closing(&has_failed, select).or_else(|| select(pick))
        });
        let panics = if self.panics { ", in panic" } else { "" };
        pick.note(format_args!("{}{panics}", self.kind), chosen);
        chosen
    }
}
