//! How a proxy is to be.

use std::{net::IpAddr, time::Duration};

use http::{HeaderValue, Version};
use ipnet::IpNet;

/// What is the same for all requests.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) trusted: Vec<IpNet>,
    pub(super) upload_gap: Duration,
    pub(super) continue_wait: Duration,
    pub(super) tunnel_idle: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            trusted: Vec::new(),
            upload_gap: Duration::from_secs(60),
            continue_wait: Duration::from_secs(1),
            tunnel_idle: Duration::from_secs(3600),
        }
    }
}

impl Settings {
    pub(super) fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(&peer))
    }
}

/// What a message that came in this version has gone through (RFC 9110 §7.6.3).
pub(super) fn via(version: Version) -> HeaderValue {
    HeaderValue::from_static(match version {
        Version::HTTP_10 => "1.0 equipoise",
        Version::HTTP_2 => "2.0 equipoise",
        _ => "1.1 equipoise",
    })
}
