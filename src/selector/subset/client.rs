//! Which of the clients in front of the same members this one is.

use std::{fmt, sync::OnceLock};

use super::Subset;
use crate::{
    key::HashFunction,
    selector::{
        ParameterError,
        generator::Generator,
        strategy::named::{Named, whole},
    },
};

/// Which of the clients this one is: by what its [`Subset`] differs from the others'.
///
/// As text: `process`, a number, or a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Client(Identity);

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
enum Identity {
    #[default]
    Process,
    Number(u32),
    Name(Box<str>),
}

/// The longest name, in bytes.
const LONGEST: usize = 255;

impl Client {
    pub(super) const ALLOWED: &'static str =
        "process, a number from 0 to 4294967295, or a name of up to 255 letters, digits, '.', ':', '_' and '-'";

    /// A random number that is drawn once for the process, as in gRPC A68: nobody has to number the clients, and every
    /// restart is another client. All pools of the process are the same client.
    pub fn process() -> Self {
        Self(Identity::Process)
    }

    /// One of clients that are numbered from 0 on, without gaps: the ordinal of a stateful set's pod or of a task. The
    /// members are then spread evenly over the clients.
    pub fn number(number: u32) -> Self {
        Self(Identity::Number(number))
    }

    /// A client by a name that no other has, such as a host's: it keeps its subset through restarts.
    ///
    /// # Errors
    /// Unless the name has from 1 to 255 ASCII letters, digits, `.`, `:`, `_` and `-`, is not all digits, which is a
    /// number, and is not `process`.
    pub fn named(name: &str) -> Result<Self, ParameterError> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".:_-".contains(&byte);
        let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
        if name.len() > LONGEST || is_number || name == "process" || !name.bytes().all(is_allowed) {
            return Err(ParameterError::new(
                Subset::NAME,
                "client",
                name,
                "a name of up to 255 letters, digits, '.', ':', '_' and '-'",
            ));
        }
        Ok(Self(Identity::Name(name.into())))
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        match text {
            "process" => Some(Self::process()),
            _ => whole(text).map(Self::number).or_else(|| Self::named(text).ok()),
        }
    }

    /// Its number among clients that are numbered, or else a random one among all there could be.
    pub(super) fn place(&self) -> Place {
        static PROCESS: OnceLock<u64> = OnceLock::new();
        match &self.0 {
            // The map's generator is seeded by the system: the one source of chance that is always there.
            Identity::Process => Place::Random(*PROCESS.get_or_init(|| {
                use std::hash::{BuildHasher, RandomState};
                RandomState::new().hash_one(std::process::id())
            })),
            Identity::Number(number) => Place::Number(*number),
            // Mixed, or it would be the hash of a member of the same name.
            Identity::Name(name) => Place::Random(Generator::new(HashFunction::default().hash(name.as_bytes())).next()),
        }
    }
}

/// Where a client is among all.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    Number(u32),
    Random(u64),
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Identity::Process => f.write_str("process"),
            Identity::Number(number) => number.fmt(f),
            Identity::Name(name) => f.write_str(name),
        }
    }
}
