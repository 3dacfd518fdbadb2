//! Where the managers are, as this node was last told; kept on the disk, or a worker that is started
//! again would have nobody to ask.

use crate::config::Config;
use crate::ids::draw;
use crate::record::{FORMAT, RecordError, load, save};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use swarmrs_rpc::message::join::ManagerAddress;
use tracing::warn;

#[derive(Serialize, Deserialize)]
struct Written {
    format: u32,
    managers: Vec<ManagerAddress>,
}

/// The managers known.
#[derive(Debug)]
pub struct KnownManagers {
    file: PathBuf,
    list: Mutex<Vec<ManagerAddress>>,
}

impl KnownManagers {
    /// Those that were written down; none if nothing was.
    pub fn load(config: &Config) -> Result<Self, RecordError> {
        let file = config.managers();
        let written: Option<Written> = load(&file)?;
        let list = written.map_or_else(Vec::new, |written| written.managers);
        Ok(KnownManagers {
            list: Mutex::new(list),
            file,
        })
    }

    /// Takes a newer list, and writes it down if it says something else. An empty one says nothing.
    pub fn replace(&self, managers: Vec<ManagerAddress>) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        if managers.is_empty() || *list == managers {
            return;
        }
        *list = managers;
        let written = Written {
            format: FORMAT,
            managers: list.clone(),
        };
        if let Err(error) = save(&written, &self.file) {
            warn!(%error, "the managers' addresses are not written down");
        }
    }

    /// All of them, in a new order each time: nodes that lose a manager spread over the others.
    pub fn shuffled(&self) -> Vec<ManagerAddress> {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keyed: Vec<(u64, ManagerAddress)> = list
            .iter()
            .map(|manager| (draw(), manager.clone()))
            .collect();
        keyed.sort_by_key(|(key, _)| *key);
        keyed.into_iter().map(|(_, manager)| manager).collect()
    }

    /// All of them, as they were told.
    pub fn all(&self) -> Vec<ManagerAddress> {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn manager(address: &str) -> ManagerAddress {
        ManagerAddress {
            node_id: "n".to_owned(),
            address: address.to_owned(),
        }
    }

    #[test]
    fn what_was_told_last_is_there_after_a_start() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::new(folder.path());
        fs::create_dir_all(config.swarm_root()).unwrap();
        let known = KnownManagers::load(&config).unwrap();
        assert_eq!(known.all(), []);
        let told = vec![manager("192.0.2.1:2377"), manager("192.0.2.2:2377")];
        known.replace(told.clone());
        known.replace(Vec::new());
        assert_eq!(
            fs::read_to_string(config.managers()).unwrap(),
            "{\n  \"format\": 1,\n  \"managers\": [\n    {\n      \"node_id\": \"n\",\n      \
             \"address\": \"192.0.2.1:2377\"\n    },\n    {\n      \"node_id\": \"n\",\n      \
             \"address\": \"192.0.2.2:2377\"\n    }\n  ],\n  \
             \"sum\": \"87ac87e1107e821d7b28d9e0b9f5e92f54502c5e2a97873a3bf6614dabf53a43\"\n}"
        );
        let again = KnownManagers::load(&config).unwrap();
        assert_eq!(again.all(), told);
        let mut shuffled = again.shuffled();
        shuffled.sort_by(|a, b| a.address.cmp(&b.address));
        assert_eq!(shuffled, told);
    }

    #[test]
    fn a_changed_byte_is_noticed_and_a_list_without_a_sum_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::new(folder.path());
        fs::create_dir_all(config.swarm_root()).unwrap();
        let known = KnownManagers::load(&config).unwrap();
        known.replace(vec![manager("192.0.2.1:2377")]);
        let good = fs::read(config.managers()).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(config.managers(), &bad).unwrap();
            if let Ok(found) = KnownManagers::load(&config) {
                assert_eq!(found.all(), known.all(), "byte {at}");
            }
        }
        let without =
            br#"{"format": 1, "managers": [{"node_id": "n", "address": "192.0.2.1:2377"}]}"#;
        fs::write(config.managers(), without).unwrap();
        assert_eq!(KnownManagers::load(&config).unwrap().all(), known.all());
    }

    #[test]
    fn a_newer_format_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::new(folder.path());
        fs::create_dir_all(config.swarm_root()).unwrap();
        fs::write(config.managers(), br#"{"format": 2, "managers": []}"#).unwrap();
        let error = KnownManagers::load(&config).unwrap_err();
        assert!(
            matches!(error, RecordError::Newer { found: 2, .. }),
            "{error}"
        );
    }
}
