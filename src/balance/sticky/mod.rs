//! Sessions that stay with their home.

mod future;
mod layer;
mod service;

pub use future::Sticking;
pub use layer::StickyLayer;
pub use service::Sticky;
