//! The unlock key: what a locked manager must be told before it can read its own disk.
//!
//! `SWMKEY-1-` and unpadded standard base64 of 32 random bytes.

use crate::{Error, random};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const PREFIX: &str = "SWMKEY-1-";

const KEY_BYTES: usize = 32;

/// An unlock key.
#[derive(Clone)]
pub struct UnlockKey(Zeroizing<[u8; KEY_BYTES]>);

impl UnlockKey {
    /// Makes a new key.
    pub fn mint() -> Result<Self, Error> {
        random::bytes().map(Self)
    }

    /// Takes up a key from its bytes, as the cluster's state holds them.
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads a key as a user types it.
    ///
    /// [`Error::InvalidUnlockKey`] is a string of another form; [`Error::UnlockKeyLength`] one that
    /// is well-formed but can be nobody's key, which Docker treats as a wrong key.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let encoded = text.strip_prefix(PREFIX).ok_or(Error::InvalidUnlockKey)?;
        let bytes = STANDARD_NO_PAD
            .decode(encoded)
            .map(Zeroizing::new)
            .map_err(|_| Error::InvalidUnlockKey)?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        if bytes.len() != KEY_BYTES {
            return Err(Error::UnlockKeyLength {
                found: bytes.len(),
                expected: KEY_BYTES,
            });
        }
        key.copy_from_slice(&bytes);
        Ok(Self(key))
    }

    /// The key as a user reads it. A secret.
    pub fn to_text(&self) -> Zeroizing<String> {
        let encoded = Zeroizing::new(STANDARD_NO_PAD.encode(self.0.as_slice()));
        Zeroizing::new(format!("{PREFIX}{}", *encoded))
    }

    /// The key's bytes. A secret.
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl PartialEq for UnlockKey {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl Eq for UnlockKey {}

impl fmt::Debug for UnlockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnlockKey(secret)")
    }
}
