//! Whether each member gets the share of its weight.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use super::{Suite, Violation, world::World};
use crate::{Ask, Backend, Outcome, Selector};

/// How many picks a set of weights is judged by.
const PICKS: usize = 20_000;

/// ln(2 ∕ δ) for δ = 10⁻⁹, the chance of one share to be beyond the bound.
const SURE: f64 = 21.4;

/// Weights that are equal, slightly or grossly different, zero, huge; of few members and many.
fn sets() -> Vec<Vec<u32>> {
    let mut large = vec![1; 40];
    large[7] = 40;
    vec![
        vec![1],
        vec![1, 1, 1, 1],
        vec![u32::MAX, u32::MAX, u32::MAX],
        vec![5, 1, 1],
        vec![198, 1, 1],
        vec![0, 1, 2, 3, 0],
        vec![u32::MAX, u32::MAX / 2, 1],
        vec![70_001, 30_000, 2, 7_919],
        (1..=17).collect(),
        vec![3; 17],
        large,
        (0..65).map(|index| index % 5).collect(),
    ]
}

pub(super) fn shares<B: Backend, S: Selector<B>>(suite: &Suite<S, B>) -> Result<(), Violation> {
    for (seed, weights) in (1..).zip(sets()) {
        let members: Vec<_> = weights.iter().map(|weight| (*weight, None)).collect();
        let mut world = World::new(suite, seed, &members);
        judge(suite, &mut world, "")?;
        // What is heavy becomes light and the other way round: shares go by the weights of now.
        for (index, weight) in weights.iter().rev().enumerate() {
            world.update(index, *weight, None)?;
        }
        judge(suite, &mut world, " after an update of the weights")?;
    }
    Ok(())
}

fn judge<B: Backend, S: Selector<B>>(
    suite: &Suite<S, B>,
    world: &mut World<'_, B, S>,
    when: &str,
) -> Result<(), Violation> {
    // Two series of picks have no key in common, or they would not be as good as twice as many.
    let keys = BuildHasherDefault::<DefaultHasher>::default();
    let mut taken = vec![0_u32; world.members.len()];
    for turn in 0..PICKS {
        let ask = match suite.is_keyed() {
            true => Ask::new().with_key(keys.hash_one((when, turn))),
            false => Ask::new(),
        };
        match world.request(&ask, Some(Outcome::Success)) {
            Some(index) => taken[index] += 1,
            None => return Err(Violation::new("chose nobody while everybody was open")),
        }
    }
    let total: f64 = world.members.iter().map(|member| f64::from(member.weight)).sum();
    for (member, taken) in world.members.iter().zip(taken) {
        let share = f64::from(member.weight) / total;
        let due = share * PICKS as f64;
        let chance = if share == 0.0 { 0.0 } else { bound(share) };
        let allowed = chance + suite.allowance() * due;
        if (f64::from(taken) - due).abs() > allowed {
            let weights: Vec<u32> = world.members.iter().map(|member| member.weight).collect();
            return Err(Violation::new(format!(
                "does not honour weights: of {PICKS} picks '{}' of weight {} was due {due:.0} ± {allowed:.0} and got \
                 {taken}{when}; all weights: {weights:?}",
                member.id, member.weight,
            )));
        }
    }
    Ok(())
}

/// How far a share's picks may be from what is due, by chance (Bernstein's inequality for a sum of independent draws).
fn bound(share: f64) -> f64 {
    let variance = PICKS as f64 * share * (1.0 - share);
    (2.0 * SURE * variance).sqrt() + 2.0 / 3.0 * SURE
}
