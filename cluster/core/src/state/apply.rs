//! Applying a command: guards are compared, objects are written. Nothing is decided here.

use super::State;
use super::claims::{Holder, addresses_of_task, addresses_on};
use crate::change::{Change, Command, Delta, Event, Expect, Key, Object, Rejected};
use std::sync::Arc;
use swarmrs_types::object::{Attachment, Meta, Network, Node, Service, Task, TaskStatus};
use swarmrs_types::{AttachmentId, NetworkId, NodeId, ServiceId, TaskId, TaskState};

impl State {
    /// Applies the entry at `index`. If a guard does not hold nothing changes but the index and the
    /// time, which belong to the log and not to the command.
    pub fn apply(&mut self, index: u64, command: &Command) -> Result<Vec<Event>, Rejected> {
        self.applied = index;
        self.time = self.time.max(command.time);
        self.end_quarantines();
        let mut next = self.clone();
        for guard in &command.guards {
            next.expect(guard.key, guard.version)?;
        }
        let mut events = Vec::with_capacity(command.changes.len());
        for change in &command.changes {
            events.extend(next.apply_change(index, command, change)?);
        }
        *self = next;
        Ok(events)
    }

    /// Notes that an entry without a command was applied.
    pub fn skip(&mut self, index: u64) {
        self.applied = index;
    }

    fn expect(&self, key: Key, version: u64) -> Result<(), Rejected> {
        if self.version(key) == version {
            Ok(())
        } else {
            Err(Rejected::OutOfSequence(key))
        }
    }

    fn apply_change(
        &mut self,
        index: u64,
        command: &Command,
        change: &Change,
    ) -> Result<Option<Event>, Rejected> {
        match change {
            Change::Put { object, expect } => {
                self.expect_change(object.key(), *expect)?;
                self.put(index, command, object)
            }
            Change::Remove { key, expect } => {
                self.expect_change(*key, *expect)?;
                self.expect_unused(*key)?;
                Ok(self.remove(*key))
            }
            Change::Status { task, status } => Ok(self.report(index, command, *task, status)),
        }
    }

    fn expect_change(&self, key: Key, expect: Expect) -> Result<(), Rejected> {
        match expect {
            Expect::Absent => self.expect(key, 0),
            Expect::Version(version) => self.expect(key, version),
        }
    }

    fn put(
        &mut self,
        index: u64,
        command: &Command,
        object: &Object,
    ) -> Result<Option<Event>, Rejected> {
        let stamp = |old: Option<Meta>| Meta {
            version: index,
            created_at: old.map_or(command.wall, |meta| meta.created_at),
            updated_at: command.wall,
        };
        Ok(match object {
            Object::Cluster(new) => {
                let old = self.cluster.take();
                let mut new = (**new).clone();
                new.meta = stamp(old.as_ref().map(|o| o.meta));
                let new = Some(Arc::new(new));
                self.cluster = new.clone();
                Some(Event::Cluster(Delta { old, new }))
            }
            Object::Node(new) => {
                let mut new = (**new).clone();
                new.meta = stamp(self.nodes.get(&new.id).map(|o| o.meta));
                let own = new.ingress.map(|own| (own.network, own.address.addr()));
                self.check_addresses(own.as_slice(), Holder::Node(new.id))?;
                Some(self.write_node(new.id, Some(new)))
            }
            Object::Service(new) => {
                let mut new = (**new).clone();
                new.meta = stamp(self.services.get(&new.id).map(|o| o.meta));
                self.claim_service_name(&new)?;
                self.check_service(&new)?;
                Some(self.write_service(new.id, Some(new)))
            }
            Object::Spec(new) => {
                self.specs.insert((new.service, new.number), new.clone());
                None
            }
            Object::Task(new) => {
                let mut new = (**new).clone();
                new.meta = stamp(self.tasks.get(&new.id).map(|o| o.meta));
                self.check_addresses(&addresses_of_task(&new), Holder::Task(new.id))?;
                Some(self.write_task(new.id, Some(new)))
            }
            Object::Network(new) => {
                let mut new = (**new).clone();
                new.meta = stamp(self.networks.get(&new.id).map(|o| o.meta));
                self.check_network(&new)?;
                Some(self.write_network(new.id, Some(new)))
            }
            Object::Attachment(new) => {
                let mut new = (**new).clone();
                new.meta = stamp(self.attachments.get(&new.id).map(|o| o.meta));
                let addresses = addresses_on(new.network, &new.addresses);
                self.check_addresses(&addresses, Holder::Attachment(new.id))?;
                Some(self.write_attachment(new.id, Some(new)))
            }
            Object::Secret(new) => {
                let mut new = (**new).clone();
                new.meta = stamp(self.secrets.get(&new.id).map(|o| o.meta));
                self.claim_secret_name(&new)?;
                Some(self.write_secret(new.id, Some(new)))
            }
            Object::Config(new) => {
                let mut new = (**new).clone();
                new.meta = stamp(self.configs.get(&new.id).map(|o| o.meta));
                self.claim_config_name(&new)?;
                Some(self.write_config(new.id, Some(new)))
            }
        })
    }

