//! What the agent remembers over its own death: which container belongs to which task, and how far each has come.
//!
//! `<data>/agent/journal` begins with a header that names its version; one JSON record per line follows, each with a sum, and
//! the last one of a task counts. It is appended to without fsync: it has to survive the death of the process, for which the
//! page cache is enough; after a reboot nothing runs, and containers are found by name and labels anyway. A torn last line is
//! dropped. A file with another header, or with a line that is not as it was written, is refused and left as it is.

pub mod record;

use crate::error::Error;
use record::{HEADER, Line, NAME, Record};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use swarmrs_types::TaskId;

/// Lines that a file may hold beside four per task before it is written anew: at about 150 bytes a line it stays small,
/// and rewriting stays rare.
const SLACK: usize = 1024;

/// The file and what it says.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    records: BTreeMap<TaskId, Record>,
    lines: usize,
    /// Whether nothing may follow what the file has: it may end with half a line, because the disk was full.
    torn: bool,
}

impl Journal {
    /// Opens the journal below the data folder and writes it anew without what was forgotten, if there is room for that.
    pub fn open(data_dir: &Path) -> Result<Self, Error> {
        let folder = data_dir.join("agent");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|source| io("create", &folder, source))?;
        let path = folder.join("journal");
        let records = load(&path)?;
        let (file, torn) = match rewrite(&path, &records) {
            // What is there is true, and the next line is written with a new file.
            Err(error) if is_for_want_of_space(&error) && path.exists() => {
                let file = OpenOptions::new().append(true).open(&path);
                (file.map_err(|source| io("open", &path, source))?, true)
            }
            file => (file?, false),
        };
        let lines = records.len();
        Ok(Journal {
            path,
            file,
            records,
            lines,
            torn,
        })
    }

    /// Whether it could be opened. Changes nothing.
    pub fn check(data_dir: &Path) -> Result<(), Error> {
        load(&data_dir.join("agent/journal")).map(drop)
    }

    /// What is known of a task.
    pub fn get(&self, task: TaskId) -> Option<&Record> {
        self.records.get(&task)
    }

    /// Every task of which something is known.
    pub fn tasks(&self) -> Vec<TaskId> {
        self.records.keys().copied().collect()
    }

    /// Every task that has a container.
    pub fn containers(&self) -> Vec<(TaskId, String)> {
        let held = |record: &Record| Some((record.task, record.container.clone()?));
        self.records.values().filter_map(held).collect()
    }

    /// Notes how far a task has come.
    pub fn note(&mut self, record: Record) -> Result<(), Error> {
        if self.records.get(&record.task) == Some(&record) {
            return Ok(());
        }
        self.records.insert(record.task, record.clone());
        self.append(&Line::Record(record))
    }

    /// The task is gone, and so is its container.
    pub fn forget(&mut self, task: TaskId) -> Result<(), Error> {
        match self.records.remove(&task) {
            Some(_) => self.append(&Line::Forget { forget: task }),
            None => Ok(()),
        }
    }

    fn append(&mut self, line: &Line) -> Result<(), Error> {
        if self.torn || self.lines >= SLACK + 4 * self.records.len() {
            self.file = rewrite(&self.path, &self.records)?;
            self.lines = self.records.len();
            self.torn = false;
            return Ok(());
        }
        self.lines += 1;
        let written = self.file.write_all(&line.encode());
        self.torn = written.is_err();
        written.map_err(|source| io("write", &self.path, source))
    }
}

fn io(what: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::Io {
        what,
        path: path.to_owned(),
        source,
    }
}

/// The records of a journal; none if there is no such file.
fn load(path: &Path) -> Result<BTreeMap<TaskId, Record>, Error> {
    match fs::read(path) {
        Ok(bytes) => read(&bytes).map_err(|reason| Error::Journal {
            path: path.to_owned(),
            reason,
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(source) => Err(io("read", path, source)),
    }
}

/// The records in the bytes of a journal.
fn read(bytes: &[u8]) -> Result<BTreeMap<TaskId, Record>, String> {
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let torn = lines.pop().unwrap_or_default();
    let mut lines = lines.into_iter();
    match lines.next().map(String::from_utf8_lossy) {
        Some(first) if first == HEADER => {}
        Some(first) if is_newer(&first) => {
            return Err(format!("it was written by a newer release ({first:?})"));
        }
        Some(other) => return Err(format!("it begins with {other:?}, not with {HEADER:?}")),
        None => return Err(format!("it does not begin with {HEADER:?}")),
    }
    let mut records = BTreeMap::new();
    for (number, line) in lines.enumerate() {
        let line = Line::decode(line).map_err(|error| format!("line {}: {error}", number + 2))?;
        match line {
            Line::Forget { forget } => records.remove(&forget),
            Line::Record(record) => records.insert(record.task, record),
        };
    }
    match torn.split_last() {
        // A death leaves less than a line.
        Some((_, line)) if Line::decode(line).is_ok() => Err("its last line has no end".to_owned()),
        _ => Ok(records),
    }
}

fn is_for_want_of_space(error: &Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error, Error::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded))
}

fn is_newer(header: &str) -> bool {
    let format = |header: &str| header.strip_prefix(NAME)?.trim().parse::<u32>().ok();
    format(header) > format(HEADER)
}

/// Writes a journal beside the old one and puts it in its place.
fn rewrite(path: &Path, records: &BTreeMap<TaskId, Record>) -> Result<File, Error> {
    let mut bytes = format!("{HEADER}\n").into_bytes();
    for record in records.values() {
        bytes.extend(Line::Record(record.clone()).encode());
    }
    let new = path.with_extension("new");
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .map_err(|source| io("create", &new, source))?;
    file.write_all(&bytes)
        .map_err(|source| io("write", &new, source))?;
    fs::rename(&new, path).map_err(|source| io("replace", path, source))?;
    Ok(file)
}

#[cfg(test)]
mod tests;
