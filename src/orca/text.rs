//! The text format: `name=value,name=value`.

use std::collections::BTreeSet;

use super::{OrcaError, message::Message};

/// Reads what Envoy reads (envoyproxy/envoy, `source/common/orca/orca_parser.cc`): a value follows `=` or `:`, spaces
/// around it do not matter, and no metric is there twice.
pub(super) fn read(text: &str) -> Result<Message, OrcaError> {
    let mut message = Message::default();
    let mut seen = BTreeSet::new();
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    for part in parts {
        let (name, value) = part.split_once(['=', ':']).unwrap_or((part, ""));
        let (name, value) = (name.trim(), value.trim());
        if !seen.insert(name) {
            return Err(OrcaError::Twice(name.to_owned()));
        }
        set(&mut message, name, value)?;
    }
    Ok(message)
}

fn set(message: &mut Message, name: &str, text: &str) -> Result<(), OrcaError> {
    let number = text.parse::<f64>().ok().filter(|value| value.is_finite());
    let value = number.ok_or_else(|| OrcaError::value(name, text))?;
    if let Some(metric) = name.strip_prefix("named_metrics.").filter(|metric| !metric.is_empty()) {
        message.named_metrics.insert(metric.to_owned(), value);
        return Ok(());
    }
    if value < 0.0 {
        return Err(OrcaError::value(name, text));
    }
    match name {
        "cpu_utilization" => message.cpu_utilization = value,
        "mem_utilization" => message.mem_utilization = value,
        "application_utilization" => message.application_utilization = value,
        "eps" => message.eps = value,
        "rps_fractional" => message.rps_fractional = value,
        _ => {
            let metric = name.strip_prefix("utilization.").filter(|metric| !metric.is_empty());
            let metric = metric.ok_or_else(|| OrcaError::Metric(name.to_owned()))?;
            message.utilization.insert(metric.to_owned(), value);
        }
    }
    Ok(())
}
