//! The headers that reports come in.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{OrcaError, json, message::Message, text};
use crate::LoadReport;

/// Of a report that begins with its format: `endpoint-load-metrics`.
pub const HEADER: HeaderName = HeaderName::from_static("endpoint-load-metrics");
/// Of a binary report: `endpoint-load-metrics-bin`.
pub const HEADER_BIN: HeaderName = HeaderName::from_static("endpoint-load-metrics-bin");
/// The longest report that is read, in bytes: no peer may make one busy with more.
pub const LONGEST: usize = 8192;

/// Padding is left out by some: grpc-go, for one.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The report of load in a response's headers; none if there is none. The binary header comes first; of several of one
/// name the first is read.
///
/// ```
/// use equipoise::orca::{HEADER, read};
/// use http::{HeaderMap, HeaderValue};
///
/// let mut headers = HeaderMap::new();
/// assert_eq!(read(&headers)?, None);
/// headers.insert(HEADER, HeaderValue::from_static("TEXT named_metrics.in_flight=3"));
/// assert_eq!(read(&headers)?.and_then(|report| report.queue()), Some(3.0));
/// headers.insert(HEADER, HeaderValue::from_static("TEXT named_metrics.in_flight=-1"));
/// assert!(read(&headers).is_err());
/// # Ok::<_, equipoise::orca::OrcaError>(())
/// ```
pub fn read(headers: &HeaderMap) -> Result<Option<LoadReport>, OrcaError> {
    message(headers)?.map(LoadReport::try_from).transpose()
}

pub(super) fn message(headers: &HeaderMap) -> Result<Option<Message>, OrcaError> {
    if let Some(value) = headers.get(HEADER_BIN) {
        return binary(visible(value)?).map(Some);
    }
    let Some(value) = headers.get(HEADER) else {
        return Ok(None);
    };
    let text = visible(value)?;
    let message = match text.split_once(' ') {
        Some(("TEXT", text)) => text::read(text),
        Some(("JSON", json)) => json::read(json),
        Some(("BIN", base64)) => binary(base64),
        _ => {
            let format = text.split(' ').next().unwrap_or_default();
            // As much as tells a typing error from nonsense.
            Err(OrcaError::Format(format.chars().take(5).collect()))
        }
    };
    message.map(Some)
}

fn visible(value: &HeaderValue) -> Result<&str, OrcaError> {
    if value.len() > LONGEST {
        return Err(OrcaError::TooLong(value.len()));
    }
    value.to_str().map_err(|_| OrcaError::NotText)
}

fn binary(base64: &str) -> Result<Message, OrcaError> {
    if base64.is_empty() {
        return Err(OrcaError::Binary("it is empty".into()));
    }
    let bytes = BASE64.decode(base64).map_err(|error| OrcaError::Binary(error.into()))?;
    prost::Message::decode(&*bytes).map_err(|error: prost::DecodeError| OrcaError::Binary(error.into()))
}
