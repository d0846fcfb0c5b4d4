//! Sessions that a table has learned.

mod balancer;
mod bounds;
mod homes;
mod model;
mod overtaken;
mod requests;
mod script;
mod shared;
mod shared_faults;
mod table;
mod threads;

pub(crate) use balancer::{Balancer, Serve, at, sessions};
pub(crate) use script::{Fault, Script};
