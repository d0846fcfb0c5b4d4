//! One key.

use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305, XNonce};

/// A secret, and what it is known by. Wiped from memory when it is dropped.
pub(super) struct Key {
    id: [u8; Self::ID],
    pub(super) cipher: XChaCha20Poly1305,
}

impl Key {
    /// The bytes of an id. Two keys with the same one are both tried, so that it may be short.
    pub(super) const ID: usize = 4;
    /// The nonce that makes ids: those of tokens are random, and are this one time in 2^192.
    const NONCE: [u8; 24] = *b"equipoise: id of the key";

    pub(super) fn new(secret: [u8; 32]) -> Self {
        let cipher = XChaCha20Poly1305::new(&secret.into());
        // The beginning of a key stream, which tells nothing of the key.
        let mut id = [0; Self::ID];
        // It fails for messages of 256 GB.
        let _ = cipher.encrypt_inout_detached(&XNonce::from(Self::NONCE), &[], id.as_mut_slice().into());
        Self { id, cipher }
    }

    /// What it is known by, to everybody.
    pub(super) fn id(&self) -> [u8; Self::ID] {
        self.id
    }
}
