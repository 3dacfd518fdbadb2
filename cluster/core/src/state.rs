//! The agreed state: tables of objects and the indexes over them.
//!
//! A state is a value. Its tables are persistent maps, so a clone is cheap and a reader's view
//! never changes under it. Objects are shared; writing one replaces it.

mod apply;
mod claims;
mod lookup;
mod network;
mod payload;
mod requests;
mod snapshot;
mod table;
#[cfg(test)]
mod tests;

pub use claims::{Holder, Port, QUARANTINE, name_of};
pub use lookup::{Found, find};
pub use network::is_meshed;
pub use requests::{Applied, Request, SessionRecord};
pub use snapshot::{Snapshot, SnapshotError};
pub use table::Table;

use crate::change::Key;
use imbl::OrdMap;
use std::sync::Arc;
use swarmrs_types::assignment::PayloadId;
use swarmrs_types::object::{
    Attachment, Cluster, Config, Network, Node, Secret, Service, SpecNumber, SpecVersion, Task,
};
use swarmrs_types::{
    AttachmentId, ClusterTime, ConfigId, NetworkId, NodeId, SecretId, ServiceId, TaskId,
};

/// All that the managers agree on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    cluster: Option<Arc<Cluster>>,
    nodes: Table<NodeId, Node>,
    services: Table<ServiceId, Service>,
    specs: OrdMap<(ServiceId, SpecNumber), Arc<SpecVersion>>,
    tasks: Table<TaskId, Task>,
    networks: Table<NetworkId, Network>,
    attachments: Table<AttachmentId, Attachment>,
    secrets: Table<SecretId, Secret>,
    configs: Table<ConfigId, Config>,
    /// Lower-cased names: unique without case, as Docker has it.
    service_names: OrdMap<String, ServiceId>,
    secret_names: OrdMap<String, SecretId>,
    config_names: OrdMap<String, ConfigId>,
    network_names: OrdMap<String, NetworkId>,
    claims: claims::Claims,
    /// The tasks once more, in the order they are walked: a service's or a node's side by side.
    tasks_of_service: OrdMap<(ServiceId, TaskId), Arc<Task>>,
    tasks_of_node: OrdMap<(NodeId, TaskId), Arc<Task>>,
    requests: requests::Requests,
    /// Index of the last entry applied, and the newest time stamped.
    applied: u64,
    time: ClusterTime,
}

impl State {
    /// The swarm, once it was made.
    pub fn cluster(&self) -> Option<&Arc<Cluster>> {
        self.cluster.as_ref()
    }

    /// What may be written so that all managers can read it: see [`swarmrs_types::feature`].
    pub fn level(&self) -> u32 {
        self.cluster.as_ref().map_or(0, |cluster| cluster.level)
    }

    pub fn nodes(&self) -> &Table<NodeId, Node> {
        &self.nodes
    }

    /// The node whose manager is this member of the log.
    pub fn node_of_member(&self, raft_id: u64) -> Option<&Arc<Node>> {
        self.nodes.iter().find(|node| node.raft_id == Some(raft_id))
    }

    pub fn services(&self) -> &Table<ServiceId, Service> {
        &self.services
    }

    pub fn tasks(&self) -> &Table<TaskId, Task> {
        &self.tasks
    }

    pub fn networks(&self) -> &Table<NetworkId, Network> {
        &self.networks
    }

    pub fn attachments(&self) -> &Table<AttachmentId, Attachment> {
        &self.attachments
    }

    pub fn secrets(&self) -> &Table<SecretId, Secret> {
        &self.secrets
    }

    pub fn configs(&self) -> &Table<ConfigId, Config> {
        &self.configs
    }

    /// Index of the last entry applied.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// The newest cluster time in the log.
    pub fn time(&self) -> ClusterTime {
        self.time
    }

    /// The spec of that number, if anything still refers to it.
    pub fn spec(&self, service: ServiceId, number: SpecNumber) -> Option<&Arc<SpecVersion>> {
        self.specs.get(&(service, number))
    }

