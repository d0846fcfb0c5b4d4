//! What an affinity knows of a request, now or later.

use std::{
    convert::Infallible,
    fmt,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
};

use crate::ask::Home;

/// What a [`SessionAffinity`](super::SessionAffinity) knows of a request.
#[derive(Debug)]
pub enum Located<S, L> {
    /// It is of no session, nor the first of one.
    Nothing,
    /// It is of this session, or may be the first of it, which has a home or none.
    Now(S, Option<Home>),
    /// That has to be asked for.
    Later(L),
}

/// The `Later` of what always knows at once: there is none.
pub struct Undelayed<S>(Infallible, PhantomData<fn() -> S>);

impl<S> Future for Undelayed<S> {
    type Output = (S, Option<Home>);

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        match self.0 {}
    }
}

impl<S> fmt::Debug for Undelayed<S> {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}
