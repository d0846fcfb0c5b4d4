//! The fuzz target; what it does is in `bodies/`, which the tests run as well.
#![no_main]

#[path = "../bodies/trace_read.rs"]
mod trace_read;

libfuzzer_sys::fuzz_target!(|data: &[u8]| trace_read::run(data));
