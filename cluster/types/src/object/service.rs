//! Services and the versions of their specs.
//!
//! A service refers to its spec by number; the specs stand in a table of their own, shared by the
//! service, its previous spec and all tasks made from it.

use super::{Meta, Unknown};
use crate::SecretText;
use crate::id::{NetworkId, ServiceId};
use crate::spec::{PortConfig, ServiceSpec};
use crate::time::{ClusterTime, Timestamp};
use serde::{Deserialize, Serialize};

/// Counts the specs a service has had: 1 is the first.
pub type SpecNumber = u64;

/// One service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    pub id: ServiceId,
    #[serde(default)]
    pub meta: Meta,
    /// The name, as in its spec.
    pub name: String,
    pub spec: SpecNumber,
    /// What a rollback returns to.
    pub previous_spec: Option<SpecNumber>,
    /// The highest number ever given.
    pub last_spec: SpecNumber,
    pub endpoint: Endpoint,
    pub update_status: Option<UpdateStatus>,
    /// What the updater has to remember while an update runs.
    pub update: Option<UpdateProgress>,
    /// Where a job stands; none: the service is no job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobStatus>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// One version of a service's spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpecVersion {
    pub service: ServiceId,
    pub number: SpecNumber,
    pub spec: ServiceSpec,
    /// What the client sent to log in to the image's registry: opaque, replayed on pull, never shown.
    pub registry_auth: Option<RegistryAuth>,
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// The content of `X-Registry-Auth`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RegistryAuth(pub SecretText);

impl std::fmt::Debug for RegistryAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RegistryAuth(..)")
    }
}

/// What was allocated to a service: its ports as they are reached, its virtual addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    pub ports: Vec<PortConfig>,
    pub virtual_ips: Vec<VirtualIp>,
}

/// A virtual address of a service in one network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualIp {
    pub network: NetworkId,
    /// CIDR.
    pub addr: String,
}

/// What users see of an update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateStatus {
    pub state: UpdateState,
    pub started_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateState {
    Updating,
    Paused,
    Completed,
    RollbackStarted,
    RollbackPaused,
    RollbackCompleted,
}

impl UpdateState {
    /// Docker's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            UpdateState::Updating => "updating",
            UpdateState::Paused => "paused",
            UpdateState::Completed => "completed",
            UpdateState::RollbackStarted => "rollback_started",
            UpdateState::RollbackPaused => "rollback_paused",
            UpdateState::RollbackCompleted => "rollback_completed",
        }
    }

    /// Whether this is part of going back.
    pub fn is_rollback(self) -> bool {
        matches!(
            self,
            UpdateState::RollbackStarted
                | UpdateState::RollbackPaused
                | UpdateState::RollbackCompleted
        )
    }

    /// Whether tasks are still being replaced.
    pub fn is_active(self) -> bool {
        matches!(self, UpdateState::Updating | UpdateState::RollbackStarted)
    }
}

/// Which run of a job is the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStatus {
    /// Counts the runs from 0; every update of the service begins another.
    pub iteration: u64,
    /// When it began.
    pub last_execution: Timestamp,
}

impl JobStatus {
    /// The first run.
    pub fn first(at: Timestamp) -> Self {
        JobStatus {
            iteration: 0,
            last_execution: at,
        }
    }

    /// The run after this one.
    pub fn next(self, at: Timestamp) -> Self {
        JobStatus {
            iteration: self.iteration + 1,
            last_execution: at,
        }
    }
}

/// An update under way; kept in the service so that a new leader goes on where the old one was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateProgress {
    /// The spec that is being rolled out.
    pub spec: SpecNumber,
    pub started: ClusterTime,
    /// Slots that had to change when it began: failures are counted against this.
    pub slots: u64,
}
