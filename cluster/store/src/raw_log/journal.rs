//! A journal in front of an engine: a sync is one short write at a known place of one file.
//!
//! An engine keeps a tree, and one more record costs it a handful of pages and their sums. Here what
//! was written since the last sync goes, as one batch, behind the batches before it. When the journal
//! is full, the engine takes all of them at once, and the journal begins again at its start.
//!
//! ```text
//!   version byte 1, then zeros up to 16 bytes
//!   number, 8 bytes little endian | length of the writes, 4 | sum, 8 | the writes        a batch
//!   …
//! ```
//!
//! Batches are numbered without an end. With each taking over the engine notes the number of the last
//! batch it has, so whatever stands in the journal with another number than the next is of an earlier
//! round, or was never finished and never answered. The file has its full size from the beginning: a
//! sync writes no metadata of the file system, and a full disk stops no batch that fits.

use super::{Contents, RawLog};
use crate::folder::replace;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const VERSION: u8 = 1;
const HEADER: usize = 16;
/// Number, length and sum of a batch.
const HEAD: usize = 8 + 4 + 8;
/// Of the file. Some hundred small entries: what is read again at start, and held in memory until then.
const SIZE: usize = 256 * 1024;
/// The name under which the engine keeps the number of the last batch it has.
const TAKEN: &str = "journal";

/// An engine with a journal in front of it.
pub(crate) struct Journaled<L> {
    engine: L,
    path: PathBuf,
    /// Made with the first batch.
    file: Option<File>,
    /// Where the next batch goes.
    at: usize,
    /// Of the last batch.
    number: u64,
    /// Durable in the journal, not in the engine yet.
    pending: Vec<Op>,
    /// Written since the last sync.
    batch: Vec<Op>,
}

/// One write to the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Op {
    Put(u64, Vec<u8>),
    Remove(u64, u64),
    Meta(String, Vec<u8>),
}

/// The journal of the log at `path`.
pub(crate) fn path_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-journal");
    PathBuf::from(name)
}

impl<L: RawLog> Journaled<L> {
    /// Puts the journal at `path` in front of `engine`. Changes nothing on disk.
    pub(crate) fn open(engine: L, path: PathBuf) -> io::Result<Self> {
        let bytes = match fs::read(&path) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let mut log = Journaled {
            engine,
            path,
            file: None,
            at: HEADER,
            number: 0,
            pending: Vec::new(),
            batch: Vec::new(),
        };
        let (_, values) = log.engine.load()?;
        log.number = taken(&values.get(TAKEN).cloned().unwrap_or_default())?;
        if let Some(bytes) = bytes {
            log.file = Some(open_for_writing(&log.path)?);
            log.replay(&bytes)?;
        }
        Ok(log)
    }

    /// Finds the batches that the engine does not have.
    fn replay(&mut self, bytes: &[u8]) -> io::Result<()> {
        match bytes.first() {
            Some(&VERSION) if bytes.len() == SIZE => {}
            Some(&found) if found > VERSION => {
                let newer = format!("format {found}, this release reads up to {VERSION}");
                return Err(damaged(&format!("its journal has {newer}")));
            }
            _ => return Err(damaged("its journal is of no known format")),
        }
        while let Some((payload, next)) = read_batch(bytes, self.at, self.number + 1) {
            self.pending.extend(decode(payload)?);
            self.number += 1;
            self.at = next;
        }
        Ok(())
    }

    /// Gives the engine everything, for good.
    fn hand_over(&mut self) -> io::Result<()> {
        for op in self.pending.iter().chain(&self.batch) {
            match op {
                Op::Put(index, bytes) => self.engine.write(&[(*index, bytes.clone())])?,
                Op::Remove(from, to) => self.engine.del(*from, *to)?,
                Op::Meta(name, value) => self.engine.meta(name, value)?,
            }
        }
        let number = self.number + 1;
        self.engine.meta(TAKEN, &number.to_le_bytes())?;
        self.engine.sync()?;
        self.number = number;
        self.at = HEADER;
        self.pending.clear();
        self.batch.clear();
        Ok(())
    }

    fn file(&mut self) -> io::Result<&File> {
        if self.file.is_none() {
            self.file = Some(create(&self.path)?);
        }
        Ok(self.file.as_ref().expect("set above"))
    }
}

impl<L: RawLog> RawLog for Journaled<L> {
    fn write(&mut self, puts: &[(u64, Vec<u8>)]) -> io::Result<()> {
        let puts = puts.iter().cloned();
        self.batch
            .extend(puts.map(|(index, bytes)| Op::Put(index, bytes)));
        Ok(())
    }

    fn del(&mut self, from: u64, to: u64) -> io::Result<()> {
        self.batch.push(Op::Remove(from, to));
        Ok(())
    }

