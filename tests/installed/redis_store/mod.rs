//! Sessions in a real Redis.

mod answers;
mod balancers;
mod encrypted;
mod expiry;
mod far;
mod migration;
mod outages;
mod refusals;
pub(crate) mod server;
mod speed;
