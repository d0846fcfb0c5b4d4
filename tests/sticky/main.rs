//! Sessions that stay with their home, a module for each of the ways to know them again.
#![cfg(not(loom))]

mod cookie;
mod learned;
