//! The fuzz target; what it does is in `bodies/`, which the tests run as well.
#![no_main]

#[path = "../bodies/naming.rs"]
mod naming;

libfuzzer_sys::fuzz_target!(|data: &[u8]| naming::run(data));
