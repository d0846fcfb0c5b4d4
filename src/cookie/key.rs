//! One key.

use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305, XNonce};

/// A secret, and what it is known by. Wiped from memory when it is dropped.
pub(super) struct Key {
    id: [u8; Self::ID],
    /// For hashing the names of sessions.
    pub(super) of_names: [u8; 16],
    pub(super) cipher: XChaCha20Poly1305,
}

impl Key {
    /// The bytes of an id. Two keys with the same one are both tried, so that it may be short.
    pub(super) const ID: usize = 4;
    /// The nonces that make what is derived: those of tokens are random, and are one of these once in 2^191.
    const ID_NONCE: [u8; 24] = *b"equipoise: id of the key";
    const NAMES_NONCE: [u8; 24] = *b"equipoise: hash of names";

    pub(super) fn new(secret: [u8; 32]) -> Self {
        let cipher = XChaCha20Poly1305::new(&secret.into());
        // The beginnings of key streams, which tell nothing of the key.
        let mut id = [0; Self::ID];
        let mut of_names = [0; 16];
        for (nonce, derived) in [(Self::ID_NONCE, &mut id[..]), (Self::NAMES_NONCE, &mut of_names)] {
            // It fails for messages of 256 GB.
            let _ = cipher.encrypt_inout_detached(&XNonce::from(nonce), &[], derived.into());
        }
        Self { id, of_names, cipher }
    }

    /// What it is known by, to everybody.
    pub(super) fn id(&self) -> [u8; Self::ID] {
        self.id
    }
}
