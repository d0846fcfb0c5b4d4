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
    /// The least loaded of who was `drawn` and who is on the list; the drawn one of equals. Who was drawn takes the place
    /// of the worst on the list if its standing is better.
    ///
    /// The `load` is that of the moment, by which the choice is made. The `standing` is what is worth remembering, and
    /// says nothing of requests that one has just sent there oneself: those will have ended when the list is looked at.
    pub(super) fn choose<B, M>(
        &self,
        drawn: At,
        pick: &Pick<'_, B, M>,
        load: impl Fn(At) -> f32,
        standing: impl Fn(At) -> f32,
    ) -> At {
        let mut chosen = (drawn, load(drawn));
        let (mut worst, mut worst_standing) = (None, standing(drawn));
        let is_plain = pick.all_open();
        for place in &self.0.0 {
            let at = At(place.load(Relaxed));
            if at == drawn {
                // It is on the list, and stays.
                worst_standing = f32::INFINITY;
                continue;
            }
            if at.index() >= pick.len() {
                (worst, worst_standing) = (Some(place), worst_standing.max(f32::MAX));
                continue;
            }
            let standing = standing(at);
            if standing > worst_standing {
                (worst, worst_standing) = (Some(place), standing);
            }
            let load = load(at);
            if load < chosen.1 && (is_plain || pick.is_open(at)) {
                chosen = (at, load);
            }
        }
        if let Some(place) = worst.filter(|_| worst_standing < f32::INFINITY) {
            place.store(drawn.0, Relaxed);
        }
        chosen.0
    }
}
