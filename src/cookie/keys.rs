//! The keys that tokens are sealed with.

use std::{fmt, str::FromStr, sync::Arc};

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use rand::{TryRng, rngs::SysRng};

use super::{KeysError, key::Key};

/// As `openssl rand -base64 32` writes it, with or without `=` at the end.
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const BASE64URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// Secrets of 32 bytes: the first seals tokens, and all open them.
///
/// So keys are changed without losing a session: a new one is put first, and the old ones are kept behind it for as long as
/// sessions may be [idle](super::CookieBuilder::idle). A token that was sealed with an old one is replaced with the next answer.
/// Where there are several balancers, all get the new key in a place behind the first one before any has it there.
///
/// As text, such as a file's, there is one secret a line, in 64 hexadecimal digits or in base64, either alphabet; what comes
/// behind a `#`, and blank lines, are not read. `openssl rand -hex 32` makes a line. No two may be the same.
///
/// Each is known by an id that is derived from it and that tokens tell: nobody has to number them. `Debug` shows the ids.
///
/// ```
/// use equipoise::cookie::Keys;
///
/// let keys: Keys = "
///     ## Since Monday:
///     8d1f3a1c0c2be0a8a7f46c3d2c6f4a4cf6a0a1b6b4d9e7c5a3f1e8d7c6b5a493
///     ## Before:
///     mFQ1xr9v0S1t3PpYdXJm0c0uJzT2cOmTN2fdyu7Wv2c=
/// ".parse()?;
/// # assert!(format!("{keys:?}").len() < 60);
/// # Ok::<_, equipoise::cookie::KeysError>(())
/// ```
#[derive(Clone)]
pub struct Keys(Arc<[Arc<Key>]>);

impl Keys {
    /// With this secret alone: 32 bytes that nobody can guess.
    pub fn new(secret: [u8; 32]) -> Self {
        Self(Arc::new([Arc::new(Key::new(secret))]))
    }

    /// And an older one behind those that there are: it opens tokens, and seals none.
    pub fn with_older(self, secret: [u8; 32]) -> Self {
        let older = Arc::new(Key::new(secret));
        Self(self.0.iter().cloned().chain([older]).collect())
    }

    /// With a secret of its own, from the operating system's generator. Nobody else has it: sessions end with this process, and
    /// no other balancer knows them.
    ///
    /// # Errors
    /// The operating system gives no random bytes.
    pub fn random() -> Result<Self, KeysError> {
        let mut secret = [0; 32];
        SysRng.try_fill_bytes(&mut secret).map_err(KeysError::no_randomness)?;
        Ok(Self::new(secret))
    }

    /// A key for the hashes by which a table shared by several balancers knows its sessions (`SessionsBuilder::key`), so that all
    /// of them need no other kind of secret. None where there are several: a table knows its sessions by one, and with another they
    /// are new ones, so that keys of a table can't be changed in the way that those of cookies are.
    ///
    /// ```
    /// use equipoise::cookie::Keys;
    ///
    /// assert!(Keys::new([1; 32]).session_key().is_some());
    /// assert_ne!(Keys::new([1; 32]).session_key(), Keys::new([2; 32]).session_key());
    /// assert_eq!(Keys::new([1; 32]).with_older([2; 32]).session_key(), None);
    /// ```
    pub fn session_key(&self) -> Option<[u8; 16]> {
        match &*self.0 {
            [key] => Some(key.of_names),
            _ => None,
        }
    }

    /// The first seals.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Key>> {
        self.0.iter()
    }
}

impl FromStr for Keys {
    type Err = KeysError;

    fn from_str(text: &str) -> Result<Self, KeysError> {
        let mut secrets: Vec<(usize, [u8; 32])> = Vec::new();
        // Some editors begin a file with a mark of its encoding.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (line, number) in text.lines().zip(1..) {
            let written = line.split('#').next().unwrap_or_default().trim();
            if written.is_empty() {
                continue;
            }
            let secret = read(written).ok_or_else(|| KeysError::not_a_secret(number, written))?;
            if let Some((before, _)) = secrets.iter().find(|(_, before)| *before == secret) {
                return Err(KeysError::again(number, *before));
            }
            secrets.push((number, secret));
        }
        if secrets.is_empty() {
            return Err(KeysError::none());
        }
        Ok(Self(
            secrets
                .into_iter()
                .map(|(_, secret)| Arc::new(Key::new(secret)))
                .collect(),
        ))
    }
}

/// A secret as it is written.
fn read(written: &str) -> Option<[u8; 32]> {
    let written = written.as_bytes();
    let mut secret = [0; 32];
    if written.len() == 64 {
        for (byte, digits) in secret.iter_mut().zip(written.chunks_exact(2)) {
            let digit = |at: usize| char::from(digits[at]).to_digit(16);
            *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
        }
        return Some(secret);
    }
    // 32 bytes are 43 characters, or 44 with the `=`.
    let mut bytes = [0; 33];
    if !(43..=44).contains(&written.len()) {
        return None;
    }
    let length = [BASE64, BASE64URL]
        .iter()
        .find_map(|engine| engine.decode_slice(written, &mut bytes).ok())?;
    bytes[..length].try_into().ok()
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.iter().map(|key| format!("{:08x}", u32::from_be_bytes(key.id())));
        f.write_str("Keys")?;
        f.debug_list().entries(ids).finish()
    }
}
