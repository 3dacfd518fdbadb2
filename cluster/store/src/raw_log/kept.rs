//! The files of a log as they were found, for as long as it may still be refused.
//!
//! Engines repair while they open: sled cuts off what it cannot read, redb falls back to the commit
//! before. What they leave of a damaged log is no evidence any more, so a log that is refused is put
//! back as it was. The copy lives in memory that belongs to no heap and goes with the process.

use crate::folder::replace;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// A copy of a file, or of a folder with all that is in it.
pub(crate) struct Kept {
    path: PathBuf,
    files: Vec<(PathBuf, File)>,
}

impl Kept {
    /// Copies what is at `path`.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        for path in files_of(path)? {
            let mut copy = File::from(memfd_create(c"swarmrs-log", MFdFlags::MFD_CLOEXEC)?);
            io::copy(&mut File::open(&path)?, &mut copy)?;
            files.push((path, copy));
        }
        Ok(Kept {
            path: path.to_owned(),
            files,
        })
    }

    /// Makes everything as it was. Files that did not change are not written to.
    pub(crate) fn put_back(self) -> io::Result<()> {
        for path in files_of(&self.path)? {
            if !self.files.iter().any(|(kept, _)| *kept == path) {
                fs::remove_file(path)?;
            }
        }
        for (path, mut copy) in self.files {
            let mut bytes = Vec::new();
            copy.seek(SeekFrom::Start(0))?;
            copy.read_to_end(&mut bytes)?;
            if fs::read(&path).ok().as_ref() != Some(&bytes) {
                // Whoever dies here leaves the one or the other, never half a log.
                replace(&path, &bytes)?;
            }
        }
        Ok(())
    }
}

/// The file itself, or every file below the folder.
fn files_of(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        files.extend(files_of(&entry?.path())?);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_happened_to_a_folder_is_undone() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::create_dir(path("deep")).unwrap();
        for name in ["same", "changed", "removed", "deep/longer"] {
            fs::write(path(name), name).unwrap();
        }
        let before = fs::metadata(path("same")).unwrap().modified().unwrap();
        let kept = Kept::of(root.path()).unwrap();
        fs::write(path("changed"), "x").unwrap();
        fs::remove_file(path("removed")).unwrap();
        fs::write(path("deep/longer"), "much longer than before").unwrap();
        fs::write(path("new"), "x").unwrap();
        kept.put_back().unwrap();
        for name in ["same", "changed", "removed", "deep/longer"] {
            assert_eq!(fs::read_to_string(path(name)).unwrap(), name);
        }
        assert!(!path("new").exists());
        let after = fs::metadata(path("same")).unwrap().modified().unwrap();
        assert_eq!(after, before);
    }
}
