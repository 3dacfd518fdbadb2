//! The folder: who has it open, what wrote it, and where its parts are.
//!
//! A folder comes to be in steps, and a crash between two of them leaves one of these pictures:
//!
//! ```text
//!   format   log.new   log     meaning
//!     –         –       –      nothing yet: create
//!     –         yes     –      creation was cut short, nothing was ever kept here: create again
//!     yes       yes     –      creation was cut short at its last step: finish it
//!     yes       –       yes    in use
//!     yes       –       –      the log was lost: refuse
//!     –         any     yes    not ours: refuse
//! ```

use crate::error::Error;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use swarmrs_types::feature::LEVEL;

/// The version of a folder whose log holds nothing above feature level 0. Every level adds one: a release that does not know
/// the level refuses the folder by its version, before it reads what it would misread.
const FIRST: u8 = 1;

/// The version of a folder whose log is of this feature level.
fn version(level: u32) -> u8 {
    FIRST.saturating_add(u8::try_from(level).unwrap_or(u8::MAX))
}

/// An open folder; no other process can open it until this is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// The lock goes with the file.
    _lock: File,
}

/// What is to be done before the log can be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Make the log.
    Create,
    /// Only give the log its name.
    Finish,
    /// Open the log.
    InUse,
}

impl Folder {
    /// Takes the folder, which is made if absent.
    pub(crate) fn take(path: &Path) -> Result<Self, Error> {
        let owner_only = |path: &Path| {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
            made.map_err(Error::file("create", path))
        };
        owner_only(path)?;
        let lock = path.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock)
            .map_err(Error::file("open", &lock))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked {
                    folder: path.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(Error::file("lock", &lock)(source)),
        }
        owner_only(&path.join("snapshots"))?;
        Ok(Folder {
            path: path.to_owned(),
            _lock: file,
        })
    }

    /// Where the log of `engine` is.
    pub(crate) fn log(&self, engine: &str) -> PathBuf {
        self.path.join(format!("log.{engine}"))
    }

    /// Where the log of `engine` is made, before the folder is marked as in use.
    pub(crate) fn new_log(&self, engine: &str) -> PathBuf {
        self.path.join(format!("log.{engine}.new"))
    }

    /// Where it is kept up to where the log was answered for.
    pub(crate) fn acknowledged(&self) -> PathBuf {
        self.path.join("acknowledged")
    }

    pub(crate) fn snapshots(&self) -> PathBuf {
        self.path.join("snapshots")
    }

    /// How far the folder is. Refuses one that another engine or a newer release wrote, that is not
    /// ours, or that has lost its log.
    pub(crate) fn stage(&self, engine: &str) -> Result<Stage, Error> {
        let (log, new) = (self.log(engine), self.new_log(engine));
        match (self.format(engine)?, log.exists(), new.exists()) {
            (true, true, _) => Ok(Stage::InUse),
            (true, false, true) => Ok(Stage::Finish),
            (true, false, false) => Err(Error::missing(&log)),
            (false, true, _) => Err(Error::Foreign {
                path: self.path.clone(),
                reason: "it has a log but no format file".to_owned(),
            }),
            (false, false, true) => {
                remove(&new).map_err(Error::file("remove", &new))?;
                Ok(Stage::Create)
            }
            (false, false, false) => Ok(Stage::Create),
        }
    }

    /// Marks the folder as written by `engine`.
    pub(crate) fn write_format(&self, engine: &str) -> Result<(), Error> {
        let path = self.path.join("format");
        replace(&path, &format_bytes(FIRST, engine)).map_err(Error::file("write", &path))
    }

    /// The version of a folder in use, for whoever learns that the log holds more.
    pub(crate) fn mark(&self, engine: &'static str) -> Result<FormatMark, Error> {
        let path = self.path.join("format");
        let bytes = fs::read(&path).map_err(Error::file("read", &path))?;
        Ok(FormatMark {
            path,
            engine,
            version: bytes.first().copied().unwrap_or(FIRST),
        })
    }

    /// Gives the new log its name: from here on the folder is in use.
    pub(crate) fn name_log(&self, engine: &str) -> Result<(), Error> {
        let log = self.log(engine);
        fs::rename(self.new_log(engine), &log)
            .and_then(|()| sync_folder(&self.path))
            .map_err(Error::file("create", &log))
    }

    /// Whether there is a format file, and it says `engine`.
    fn format(&self, engine: &str) -> Result<bool, Error> {
        let path = self.path.join("format");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(Error::file("read", &path)(error)),
        };
        let known = version(LEVEL);
        let is_known = |version: &u8| (FIRST..=known).contains(version);
        match bytes.split_first() {
            Some((version, found)) if is_known(version) && found == engine.as_bytes() => Ok(true),
            Some((version, found)) if is_known(version) && is_name(found) => {
                Err(Error::OtherEngine {
                    folder: self.path.clone(),
                    found: String::from_utf8_lossy(found).into_owned(),
                    wanted: engine.to_owned(),
                })
            }
            Some((&found, name)) if found > known && is_name(name) => {
                Err(Error::Newer { path, found, known })
            }
            _ => Err(Error::Foreign {
                path,
                reason: "it is no format file".to_owned(),
            }),
        }
    }
}

