//! How a swarm is, on one page.

use crate::id::{NodeId, ServiceId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `GET /swarmrs/v1/read/status`: as far as this node knows, without asking the others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct StatusReport {
    /// Of swarmrsd.
    pub version: String,
    /// Nothing is wrong: no problem, and every service is as it was asked for.
    pub healthy: bool,
    /// `inactive`, `active`, `locked`, …
    pub swarm: String,
    /// This node; `null` outside a swarm.
    #[serde(rename = "NodeID")]
    pub node_id: Option<NodeId>,
    pub engine: EngineReport,
    /// `null` on a node that is no manager, as are all that follow but the texts.
    pub quorum: Option<QuorumReport>,
    pub managers: Vec<ManagerReport>,
    /// Nodes by state: `ready`, `down`, …
    pub nodes: BTreeMap<String, u64>,
    pub services: ServicesReport,
    /// What keeps the swarm or this node from working.
    pub problems: Vec<String>,
    /// What will, if nobody looks after it.
    pub warnings: Vec<String>,
}

/// The engine behind this node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EngineReport {
    /// It answered just now.
    pub answers: bool,
    /// Empty if it does not.
    pub version: String,
}

/// How many managers there are and may be lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct QuorumReport {
    /// The managers can agree, as far as this one knows.
    pub holds: bool,
    pub managers: u64,
    pub reachable: u64,
    /// How many it takes to agree.
    pub needed: u64,
    /// How many more may be lost before they cannot.
    pub margin: u64,
}

/// One manager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ManagerReport {
    #[serde(rename = "ID")]
    pub id: NodeId,
    pub hostname: String,
    /// `host:port`.
    pub addr: String,
    pub leader: bool,
    pub reachable: bool,
}

/// The services, and those that are not as they were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ServicesReport {
    pub total: u64,
    pub converged: u64,
    /// By name.
    pub not_converged: Vec<ServiceReport>,
    /// Those that run, but not what was last asked for: their update was rolled back.
    pub rolled_back: Vec<ServiceReport>,
}

/// One service that needs a look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServiceReport {
    #[serde(rename = "ID")]
    pub id: ServiceId,
    pub name: String,
    pub running: u64,
    pub desired: u64,
    /// `updating`, `paused`, `rollback_started`, …; empty if nothing of it was ever updated.
    pub update: String,
    /// The first reason, in the words of whoever gave it: scheduler, agent, engine or updater.
    pub reason: String,
}
