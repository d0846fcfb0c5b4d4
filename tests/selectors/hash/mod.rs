//! Consistent hashing: the same choices as those who are copied, what moves when members come and go, and who inherits
//! the keys of a member that is closed.

mod bounded;
mod envoy;
mod even;
mod keyed;
mod moving;
mod nginx;
