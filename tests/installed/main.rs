//! Against servers and by clients that the machine has to have installed: ignored, so that all other tests run on a bare
//! machine; failing, never passing, where a program is missing. To run them: `cargo build --features full --examples`
//! and `cargo test --features full --test installed -- --ignored`.
#![cfg(all(not(loom), unix, feature = "proxy"))]

mod backend;
mod curl;
mod example;
#[cfg(target_os = "linux")]
mod gigabytes;
#[allow(dead_code, reason = "others use the rest of it")]
#[path = "../selectors/hash/keyed.rs"]
mod keyed;
mod nginx;
mod nginx_ring;
mod pattern;
#[cfg(feature = "probes")]
mod probes;
#[allow(dead_code, reason = "others use the rest of it")]
mod program;
mod proxied;
#[allow(dead_code, reason = "others use the rest of it")]
mod proxy;
mod raw;
mod redis;
#[cfg(feature = "redis")]
mod redis_store;
mod sticky;
mod uploads;
#[allow(dead_code, reason = "others use the rest of it")]
#[path = "../proxy/wire.rs"]
mod wire;
