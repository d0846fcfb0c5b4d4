//! Messages of gRPC (grpc/grpc, `doc/PROTOCOL-HTTP2.md`), and of its health service.

use http::{HeaderMap, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use prost::Message;

use super::{error::ProbeError, excerpt::excerpt};
use crate::health::Report;

/// `grpc.health.v1.HealthCheckRequest` (grpc/grpc-proto, `grpc/health/v1/health.proto`).
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    pub(super) service: String,
}

/// `grpc.health.v1.HealthCheckResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckResponse {
    #[prost(enumeration = "ServingStatus", tag = "1")]
    status: i32,
}

/// `grpc.health.v1.HealthCheckResponse.ServingStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(super) enum ServingStatus {
    Unknown = 0,
    Serving = 1,
    NotServing = 2,
    /// Of a watch only.
    ServiceUnknown = 3,
}

impl ServingStatus {
    /// What a probe answers.
    pub(super) fn report(self) -> Result<Report, ProbeError> {
        let said = match self {
            Self::Serving => return Ok(Report::new()),
            Self::Unknown => "UNKNOWN",
            Self::NotServing => "NOT_SERVING",
            Self::ServiceUnknown => "SERVICE_UNKNOWN",
        };
        Err(ProbeError::Unfit(said.to_owned()))
    }
}

/// A message before which its length is said.
pub(super) fn framed(message: &impl Message) -> Bytes {
    let encoded = message.encode_to_vec();
    // Not compressed. The service's name was bounded when it was set.
    let mut framed = vec![0];
    framed.extend((encoded.len() as u32).to_be_bytes());
    framed.extend(encoded);
    framed.into()
}

/// The most bytes of a message: these have one number, and perhaps one day some more.
const MOST: usize = 1024;

/// The statuses that a response tells.
pub(super) struct Statuses {
    body: Incoming,
    came: Vec<u8>,
}

impl Statuses {
    /// # Errors
    /// It is no response of gRPC, or ends the call at once with another status than OK.
    pub(super) fn of(response: Response<Incoming>) -> Result<Self, ProbeError> {
        let (head, body) = response.into_parts();
        if head.status != StatusCode::OK {
            return Err(ProbeError::unexpected(
                "status 200 and gRPC",
                head.status.as_u16().to_string(),
            ));
        }
        let kind = head
            .headers
            .get(header::CONTENT_TYPE)
            .map(|kind| kind.as_bytes())
            .unwrap_or_default();
        if !kind.starts_with(b"application/grpc") {
            let came = format!("content of type {}", excerpt(kind));
            return Err(ProbeError::unexpected("gRPC", came));
        }
        // A call that has failed may have a head alone.
        ended(&head.headers).transpose()?;
        Ok(Self { body, came: Vec::new() })
    }

    /// The next status; none when the call has ended well.
    ///
    /// Nothing is lost where this is dropped before its end.
    pub(super) async fn next(&mut self) -> Result<Option<ServingStatus>, ProbeError> {
        loop {
            if let Some(message) = self.message()? {
                let decoded = HealthCheckResponse::decode(&message[..]);
                let decoded = decoded.map_err(|error| ProbeError::broken(&error))?;
                // Numbers that are new by then say at least that it is not serving.
                let status = ServingStatus::try_from(decoded.status).unwrap_or(ServingStatus::Unknown);
                return Ok(Some(status));
            }
            let Some(frame) = self.body.frame().await else {
                return Err(ProbeError::Broken("the call ended without a status".to_owned()));
            };
            let frame = frame.map_err(|error| ProbeError::broken(&error))?;
            match frame.into_data() {
                Ok(data) => self.came.extend_from_slice(&data),
                Err(frame) => {
                    if let Some(end) = frame.trailers_ref().and_then(ended) {
                        return end.map(|()| None);
                    }
                }
            }
        }
    }

    /// The next message, if all of it has come.
    fn message(&mut self) -> Result<Option<Vec<u8>>, ProbeError> {
        let Some((prefix, rest)) = self.came.split_at_checked(5) else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
        if prefix[0] != 0 || length > MOST {
            let expected = format!("a message of at most {MOST} bytes, not compressed");
            return Err(ProbeError::unexpected(expected, excerpt(&self.came)));
        }
        if rest.len() < length {
            return Ok(None);
        }
        let message = rest[..length].to_vec();
        self.came.drain(..5 + length);
        Ok(Some(message))
    }
}

/// What these headers or trailers say of the call's end, if they do.
fn ended(headers: &HeaderMap) -> Option<Result<(), ProbeError>> {
    let status = headers.get("grpc-status")?;
    let code = status.to_str().ok().and_then(|code| code.parse().ok());
    let message = headers.get("grpc-message").map(|message| decoded(message.as_bytes()));
    Some(match code {
        Some(0) => Ok(()),
        Some(code) => Err(ProbeError::Grpc {
            code,
            message: message.unwrap_or_default(),
        }),
        None => Err(ProbeError::unexpected(
            "a number as grpc-status",
            excerpt(status.as_bytes()),
        )),
    })
}

/// A `grpc-message`, in which bytes may be percent-encoded. What is not so rightly stays as it is.
fn decoded(message: &[u8]) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let (mut bytes, mut rest) = (Vec::new(), message);
    while let Some((byte, after)) = rest.split_first() {
        let escaped = digit(after.first()).zip(digit(after.get(1)));
        // Two such digits are one byte.
        let (byte, after) = match escaped.filter(|_| *byte == b'%') {
            Some((high, low)) => ((16 * high + low) as u8, &after[2..]),
            None => (*byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_decoded_as_far_as_they_can_be() {
        for (message, text) in [
            ("", ""),
            ("not%20there", "not there"),
            ("100%", "100%"),
            ("%4", "%4"),
            ("%zz%41", "%zzA"),
            ("%C3%A4%ff", "ä\u{fffd}"),
        ] {
            assert_eq!(decoded(message.as_bytes()), text);
        }
    }
}
