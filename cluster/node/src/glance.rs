//! What is seen of a node at once: nobody is asked, nothing is waited for.
//!
//! Reads of the API want the newest state and a leader's word for it. Whoever looks after a node
//! wants an answer also when there is none: these show what this node has and knows.

use crate::local::ClusterView;
use crate::recorder::Recorder;
use crate::role::{Node, Role};
use std::io;
use std::path::Path;
use std::sync::Arc;
use swarmrs_types::measure::Counter;

/// Counted since the process began, over changes of role.
#[derive(Debug, Default)]
pub struct Measures {
    pub sessions_opened: Counter,
    pub sessions_closed: Counter,
    pub plans_committed: Counter,
    pub plans_rejected: Counter,
    pub plans_failed: Counter,
}

/// Space where the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub free: u64,
    /// Writes are refused below this.
    pub reserve: u64,
}

/// What only a running manager has.
pub struct ManagerGlance {
    /// The newest state applied here.
    pub view: ClusterView,
    pub store: swarmrs_store::Figures,
    pub agent: Arc<swarmrs_agent::Measures>,
    pub space: io::Result<Space>,
}

impl Node {
    /// The manager on this node; none if there is none.
    pub fn glance(&self) -> Option<ManagerGlance> {
        let role = self.0.role.load();
        let Role::Manager(manager) = &**role else {
            return None;
        };
        let space = manager.desk.store.space();
        Some(ManagerGlance {
            view: manager.view(manager.desk.store.view()),
            store: manager.desk.store.figures(),
            agent: manager.agent.measures().clone(),
            space: space.map(|(free, reserve)| Space { free, reserve }),
        })
    }

    /// What happened to this node lately.
    pub fn recorder(&self) -> &Recorder {
        &self.0.told.recorder
    }

    /// What is counted of the node itself.
    pub fn measures(&self) -> &Measures {
        &self.0.told.measures
    }

    /// What must survive a reboot is below this.
    pub fn data_root(&self) -> &Path {
        &self.0.config.data_root
    }
}
