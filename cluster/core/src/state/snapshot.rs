//! The whole state as bytes, and back.

use super::State;
use super::claims::Remembered;
use super::requests::{Requests, SessionRecord};
use crate::change::Object;
use serde::{Deserialize, Serialize};
use swarmrs_types::ClusterTime;

/// The format written. Readers accept this and nothing newer.
pub const FORMAT: u32 = 1;

/// A state laid flat: every object once, by kind and id.
#[derive(Debug, Serialize, Deserialize)]
pub struct Snapshot {
    pub format: u32,
    pub applied: u64,
    pub time: ClusterTime,
    pub objects: Vec<Object>,
    /// What does not follow from the objects; none: there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remembered: Option<Remembered>,
    /// Requests that may come again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<SessionRecord>,
}

/// A snapshot that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("snapshot has format {0}, this release reads up to {FORMAT}")]
    Newer(u32),
    #[error("snapshot is not readable: {0}")]
    Unreadable(#[from] serde_json::Error),
}

impl State {
    /// The state laid flat.
    pub fn snapshot(&self) -> Snapshot {
        let cluster = self.cluster.iter().cloned().map(Object::Cluster);
        let nodes = self.nodes.iter().cloned().map(Object::Node);
        let services = self.services.iter().cloned().map(Object::Service);
        let specs = self.specs.values().cloned().map(Object::Spec);
        let tasks = self.tasks.iter().cloned().map(Object::Task);
        let networks = self.networks.iter().cloned().map(Object::Network);
        let attachments = self.attachments.iter().cloned().map(Object::Attachment);
        let secrets = self.secrets.iter().cloned().map(Object::Secret);
        let configs = self.configs.iter().cloned().map(Object::Config);
        Snapshot {
            format: FORMAT,
            applied: self.applied,
            time: self.time,
            objects: cluster
                .chain(nodes)
                .chain(services)
                .chain(specs)
                .chain(tasks)
                .chain(networks)
                .chain(attachments)
                .chain(secrets)
                .chain(configs)
                .collect(),
            remembered: self.remembered(),
            requests: self.requests.flat(),
        }
    }

    /// The state a snapshot holds.
    pub fn restore(snapshot: &Snapshot) -> Result<State, SnapshotError> {
        if snapshot.format > FORMAT {
            return Err(SnapshotError::Newer(snapshot.format));
        }
        let mut state = State {
            applied: snapshot.applied,
            time: snapshot.time,
            requests: Requests::from_flat(&snapshot.requests),
            ..State::default()
        };
        if let Some(remembered) = &snapshot.remembered {
            state.remember_departed(remembered);
        }
        for object in &snapshot.objects {
            state.lay(object);
        }
        if let Some(remembered) = &snapshot.remembered {
            state.remember_given(remembered);
        }
        Ok(state)
    }
}

impl Snapshot {
    /// As bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, SnapshotError> {
        Ok(serde_json::to_vec(self)?)
    }

    /// From bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Snapshot, SnapshotError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}
