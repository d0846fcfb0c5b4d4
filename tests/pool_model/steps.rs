//! What happens to a pool.

use equipoise::Outcome;
use proptest::{
    collection::vec,
    option,
    prelude::{Just, Strategy, any, prop_oneof},
    sample::select,
};

use crate::node::Spec;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    Insert(Spec),
    Update(Spec),
    Remove(usize),
    Drain(usize),
    Undrain(usize),
}

/// Leases, clones and tried members are named by numbers of any size, modulo how many there are.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Post(Change),
    /// The driver runs: everything posted comes into force at once.
    Publish,
    Pick {
        clone: usize,
        home: Option<usize>,
        tried: Option<usize>,
    },
    Answered(usize),
    Settle(usize, Outcome),
    Drop(usize),
    Erase(usize),
    /// Another clone in place of one that may lag far behind.
    Renew(usize),
    Advance,
}

/// Few, so that they meet.
const IDS: usize = 6;
pub(crate) const CLONES: usize = 3;

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let spec = || {
        let weight = prop_oneof![1 => Just(0), 4 => Just(1), 2 => 2..9_u32, 1 => Just(u32::MAX)];
        let priority = prop_oneof![4 => Just(0), 1 => Just(1), 1 => Just(255)];
        let limit = prop_oneof![3 => Just(None), 1 => Just(Some(0)), 4 => (1..4_u32).prop_map(Some)];
        (0..IDS, weight, priority, limit).prop_map(|(id, weight, priority, limit)| Spec {
            id,
            weight,
            priority,
            limit,
        })
    };
    let change = prop_oneof![
        4 => spec().prop_map(Change::Insert),
        3 => spec().prop_map(Change::Update),
        2 => (0..IDS).prop_map(Change::Remove),
        2 => (0..IDS).prop_map(Change::Drain),
        1 => (0..IDS).prop_map(Change::Undrain),
    ];
    let outcomes = [Outcome::Success, Outcome::Failure, Outcome::Cancelled, Outcome::Broken];
    let which = any::<usize>;
    let pick = (which(), option::weighted(0.2, 0..IDS), option::weighted(0.3, which()));
    let step = prop_oneof![
        6 => change.prop_map(Step::Post),
        4 => Just(Step::Publish),
        10 => pick.prop_map(|(clone, home, tried)| Step::Pick { clone, home, tried }),
        1 => which().prop_map(Step::Answered),
        3 => (which(), select(outcomes.to_vec())).prop_map(|(lease, outcome)| Step::Settle(lease, outcome)),
        4 => which().prop_map(Step::Drop),
        1 => which().prop_map(Step::Erase),
        1 => which().prop_map(Step::Renew),
        2 => Just(Step::Advance),
    ];
    vec(step, 0..120)
}
