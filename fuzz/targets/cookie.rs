//! The fuzz target; what it does is in `bodies/`, which the tests run as well.
#![no_main]

#[path = "../bodies/cookie.rs"]
mod cookie;

libfuzzer_sys::fuzz_target!(|data: &[u8]| cookie::run(data));
