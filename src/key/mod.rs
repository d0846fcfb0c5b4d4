//! Keys: 64 bits taken from a request, for selectors that want the same request at the same place.

mod function;

pub(crate) use function::xxh64;
pub use function::{HashFunction, UnknownHashFunction};