    fn remove(&mut self, key: Key) -> Option<Event> {
        Some(match key {
            Key::Cluster => Event::Cluster(Delta {
                old: self.cluster.take(),
                new: None,
            }),
            Key::Node(id) => self.write_node(id, None),
            Key::Service(id) => self.write_service(id, None),
            Key::Spec(service, number) => {
                self.specs.remove(&(service, number));
                return None;
            }
            Key::Task(id) => self.write_task(id, None),
            Key::Network(id) => self.write_network(id, None),
            Key::Attachment(id) => self.write_attachment(id, None),
            Key::Secret(id) => self.write_secret(id, None),
            Key::Config(id) => self.write_config(id, None),
        })
    }

    /// A node's report. The observed state never goes back; what comes late is dropped.
    fn report(
        &mut self,
        index: u64,
        command: &Command,
        task: TaskId,
        status: &TaskStatus,
    ) -> Option<Event> {
        let mut new = (**self.tasks.get(&task)?).clone();
        if status.state < new.status.state || *status == new.status {
            return None;
        }
        new.status = status.clone();
        new.meta.version = index;
        new.meta.updated_at = command.wall;
        if status.state == TaskState::Running && new.running_since.is_none() {
            new.running_since = Some(command.time);
        }
        if status.state.is_terminal() && new.ended.is_none() {
            new.ended = Some(command.time);
        }
        Some(self.write_task(task, Some(new)))
    }

    fn write_node(&mut self, id: NodeId, new: Option<Node>) -> Event {
        let new = new.map(Arc::new);
        let old = match &new {
            Some(node) => self.nodes.insert(id, node.clone()),
            None => self.nodes.remove(&id),
        };
        self.follow_node(old.as_deref(), new.as_deref());
        Event::Node(Delta { old, new })
    }

    fn claim_service_name(&mut self, service: &Service) -> Result<(), Rejected> {
        match self.service_named(&service.name) {
            Some(holder) if holder.id != service.id => Err(Rejected::NameTaken {
                kind: "service".to_owned(),
                name: service.name.clone(),
            }),
            _ => Ok(()),
        }
    }

    fn write_service(&mut self, id: ServiceId, new: Option<Service>) -> Event {
        let new = new.map(Arc::new);
        let old = match &new {
            Some(service) => self.services.insert(id, service.clone()),
            None => self.services.remove(&id),
        };
        if let Some(old) = &old {
            self.service_names.remove(&old.name.to_lowercase());
        }
        if let Some(new) = &new {
            self.service_names.insert(new.name.to_lowercase(), id);
        }
        self.follow_service(old.as_ref(), new.as_deref());
        Event::Service(Delta { old, new })
    }

    fn write_task(&mut self, id: TaskId, new: Option<Task>) -> Event {
        let new = new.map(Arc::new);
        let old = match &new {
            Some(task) => self.tasks.insert(id, task.clone()),
            None => self.tasks.remove(&id),
        };
        if let Some(old) = &old {
            self.forget_task(old);
        }
        if let Some(new) = &new {
            self.index_task(new);
        }
        self.follow_task(old.as_deref(), new.as_deref());
        Event::Task(Delta { old, new })
    }

    fn index_task(&mut self, task: &Arc<Task>) {
        let id = task.id;
        self.tasks_of_service
            .insert((task.service, id), task.clone());
        if let Some(node) = task.node {
            self.tasks_of_node.insert((node, id), task.clone());
        }
    }

    fn forget_task(&mut self, task: &Task) {
        self.tasks_of_service.remove(&(task.service, task.id));
        if let Some(node) = task.node {
            self.tasks_of_node.remove(&(node, task.id));
        }
    }

    fn write_network(&mut self, id: NetworkId, new: Option<Network>) -> Event {
        let new = new.map(Arc::new);
        let old = match &new {
            Some(network) => self.networks.insert(id, network.clone()),
            None => self.networks.remove(&id),
        };
        self.follow_network(old.as_ref(), new.as_deref());
        Event::Network(Delta { old, new })
    }

    fn write_attachment(&mut self, id: AttachmentId, new: Option<Attachment>) -> Event {
        let new = new.map(Arc::new);
        let old = match &new {
            Some(attachment) => self.attachments.insert(id, attachment.clone()),
            None => self.attachments.remove(&id),
        };
        self.follow_attachment(old.as_deref(), new.as_deref());
        Event::Attachment(Delta { old, new })
    }

    /// Writes an object into a draft's own copy, unstamped: readers of the draft see it, the log
    /// will stamp it.
    pub(crate) fn lay(&mut self, object: &Object) {
        match object {
            Object::Cluster(new) => self.cluster = Some(new.clone()),
            Object::Node(new) => {
                self.write_node(new.id, Some((**new).clone()));
            }
            Object::Service(new) => {
                self.write_service(new.id, Some((**new).clone()));
            }
            Object::Spec(new) => {
                self.specs.insert((new.service, new.number), new.clone());
            }
            Object::Task(new) => {
                self.write_task(new.id, Some((**new).clone()));
            }
            Object::Network(new) => {
                self.write_network(new.id, Some((**new).clone()));
            }
            Object::Attachment(new) => {
                self.write_attachment(new.id, Some((**new).clone()));
            }
            Object::Secret(new) => {
                self.write_secret(new.id, Some((**new).clone()));
            }
            Object::Config(new) => {
                self.write_config(new.id, Some((**new).clone()));
            }
        }
    }

    /// Removes an object from a draft's own copy.
    pub(crate) fn lift(&mut self, key: Key) {
        self.remove(key);
    }
}
