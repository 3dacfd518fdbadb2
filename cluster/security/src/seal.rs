//! Sealing of bytes at rest: XSalsa20-Poly1305, the `secretbox` of NaCl, as swarmkit uses it.
//!
//! ```text
//!   byte 0      1 .. 25        25 .. 41     41 ..
//!   version 1   random nonce   MAC          ciphertext
//! ```
//!
//! `secretbox` authenticates nothing but its content. Who needs sealed bytes to stay in their place
//! (log index, key) puts that place inside what is sealed and compares after opening.

use crate::{Error, random};
use crypto_secretbox::aead::Aead;
use crypto_secretbox::{Key, KeyInit, Nonce, XSalsa20Poly1305};
use std::fmt;
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;

const VERSION: u8 = 1;

/// Where the nonce ends and the box begins.
const HEADER_BYTES: usize = 1 + XSalsa20Poly1305::NONCE_SIZE;

/// By how much sealed bytes are longer than what is in them.
pub const OVERHEAD: usize = HEADER_BYTES + XSalsa20Poly1305::TAG_SIZE;

/// The key that a manager seals its disk with.
#[derive(Clone)]
pub struct DataKey(Zeroizing<[u8; KEY_BYTES]>);

impl DataKey {
    /// Length of a key in bytes.
    pub const LEN: usize = KEY_BYTES;

    /// Makes a new key.
    pub fn generate() -> Result<Self, Error> {
        random::bytes().map(Self)
    }

    /// Takes up a key from its bytes.
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key's bytes. A secret.
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(secret)")
    }
}

/// Seals and opens bytes with one key. May be shared between threads.
#[derive(Clone)]
pub struct Sealer(XSalsa20Poly1305);

impl Sealer {
    /// A sealer with this key.
    pub fn new(key: &DataKey) -> Self {
        Self::of(key.as_bytes())
    }

    /// A sealer with a key of any kind.
    pub(crate) fn of(key: &[u8; KEY_BYTES]) -> Self {
        Self(XSalsa20Poly1305::new(Key::from_slice(key)))
    }

    /// Seals `plain`; the result is longer by [`OVERHEAD`] and different each time.
    pub fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, Error> {
        // 24 random bytes never repeat in practice, so no counter has to survive a crash.
        Ok(self.seal_with(&*random::bytes()?, plain))
    }

    /// Opens what [`Sealer::seal`] made with the same key.
    pub fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        match sealed.first() {
            Some(&VERSION) if sealed.len() >= OVERHEAD => {}
            Some(&version) if version > VERSION => {
                return Err(Error::NewerFormat {
                    what: "sealed value".into(),
                    found: version.into(),
                    known: VERSION.into(),
                });
            }
            _ => return Err(Error::Unseal),
        }
        let (header, boxed) = sealed.split_at(HEADER_BYTES);
        self.0
            .decrypt(Nonce::from_slice(&header[1..]), boxed)
            .map_err(|_| Error::Unseal)
    }

    fn seal_with(&self, nonce: &[u8; XSalsa20Poly1305::NONCE_SIZE], plain: &[u8]) -> Vec<u8> {
        let boxed = self
            .0
            .encrypt(Nonce::from_slice(nonce), plain)
            .expect("encryption fails only for lengths beyond any memory");
        let mut sealed = Vec::with_capacity(HEADER_BYTES + boxed.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(nonce);
        sealed.extend_from_slice(&boxed);
        sealed
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of NaCl's own `tests/secretbox`, in hex.
    const KEY: &str = "1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389";
    const NONCE: &str = "69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37";
    const PLAIN: &str = concat!(
        "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a",
        "1ac728d45e6c61296cdc3c01233561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057",
        "e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52f0a089bc76897040",
        "e082f937763848645e0705",
    );
    const BOXED: &str = concat!(
        "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4",
        "476fb8c531a1186ac0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738",
        "b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de",
        "56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5",
    );

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect()
    }

    #[test]
    fn sealed_bytes_are_version_nonce_and_the_box_of_nacl() {
        let key = DataKey::from_bytes(hex(KEY).try_into().unwrap());
        let nonce = hex(NONCE).try_into().unwrap();
        let sealed = Sealer::new(&key).seal_with(&nonce, &hex(PLAIN));
        assert_eq!(sealed, hex(&format!("01{NONCE}{BOXED}")));
        assert_eq!(Sealer::new(&key).open(&sealed).unwrap(), hex(PLAIN));
    }
}
