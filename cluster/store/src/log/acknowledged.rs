//! How far the log was ever answered for, in a file of its own.
//!
//! Engines end a log at the first record they cannot read: after a crash that is where the writing
//! stopped. A damaged record looks the same, and everything after it would be gone without a word.
//! So each sync has a number, which stands in the log and, once the sync is done, here: a log that
//! ends before this number has lost what was acknowledged.
//!
//! ```text
//!   version byte 1 | number, 8 bytes little endian | its complement
//! ```
//!
//! The file is written in place and never synced. It may therefore lag behind the log after a power
//! cut, and is never ahead of it.

use crate::error::Error;
use crate::folder::replace;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

const VERSION: u8 = 1;

/// The file, open.
pub(crate) struct Acknowledged(File);

impl Acknowledged {
    /// Makes the file for a log that nothing was answered for.
    pub(crate) fn create(path: &Path) -> io::Result<()> {
        replace(path, &encode(0))
    }

    /// Opens the file and reads the number.
    pub(crate) fn open(path: &Path) -> Result<(Self, u64), Error> {
        let bytes = fs::read(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::missing(path),
            _ => Error::file("read", path)(source),
        })?;
        let number = decode(path, &bytes)?;
        let file = File::options().write(true).open(path);
        Ok((
            Acknowledged(file.map_err(Error::file("open", path))?),
            number,
        ))
    }

    /// Sync `number` is done and about to be answered.
    pub(crate) fn note(&self, number: u64) -> io::Result<()> {
        self.0.write_all_at(&encode(number), 0)
    }
}

fn encode(number: u64) -> Vec<u8> {
    [
        &[VERSION][..],
        &number.to_le_bytes(),
        &(!number).to_le_bytes(),
    ]
    .concat()
}

fn decode(path: &Path, bytes: &[u8]) -> Result<u64, Error> {
    if let Some(&found) = bytes.first()
        && found > VERSION
    {
        return Err(Error::Newer {
            path: path.to_owned(),
            found,
            known: VERSION,
        });
    }
    let number = bytes.get(1..9).and_then(|number| number.try_into().ok());
    let number = number.map(u64::from_le_bytes);
    match number {
        Some(number) if bytes == encode(number) => Ok(number),
        _ => Err(Error::damaged(
            path,
            "it does not hold a number twice".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_a_version_and_a_number_twice() {
        let expected = b"\x01\x02\x01\0\0\0\0\0\0\xfd\xfe\xff\xff\xff\xff\xff\xff";
        assert_eq!(encode(258), expected);
    }

    #[test]
    fn what_was_noted_is_found_and_a_flipped_byte_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acknowledged");
        Acknowledged::create(&path).unwrap();
        let (file, number) = Acknowledged::open(&path).unwrap();
        assert_eq!(number, 0);
        file.note(7).unwrap();
        assert_eq!(Acknowledged::open(&path).unwrap().1, 7);
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x20;
            assert!(decode(&path, &bad).is_err(), "byte {at}");
        }
        assert!(decode(&path, &good[..9]).is_err());
    }
}
