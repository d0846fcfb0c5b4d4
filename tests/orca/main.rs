//! Load that servers report with their answers: what they say, who believes it, and that it moves the choice.
#![cfg(not(loom))]

#[path = "../installed/example.rs"]
mod example;
mod processes;
mod reading;
mod reporting;
