//! The folder in which a node keeps who it is.
//!
//! ```text
//!   format               "swarmrs-keystore 2\n": the version of this layout
//!   swarm-root-ca.crt    the trusted root, byte for byte as the join token's digest knows it
//!   swarm-root-ca.next   the root that is to take its place, trusted as well, while there is one
//!   swarm-node.crt       the node's certificate, then any intermediates
//!   swarm-node.key       its private key, PKCS#8 PEM, sealed by the data key, 0600
//!   swarm-data.key       the data key, plain or wrapped by the unlock key, 0600
//! ```
//!
//! The data key seals everything else: the store's folder and the node's private key. So one small
//! file decides whether the disk tells its secrets, and locking, unlocking for good and rotating the
//! unlock key are one atomic replacement of it. A [`Keystore`] can be opened without the unlock key;
//! its [`Keys`] cannot.
//!
//! Each file is replaced as a whole. Certificate and key must change together, which no file system
//! does for two files, so the certificate is the moment of truth: the new key is first laid beside
//! the old one, then the certificate is replaced, then the new key takes the old one's place.
//! [`Keystore::unlock`] looks which of the keys the certificate belongs to and finishes or undoes.
//!
//! In format 1 both keys lay in their files as they are; it is read, and rewritten when it is.
//!
//! One process uses a folder at a time; the data root's lock sees to that.

mod data_key;
mod file;
mod keys;

pub use keys::{Keys, Lock};

use crate::{DataKey, Error, NodeCertificate, PrivateKey, RootCert, UnlockKey};
use data_key::Unreadable;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const FORMAT: &str = "format";
const ROOT: &str = "swarm-root-ca.crt";
const NEXT_ROOT: &str = "swarm-root-ca.next";
const CERTIFICATE: &str = "swarm-node.crt";
const KEY: &str = "swarm-node.key";
const NEXT_KEY: &str = "swarm-node.key.next";
const DATA_KEY: &str = "swarm-data.key";

/// Files that only their owner may read.
const SECRETS: [&str; 3] = [KEY, NEXT_KEY, DATA_KEY];

const SECRET_MODE: u32 = 0o600;
const PUBLIC_MODE: u32 = 0o644;
const FOLDER_MODE: u32 = 0o700;

const FORMAT_NAME: &str = "swarmrs-keystore ";
const FORMAT_VERSION: u32 = 2;

/// The format in which keys lay in their files as they are.
const PLAIN_FORMAT: u32 = 1;

/// A node's certificate with the key that belongs to it.
#[derive(Clone, Debug)]
pub struct NodeCredentials {
    /// The certificate.
    pub certificate: NodeCertificate,
    /// Its private key.
    pub key: PrivateKey,
}

/// A secret file that others than its owner may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposed {
    /// The file.
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
}

/// The folder, opened.
#[derive(Clone, Debug)]
pub struct Keystore {
    folder: PathBuf,
}

