//! Where members come from: a handle, or any `tower::discover::Discover`.

mod handle;
mod source;

pub use handle::{Applied, Drained, Handle};
pub(crate) use handle::{Command, Mailbox, Order};
pub(crate) use source::{Discovery, Source};
