//! Code that is not ours, whose panics are not to be ours either.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use super::Stored;
use crate::BoxError;

/// What a store answers; that it panics, when it is asked, while it is waited for, or when it is given up, is an error.
pub(super) struct Guarded<T>(Option<Result<Stored<T>, BoxError>>);

impl<T> Guarded<T> {
    pub(super) fn new(ask: impl FnOnce() -> Stored<T>) -> Self {
        Self(Some(guarded(ask)))
    }
}

impl<T> Future for Guarded<T> {
    type Output = Result<T, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = match &mut self.0 {
            Some(Ok(stored)) => guarded(|| stored.as_mut().poll(cx)),
            Some(Err(_)) => match self.0.take() {
                Some(Err(error)) => return Poll::Ready(Err(error)),
                _ => return Poll::Pending,
            },
            None => return Poll::Pending,
        };
        let answer = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(answer)) => answer,
            Err(panicked) => Err(panicked),
        };
        self.give_up();
        Poll::Ready(answer)
    }
}

impl<T> Guarded<T> {
    /// Asks no longer.
    fn give_up(&mut self) {
        let asked = self.0.take();
        let _ = guarded(|| drop(asked));
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        self.give_up();
    }
}

fn guarded<T>(code: impl FnOnce() -> T) -> Result<T, BoxError> {
    // What panicked is not used again.
    catch_unwind(AssertUnwindSafe(code)).map_err(|panic| message(&*panic).into())
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the store panicked: {}", text.unwrap_or("no message"))
}
