//! Sessions that stay by a table that learns where they are at home.

mod session_id;
mod store;

pub use session_id::SessionId;
pub use store::{SessionStore, Stored};