/// Says of a folder in use which feature level its log is of.
#[derive(Debug)]
pub(crate) struct FormatMark {
    path: PathBuf,
    engine: &'static str,
    version: u8,
}

impl FormatMark {
    /// The log holds entries of this level from now on. Says whether that is news.
    pub(crate) fn raise(&mut self, level: u32) -> io::Result<bool> {
        let version = version(level);
        if version <= self.version {
            return Ok(false);
        }
        replace(&self.path, &format_bytes(version, self.engine))?;
        self.version = version;
        Ok(true)
    }
}

fn format_bytes(version: u8, engine: &str) -> Vec<u8> {
    [&[version], engine.as_bytes()].concat()
}

fn is_name(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_lowercase)
}

/// Writes a whole file so that a crash leaves the old one or the new one, never a mixture. The name
/// of the file in the making ends in [`UNFINISHED`].
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    let unfinished = PathBuf::from(name);
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    path.parent().map_or(Ok(()), sync_folder)
}

fn remove(path: &Path) -> io::Result<()> {
    match path.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    }
}

/// The end of the name of a file that is being written.
pub(crate) const UNFINISHED: &str = ".tmp";

/// Makes creations, renames and removals in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Bytes that are free for us on the file system of `path`.
pub(crate) fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = nix::sys::statvfs::statvfs(path)?;
    Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_file_is_a_version_byte_and_the_engines_name() {
        assert_eq!(format_bytes(FIRST, "redb"), b"\x01redb");
    }

    #[test]
    fn a_folder_written_by_another_engine_is_refused_with_both_names() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::take(root.path()).unwrap();
        fs::write(root.path().join("format"), b"\x01sled").unwrap();
        let error = folder.stage("redb").unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("\"sled\"") && text.contains("\"redb\""),
            "{text}"
        );
    }

    #[test]
    fn a_folder_of_a_newer_release_is_refused_by_name() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::take(root.path()).unwrap();
        let known = version(LEVEL);
        fs::write(root.path().join("format"), format_bytes(known + 1, "redb")).unwrap();
        let error = folder.stage("redb").unwrap_err();
        let text = format!("has format {}, this release reads up to {known}", known + 1);
        assert!(error.to_string().ends_with(&text), "{error}");
    }

    #[test]
    fn a_folder_says_the_highest_level_its_log_ever_had() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::take(root.path()).unwrap();
        folder.write_format("redb").unwrap();
        let raised = |level| {
            let news = folder.mark("redb").unwrap().raise(level).unwrap();
            (news, fs::read(root.path().join("format")).unwrap())
        };
        assert_eq!(raised(0), (false, b"\x01redb".to_vec()));
        assert_eq!(raised(2), (true, b"\x03redb".to_vec()));
        assert_eq!(raised(1), (false, b"\x03redb".to_vec()));
        assert_eq!(raised(1000), (true, b"\xffredb".to_vec()));
    }

    #[test]
    fn a_folder_that_is_not_ours_is_refused() {
        for (file, content) in [("format", b"#!/bin/sh".as_slice()), ("log.redb", b"")] {
            let root = tempfile::tempdir().unwrap();
            let folder = Folder::take(root.path()).unwrap();
            fs::write(root.path().join(file), content).unwrap();
            let error = folder.stage("redb").unwrap_err();
            assert!(matches!(error, Error::Foreign { .. }), "{file}: {error}");
        }
    }

    #[test]
    fn a_folder_that_lost_its_log_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::take(root.path()).unwrap();
        folder.write_format("redb").unwrap();
        let error = folder.stage("redb").unwrap_err();
        assert!(matches!(error, Error::Missing { .. }), "{error}");
    }

    #[test]
    fn a_creation_cut_short_is_done_again_or_finished() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::take(root.path()).unwrap();
        fs::write(folder.new_log("redb"), b"half").unwrap();
        assert_eq!(folder.stage("redb").unwrap(), Stage::Create);
        assert!(!folder.new_log("redb").exists());

        fs::write(folder.new_log("redb"), b"whole").unwrap();
        folder.write_format("redb").unwrap();
        assert_eq!(folder.stage("redb").unwrap(), Stage::Finish);
        folder.name_log("redb").unwrap();
        assert_eq!(folder.stage("redb").unwrap(), Stage::InUse);
    }
}
