//! Which session a request is of.

#[cfg(feature = "http")]
mod cookie;
mod function;
#[cfg(feature = "http")]
mod header;
mod key;
mod name;

#[cfg(feature = "http")]
pub use cookie::ByCookie;
pub use function::ByFunction;
#[cfg(feature = "http")]
pub use header::ByHeader;
pub use key::ByKey;
pub use name::Name;

/// Tells which session a request is of, and what an answer says of that.
///
/// `Req` is a request, and `Res` what answers it before the lease is put into it. Names are of any bytes; what is empty is no
/// name.
pub trait Naming<Req, Res>: Send + Sync + 'static {
    /// What names the session of a request; none, or nothing in it, if it is of no session.
    fn named<'a>(&self, request: &'a Req) -> Option<Name<'a>>;

    /// Whether answers are looked at for [names](Self::given).
    fn is_told_by_answers(&self) -> bool {
        false
    }

    /// What the application says in an answer of the session that the client is of from then on.
    fn given<'a>(&self, answer: &'a Res) -> Given<'a> {
        let _ = answer;
        Given::Nothing
    }
}

/// What an answer says of its session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Given<'a> {
    /// Nothing: it stays as it is.
    Nothing,
    /// The client is of the session of this name from now on. If it is another than the request's, it is bound to whoever has
    /// served, a guest's host as well, as the application has just made it there; but not where the answer is a failure of the
    /// backend. An empty name ends the session.
    Name(Name<'a>),
    /// The request's session has ended: it is forgotten.
    End,
}
