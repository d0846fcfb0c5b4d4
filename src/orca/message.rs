//! The message of a report.

use std::{collections::BTreeMap, time::Duration};

use super::{IN_FLIGHT, LATENCY_MS, OrcaError};
use crate::LoadReport;

/// `xds.data.orca.v3.OrcaLoadReport` (cncf/xds, `xds/data/orca/v3/orca_load_report.proto`).
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Message {
    #[prost(double, tag = "1")]
    pub(super) cpu_utilization: f64,
    #[prost(double, tag = "2")]
    pub(super) mem_utilization: f64,
    /// Deprecated there in favour of `rps_fractional`.
    #[prost(uint64, tag = "3")]
    pub(super) rps: u64,
    #[prost(btree_map = "string, double", tag = "4")]
    pub(super) request_cost: BTreeMap<String, f64>,
    #[prost(btree_map = "string, double", tag = "5")]
    pub(super) utilization: BTreeMap<String, f64>,
    #[prost(double, tag = "6")]
    pub(super) rps_fractional: f64,
    #[prost(double, tag = "7")]
    pub(super) eps: f64,
    #[prost(btree_map = "string, double", tag = "8")]
    pub(super) named_metrics: BTreeMap<String, f64>,
    #[prost(double, tag = "9")]
    pub(super) application_utilization: f64,
}

/// Whether a field was set: what is 0 is not sent. A number that is none is, and is refused later.
fn is_set(value: &f64) -> bool {
    *value != 0.0
}

impl TryFrom<Message> for LoadReport {
    type Error = OrcaError;

    fn try_from(message: Message) -> Result<Self, OrcaError> {
        let mut report = Self::new();
        // grpc/grpc-go, balancer/weightedroundrobin/balancer.go: the CPU's only without the application's own.
        let utilizations = [message.application_utilization, message.cpu_utilization];
        if let Some(utilization) = utilizations.into_iter().find(is_set) {
            report = report.with_utilization(utilization)?;
        }
        if is_set(&message.rps_fractional) {
            report = report.with_qps(message.rps_fractional)?;
        }
        if is_set(&message.eps) {
            report = report.with_eps(message.eps)?;
        }
        if let Some(in_flight) = message.named_metrics.get(IN_FLIGHT) {
            report = report.with_queue(*in_flight)?;
        }
        if let Some(millis) = message.named_metrics.get(LATENCY_MS) {
            let latency = Duration::try_from_secs_f64(millis / 1e3);
            report = report.with_latency(latency.map_err(|_| OrcaError::value(LATENCY_MS, millis))?)?;
        }
        Ok(report)
    }
}