    /// The spec a service has now.
    pub fn current_spec(&self, service: &Service) -> Option<&Arc<SpecVersion>> {
        self.spec(service.id, service.spec)
    }

    /// The spec a task was made from.
    pub fn spec_of(&self, task: &Task) -> Option<&Arc<SpecVersion>> {
        self.spec(task.service, task.spec)
    }

    /// All specs kept, by service and number.
    pub fn specs(&self) -> impl Iterator<Item = &Arc<SpecVersion>> {
        self.specs.values()
    }

    /// All specs kept for a service, by number.
    pub fn specs_of(&self, service: ServiceId) -> impl Iterator<Item = &Arc<SpecVersion>> {
        self.specs
            .range((service, 0)..=(service, SpecNumber::MAX))
            .map(|(_, spec)| spec)
    }

    /// The service of that name, without regard to case.
    pub fn service_named(&self, name: &str) -> Option<&Arc<Service>> {
        let id = self.service_names.get(&name.to_lowercase())?;
        self.services.get(id)
    }

    /// The secret of that name, without regard to case.
    pub fn secret_named(&self, name: &str) -> Option<&Arc<Secret>> {
        let id = self.secret_names.get(&name.to_lowercase())?;
        self.secrets.get(id)
    }

    /// The config of that name, without regard to case.
    pub fn config_named(&self, name: &str) -> Option<&Arc<Config>> {
        let id = self.config_names.get(&name.to_lowercase())?;
        self.configs.get(id)
    }

    /// The network of that name, without regard to case.
    pub fn network_named(&self, name: &str) -> Option<&Arc<Network>> {
        let id = self.network_names.get(&name.to_lowercase())?;
        self.networks.get(id)
    }

    /// The services whose current spec refers to a secret or config, by id.
    pub fn users_of(&self, payload: PayloadId) -> impl Iterator<Item = &Arc<Service>> {
        let refers = move |service: &&Arc<Service>| {
            let spec = self.current_spec(service);
            let container = spec.and_then(|spec| spec.spec.task_template.container_spec.as_ref());
            container.is_some_and(|container| PayloadId::of(container).any(|id| id == payload))
        };
        self.services.iter().filter(refers)
    }

    /// The tasks of a service, by id.
    pub fn tasks_of_service(&self, service: ServiceId) -> impl Iterator<Item = &Arc<Task>> {
        let (first, last) = (TaskId(table::FIRST_ID), TaskId(table::LAST_ID));
        self.tasks_of_service
            .range((service, first)..=(service, last))
            .map(|(_, task)| task)
    }

    /// The tasks bound to a node, by id.
    pub fn tasks_of_node(&self, node: NodeId) -> impl Iterator<Item = &Arc<Task>> {
        let (first, last) = (TaskId(table::FIRST_ID), TaskId(table::LAST_ID));
        self.tasks_of_node
            .range((node, first)..=(node, last))
            .map(|(_, task)| task)
    }

    /// The version an object stands at; 0 if it is not there. Specs never change: 1 if there.
    pub fn version(&self, key: Key) -> u64 {
        match key {
            Key::Cluster => self.cluster.as_ref().map_or(0, |c| c.meta.version),
            Key::Node(id) => self.nodes.get(&id).map_or(0, |n| n.meta.version),
            Key::Service(id) => self.services.get(&id).map_or(0, |s| s.meta.version),
            Key::Spec(service, number) => u64::from(self.spec(service, number).is_some()),
            Key::Task(id) => self.tasks.get(&id).map_or(0, |t| t.meta.version),
            Key::Network(id) => self.networks.get(&id).map_or(0, |n| n.meta.version),
            Key::Attachment(id) => self.attachments.get(&id).map_or(0, |a| a.meta.version),
            Key::Secret(id) => self.secrets.get(&id).map_or(0, |s| s.meta.version),
            Key::Config(id) => self.configs.get(&id).map_or(0, |c| c.meta.version),
        }
    }
}
