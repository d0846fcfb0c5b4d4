//! Outages: backends are processes of their own on real sockets, and are killed, stopped, reset, slowed down, made to fail
//! and restarted, while requests go on through the crate's own balancer; and through its failover, where nobody notices.
//!
//! How long each was still sent requests after it had become bad, without and with each mechanism:
//! `cargo test --features full --test outages -- --nocapture --test-threads 1 kept_off`.
#![cfg(all(not(loom), unix))]

mod backend;
mod balancer;
mod check;
mod failing;
mod failover;
mod flapping;
mod killed;
mod outage;
#[allow(dead_code, reason = "others use the rest of it")]
#[path = "../installed/program.rs"]
mod program;
mod reset;
mod restarted;
mod returning;
mod slowed;
mod stopped;
