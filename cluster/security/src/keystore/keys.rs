//! The keystore with its data key in hand: what a locked node cannot do.

use super::{CERTIFICATE, DATA_KEY, KEY, Keystore, NEXT_KEY, PUBLIC_MODE, SECRET_MODE};
use super::{NodeCredentials, data_key, file};
use crate::{DataKey, Error, PrivateKey, Sealer, UnlockKey};
use zeroize::Zeroizing;

/// How a private key in PEM begins, which lay in the file as it is in the first format.
const PEM: &[u8] = b"-----BEGIN";

/// What the data key is wrapped by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// The unlock key; none if the node needs none.
    pub key: Option<UnlockKey>,
    /// The version of the cluster at which this was agreed on.
    pub agreed_at: u64,
}

/// A keystore that is open: its data key is known.
#[derive(Clone, Debug)]
pub struct Keys {
    keystore: Keystore,
    data_key: DataKey,
    lock: Lock,
}

impl Keys {
    pub(super) fn new(keystore: Keystore, data_key: DataKey, lock: Lock) -> Result<Self, Error> {
        let keys = Self {
            keystore,
            data_key,
            lock,
        };
        keys.finish_replacement()?;
        Ok(keys)
    }

    /// The folder.
    pub fn keystore(&self) -> &Keystore {
        &self.keystore
    }

    /// Seals with the data key.
    pub fn sealer(&self) -> Sealer {
        Sealer::new(&self.data_key)
    }

    /// What the data key is wrapped by.
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// Wraps the data key by what was agreed on, unless a later agreement is in force. After a crash
    /// the old or the new lock is in force.
    pub fn change_lock(&mut self, lock: Lock) -> Result<(), Error> {
        if lock.key == self.lock.key || lock.agreed_at <= self.lock.agreed_at {
            return Ok(());
        }
        self.write_data_key(&lock)?;
        self.lock = lock;
        Ok(())
    }

    /// Wraps the data key by nothing: the node is no manager any more, and what may be agreed on later is not
    /// compared with what was.
    pub fn forget_lock(&mut self) -> Result<(), Error> {
        let lock = Lock::default();
        self.write_data_key(&lock)?;
        self.lock = lock;
        Ok(())
    }

    /// The node's certificate and key, if they have been saved.
    pub fn node(&self) -> Result<Option<NodeCredentials>, Error> {
        let certificate = self.keystore.certificate()?;
        let (Some(certificate), Some(key)) = (certificate, self.key(KEY)?) else {
            return Ok(None);
        };
        if !certificate.belongs_to(&key) {
            return Err(self.keystore.contradicts(Error::KeyMismatch));
        }
        Ok(Some(NodeCredentials { certificate, key }))
    }

    /// Saves certificate and key together: after a crash both are the old or both the new ones.
    pub fn save_node(&self, credentials: &NodeCredentials) -> Result<(), Error> {
        let NodeCredentials { certificate, key } = credentials;
        if !certificate.belongs_to(key) {
            return Err(Error::KeyMismatch);
        }
        self.write_key(NEXT_KEY, key)?;
        let certificate = certificate.pem().as_bytes();
        let folder = &self.keystore.folder;
        file::write(folder, CERTIFICATE, PUBLIC_MODE, certificate)?;
        file::rename(folder, NEXT_KEY, KEY)
    }

    /// Rewrites a folder of the first format, in which keys lay as they are. What is done of it is
    /// readable at any step.
    pub(super) fn migrate(&self) -> Result<(), Error> {
        if let Some(key) = self.key(KEY)? {
            self.write_key(KEY, &key)?;
        }
        self.write_data_key(&self.lock)
    }

    pub(super) fn write_data_key(&self, lock: &Lock) -> Result<(), Error> {
        let bytes = data_key::write(&self.data_key, lock)?;
        file::write(&self.keystore.folder, DATA_KEY, SECRET_MODE, &bytes)
    }

    fn write_key(&self, name: &str, key: &PrivateKey) -> Result<(), Error> {
        let sealed = self.sealer().seal(key.pem().as_bytes())?;
        file::write(&self.keystore.folder, name, SECRET_MODE, &sealed)
    }

    /// Finishes or undoes a replacement of certificate and key that was cut short.
    fn finish_replacement(&self) -> Result<(), Error> {
        let Some(next) = self.key(NEXT_KEY)? else {
            return Ok(());
        };
        match self.keystore.certificate()? {
            Some(certificate) if certificate.belongs_to(&next) => {
                file::rename(&self.keystore.folder, NEXT_KEY, KEY)
            }
            _ => file::remove(&self.keystore.folder, NEXT_KEY),
        }
    }

    fn key(&self, name: &'static str) -> Result<Option<PrivateKey>, Error> {
        let Some(bytes) = self.keystore.bytes(name)? else {
            return Ok(None);
        };
        let damaged = |reason| Error::Damaged {
            path: self.keystore.folder.join(name),
            reason,
        };
        let pem = if bytes.starts_with(PEM) {
            bytes
        } else {
            let opened = self.sealer().open(&bytes).map_err(|why| match why {
                Error::NewerFormat { found, known, .. } => Error::NewerFormat {
                    what: self.keystore.folder.join(name).display().to_string(),
                    found,
                    known,
                },
                _ => damaged("the data key does not open it"),
            });
            Zeroizing::new(opened?)
        };
        let pem = std::str::from_utf8(&pem).map_err(|_| damaged("not text"))?;
        PrivateKey::from_pem(pem)
            .map(Some)
            .map_err(self.keystore.content(name))
    }
}
