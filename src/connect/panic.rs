//! Code that is not ours, whose panics are not to be ours either.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::ConnectError;

/// Runs a maker's or a service's code; a panic becomes an error.
pub(super) fn guarded<T>(code: impl FnOnce() -> T) -> Result<T, ConnectError> {
    // What panicked is not used again.
    catch_unwind(AssertUnwindSafe(code)).map_err(|panic| panicked(&*panic))
}

pub(super) fn panicked(panic: &(dyn Any + Send)) -> ConnectError {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    ConnectError::Panicked(text.unwrap_or("a panic without a message").into())
}
