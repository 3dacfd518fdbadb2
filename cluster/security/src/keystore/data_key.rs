//! The bytes of the data key's file: plain, or wrapped by the unlock key.
//!
//! ```text
//!   1 | key (32)                                             as the first releases wrote it
//!   2 | 0 | agreed at (8) | key (32)                 | check (8)     plain
//!   2 | 1 | sealed ( agreed at (8) | key (32) )      | check (8)     sealed by the unlock key
//! ```
//!
//! Numbers are big endian. The check is the start of the SHA-256 of all before it: a damaged file
//! must not be taken for a wrong unlock key, or its owner would look for another key for ever.

use super::Lock;
use crate::{DataKey, Error, Sealer, UnlockKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// The format written; the one before it is read too.
pub(super) const VERSION: u8 = 2;

const FIRST_VERSION: u8 = 1;
const PLAIN: u8 = 0;
const WRAPPED: u8 = 1;

const AT_BYTES: usize = 8;
const CHECK_BYTES: usize = 8;

/// Why bytes give no data key.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// Wrapped, and no unlock key was given.
    Locked,
    /// Wrapped by another unlock key.
    WrongKey,
    /// Written by a newer release, in this format.
    Newer(u8),
    Damaged(&'static str),
}

/// Whether only an unlock key opens these bytes.
pub(super) fn is_wrapped(bytes: &[u8]) -> bool {
    matches!(bytes, [VERSION, WRAPPED, ..])
}

/// The data key and the lock it is under. Bytes that are not wrapped need no unlock key.
pub(super) fn read(
    bytes: &[u8],
    unlock: Option<&UnlockKey>,
) -> Result<(DataKey, Lock), Unreadable> {
    match bytes {
        [FIRST_VERSION, key @ ..] => Ok((data_key(key)?, Lock::default())),
        [VERSION, ..] => read_checked(checked(bytes)?, unlock),
        [version, ..] if *version > VERSION => Err(Unreadable::Newer(*version)),
        _ => Err(Unreadable::Damaged("no version")),
    }
}

fn read_checked(bytes: &[u8], unlock: Option<&UnlockKey>) -> Result<(DataKey, Lock), Unreadable> {
    let (plain, key) = match bytes {
        [_, PLAIN, plain @ ..] => (Zeroizing::new(plain.to_vec()), None),
        [_, WRAPPED, sealed @ ..] => {
            let unlock = unlock.ok_or(Unreadable::Locked)?;
            let opened = Sealer::of(unlock.as_bytes()).open(sealed);
            let plain = opened.map_err(|_| Unreadable::WrongKey)?;
            (Zeroizing::new(plain), Some(unlock.clone()))
        }
        _ => return Err(Unreadable::Damaged("neither plain nor wrapped")),
    };
    let (at, data) = plain
        .split_first_chunk::<AT_BYTES>()
        .ok_or(Unreadable::Damaged("wrong length"))?;
    let agreed_at = u64::from_be_bytes(*at);
    Ok((data_key(data)?, Lock { key, agreed_at }))
}

fn data_key(bytes: &[u8]) -> Result<DataKey, Unreadable> {
    let bytes = bytes
        .try_into()
        .map_err(|_| Unreadable::Damaged("wrong length"))?;
    Ok(DataKey::from_bytes(bytes))
}

/// The bytes for this key under this lock.
pub(super) fn write(key: &DataKey, lock: &Lock) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut plain = Zeroizing::new([0; AT_BYTES + DataKey::LEN]);
    plain[..AT_BYTES].copy_from_slice(&lock.agreed_at.to_be_bytes());
    plain[AT_BYTES..].copy_from_slice(key.as_bytes());
    let (kind, body) = match &lock.key {
        None => (PLAIN, Zeroizing::new(plain.to_vec())),
        Some(unlock) => {
            let sealed = Sealer::of(unlock.as_bytes()).seal(plain.as_slice())?;
            (WRAPPED, Zeroizing::new(sealed))
        }
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 + body.len() + CHECK_BYTES));
    bytes.extend_from_slice(&[VERSION, kind]);
    bytes.extend_from_slice(&body);
    let check = check(&bytes);
    bytes.extend_from_slice(&check);
    Ok(bytes)
}

/// The bytes before the check, if it is theirs.
fn checked(bytes: &[u8]) -> Result<&[u8], Unreadable> {
    match bytes.split_last_chunk::<CHECK_BYTES>() {
        Some((bytes, found)) if *found == check(bytes) => Ok(bytes),
        _ => Err(Unreadable::Damaged("wrong check sum")),
    }
}

fn check(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let digest = Sha256::digest(bytes);
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&digest[..CHECK_BYTES]);
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> DataKey {
        DataKey::from_bytes([7; 32])
    }

    #[test]
    fn a_plain_key_is_these_bytes() {
        let lock = Lock {
            key: None,
            agreed_at: 0x0102,
        };
        let bytes = write(&key(), &lock).unwrap();
        let mut expected = vec![2, 0, 0, 0, 0, 0, 0, 0, 1, 2];
        expected.extend_from_slice(&[7; 32]);
        expected.extend_from_slice(&[0x8d, 0x87, 0x74, 0xd2, 0x57, 0x8b, 0xeb, 0x1d]);
        assert_eq!(*bytes, expected);
        let (found, under) = read(&bytes, None).unwrap();
        assert_eq!(found.as_bytes(), key().as_bytes());
        assert_eq!(under, lock);
    }

    #[test]
    fn a_wrapped_key_is_a_sealed_value_that_its_unlock_key_opens() {
        let unlock = UnlockKey::from_bytes([9; 32]);
        let lock = Lock {
            key: Some(unlock.clone()),
            agreed_at: 3,
        };
        let bytes = write(&key(), &lock).unwrap();
        assert_eq!(bytes[..2], [2, 1]);
        let sealed = &bytes[2..bytes.len() - 8];
        let mut plain = vec![0, 0, 0, 0, 0, 0, 0, 3];
        plain.extend_from_slice(&[7; 32]);
        let opened = Sealer::of(unlock.as_bytes()).open(sealed).unwrap();
        assert_eq!(opened, plain);
        let (found, under) = read(&bytes, Some(&unlock)).unwrap();
        assert_eq!(found.as_bytes(), key().as_bytes());
        assert_eq!(under, lock);
    }

    /// Written once by this release: what it wrote, all later ones read.
    #[test]
    fn bytes_of_this_release_are_read_for_ever() {
        let bytes = include_bytes!("data_key/wrapped.2");
        let unlock = UnlockKey::from_bytes([9; 32]);
        let (found, lock) = read(bytes, Some(&unlock)).unwrap();
        assert_eq!(found.as_bytes(), key().as_bytes());
        assert_eq!(lock.agreed_at, 3);
    }

    #[test]
    fn damage_is_told_from_a_wrong_key() {
        let unlock = UnlockKey::from_bytes([9; 32]);
        let lock = Lock {
            key: Some(unlock.clone()),
            agreed_at: 3,
        };
        let bytes = write(&key(), &lock).unwrap();
        let other = UnlockKey::from_bytes([8; 32]);
        let wrong = read(&bytes, Some(&other));
        assert!(matches!(wrong, Err(Unreadable::WrongKey)));
        assert!(matches!(read(&bytes, None), Err(Unreadable::Locked)));
        for at in 1..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1;
            let found = read(&damaged, Some(&unlock));
            assert!(matches!(found, Err(Unreadable::Damaged(_))), "byte {at}");
        }
    }
}
