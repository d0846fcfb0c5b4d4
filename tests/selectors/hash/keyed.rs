//! Whom a selector takes for a key.

use std::collections::BTreeMap;

use equipoise::{Ask, Backend, Endpoint, ManualClock, Pool, Selector};

/// A pool whose members never change.
pub(crate) struct Keyed<S: Selector<Endpoint<()>>> {
    pool: Pool<Endpoint<()>, S>,
}

impl<S: Selector<Endpoint<()>>> Keyed<S> {
    /// Members of these ids and weights, which join in this order.
    pub(crate) fn new<I: AsRef<str>>(selector: S, members: &[(I, u32)]) -> Self {
        Self::closing(selector, members, &[])
    }

    /// The same, some of them closed: they take no request.
    pub(crate) fn closing<I: AsRef<str>>(selector: S, members: &[(I, u32)], closed: &[&str]) -> Self {
        let closed: Vec<String> = closed.iter().map(|id| (*id).to_owned()).collect();
        let endpoint = |(id, weight): &(I, u32)| Endpoint::new(id.as_ref(), ()).with_weight(*weight);
        let (pool, _) = Pool::builder_on(ManualClock::new().clock())
            .selector(selector)
            .seed(1)
            .backends(members.iter().map(endpoint))
            .in_flight_limit_by(move |backend: &Endpoint<()>| closed.iter().any(|id| id == backend.id()).then_some(0))
            .build();
        Self { pool }
    }

    /// The id of the member that a key comes to.
    pub(crate) fn id(&mut self, key: u64) -> &str {
        let at = self.pool.select(&Ask::new().with_key(key)).unwrap();
        self.pool.id_at(at).unwrap()
    }

    /// How many of the keys come to each member.
    pub(crate) fn counts(&mut self, keys: impl Iterator<Item = u64>) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for key in keys {
            *counts.entry(self.id(key).to_owned()).or_default() += 1;
        }
        counts
    }
}
