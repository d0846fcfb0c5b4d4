//! The JSON format.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{OrcaError, message::Message};

/// Reads Protobuf's JSON (<https://protobuf.dev/programming-guides/json/>): names as in the message or in camel case,
/// numbers as such or in a string, null for what is not set. A field that is unknown is an error, as to Envoy.
pub(super) fn read(text: &str) -> Result<Message, OrcaError> {
    let fields: Map<String, Value> = serde_json::from_str(text).map_err(|error| OrcaError::Json(error.into()))?;
    let mut message = Message::default();
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        match name.as_str() {
            "cpu_utilization" | "cpuUtilization" => message.cpu_utilization = number(name, value)?,
            "mem_utilization" | "memUtilization" => message.mem_utilization = number(name, value)?,
            "application_utilization" | "applicationUtilization" => {
                message.application_utilization = number(name, value)?;
            }
            "rps_fractional" | "rpsFractional" => message.rps_fractional = number(name, value)?,
            "eps" => message.eps = number(name, value)?,
            "rps" => message.rps = whole(name, value)?,
            "request_cost" | "requestCost" => message.request_cost = numbers(name, value)?,
            "utilization" => message.utilization = numbers(name, value)?,
            "named_metrics" | "namedMetrics" => message.named_metrics = numbers(name, value)?,
            _ => return Err(OrcaError::Metric(name.clone())),
        }
    }
    Ok(message)
}

fn number(name: &str, value: &Value) -> Result<f64, OrcaError> {
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
    number.ok_or_else(|| OrcaError::value(name, value))
}

fn whole(name: &str, value: &Value) -> Result<u64, OrcaError> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number.ok_or_else(|| OrcaError::value(name, value))
}

fn numbers(name: &str, value: &Value) -> Result<BTreeMap<String, f64>, OrcaError> {
    let fields = value.as_object().ok_or_else(|| OrcaError::value(name, value))?;
    let entry = |(name, value): (&String, &Value)| Ok((name.clone(), number(name, value)?));
    fields.iter().map(entry).collect()
}
