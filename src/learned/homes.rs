//! Homes, each of them once.

use std::{collections::HashSet, sync::Arc};

use ahash::RandomState;
use parking_lot::{RwLock, RwLockUpgradableReadGuard};

use crate::Home;

/// The homes of all sessions, so that a million of them share the ids of a few backends, and a backend that a session is bound
/// to needs no copy of its id.
pub(super) struct Homes(RwLock<Known>);

struct Known {
    ids: HashSet<Arc<str>, RandomState>,
    /// At so many, those that nobody is at home with are dropped.
    most: usize,
}

/// So many are kept whether or not they are anybody's.
const FEW: usize = 64;

impl Homes {
    pub(super) fn new(hashing: RandomState) -> Self {
        let ids = HashSet::with_hasher(hashing);
        Self(RwLock::new(Known { ids, most: FEW }))
    }

    /// The home with this id, which all who ask for it share.
    pub(super) fn get(&self, id: &str) -> Home {
        if let Some(known) = self.0.read().ids.get(id) {
            return Home::new(Arc::clone(known));
        }
        let known = self.0.upgradable_read();
        if let Some(known) = known.ids.get(id) {
            return Home::new(Arc::clone(known));
        }
        let id: Arc<str> = id.into();
        let mut known = RwLockUpgradableReadGuard::upgrade(known);
        if known.ids.len() >= known.most {
            known.ids.retain(|id| Arc::strong_count(id) > 1);
            known.most = (known.ids.len() * 2).max(FEW);
        }
        known.ids.insert(Arc::clone(&id));
        Home::new(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_are_shared_and_those_of_nobody_are_dropped() {
        let homes = Homes::new(RandomState::with_seeds(1, 2, 3, 4));
        let kept = homes.get("kept");
        let same = homes.get("kept");
        assert_eq!(kept.id().as_ptr(), same.id().as_ptr());
        for index in 0..10_000 {
            homes.get(&format!("b{index}"));
        }
        assert!(homes.0.read().ids.len() <= FEW + 1);
        assert_eq!(homes.get("kept").id().as_ptr(), kept.id().as_ptr());
        let many: Vec<Home> = (0..1_000).map(|index| homes.get(&format!("m{index}"))).collect();
        assert!(
            many.iter()
                .all(|home| homes.get(home.id()).id().as_ptr() == home.id().as_ptr())
        );
    }
}
