//! Tokens: what is in them, and how it is sealed.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{AeadInOut, Tag, XNonce};
use rand::{TryRng, rngs::SysRng};

use super::{Keys, key::Key};
use crate::Home;

const VERSION: u8 = 1;
/// What everybody can read: the version and the key's id.
const CLEAR: usize = 1 + Key::ID;
const NONCE: usize = 24;
const TAG: usize = 16;
/// A time in milliseconds since 1970, for the next 8,900 years.
const TIME: usize = 6;
/// Two times, and the length of the id.
const BEFORE_ID: usize = 2 * TIME + 1;
/// What is sealed is as long as some of these, and one in nearly all cases. It is the cipher's own, so that it costs nothing.
const BLOCK: usize = 64;
const MOST_BLOCKS: usize = 4;
const MOST: usize = CLEAR + NONCE + MOST_BLOCKS * BLOCK + TAG;
/// With room for the base64 decoder, which counts in threes.
const BUFFER: usize = MOST.next_multiple_of(3) + 3;

pub(super) const LONGEST_ID: usize = MOST_BLOCKS * BLOCK - BEFORE_ID;

/// What a token says. Times are in milliseconds since 1970.
#[derive(Clone)]
pub(super) struct Content {
    pub(super) created: u64,
    pub(super) seen: u64,
    pub(super) home: Home,
}

/// What makes tokens and opens them: for one pool, under one name.
pub(super) struct Seal(Vec<Bound>);

/// A key, and what is authenticated along with the message.
struct Bound {
    key: Arc<Key>,
    to: Box<[u8]>,
}

impl Seal {
    pub(super) fn new(keys: &Keys, pool: &str, name: &str) -> Self {
        let bound = |key: &Arc<Key>| {
            let mut to = vec![VERSION];
            to.extend(key.id());
            // With the length of one of them it is known where the other begins.
            to.extend((pool.len() as u64).to_be_bytes());
            to.extend(pool.bytes().chain(name.bytes()));
            Bound {
                key: Arc::clone(key),
                to: to.into(),
            }
        };
        Self(keys.iter().map(bound).collect())
    }

    /// A token that says this, sealed with the first key; none if the id is too long, or there is no randomness to be had.
    pub(super) fn seal(&self, created: u64, seen: u64, id: &str) -> Option<String> {
        let Bound { key, to } = self.0.first()?;
        let length = u8::try_from(id.len()).ok().filter(|_| id.len() <= LONGEST_ID)?;
        let sealed = (BEFORE_ID + id.len()).next_multiple_of(BLOCK);
        let mut token = [0; MOST];
        let token = &mut token[..CLEAR + NONCE + sealed + TAG];
        let (clear, rest) = token.split_at_mut(CLEAR);
        let (nonce, rest) = rest.split_at_mut(NONCE);
        let (message, tag) = rest.split_at_mut(sealed);
        clear[0] = VERSION;
        clear[1..].copy_from_slice(&key.id());
        SysRng.try_fill_bytes(nonce).ok()?;
        message[..TIME].copy_from_slice(&written(created));
        message[TIME..2 * TIME].copy_from_slice(&written(seen));
        message[2 * TIME] = length;
        message[BEFORE_ID..][..id.len()].copy_from_slice(id.as_bytes());
        let nonce = XNonce::try_from(&*nonce).ok()?;
        let sealed = key.cipher.encrypt_inout_detached(&nonce, to, message.into()).ok()?;
        tag.copy_from_slice(&sealed);
        Some(URL_SAFE_NO_PAD.encode(token))
    }

    /// What a token says, and whether it is sealed with the first key; nothing if it is no token. There is one text for each
    /// token: the decoder refuses padding, and bits at the end that mean nothing.
    pub(super) fn open(&self, text: &[u8]) -> Option<(Content, bool)> {
        if !(1..=MOST_BLOCKS).any(|blocks| text.len() == written_length(blocks)) {
            return None;
        }
        let mut token = [0; BUFFER];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut token).ok()?;
        let (clear, rest) = token[..length].split_at_mut_checked(CLEAR)?;
        let (nonce, rest) = rest.split_at_mut_checked(NONCE)?;
        let (message, tag) = rest.split_at_mut_checked(rest.len().checked_sub(TAG)?)?;
        let nonce = XNonce::try_from(&*nonce).ok()?;
        let tag = Tag::try_from(&*tag).ok()?;
        let (version, id) = clear.split_first()?;
        if *version != VERSION {
            return None;
        }
        let mut known = self.0.iter().enumerate().filter(|(_, bound)| bound.key.id() == id);
        // What does not verify is left as it was.
        let (at, _) = known.find(|(_, Bound { key, to })| {
            let message = (&mut *message).into();
            key.cipher.decrypt_inout_detached(&nonce, to, message, &tag).is_ok()
        })?;
        let (times, rest) = message.split_at_checked(2 * TIME)?;
        let (created, seen) = times.split_at_checked(TIME)?;
        let (length, rest) = rest.split_first()?;
        let id = std::str::from_utf8(rest.get(..usize::from(*length))?).ok()?;
        let content = Content {
            created: read(created),
            seen: read(seen),
            home: Home::new(id),
        };
        Some((content, at == 0))
    }
}

/// How many characters a token has.
const fn written_length(blocks: usize) -> usize {
    let bytes = CLEAR + NONCE + blocks * BLOCK + TAG;
    (bytes * 4).div_ceil(3)
}

fn written(time: u64) -> [u8; TIME] {
    let [_, _, bytes @ ..] = time.min((1 << (8 * TIME)) - 1).to_be_bytes();
    bytes
}

fn read(time: &[u8]) -> u64 {
    time.iter().fold(0, |time, byte| time << 8 | u64::from(*byte))
}
