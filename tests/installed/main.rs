//! Against servers and by clients that the machine has to have installed: ignored, so that all other tests run on a bare
//! machine; failing, never passing, where a program is missing. To run them: `cargo build --features full --examples`
//! and `cargo test --features full --test installed -- --ignored`.
#![cfg(all(not(loom), unix, feature = "http", feature = "tokio"))]

mod curl;
mod example;
mod program;
mod redis;
