//! Where a node keeps its things.

use std::path::PathBuf;

/// Settings of a node.
#[derive(Clone, Debug)]
pub struct Config {
    /// What must survive a reboot: certificates, the log, the agent's journal.
    pub data_root: PathBuf,
}

impl Config {
    /// All of a swarm; emptied on leaving it.
    pub fn swarm_root(&self) -> PathBuf {
        self.data_root.join("swarm")
    }

    pub fn certificates(&self) -> PathBuf {
        self.swarm_root().join("certificates")
    }

    pub fn raft(&self) -> PathBuf {
        self.swarm_root().join("raft")
    }

    pub fn agent(&self) -> PathBuf {
        self.swarm_root().join("agent")
    }

    pub fn start_record(&self) -> PathBuf {
        self.swarm_root().join("start.json")
    }
}
