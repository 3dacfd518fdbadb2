//! The start record: what a node must know of its swarm before anything of it runs.
//!
//! It is written last when a swarm is made, so its presence says that the rest is whole; a swarm
//! folder without one is the rubble of an attempt that failed.

use crate::config::Config;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use swarmrs_core::control::swarm::Addresses;
use swarmrs_types::NodeId;

/// The format written; a newer one is refused.
const FORMAT: u32 = 1;

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
        }
    }

    /// The record, if the node is part of a swarm.
    pub fn load(config: &Config) -> Result<Option<StartRecord>, RecordError> {
        let file = config.start_record();
        let path = file.display().to_string();
        let bytes = match fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(RecordError::Read { path, source }),
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
        serde_json::from_slice(&bytes).map(Some).map_err(damaged)
    }

    /// Writes the record so that it is there whole or not at all.
    pub fn save(&self, config: &Config) -> Result<(), RecordError> {
        let file = config.start_record();
        write_whole(&file, &serde_json::to_vec_pretty(self).unwrap_or_default()).map_err(|source| {
            RecordError::Write {
                path: file.display().to_string(),
                source,
            }
        })
    }
}

fn write_whole(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = file.with_extension("next");
    let mut out = File::create(&draft)?;
    out.write_all(bytes)?;
    out.sync_all()?;
    fs::rename(&draft, file)?;
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
             \"listen_addr\": \"0.0.0.0:2377\",\n  \"advertise_addr\": \"192.0.2.1:2377\"\n}"
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
    fn a_node_without_a_record_is_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(StartRecord::load(&config(&folder)).unwrap(), None);
    }
}
