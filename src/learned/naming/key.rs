//! Sessions that a key names.

use super::{Name, Naming};
use crate::key::HashKey;

/// Sessions that a key names: what [`Learned::by_key`](crate::learned::Learned::by_key) makes.
#[derive(Clone, Copy, Debug)]
pub struct ByKey<K>(pub(in crate::learned) K);

impl<Req, Res, K: HashKey<Req> + Send + Sync + 'static> Naming<Req, Res> for ByKey<K> {
    #[inline]
    fn named<'a>(&self, request: &'a Req) -> Option<Name<'a>> {
        self.0.key(request).map(Name::from)
    }
}
