//! What the holder knows, on disk: enough to go on without a manager and without swarmrsd.
//!
//! Two files, because they change at different paces: what the node was told (`facts.json`, gathered and written in the
//! background) and what the engine made with our driver (`driver.json`, written before the engine is answered). Both are
//! there whole or not at all. Neither holds a secret: addresses, names and labels of networks.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use swarmrs_types::endpoint::Fact;
use swarmrs_types::sum::{is_whole, with_sum};

use crate::driver::book::Book;
use crate::holder::carrier::Settings;

/// Of both files. One of a newer release is refused by name.
const VERSION: u32 = 1;

/// The folder that they are in.
#[derive(Clone, Debug)]
pub struct StateFolder {
    path: PathBuf,
}

/// What was in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Saved {
    pub settings: Option<Settings>,
    pub facts: Vec<Fact>,
    pub book: Book,
}

/// Why there is nothing to go on from.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("cannot read {path}: {source}")]
    Read { path: String, source: io::Error },
    #[error("{path} is damaged: {source}")]
    Damaged {
        path: String,
        source: serde_json::Error,
    },
    #[error("{path} is damaged: it does not have the sum that was written with it")]
    Sum { path: String },
    #[error(
        "{path} was written by a newer release (format {found}; this one reads up to {VERSION})"
    )]
    Newer { path: String, found: u32 },
    #[error("cannot write {path}: {source}")]
    Write { path: String, source: io::Error },
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u32,
    #[serde(flatten)]
    content: T,
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u32,
}

#[derive(Default, Serialize, Deserialize)]
struct Told<F> {
    settings: Option<Settings>,
    facts: F,
}

impl StateFolder {
    /// The folder, made if it is not there; only root looks into it.
    pub fn at(path: impl Into<PathBuf>) -> Result<Self, StateError> {
        let path = path.into();
        fs::create_dir_all(&path).map_err(|source| StateError::Write {
            path: path.display().to_string(),
            source,
        })?;
        Ok(StateFolder { path })
    }

    /// All that was saved.
    pub fn load(&self) -> Result<Saved, StateError> {
        let told: Told<Vec<Fact>> = load(&self.facts())?.unwrap_or_default();
        Ok(Saved {
            settings: told.settings,
            facts: told.facts,
            book: load(&self.book())?.unwrap_or_default(),
        })
    }

    pub fn save_facts(
        &self,
        settings: Option<&Settings>,
        facts: &[Fact],
    ) -> Result<(), StateError> {
        let settings = settings.cloned();
        save(&self.facts(), &Told { settings, facts }, true)
    }

    /// With `lasting`, a loss of power right afterwards does not undo it.
    pub fn save_book(&self, book: &Book, lasting: bool) -> Result<(), StateError> {
        save(&self.book(), book, lasting)
    }

    /// Removes the files, and the folder if nothing else is in it.
    pub fn clear(&self) -> Result<(), StateError> {
        for file in [self.facts(), self.book()] {
            match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(unwritable(&file)(error));
                }
                _ => {}
            }
        }
        // Somebody else's file in there is theirs to remove.
        let _ = fs::remove_dir(&self.path);
        Ok(())
    }

    fn facts(&self) -> PathBuf {
        self.path.join("facts.json")
    }

    fn book(&self) -> PathBuf {
        self.path.join("driver.json")
    }
}

fn load<T: DeserializeOwned>(file: &Path) -> Result<Option<T>, StateError> {
    let path = || file.display().to_string();
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(StateError::Read {
                path: path(),
                source,
            });
        }
    };
    let damaged = |source| StateError::Damaged {
        path: path(),
        source,
    };
    let VersionOnly { version } = serde_json::from_slice(&bytes).map_err(damaged)?;
    if version > VERSION {
        return Err(StateError::Newer {
            path: path(),
            found: version,
        });
    }
    let whole: Versioned<T> = serde_json::from_slice(&bytes).map_err(damaged)?;
    match is_whole(&bytes) {
        true => Ok(Some(whole.content)),
        false => Err(StateError::Sum { path: path() }),
    }
}

fn save<T: Serialize>(file: &Path, content: &T, lasting: bool) -> Result<(), StateError> {
    let whole = Versioned {
        version: VERSION,
        content,
    };
    let written = serde_json::to_vec(&whole)
        .map_err(io::Error::from)
        .and_then(|bytes| replace(file, &with_sum(&bytes), lasting));
    written.map_err(unwritable(file))
}

fn replace(file: &Path, bytes: &[u8], lasting: bool) -> io::Result<()> {
    let draft = file.with_extension("next");
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut out = options.open(&draft)?;
    out.write_all(bytes)?;
    if lasting {
        out.sync_all()?;
    }
    fs::rename(&draft, file)?;
    match (lasting, file.parent()) {
        (true, Some(folder)) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn unwritable(file: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = file.display().to_string();
    move |source| StateError::Write { path, source }
}

#[cfg(test)]
mod tests;
