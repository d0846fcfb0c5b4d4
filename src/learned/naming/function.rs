//! Sessions that a function names.

use std::fmt;

use super::{Name, Naming};

/// Sessions that a function names: what [`Learned::by`](crate::learned::Learned::by) makes.
#[derive(Clone, Copy)]
pub struct ByFunction<F>(pub(in crate::learned) F);

impl<Req, Res, F> Naming<Req, Res> for ByFunction<F>
where
    F: for<'a> Fn(&'a Req) -> Option<Name<'a>> + Send + Sync + 'static,
{
    #[inline]
    fn named<'a>(&self, request: &'a Req) -> Option<Name<'a>> {
        (self.0)(request)
    }
}

impl<F> fmt::Debug for ByFunction<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByFunction")
    }
}
