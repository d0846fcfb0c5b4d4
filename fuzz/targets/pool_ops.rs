//! The fuzz target; what it does is in `bodies/`, which the tests run as well.
#![no_main]

#[path = "../bodies/pool_ops.rs"]
mod pool_ops;

libfuzzer_sys::fuzz_target!(|data: &[u8]| pool_ops::run(data));
