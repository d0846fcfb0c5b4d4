//! What is told to `tracing`: one event for each change of a pool's state and each failed request, none for a pick that
//! goes well. Without the feature all of this is nothing.
//!
//! Fields are few and of few values: the pool's name, the backend's id, the kind of error. What an error says is a field
//! of its own, for people to read, not to count by.

#[cfg(feature = "tracing")]
use crate::error::ErrorKind;
use crate::{error::Error, event::Event};

/// A change of a pool's state.
#[cfg(feature = "tracing")]
pub(crate) fn change(pool: Option<&str>, event: &Event) {
    use tracing::{info, warn};
    const POOL: &str = "equipoise::pool";
    match event {
        Event::Added { id } => info!(target: POOL, pool, backend = &**id, "added"),
        Event::Updated { id } => info!(target: POOL, pool, backend = &**id, "updated"),
        Event::Removed { id } => info!(target: POOL, pool, backend = &**id, "removed"),
        Event::DrainStarted { id } => info!(target: POOL, pool, backend = &**id, "drain started"),
        Event::Drained { id } => info!(target: POOL, pool, backend = &**id, "drained"),
        Event::DrainEnded { id } => info!(target: POOL, pool, backend = &**id, "drain ended"),
        Event::HealthChanged { id, health, reason } => {
            info!(target: POOL, pool, backend = &**id, %health, reason = &**reason, "health changed");
        }
        Event::StandingChanged { id, standing } => {
            info!(target: POOL, pool, backend = &**id, %standing, "standing changed");
        }
        Event::Ejected { id, reason, time } => {
            warn!(target: POOL, pool, backend = &**id, %reason, ?time, "ejected");
        }
        Event::ProbationStarted { id } => info!(target: POOL, pool, backend = &**id, "on probation"),
        Event::EjectionEnded { id, reason } => {
            info!(target: POOL, pool, backend = &**id, reason, "ejection ended");
        }
        Event::WeightChanged { id, percent } => {
            info!(target: POOL, pool, backend = &**id, percent, "weight changed");
        }
        Event::SlowStartStarted { id } => info!(target: POOL, pool, backend = &**id, "slow start started"),
        Event::SlowStartEnded { id } => info!(target: POOL, pool, backend = &**id, "slow start ended"),
        Event::PanicStarted { priority } => warn!(target: POOL, pool, priority, "panic started"),
        Event::PanicEnded { priority } => info!(target: POOL, pool, priority, "panic ended"),
        Event::DiscoveryFailed { error } => warn!(target: POOL, pool, error = &**error, "discovery failed"),
        Event::DiscoveryEnded => info!(target: POOL, pool, "discovery ended"),
        Event::PublishFailed { error } => warn!(target: POOL, pool, error = &**error, "publish failed"),
        Event::Closed => info!(target: POOL, pool, "closed"),
        // A subscriber's own, and what no pool tells.
        Event::Lagged { .. } | Event::SessionStoreLost { .. } | Event::SessionStoreRecovered => {}
    }
}

#[cfg(feature = "tracing")]
const REQUEST: &str = "equipoise::request";

/// A request has no answer.
#[cfg(feature = "tracing")]
#[cold]
pub(crate) fn failed(pool: Option<&str>, error: &Error) {
    let source = std::error::Error::source(error);
    let (kind, backend) = (error.kind().name(), error.backend());
    match source {
        Some(error) => tracing::warn!(target: REQUEST, pool, backend, kind, error, "failed"),
        None => tracing::warn!(target: REQUEST, pool, backend, kind, error = %error, "failed"),
    }
}

/// A request got nobody. If it `was_elsewhere` before, what it met there was told, and is what it comes to.
#[cold]
pub(crate) fn refused(pool: Option<&str>, was_elsewhere: bool, error: &Error) {
    if !was_elsewhere {
        failed(pool, error);
    }
}

/// A request's answer says that the backend failed, or broke off.
#[cfg(feature = "tracing")]
#[cold]
pub(crate) fn answered_badly(pool: Option<&str>, backend: &str, broke: bool) {
    let what = if broke { "broke off" } else { "bad answer" };
    tracing::warn!(target: REQUEST, pool, backend, kind = ErrorKind::Backend.name(), "{what}");
}

/// A request goes to another backend.
#[cfg(feature = "tracing")]
#[cold]
pub(crate) fn tried_elsewhere(pool: Option<&str>, backend: Option<&str>) {
    tracing::debug!(target: REQUEST, pool, backend, "tried elsewhere");
}

#[cfg(not(feature = "tracing"))]
#[inline(always)]
pub(crate) fn tried_elsewhere(_: Option<&str>, _: Option<&str>) {}

#[cfg(not(feature = "tracing"))]
pub(crate) fn change(_: Option<&str>, _: &Event) {}

#[cfg(not(feature = "tracing"))]
#[inline(always)]
pub(crate) fn failed(_: Option<&str>, _: &Error) {}

#[cfg(not(feature = "tracing"))]
#[inline(always)]
pub(crate) fn answered_badly(_: Option<&str>, _: &str, _: bool) {}
