//! The example `reverse_proxy` as the program that it is, between real clients and real servers: WebSockets, gRPC,
//! signals, backends that die and clients that dawdle. What needs installed programs is in `tests/installed`.
#![cfg(all(
    not(loom),
    unix,
    feature = "cookie",
    feature = "orca",
    feature = "probes",
    feature = "proxy",
    feature = "redis"
))]

mod backends;
mod choosing;
#[path = "../installed/example.rs"]
mod example;
mod failing;
mod failover;
mod fitness;
mod flags;
mod grpc;
mod multiplexed;
#[allow(dead_code, reason = "others use the rest of it")]
#[path = "../installed/program.rs"]
mod program;
#[allow(dead_code, reason = "others use the rest of it")]
#[path = "../installed/proxy.rs"]
mod proxy;
mod slow;
mod sticky;
mod stopping;
mod websocket;
#[allow(dead_code, reason = "others use the rest of it")]
#[path = "../proxy/wire.rs"]
mod wire;
