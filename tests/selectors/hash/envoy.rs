//! Choices equal to Envoy's: expectations from the tests of envoyproxy/envoy, under
//! `test/extensions/load_balancing_policies`.
//!
//! Weights of Envoy's localities come in as weights of their members, in the same proportions.

mod maglev;
mod ring;
