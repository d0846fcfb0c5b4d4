//! What is known of a member's fitness, in the words that members, events and checks share.

mod ejection;
mod health;
mod standing;
mod streak;

pub use ejection::{Ejection, EjectionReason};
pub use health::Health;
pub use standing::Standing;
pub(crate) use streak::{Limits, Streak};
