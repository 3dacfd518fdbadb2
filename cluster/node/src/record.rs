//! The start record: what a node must know of its swarm before anything of it runs.
//!
//! It is written last when a swarm is made, so its presence says that the rest is whole. While a
//! swarm is made, and while it is left, its folder carries a mark: what is in a marked folder
//! without a record is rubble and goes at the next start. A folder without either is a swarm that
//! lost its record, and nothing is started over it.

use crate::config::Config;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use swarmrs_core::control::swarm::Addresses;
use swarmrs_types::NodeId;
use swarmrs_types::sum::{is_whole, with_sum};

/// The format written, of the files beside the record too; a newer one is refused.
pub const FORMAT: u32 = 1;

/// What the node was told when it became part of a swarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartRecord {
    pub format: u32,
    pub node: NodeId,
    pub raft_id: u64,
    /// `host:port` on which other nodes are awaited.
    pub listen_addr: String,
    /// `host:port` at which other nodes reach this one.
    pub advertise_addr: String,
    /// Where the packets of networks are to go, if that was asked to be another address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_path_addr: Option<String>,
    /// The port of those packets, where it is not the usual one or this node keeps no state of the swarm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_path_port: Option<u16>,
    /// A manager that asks to become this member and was not let in yet: its log is empty.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub newcomer: bool,
}

/// The record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("cannot read {path}: {source}")]
    Read { path: String, source: io::Error },
    #[error("cannot write {path}: {source}")]
    Write { path: String, source: io::Error },
    #[error("{path} is damaged: {source}")]
    Damaged {
        path: String,
        source: serde_json::Error,
    },
    #[error("{path} is damaged: it does not have the sum that was written with it")]
    Sum { path: String },
    #[error("{path} is missing beside the state of a swarm")]
    Missing { path: String },
    #[error("{path} was written by a newer release (format {found}, this one reads {FORMAT})")]
    Newer { path: String, found: u32 },
}

/// Only the format, readable whatever else a newer release writes.
#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

impl StartRecord {
    /// A record of the present format.
    pub fn new(node: NodeId, raft_id: u64, addresses: &Addresses) -> Self {
        StartRecord {
            format: FORMAT,
            node,
            raft_id,
            listen_addr: addresses.listen.to_string(),
            advertise_addr: addresses.advertise.to_string(),
            data_path_addr: addresses.data_path.map(|addr| addr.to_string()),
            data_path_port: None,
            newcomer: false,
        }
    }

    /// As a manager that asks to become this member.
    #[must_use]
    pub fn asking(self, raft_id: u64) -> Self {
        StartRecord {
            raft_id,
            newcomer: true,
            ..self
        }
    }

    /// As a manager that was let in.
    #[must_use]
    pub fn admitted(self) -> Self {
        StartRecord {
            newcomer: false,
            ..self
        }
    }

    /// As one at another address; where it listened on the old one alone, it listens on the new one.
    #[must_use]
    pub fn moved(self, from: IpAddr, to: IpAddr) -> Self {
        let there = |address: &str| match address.parse::<SocketAddr>() {
            Ok(address) if address.ip() == from => SocketAddr::new(to, address.port()).to_string(),
            _ => address.to_owned(),
        };
        StartRecord {
            listen_addr: there(&self.listen_addr),
            advertise_addr: there(&self.advertise_addr),
            ..self
        }
    }

    /// As a worker.
    #[must_use]
    pub fn serving(self) -> Self {
        StartRecord {
            raft_id: 0,
            newcomer: false,
            ..self
        }
    }

    /// The record, if the node is part of a swarm.
    pub fn load(config: &Config) -> Result<Option<StartRecord>, RecordError> {
        load(&config.start_record())
    }

    /// Writes the record so that it is there whole or not at all.
    pub fn save(&self, config: &Config) -> Result<(), RecordError> {
        save(self, &config.start_record())
    }
}

/// What was saved in a file; none if there is no such file.
pub fn load<T: DeserializeOwned>(file: &Path) -> Result<Option<T>, RecordError> {
    let path = file.display().to_string();
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(unreadable(file)(source)),
    };
    let damaged = |source| RecordError::Damaged {
        path: path.clone(),
        source,
    };
    let FormatOnly { format } = serde_json::from_slice(&bytes).map_err(damaged)?;
    if format > FORMAT {
        return Err(RecordError::Newer {
            path,
            found: format,
        });
    }
    let saved = serde_json::from_slice(&bytes).map_err(damaged)?;
    match is_whole(&bytes) {
        true => Ok(Some(saved)),
        false => Err(RecordError::Sum { path }),
    }
}

/// Writes a record of the present format, and its sum, so that it is there whole or as it was.
pub fn save<T: Serialize>(record: &T, file: &Path) -> Result<(), RecordError> {
    let bytes = serde_json::to_vec_pretty(record).unwrap_or_default();
    write_whole(file, &with_sum(&bytes)).map_err(unwritable(file))
}

/// Marks the swarm's folder: until a record is there, what comes into it may be thrown away.
pub fn mark(config: &Config) -> Result<(), RecordError> {
    let file = config.unfinished();
    write_whole(&file, b"").map_err(unwritable(&file))
}

/// Takes the mark away: with the record, the swarm is whole.
pub fn unmark(config: &Config) -> Result<(), RecordError> {
    let file = config.unfinished();
    remove(&file).map_err(unwritable(&file))
}

