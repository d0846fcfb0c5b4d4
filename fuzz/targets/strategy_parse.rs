//! The fuzz target; what it does is in `bodies/`, which the tests run as well.
#![no_main]

#[path = "../bodies/strategy_parse.rs"]
mod strategy_parse;

libfuzzer_sys::fuzz_target!(|data: &[u8]| strategy_parse::run(data));