    fn meta(&mut self, name: &str, value: &[u8]) -> io::Result<()> {
        self.batch.push(Op::Meta(name.to_owned(), value.to_owned()));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = encode(self.number + 1, &self.batch);
        let (at, end) = (self.at, self.at + batch.len());
        if end > SIZE {
            return self.hand_over();
        }
        let file = self.file()?;
        file.write_all_at(&batch, at as u64)?;
        file.sync_data()?;
        self.number += 1;
        self.at = end;
        self.pending.append(&mut self.batch);
        Ok(())
    }

    fn load(&mut self) -> io::Result<Contents> {
        let (records, mut values) = self.engine.load()?;
        values.remove(TAKEN);
        let mut records: BTreeMap<u64, Vec<u8>> = records.into_iter().collect();
        for op in &self.pending {
            match op {
                Op::Put(index, bytes) => drop(records.insert(*index, bytes.clone())),
                Op::Remove(from, to) => records.retain(|index, _| !(from..=to).contains(&index)),
                Op::Meta(name, value) => drop(values.insert(name.clone(), value.clone())),
            }
        }
        Ok((records.into_iter().collect(), values))
    }
}

/// Makes the file in its full size, so that no batch changes more than content.
fn create(path: &Path) -> io::Result<File> {
    let mut bytes = vec![0; SIZE];
    bytes[0] = VERSION;
    replace(path, &bytes)?;
    open_for_writing(path)
}

fn open_for_writing(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).open(path)
}

fn encode(number: u64, ops: &[Op]) -> Vec<u8> {
    let mut payload = Vec::new();
    for op in ops {
        match op {
            Op::Put(index, bytes) => {
                payload.push(0);
                payload.extend(index.to_le_bytes());
                put_bytes(&mut payload, bytes);
            }
            Op::Remove(from, to) => {
                payload.push(1);
                payload.extend(from.to_le_bytes());
                payload.extend(to.to_le_bytes());
            }
            Op::Meta(name, value) => {
                payload.push(2);
                put_bytes(&mut payload, name.as_bytes());
                put_bytes(&mut payload, value);
            }
        }
    }
    let mut batch = Vec::with_capacity(HEAD + payload.len());
    batch.extend(number.to_le_bytes());
    // A batch that is too long for this is too long for the file, and never written.
    batch.extend((payload.len() as u32).to_le_bytes());
    batch.extend(sum(number, &payload));
    batch.extend(payload);
    batch
}

fn put_bytes(payload: &mut Vec<u8>, bytes: &[u8]) {
    payload.extend((bytes.len() as u32).to_le_bytes());
    payload.extend(bytes);
}

/// The writes of the batch at `at`, if it is whole and has this number, and where the next one is.
fn read_batch(bytes: &[u8], at: usize, number: u64) -> Option<(&[u8], usize)> {
    let mut rest = Reader(bytes.get(at..)?);
    let found = rest.number()?;
    let length = rest.length()?;
    let expected = rest.take(8)?;
    let payload = rest.take(length)?;
    let whole = found == number && expected == sum(number, payload);
    whole.then_some((payload, at + HEAD + length))
}

fn decode(payload: &[u8]) -> io::Result<Vec<Op>> {
    let mut reader = Reader(payload);
    let mut ops = Vec::new();
    while !reader.0.is_empty() {
        ops.push(
            reader
                .op()
                .ok_or_else(|| damaged("its journal holds no writes"))?,
        );
    }
    Ok(ops)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn length(&mut self) -> Option<usize> {
        let length = u32::from_le_bytes(self.take(4)?.try_into().ok()?);
        usize::try_from(length).ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    fn op(&mut self) -> Option<Op> {
        Some(match self.take(1)? {
            [0] => Op::Put(self.number()?, self.bytes()?.to_owned()),
            [1] => Op::Remove(self.number()?, self.number()?),
            [2] => {
                let name = String::from_utf8(self.bytes()?.to_owned()).ok()?;
                Op::Meta(name, self.bytes()?.to_owned())
            }
            _ => return None,
        })
    }
}

/// Tells a whole batch from a torn one.
fn sum(number: u64, payload: &[u8]) -> [u8; 8] {
    let mut hash = Sha256::new();
    hash.update(number.to_le_bytes());
    hash.update(payload);
    let mut sum = [0; 8];
    sum.copy_from_slice(&hash.finalize()[..8]);
    sum
}

fn taken(value: &[u8]) -> io::Result<u64> {
    match value {
        [] => Ok(0),
        value => {
            let number = value.try_into().map(u64::from_le_bytes);
            number.map_err(|_| damaged("it does not say how much of its journal it has"))
        }
    }
}

fn damaged(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests;