/// Empties the swarm's folder and keeps it. What a crash on the way leaves is rubble, never half a
/// swarm.
pub fn discard(config: &Config) -> Result<(), RecordError> {
    mark(config)?;
    let (root, marked) = (config.swarm_root(), config.unfinished());
    let empty = || {
        remove(&config.start_record())?;
        for entry in fs::read_dir(&root)? {
            match entry?.path() {
                path if path == marked => {}
                path if path.is_dir() => fs::remove_dir_all(path)?,
                path => fs::remove_file(path)?,
            }
        }
        remove(&marked)
    };
    empty().map_err(unwritable(&root))
}

/// Throws away what an attempt to make or leave a swarm has left.
///
/// # Errors
/// If what is there is no such rubble; then nothing is touched.
pub fn clear_rubble(config: &Config) -> Result<(), RecordError> {
    let root = config.swarm_root();
    let mut entries = fs::read_dir(&root).map_err(unreadable(&root))?;
    if config.unfinished().exists() {
        return discard(config);
    }
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(RecordError::Missing {
            path: config.start_record().display().to_string(),
        }),
    }
}

/// Removes a folder with all that is in it; one that is not there is fine.
pub fn remove_folder(folder: &Path) -> Result<(), RecordError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unwritable(folder)(error)),
        _ => Ok(()),
    }
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> RecordError {
    let path = path.display().to_string();
    move |source| RecordError::Read { path, source }
}

fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> RecordError {
    let path = path.display().to_string();
    move |source| RecordError::Write { path, source }
}

/// Removes a file, so that it stays removed; one that is not there is fine.
fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => sync_folder_of(file),
    }
}

/// Writes a file so that it is there whole or as it was.
pub fn write_whole(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = file.with_extension("next");
    let mut out = File::create(&draft)?;
    out.write_all(bytes)?;
    out.sync_all()?;
    fs::rename(&draft, file)?;
    sync_folder_of(file)
}

fn sync_folder_of(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> StartRecord {
        let addresses = Addresses {
            listen: "0.0.0.0:2377".parse().unwrap(),
            advertise: "192.0.2.1:2377".parse().unwrap(),
            local: "192.0.2.1".parse().unwrap(),
            data_path: None,
        };
        StartRecord::new("0123456789abcdefghijklmno".parse().unwrap(), 7, &addresses)
    }

    fn config(folder: &tempfile::TempDir) -> Config {
        let config = Config::new(folder.path());
        fs::create_dir_all(config.swarm_root()).unwrap();
        config
    }

    #[test]
    fn the_bytes_of_a_record_are_fixed() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder);
        record().save(&config).unwrap();
        assert_eq!(
            fs::read_to_string(config.start_record()).unwrap(),
            "{\n  \"format\": 1,\n  \"node\": \"0123456789abcdefghijklmno\",\n  \"raft_id\": 7,\n  \
             \"listen_addr\": \"0.0.0.0:2377\",\n  \"advertise_addr\": \"192.0.2.1:2377\",\n  \
             \"sum\": \"6a918cdb811aee8300b424b52aaed089d2b466b551b4cac62fb9bb6913fd4b51\"\n}"
        );
        assert_eq!(StartRecord::load(&config).unwrap(), Some(record()));
    }

    #[test]
    fn a_record_of_a_newer_release_is_refused_by_its_format() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder);
        fs::write(config.start_record(), br#"{"format": 2, "else": true}"#).unwrap();
        let error = StartRecord::load(&config).unwrap_err();
        assert!(
            matches!(error, RecordError::Newer { found: 2, .. }),
            "{error}"
        );
    }

    #[test]
    fn half_a_record_is_named_as_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder);
        fs::write(config.start_record(), b"{\"format\": 1, ").unwrap();
        let error = StartRecord::load(&config).unwrap_err();
        assert!(matches!(error, RecordError::Damaged { .. }), "{error}");
    }

    #[test]
    fn a_changed_byte_is_noticed_and_a_record_without_a_sum_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder);
        record().save(&config).unwrap();
        let good = fs::read(config.start_record()).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(config.start_record(), &bad).unwrap();
            let loaded = StartRecord::load(&config);
            // The sum's own name may become another; what is read is the record or nothing.
            assert!(
                !matches!(&loaded, Ok(found) if *found != Some(record())),
                "byte {at}: {loaded:?}"
            );
        }
        let without = serde_json::to_vec_pretty(&record()).unwrap();
        fs::write(config.start_record(), without).unwrap();
        assert_eq!(StartRecord::load(&config).unwrap(), Some(record()));
    }

    #[test]
    fn a_folder_is_cleared_only_if_it_is_marked() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder);
        clear_rubble(&config).unwrap();
        fs::create_dir(config.raft()).unwrap();
        fs::write(config.raft().join("log"), b"x").unwrap();
        let error = clear_rubble(&config).unwrap_err();
        assert!(matches!(error, RecordError::Missing { .. }), "{error}");
        assert!(config.raft().join("log").exists());
        mark(&config).unwrap();
        clear_rubble(&config).unwrap();
        assert_eq!(fs::read_dir(config.swarm_root()).unwrap().count(), 0);
    }

    #[test]
    fn a_node_without_a_record_is_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(StartRecord::load(&config(&folder)).unwrap(), None);
    }
}
