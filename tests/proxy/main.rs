//! The proxy over real sockets: what goes in as bytes on one side and comes out as bytes on the other.
//!
//! Clients and backends are raw sockets wherever framing matters, so that nothing but the proxy normalises what is sent.

mod bodies;
mod expect;
mod failures;
mod framing;
mod heads;
mod replay;
mod responses;
mod speaker;
mod stage;
mod tunnels;
mod wire;
