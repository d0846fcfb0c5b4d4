//! The members that looked best of late.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::{Pick, roster::At};
use crate::sync::Line;

/// The members that looked best of late: who draws a few of many, and remembers the best of those that it did not need,
/// chooses nearly as well as who looks at all (Mitzenmacher, Prabhakar and Shah, "[Load balancing with
/// memory](https://doi.org/10.1109/SFCS.2002.1182005)", FOCS 2002).
///
/// Positions are kept, which may be another member's in the next snapshot: it is weighed like any other, and gives way
/// to a better one.
#[derive(Debug)]
pub(super) struct Shortlist(Line<[AtomicU32; LEN]>);

/// As many as are drawn.
const LEN: usize = 8;

/// No position.
const NOBODY: u32 = u32::MAX;

impl Default for Shortlist {
    fn default() -> Self {
        Self(Line(std::array::from_fn(|_| AtomicU32::new(NOBODY))))
    }
}

impl Shortlist {
    /// The least loaded of who was `drawn` and who is on the list; the drawn one of equals, and if the least is not open.
    /// Who was drawn takes the place of the worst on the list if its standing is better.
    ///
    /// A member is weighed by its load, by which the choice is made, and its standing, by which it is worth remembering:
    /// that says nothing of requests that one has just sent there oneself, which will have ended when the list is looked at
    /// again. Neither is below 0.
    #[inline]
    pub(super) fn choose<B, M>(&self, drawn: At, pick: &Pick<'_, B, M>, weigh: impl Fn(At) -> (f32, f32)) -> At {
        let len = pick.len() as u32;
        let (load, standing) = weigh(drawn);
        // The bits of numbers from 0 on are in the numbers' order. There is no branch here that could be mispredicted, so
        // that what all are weighed by is looked up at once.
        let key = |value: f32, order: usize| u64::from(value.to_bits()) << 32 | order as u64;
        let (mut least, mut worst, mut is_listed) = (key(load, 0), key(standing, 0), false);
        for (order, place) in self.0.0.iter().enumerate() {
            let place = place.load(Relaxed);
            let (load, standing) = weigh(At(place.min(len - 1)));
            let (load, standing) = if place < len {
                (load, standing)
            } else {
                (f32::MAX, f32::MAX)
            };
            least = least.min(key(load, order + 1));
            worst = worst.max(key(standing, order + 1));
            is_listed |= place == drawn.0;
        }
        let listed = |key: u64| (key as u32).checked_sub(1).map(|order| &self.0.0[order as usize]);
        let best = listed(least).map_or(drawn, |place| At(place.load(Relaxed)));
        // Behind the standing comes the order: of equals the last, and so whoever is listed is the worst.
        match listed(worst) {
            Some(place) if !is_listed && (worst >> 32) as u32 > standing.to_bits() => place.store(drawn.0, Relaxed),
            _ => {}
        }
        if pick.is_open(best) { best } else { drawn }
    }
}
