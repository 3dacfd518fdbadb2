//! The folder in which a node keeps who it is.
//!
//! ```text
//!   format               "swarmrs-keystore 1\n": the version of this layout
//!   swarm-root-ca.crt    the trusted root, byte for byte as the join token's digest knows it
//!   swarm-node.crt       the node's certificate, then any intermediates
//!   swarm-node.key       its private key, PKCS#8 PEM, 0600
//!   swarm-data.key       managers: version byte 1, then the 32 bytes of the data key, 0600
//! ```
//!
//! Each file is replaced as a whole. Certificate and key must change together, which no file system
//! does for two files, so the certificate is the moment of truth: the new key is first laid beside
//! the old one, then the certificate is replaced, then the new key takes the old one's place.
//! [`Keystore::open`] looks which of the keys the certificate belongs to and finishes or undoes.
//!
//! One process uses a folder at a time; the data root's lock sees to that.

mod file;

use crate::{DataKey, Error, NodeCertificate, PrivateKey, RootCert};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const FORMAT: &str = "format";
const ROOT: &str = "swarm-root-ca.crt";
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
const FORMAT_VERSION: u32 = 1;

/// The version byte of a data key that lies in the file as it is.
const PLAIN_DATA_KEY: u8 = 1;

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
    /// Opens the folder, makes it (0700) if it is not there, and finishes what a crash interrupted.
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
        keystore.check_format()?;
        keystore.finish_replacement()?;
        Ok(keystore)
    }

    /// The trusted root, if one has been saved.
    pub fn root(&self) -> Result<Option<RootCert>, Error> {
        self.text(ROOT)?
            .map(|pem| RootCert::from_pem(&pem))
            .transpose()
    }

    /// Saves the trusted root.
    pub fn save_root(&self, root: &RootCert) -> Result<(), Error> {
        file::write(&self.folder, ROOT, PUBLIC_MODE, root.pem().as_bytes())
    }

    /// The node's certificate and key, if they have been saved.
    pub fn node(&self) -> Result<Option<NodeCredentials>, Error> {
        let (Some(certificate), Some(key)) = (self.certificate()?, self.key(KEY)?) else {
            return Ok(None);
        };
        if !certificate.belongs_to(&key) {
            return Err(Error::KeyMismatch);
        }
        Ok(Some(NodeCredentials { certificate, key }))
    }

    /// Saves certificate and key together: after a crash both are the old or both the new ones.
    pub fn save_node(&self, credentials: &NodeCredentials) -> Result<(), Error> {
        let NodeCredentials { certificate, key } = credentials;
        if !certificate.belongs_to(key) {
            return Err(Error::KeyMismatch);
        }
        file::write(&self.folder, NEXT_KEY, SECRET_MODE, key.pem().as_bytes())?;
        let certificate = certificate.pem().as_bytes();
        file::write(&self.folder, CERTIFICATE, PUBLIC_MODE, certificate)?;
        file::rename(&self.folder, NEXT_KEY, KEY)
    }

    /// The key that the manager's store is sealed with, if one has been saved.
    ///
    /// Makes none by itself: a new key beside an old store would hide that the old one is lost.
    /// Who creates the store creates the key.
    pub fn data_key(&self) -> Result<Option<DataKey>, Error> {
        let Some(bytes) = self.bytes(DATA_KEY)? else {
            return Ok(None);
        };
        let path = self.folder.join(DATA_KEY);
        match bytes.split_first() {
            Some((&PLAIN_DATA_KEY, key)) => match key.try_into() {
                Ok(key) => Ok(Some(DataKey::from_bytes(key))),
                Err(_) => Err(Error::Damaged {
                    path,
                    reason: "wrong length",
                }),
            },
            Some((&version, _)) if version > PLAIN_DATA_KEY => Err(Error::NewerFormat {
                what: path.display().to_string(),
                found: version.into(),
                known: PLAIN_DATA_KEY.into(),
            }),
            _ => Err(Error::Damaged {
                path,
                reason: "no version",
            }),
        }
    }

    /// Saves the data key.
    pub fn save_data_key(&self, key: &DataKey) -> Result<(), Error> {
        let mut bytes = Zeroizing::new([0; 1 + DataKey::LEN]);
        bytes[0] = PLAIN_DATA_KEY;
        bytes[1..].copy_from_slice(key.as_bytes());
        file::write(&self.folder, DATA_KEY, SECRET_MODE, bytes.as_slice())
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

    fn check_format(&self) -> Result<(), Error> {
        let Some(text) = self.text(FORMAT)? else {
            return self.mark_format();
        };
        let version = text
            .strip_prefix(FORMAT_NAME)
            .and_then(|version| version.trim_end().parse::<u32>().ok());
        match version {
            Some(FORMAT_VERSION) => Ok(()),
            Some(found) if found > FORMAT_VERSION => Err(Error::NewerFormat {
                what: format!("keystore {}", self.folder.display()),
                found,
                known: FORMAT_VERSION,
            }),
            _ => Err(Error::Damaged {
                path: self.folder.join(FORMAT),
                reason: "no version",
            }),
        }
    }

    /// Marks a new folder. One that has our files but no mark was not written by us.
    fn mark_format(&self) -> Result<(), Error> {
        for name in [ROOT, CERTIFICATE, KEY, DATA_KEY] {
            if file::mode(&self.folder, name)?.is_some() {
                return Err(Error::Damaged {
                    path: self.folder.join(FORMAT),
                    reason: "missing beside keys or certificates",
                });
            }
        }
        let text = format!("{FORMAT_NAME}{FORMAT_VERSION}\n");
        file::write(&self.folder, FORMAT, PUBLIC_MODE, text.as_bytes())
    }

    /// Finishes or undoes a replacement of certificate and key that was cut short.
    fn finish_replacement(&self) -> Result<(), Error> {
        for name in SECRETS {
            file::remove(&self.folder, &format!("{name}.tmp"))?;
        }
        let Some(next) = self.key(NEXT_KEY)? else {
            return Ok(());
        };
        match self.certificate()? {
            Some(certificate) if certificate.belongs_to(&next) => {
                file::rename(&self.folder, NEXT_KEY, KEY)
            }
            _ => file::remove(&self.folder, NEXT_KEY),
        }
    }

    fn certificate(&self) -> Result<Option<NodeCertificate>, Error> {
        self.text(CERTIFICATE)?
            .map(|pem| NodeCertificate::from_pem(&pem))
            .transpose()
    }

    fn key(&self, name: &str) -> Result<Option<PrivateKey>, Error> {
        self.text(name)?
            .map(|pem| PrivateKey::from_pem(&pem))
            .transpose()
    }

    fn text(&self, name: &str) -> Result<Option<Zeroizing<String>>, Error> {
        let Some(mut bytes) = self.bytes(name)? else {
            return Ok(None);
        };
        let text = String::from_utf8(std::mem::take(&mut *bytes)).map_err(|_| Error::Damaged {
            path: self.folder.join(name),
            reason: "not text",
        })?;
        Ok(Some(Zeroizing::new(text)))
    }

    fn bytes(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        Ok(file::read(&self.folder, name)?.map(Zeroizing::new))
    }
}
