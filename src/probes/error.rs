//! What can be wrong: with a probe's settings, and with a backend.

use std::{error, fmt, io};

use super::{
    address::AddressError,
    excerpt::{excerpt, reason},
};

/// Why a backend did not pass.
///
/// What a backend sent is repeated briefly, and escaped.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProbeError {
    /// The backend has no address that it could be asked at.
    Address(AddressError),
    /// No connection.
    Connect {
        /// Where to: host and port.
        to: String,
        /// Why.
        source: io::Error,
    },
    /// No TLS: the certificate is not for that name, nobody who is trusted has signed it, or there is none.
    Tls {
        /// The name that the certificate had to be for.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The connection broke off, or what came is not of the protocol.
    Broken(String),
    /// The reply is not what was expected.
    Unexpected {
        /// What was.
        expected: String,
        /// What came.
        came: String,
    },
    /// The backend says that it is not fit, and this is how it says so.
    Unfit(String),
    /// A gRPC call has failed.
    Grpc {
        /// Its status (`grpc-status`), such as 12 where there is no such service at all.
        code: u32,
        /// What the backend says of it.
        message: String,
    },
}

impl ProbeError {
    pub(super) fn unexpected(expected: impl Into<String>, came: impl Into<String>) -> Self {
        let (expected, came) = (expected.into(), came.into());
        Self::Unexpected { expected, came }
    }

    /// With the reasons beneath, as those say more than hyper's own words.
    pub(super) fn broken(error: &(dyn error::Error + 'static)) -> Self {
        let mut said = error.to_string();
        let mut beneath = error.source();
        while let Some(error) = beneath {
            said = format!("{said}: {error}");
            beneath = error.source();
        }
        Self::Broken(reason(&said))
    }
}

impl From<io::Error> for ProbeError {
    fn from(error: io::Error) -> Self {
        Self::broken(&error)
    }
}

impl From<AddressError> for ProbeError {
    fn from(error: AddressError) -> Self {
        Self::Address(error)
    }
}

/// The names of gRPC's statuses (grpc/grpc, `doc/statuscodes.md`).
const GRPC_STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(error) => error.fmt(f),
            Self::Connect { to, source } => write!(f, "no connection to {to}: {source}"),
            Self::Tls { name, source } => write!(f, "no TLS with {name}: {source}"),
            Self::Broken(why) => write!(f, "broken off: {why}"),
            Self::Unexpected { expected, came } => write!(f, "expected {expected}, but there came {came}"),
            Self::Unfit(said) => write!(f, "the backend says {said}"),
            Self::Grpc { code, message } => {
                let name = GRPC_STATUSES.get(*code as usize).unwrap_or(&"an unknown status");
                write!(f, "the call ended with {name} ({code})")?;
                if !message.is_empty() {
                    write!(f, ": {}", excerpt(message.as_bytes()))?;
                }
                Ok(())
            }
        }
    }
}

impl error::Error for ProbeError {
    /// What is beneath the I/O error, whose own words are told already: who tells all causes tells each once.
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Connect { source, .. } | Self::Tls { source, .. } => error::Error::source(source),
            _ => None,
        }
    }
}

/// A probe's setting that can't be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    setting: &'static str,
    value: String,
    allowed: String,
}

impl SettingError {
    pub(super) fn new(setting: &'static str, value: &[u8], allowed: impl Into<String>) -> Self {
        Self {
            setting,
            value: excerpt(value),
            allowed: allowed.into(),
        }
    }

    /// Which one.
    pub fn setting(&self) -> &'static str {
        self.setting
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid {} {}: expected {}", self.setting, self.value, self.allowed)
    }
}

impl error::Error for SettingError {}
