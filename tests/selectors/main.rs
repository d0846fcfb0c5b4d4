//! What each selector does exactly: whom it takes, what it learns, how even it is and what moves. That all keep the
//! contract is `selector_contract`'s to hold.
#![cfg(not(loom))]

mod by_latency;
mod exact;
mod fleet;
mod hash;
mod prequal;
mod reported_load;
mod subset;
