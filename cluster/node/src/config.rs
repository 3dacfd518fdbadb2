//! Where a node keeps its things.

use std::path::PathBuf;
use swarmrs_agent::{Policy, SocketMap};
use swarmrs_network::Launch;
use swarmrs_store::LogEngine;
use swarmrs_types::spec::GenericResource;

/// Settings of a node.
#[derive(Clone, Debug)]
pub struct Config {
    /// What must survive a reboot: certificates, the log, the agent's journal.
    pub data_root: PathBuf,
    /// What a manager's log is kept with.
    pub raft_store: LogEngine,
    /// Bytes kept back on the data root's disk: below it nothing is written to the log.
    pub disk_reserve: u64,
    /// What need not: the tmpfs for secrets is mounted in it.
    pub exec_root: PathBuf,
    /// What the node has beside CPUs and memory; none: what its engine says.
    pub generic_resources: Vec<GenericResource>,
    /// What a task's bind of the engine's socket is replaced by.
    pub sockets: Option<SocketMap>,
    /// What of this node tasks may have.
    pub policy: Policy,
    /// What the process that carries the node's networks is started by; none: it carries none.
    pub holder: Option<Launch>,
}

impl Config {
    /// Everything in `data_root`, the rest as usual.
    pub fn new(data_root: impl Into<PathBuf>) -> Self {
        let data_root = data_root.into();
        Config {
            exec_root: data_root.join("exec"),
            data_root,
            raft_store: LogEngine::default(),
            disk_reserve: swarmrs_store::DEFAULT_RESERVE,
            generic_resources: Vec::new(),
            sockets: None,
            policy: Policy::default(),
            holder: None,
        }
    }

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

    /// Where the managers are, as this node was last told.
    pub fn managers(&self) -> PathBuf {
        self.swarm_root().join("managers.json")
    }

    /// The advertised address, if it was seen to be one of this machine.
    pub fn own_address(&self) -> PathBuf {
        self.swarm_root().join("own-address")
    }

    /// The mark of a swarm that is being made or left.
    pub fn unfinished(&self) -> PathBuf {
        self.swarm_root().join("unfinished")
    }
}
