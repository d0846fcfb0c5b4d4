//! The pool against a simple model of it: random changes, picks and releases by hand, in any order; then the same
//! invariants with threads that pick while the members change; and single edges, met on purpose.
#![cfg(not(loom))]

mod edges;
mod faults;
mod model;
mod node;
mod races;
mod steps;
mod threads;