impl Keystore {
    /// Opens the folder, makes it (0700) if it is not there, and removes what a crash left half
    /// written. Needs no unlock key.
    ///
    /// Refuses a folder that a newer release has written, touching nothing in it.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(folder)
            .map_err(file::failed("create", folder))?;
        let keystore = Self {
            folder: folder.to_owned(),
        };
        keystore.format()?;
        for name in SECRETS {
            file::remove(folder, &format!("{name}.tmp"))?;
        }
        Ok(keystore)
    }

    /// Draws the data key of a new node and saves it under `lock`, so that it never lies on the disk
    /// in another way.
    ///
    /// Refused if there is one: a new key beside an old store would hide that the old one is lost.
    pub fn create_keys(&self, lock: Lock) -> Result<Keys, Error> {
        if file::mode(&self.folder, DATA_KEY)?.is_some() {
            return Err(self.damaged(DATA_KEY, "there already"));
        }
        let keys = Keys::new(self.clone(), DataKey::generate()?, lock)?;
        keys.write_data_key(keys.lock())?;
        Ok(keys)
    }

    /// Whether the keys need the unlock key.
    pub fn is_locked(&self) -> Result<bool, Error> {
        let bytes = self.bytes(DATA_KEY)?;
        Ok(bytes.is_some_and(|bytes| data_key::is_wrapped(&bytes)))
    }

    /// Opens the keys and finishes what a crash interrupted. Needs the unlock key if
    /// [`Keystore::is_locked`], else ignores one.
    ///
    /// [`Error::Locked`] and [`Error::WrongUnlockKey`] change nothing.
    pub fn unlock(&self, key: Option<&UnlockKey>) -> Result<Keys, Error> {
        let Some(bytes) = self.bytes(DATA_KEY)? else {
            return Err(self.damaged(DATA_KEY, "missing"));
        };
        let (data_key, lock) = data_key::read(&bytes, key).map_err(|why| self.unreadable(why))?;
        let keys = Keys::new(self.clone(), data_key, lock)?;
        if self.format()? == PLAIN_FORMAT {
            keys.migrate()?;
            self.write_format()?;
        }
        Ok(keys)
    }

    fn unreadable(&self, why: Unreadable) -> Error {
        match why {
            Unreadable::Locked => Error::Locked,
            Unreadable::WrongKey => Error::WrongUnlockKey,
            Unreadable::Newer(found) => Error::NewerFormat {
                what: self.folder.join(DATA_KEY).display().to_string(),
                found: found.into(),
                known: data_key::VERSION.into(),
            },
            Unreadable::Damaged(reason) => self.damaged(DATA_KEY, reason),
        }
    }

    fn damaged(&self, name: &str, reason: &'static str) -> Error {
        Error::Damaged {
            path: self.folder.join(name),
            reason,
        }
    }

    /// This folder does not hold together, for this reason.
    pub fn contradicts(&self, source: Error) -> Error {
        Error::Content {
            path: self.folder.clone(),
            source: Box::new(source),
        }
    }

    /// What this file holds is refused.
    fn content(&self, name: &str) -> impl FnOnce(Error) -> Error {
        let path = self.folder.join(name);
        |source| Error::Content {
            path,
            source: Box::new(source),
        }
    }

    /// The trusted root, if one has been saved.
    pub fn root(&self) -> Result<Option<RootCert>, Error> {
        self.parsed(ROOT, RootCert::from_pem)
    }

    /// The root that is to take its place, if there is one.
    pub fn next_root(&self) -> Result<Option<RootCert>, Error> {
        self.parsed(NEXT_ROOT, RootCert::from_pem)
    }

    /// Saves the trusted root, and that no other is to take its place.
    pub fn save_root(&self, root: &RootCert) -> Result<(), Error> {
        self.save_roots(root, None)
    }

    /// Saves the trusted root and the one that is to take its place. After a crash in between, what is trusted is the
    /// new root with the old successor, which is the root itself or one that was trusted before.
    pub fn save_roots(&self, root: &RootCert, next: Option<&RootCert>) -> Result<(), Error> {
        file::write(&self.folder, ROOT, PUBLIC_MODE, root.pem().as_bytes())?;
        match next {
            Some(next) => {
                let pem = next.pem().as_bytes();
                file::write(&self.folder, NEXT_ROOT, PUBLIC_MODE, pem)
            }
            None => file::remove(&self.folder, NEXT_ROOT),
        }
    }

    /// The secret files that the file system shows to others, for the caller to warn about.
    pub fn exposed(&self) -> Result<Vec<Exposed>, Error> {
        let mut exposed = Vec::new();
        for name in SECRETS {
            match file::mode(&self.folder, name)? {
                Some(mode) if mode & !SECRET_MODE != 0 => exposed.push(Exposed {
                    path: self.folder.join(name),
                    mode,
                }),
                _ => {}
            }
        }
        Ok(exposed)
    }

    /// Forgets everything: removes the folder's files and the folder.
    ///
    /// The data key goes first: without it the rest of the disk is noise.
    pub fn erase(self) -> Result<(), Error> {
        for name in [DATA_KEY, KEY, NEXT_KEY] {
            file::remove(&self.folder, name)?;
        }
        file::sync_folder(&self.folder)?;
        fs::remove_dir_all(&self.folder).map_err(file::failed("remove", &self.folder))
    }

    /// The format of the folder; a new one is marked.
    fn format(&self) -> Result<u32, Error> {
        let Some(text) = self.text(FORMAT)? else {
            self.mark_format()?;
            return Ok(FORMAT_VERSION);
        };
        let version = text
            .strip_prefix(FORMAT_NAME)
            .and_then(|version| version.trim_end().parse::<u32>().ok());
        match version {
            Some(known @ PLAIN_FORMAT..=FORMAT_VERSION) => Ok(known),
            Some(found) if found > FORMAT_VERSION => Err(Error::NewerFormat {
                what: format!("keystore {}", self.folder.display()),
                found,
                known: FORMAT_VERSION,
            }),
            _ => Err(self.damaged(FORMAT, "no version")),
        }
    }

    /// Marks a new folder. One that has our files but no mark was not written by us.
    fn mark_format(&self) -> Result<(), Error> {
        for name in [ROOT, CERTIFICATE, KEY, DATA_KEY] {
            if file::mode(&self.folder, name)?.is_some() {
                return Err(self.damaged(FORMAT, "missing beside keys or certificates"));
            }
        }
        self.write_format()
    }

    fn write_format(&self) -> Result<(), Error> {
        let text = format!("{FORMAT_NAME}{FORMAT_VERSION}\n");
        file::write(&self.folder, FORMAT, PUBLIC_MODE, text.as_bytes())
    }

    fn certificate(&self) -> Result<Option<NodeCertificate>, Error> {
        self.parsed(CERTIFICATE, NodeCertificate::from_pem)
    }

    fn parsed<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let Some(pem) = self.text(name)? else {
            return Ok(None);
        };
        parse(&pem).map(Some).map_err(self.content(name))
    }

    fn text(&self, name: &str) -> Result<Option<Zeroizing<String>>, Error> {
        let Some(mut bytes) = self.bytes(name)? else {
            return Ok(None);
        };
        let text = String::from_utf8(std::mem::take(&mut *bytes))
            .map_err(|_| self.damaged(name, "not text"))?;
        Ok(Some(Zeroizing::new(text)))
    }

    fn bytes(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        Ok(file::read(&self.folder, name)?.map(Zeroizing::new))
    }
}
