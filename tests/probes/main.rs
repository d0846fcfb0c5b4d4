//! The ready-made probes, each against servers on real sockets: good ones, and such as do what no good one does.
#![cfg(not(loom))]

mod agent;
mod asking;
mod dropped;
mod functions;
mod grpc;
mod http;
mod serving;
mod targets;
mod tcp;
mod tls;
mod watch;
