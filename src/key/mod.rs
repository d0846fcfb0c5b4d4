//! Keys: 64 bits taken from a request, for selectors that want the same request at the same place.

mod function;

pub use function::{HashFunction, UnknownHashFunction};
